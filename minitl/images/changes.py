"""The changes that augmentation makes, each by itself, of Pillow's pictures. What is drawn comes from one generator."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageEnhance

ATTEMPTS = 10  # at a rectangle that fits, as in torchvision
ROWS = 256  # looked at together where a turned picture has no pixels

Range = tuple[float, float]


def rectangle(
    rng: np.random.Generator, size: tuple[int, int], share: Range, aspect: Range, narrower: int = 0
) -> tuple[int, int, int, int] | None:
    """(left, top, width, height) of a random rectangle within `size` (width, height); None if none fits.

    share: of the whole area, drawn evenly; aspect: width by height relative to the whole's, its logarithm drawn
    evenly; narrower: by how many pixels it must be so on either side. In a square this is torchvision's rule for
    RandomResizedCrop and (narrower by 1) RandomErasing.
    """
    width, height = size
    for _ in range(ATTEMPTS):
        area = rng.uniform(*share)
        ratio = math.exp(rng.uniform(math.log(aspect[0]), math.log(aspect[1])))
        w, h = round(math.sqrt(width * width * area * ratio)), round(math.sqrt(height * height * area / ratio))
        if 0 < w <= width - narrower and 0 < h <= height - narrower:
            return int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1)), w, h
    return None


def resized_crop(rng: np.random.Generator, image: Image.Image, share: Range, aspect: Range) -> Image.Image:
    """A random rectangle, drawn out to the size of the whole; the largest in the middle where none was found."""
    width, height = image.size
    found = rectangle(rng, image.size, share, aspect)
    if found is None:
        ratio = min(max(1.0, aspect[0]), aspect[1])
        w, h = max(round(width * min(ratio, 1.0)), 1), max(round(height / max(ratio, 1.0)), 1)
        found = (width - w) // 2, (height - h) // 2, w, h
    left, top, w, h = found
    if (w, h) == (width, height):
        return image
    return image.crop((left, top, left + w, top + h)).resize((width, height), Image.Resampling.BILINEAR)


def moved(rng: np.random.Generator, image: Image.Image, most: tuple[int, int], fill: str) -> Image.Image:
    """Moved by up to `most` (across, down) pixels either way: a border all round, then a crop of the old size."""
    dx, dy = (int(rng.integers(-m, m + 1)) for m in most)
    if not dx and not dy:
        return image
    if fill == "replicate":
        pixels = np.asarray(image)
        rows = np.clip(np.arange(image.height) + dy, 0, image.height - 1)
        columns = np.clip(np.arange(image.width) + dx, 0, image.width - 1)
        return Image.fromarray(pixels[rows[:, None], columns])
    out = Image.new("RGB", image.size, filling(image, fill))
    out.paste(image, (-dx, -dy))
    return out


def rotated(image: Image.Image, degrees: float, fill: str) -> Image.Image:
    """Turned about its middle, counterclockwise; bilinear between the pixels."""
    if degrees == 0:
        return image
    width, height = image.size
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    # where a pixel of the result, its middle at (x, y), comes from: (cos x - sin y + c, sin x + cos y + f)
    c, f = width / 2 * (1 - cos) + height / 2 * sin, height / 2 * (1 - cos) - width / 2 * sin
    turned = image.transform(
        image.size,
        Image.Transform.AFFINE,
        (cos, -sin, c, sin, cos, f),
        Image.Resampling.BILINEAR,
        fillcolor=filling(image, fill),
    )
    return _edges_drawn_out(image, turned, (cos, sin, c, f)) if fill == "replicate" else turned


def _edges_drawn_out(image: Image.Image, turned: Image.Image, move: tuple[float, ...]) -> Image.Image:
    """`turned`, with the nearest pixel of the border wherever it shows what lies outside of `image`."""
    source, out = np.asarray(image), np.array(turned)
    (width, height), (cos, sin, c, f) = image.size, move
    x = np.arange(width) + 0.5
    for first in range(0, height, ROWS):
        y = np.arange(first, min(first + ROWS, height))[:, None] + 0.5
        across, down = cos * x - sin * y + c, sin * x + cos * y + f
        near = 1e-6  # of a pixel: Pillow may round a coordinate on the border to either side of it
        outside = (across < near) | (across > width - near) | (down < near) | (down > height - near)
        columns = np.clip(across[outside], 0, width - 1).astype(np.intp)
        rows = np.clip(down[outside], 0, height - 1).astype(np.intp)
        out[first : first + len(y)][outside] = source[rows, columns]
    return Image.fromarray(out)


def filling(image: Image.Image, fill: str) -> tuple[int, ...]:
    """The colour of what lies outside: black, or the picture's mean."""
    if fill != "mean":
        return (0, 0, 0)
    return tuple(round(value) for value in np.asarray(image).mean((0, 1)))


def brightness(image: Image.Image, factor: float) -> Image.Image:
    """Every value times `factor`."""
    return ImageEnhance.Brightness(image).enhance(factor)


def contrast(image: Image.Image, factor: float) -> Image.Image:
    """The distance from the mean of the grey picture times `factor`."""
    return ImageEnhance.Contrast(image).enhance(factor)


def saturation(image: Image.Image, factor: float) -> Image.Image:
    """The distance from the grey picture times `factor`."""
    return ImageEnhance.Color(image).enhance(factor)


def hue(image: Image.Image, turn: float) -> Image.Image:
    """The hue moved by `turn` of the colour circle, in 255 steps as Pillow's HSV has them."""
    steps = int(turn * 255)
    if not steps:
        return image
    h, s, v = image.convert("HSV").split()
    h = h.point([(value + steps) % 256 for value in range(256)])
    return Image.merge("HSV", (h, s, v)).convert("RGB")


def erased(rng: np.random.Generator, image: Image.Image, share: Range, aspect: Range) -> Image.Image:
    """With a random rectangle, smaller than the whole on both sides, of random pixels; unchanged if none fits."""
    found = rectangle(rng, image.size, share, aspect, narrower=1)
    if found is None:
        return image
    left, top, width, height = found
    noise = rng.integers(0, 256, (height, width, 3), np.uint8)
    out = image.copy()
    out.paste(Image.fromarray(noise), (left, top))
    return out
