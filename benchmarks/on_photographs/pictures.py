"""The photographs and their transforms, as torchvision's have them, written with Pillow and NumPy."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import torch
from PIL import Image

SIDE, SHORT = 224, 256  # pixels that the network sees; the short side before the crop in validation
MEAN, STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")  # of torchvision's ImageFolder

Labelled = list[tuple[Path, int]]


def listing(folder: Path) -> tuple[list[str], Labelled, Labelled]:
    """(classes, training pictures, validation pictures) of a folder with train/<class>/ and val/<class>/."""
    classes = sorted(p.name for p in (folder / "train").iterdir() if p.is_dir())

    def of(split: str) -> Labelled:
        files = [(p, i) for i, name in enumerate(classes) for p in sorted((folder / split / name).iterdir())]
        return [(p, i) for p, i in files if p.suffix.lower() in ENDINGS]

    return classes, of("train"), of("val")


def opened(path: Path) -> Image.Image:
    """The picture as torchvision's ImageFolder gives it."""
    with Image.open(path) as picture:
        return picture.convert("RGB")


def tensor(picture: Image.Image) -> torch.Tensor:
    """ToTensor and Normalize: (3, H, W) float32."""
    values = np.asarray(picture).astype(np.float32) / np.float32(255)
    return torch.from_numpy(((values - MEAN) / STD).transpose(2, 0, 1).copy())


def centred(picture: Image.Image) -> Image.Image:
    """Resize(256), CenterCrop(224)."""
    width, height = picture.size
    short, long = sorted((width, height))
    sides = (SHORT, int(SHORT * long / short))
    picture = picture.resize(sides if width <= height else sides[::-1], Image.Resampling.BILINEAR)
    left, top = round((picture.width - SIDE) / 2), round((picture.height - SIDE) / 2)
    return picture.crop((left, top, left + SIDE, top + SIDE))


def drawn(picture: Image.Image, draw: random.Random) -> Image.Image:
    """RandomResizedCrop(224), RandomHorizontalFlip."""
    box = _box(*picture.size, draw)
    picture = picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box)
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if draw.random() < 0.5 else picture


def _box(width: int, height: int, draw: random.Random) -> tuple[int, int, int, int]:
    """torchvision's get_params: an area of 0.08 to 1 and a ratio of 3/4 to 4/3, ten tries, else about the centre."""
    for _ in range(10):
        area = width * height * draw.uniform(0.08, 1)
        ratio = math.exp(draw.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = draw.randint(0, width - w), draw.randint(0, height - h)
            return left, top, left + w, top + h
    w = min(width, round(height * 4 / 3))
    h = min(height, round(width * 4 / 3))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h
