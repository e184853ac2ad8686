"""A picture of what augmentation does to pictures: look at it before training on it."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..data import Dataset, Item
from ..data.dataset import check_seed, key
from ..data.loader import augmenting, warn_skipped
from ..errors import ArgumentError, DataError, WeightError
from ..images import Augmentation, Preprocessing
from ..nn.inference import positive
from ..terminal import escaped
from ..weights import atomic
from .canvas import DPI, Figure, png
from .plots import FAINT, INK

SIDE, GAP, NAMES = 1.4, 0.06, 1.9  # inches: width of a picture, between two, and for the names at the left
LOWEST, HIGHEST = 0.3, 1.5  # rows, as multiples of SIDE
PIXELS = round(SIDE * HIGHEST * DPI)  # of a picture that can be seen
LONGEST = 26  # letters of a name
LABEL: dict[str, Any] = {"ha": "right", "color": INK}


def write_preview(
    data: Dataset,
    augmentation: Augmentation | str,
    path: str | os.PathLike[str],
    preprocessing: Preprocessing | None = None,
    pictures: int = 6,
    epochs: int = 8,
    seed: int = 0,
    variants: int = 0,
) -> Path:
    """Writes a PNG: a row a training picture, first as it is, then as in the epochs 1 to `epochs` of a training.

    augmentation: or the name of a preset. preprocessing: show what the network gets, resized, cropped and with its
    channels, rather than the whole pictures. pictures: how many, chosen by a key of (seed, name), from all classes in
    turn. seed, variants: those of the training. Returns the path. Pictures that cannot be read are warned of and
    passed over. Raises ArgumentError on settings that make no sense, DataError where no picture can be read or the
    file cannot be written.
    """
    if not isinstance(data, Dataset):
        raise DataError(f"write_preview: data must be a Dataset (tl.data.folder, …); got {type(data).__name__}")
    if isinstance(augmentation, str):
        augmentation = Augmentation.preset(augmentation)
    if not isinstance(augmentation, Augmentation):
        raise ArgumentError(
            f"write_preview: augmentation must be an images.Augmentation or a preset's name; got {augmentation!r:.60}"
        )
    pictures, epochs = positive("write_preview: pictures", pictures), positive("write_preview: epochs", epochs)
    draws = [epoch % variants if variants else epoch for epoch in range(1, epochs + 1)]
    rows = []
    for item, picture in _readable(data, check_seed(seed)):
        augmented = [augmenting(augmentation, seed, draw, preprocessing)(item, picture) for draw in draws]
        rows.append((item, [_shown(p, preprocessing) for p in (picture, *augmented)]))
        if len(rows) == pictures:
            break
    if not rows:
        raise DataError("write_preview: the data has no training picture that can be read; check the folder or val=")
    try:
        atomic.write_bytes(path, _sheet(data, augmentation, rows))
    except WeightError as error:
        raise DataError(f"write_preview: {error}") from error
    return Path(path)


def _readable(data: Dataset, seed: int) -> Iterator[tuple[Item, np.ndarray]]:
    """Training pictures with their pixels: one of each class, then another of each, and so on."""
    by_class: dict[int, list[Item]] = {}
    for item in sorted(data.train, key=lambda item: (key("preview", seed, item.name), item.name)):
        by_class.setdefault(item.label, []).append(item)
    turns = [(turn, label, item) for label, items in by_class.items() for turn, item in enumerate(items)]
    for _, _, item in sorted(turns, key=lambda place: place[:2]):
        try:
            yield item, item.picture()
        except DataError as error:
            warn_skipped(item, str(error))


def _shown(picture: np.ndarray, preprocessing: Preprocessing | None) -> np.ndarray:
    """(h, w, 3) or grey (h, w) uint8, at most PIXELS wide and high: the picture, or what the network gets of it."""
    if preprocessing is not None:
        planes = preprocessing(picture).transpose(1, 2, 0)
        values = (planes * preprocessing.std + preprocessing.mean) / preprocessing.scale
        picture = np.clip(np.rint(values), 0, 255).astype(np.uint8)
        if preprocessing.channels == "BGR":
            picture = picture[:, :, ::-1]
        elif preprocessing.channels == "L":
            picture = picture[:, :, 0]
    image = Image.fromarray(picture)
    image.thumbnail((PIXELS, PIXELS))
    return np.asarray(image)


def _sheet(data: Dataset, augmentation: Augmentation, rows: list[tuple[Item, list[np.ndarray]]]) -> bytes:
    """The PNG: names at the left, the originals a little apart, each row as high as its pictures need."""
    count = len(rows[0][1])
    heights = [SIDE * min(max(max(p.shape[0] / p.shape[1] for p in shown), LOWEST), HIGHEST) for _, shown in rows]
    title = textwrap.wrap(f"Augmentation: {augmentation.describe()}", max(40, 14 * count))
    top = 0.2 * len(title) + 0.35
    wide, high = NAMES + count * (SIDE + GAP) + 2 * GAP, top + sum(heights) + GAP * len(rows)
    figure = Figure(figsize=(wide, high))

    def write(x: float, y: float, text: str, **style: Any) -> None:
        figure.text(x / wide, 1 - y / high, text, parse_math=False, **style)

    write(GAP, 0.08, "\n".join(title), va="top", fontsize=10, color=INK)
    y = top
    for (item, shown), height in zip(rows, heights, strict=True):
        write(
            NAMES - 0.1,
            y + height / 2 - 0.03,
            _short(data.classes[item.label]),
            **LABEL,
            va="bottom",
            fontweight="bold",
        )
        write(NAMES - 0.1, y + height / 2 + 0.03, _short(item.name.rpartition("/")[2]), **LABEL, va="top", fontsize=7.5)
        for i, picture in enumerate(shown):
            x = NAMES + i * (SIDE + GAP) + (2 * GAP if i else 0)
            axes = figure.add_axes((x / wide, 1 - (y + height) / high, SIDE / wide, height / high))
            small = max(picture.shape[:2]) < PIXELS / 2
            axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest" if small else "antialiased")
            axes.set_axis_off()
            if y == top:
                name = "original" if i == 0 else f"epoch {i}"
                write(x + SIDE / 2, y - 0.06, name, ha="center", va="bottom", fontsize=9, color=FAINT if i else INK)
        y += height + GAP
    return png(figure)


def _short(name: str) -> str:
    """The name, safe in a line, its middle left out where it is long: file names often differ at the end."""
    name = escaped(name)
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 9]}…{name[-8:]}"
