"""Preprocessing: pictures to the arrays that a network expects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from ..errors import ArgumentError, DataError
from .checks import is_number, one_of, require_keys, require_picture
from .decode import MAX_PIXELS

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
CHANNELS = {"RGB": 3, "BGR": 3, "L": 1}
MOST = 1e30  # that a preprocessed value may be, well inside float32's range
RESIZE_RULES = ("short_side", "exact", "none")


@dataclass(frozen=True)
class Preprocessing:
    """What a network expects of its pictures: (pixel * scale - mean) / std, after resizing and a centre crop.

    channels: "RGB", "BGR" or "L" (grey). mean, std: one value a channel, in the order of `channels`.
    resize: "short_side" (the shorter side becomes `size`, the aspect is kept), "exact" (`size` is (height, width), the
    aspect is not kept) or "none". filter: a key of FILTERS; Pillow widens it when shrinking (antialiasing).
    crop: (height, width) about the centre, with black borders where the picture is smaller; or None.
    The arithmetic of sizes and crops is torchvision's (`Resize`, `CenterCrop`). Raises ArgumentError on nonsense.
    """

    channels: str = "RGB"
    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    resize: str = "none"
    size: int | tuple[int, int] | None = None
    filter: str = "bilinear"
    crop: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        one_of("preprocessing", "channels", self.channels, CHANNELS)
        one_of("preprocessing", "resize", self.resize, RESIZE_RULES)
        one_of("preprocessing", "filter", self.filter, FILTERS)
        if not is_number(self.scale) or self.scale <= 0:
            raise ArgumentError(f"preprocessing: scale must be a positive number; got {self.scale!r}")
        for name in ("mean", "std"):
            object.__setattr__(self, name, self._by_channel(name, getattr(self, name)))
        if min(self.std) <= 0:
            raise ArgumentError(f"preprocessing: std must be positive; got {self.std}")
        if any(max(abs(m), abs(255 * self.scale - m)) / s > MOST for m, s in zip(self.mean, self.std, strict=True)):
            raise ArgumentError(
                f"preprocessing: scale {self.scale:g}, mean {self.mean} and std {self.std} give values beyond "
                "float32's range; give those that the network was trained with"
            )
        if self.resize == "short_side":
            if not _is_side(self.size):
                raise ArgumentError(f"preprocessing: size must be one positive int for short_side; got {self.size!r}")
        elif self.resize == "exact":
            object.__setattr__(self, "size", _height_width("size", self.size))
        elif self.size is not None:
            raise ArgumentError(f"preprocessing: size {self.size!r} needs resize='short_side' or 'exact'")
        if self.crop is not None:
            object.__setattr__(self, "crop", _height_width("crop", self.crop))
        for name, sides in (("size", self.size), ("crop", self.crop)):
            if isinstance(sides, tuple) and sides[0] * sides[1] > MAX_PIXELS:
                raise ArgumentError(
                    f"preprocessing: {name} {sides} has more than {MAX_PIXELS:,} pixels; use a smaller one"
                )

    def _by_channel(self, name: str, values: Any) -> tuple[float, ...]:
        count = CHANNELS[self.channels]
        if not isinstance(values, (tuple, list)) or len(values) != count or not all(map(is_number, values)):
            raise ArgumentError(
                f"preprocessing: {name} must be {count} number(s), one a channel of {self.channels}; got {values!r:.60}"
            )
        return tuple(float(value) for value in values)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """The preprocessing that `to_dict` (or a weight file) describes; ArgumentError on missing or unknown keys."""
        require_keys(
            "preprocessing", values, set(cls.__dataclass_fields__), {"channels", "scale", "mean", "std", "resize"}
        )
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` takes them back."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @property
    def output_size(self) -> tuple[int, int] | None:
        """(height, width) of what comes out, or None where it depends on the picture."""
        return self.crop or (self.size if isinstance(self.size, tuple) else None)

    def shrinkage(self, height: int, width: int) -> float:
        """How many times smaller the sides of such a picture become; of two answers the smaller, and below 1 larger."""
        if self.resize == "short_side":
            return min(height, width) / self.size  # type: ignore[operator]  # checked when made
        if isinstance(self.size, tuple):
            return min(height / self.size[0], width / self.size[1])
        return 1.0

    def __call__(self, picture: np.ndarray | Image.Image) -> np.ndarray:
        """`picture` (H, W, 3) uint8 RGB, or Pillow's of mode RGB, as a float32 array (C, h, w), C-ordered."""
        if isinstance(picture, Image.Image) and picture.mode == "RGB":
            image = picture
        else:
            image = Image.fromarray(require_picture("preprocessing", picture))
        if self.channels == "L":
            image = image.convert("L")
        pixels = np.asarray(self._cropped(self._resized(image)))
        planes = pixels.reshape(*pixels.shape[:2], CHANNELS[self.channels])
        if self.channels == "BGR":
            planes = planes[:, :, ::-1]
        # a pixel takes 256 values only, so a table holds each result, in float32's own order of operations
        table = (np.arange(256) * self.scale).astype(np.float32)
        out = np.empty((planes.shape[2], *planes.shape[:2]), np.float32)
        for channel, (mean, std) in enumerate(zip(self.mean, self.std, strict=True)):
            np.take((table - np.float32(mean)) / np.float32(std), planes[:, :, channel], out=out[channel], mode="clip")
        return out

    def _resized(self, image: Image.Image) -> Image.Image:
        width, height = image.size
        if self.resize == "none":
            return image
        if isinstance(self.size, tuple):
            new_height, new_width = self.size
        else:
            assert self.size is not None  # checked when made
            short, long = sorted((width, height))
            new_short, new_long = self.size, int(self.size * long / short)
            new_width, new_height = (new_short, new_long) if width <= height else (new_long, new_short)
        if new_width * new_height > MAX_PIXELS:
            raise DataError(
                f"preprocessing: a picture of {height}x{width} would become {new_height}x{new_width}; leave it out"
            )
        if (new_width, new_height) == (width, height):
            return image
        return image.resize((new_width, new_height), FILTERS[self.filter])

    def _cropped(self, image: Image.Image) -> Image.Image:
        if self.crop is None:
            return image
        height, width = self.crop
        extra_width, extra_height = max(width - image.width, 0), max(height - image.height, 0)
        if extra_width or extra_height:
            around = (extra_width // 2, extra_height // 2, (extra_width + 1) // 2, (extra_height + 1) // 2)
            image = ImageOps.expand(image, around)  # left, top, right, bottom; black
        # round() to even, as torchvision does
        left, top = round((image.width - width) / 2.0), round((image.height - height) / 2.0)
        return image.crop((left, top, left + width, top + height))


def _is_side(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 65535


def _height_width(name: str, value: Any) -> tuple[int, int]:
    values = (value, value) if isinstance(value, int) else value
    if not isinstance(values, (tuple, list)) or len(values) != 2 or not all(map(_is_side, values)):
        raise ArgumentError(f"preprocessing: {name} must be a positive int or (height, width); got {value!r}")
    return values[0], values[1]
