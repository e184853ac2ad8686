"""Pictures to arrays: decoding whatever a camera or a tool wrote, and the preprocessing that a network expects."""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from .errors import ArgumentError, DataError

# What counts as a photograph in a folder of pictures. No .gif: its 256 colours hold no photographs, and what lies
# about in folders under that ending is placeholders ("image not found") and banners. `decode` does read one when asked.
EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})

# Pillow formats that `decode` opens; the rest stays closed (EPS, for one, would start another program)
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "PPM", "GIF")

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
CHANNELS = {"RGB": 3, "BGR": 3, "L": 1}
RESIZE_RULES = ("short_side", "exact", "none")
# The half of that limit at which Pillow warns says nothing to people who take large photographs. A filter for the whole
# process, since warnings.catch_warnings does not serve in the threads that decode.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
MAX_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 89_478_485)  # where Pillow, too, calls a picture a decompression bomb


def decode(source: str | os.PathLike[str] | bytes) -> np.ndarray:
    """The picture in a file, or in the bytes of one, as (H, W, 3) uint8 RGB, turned upright by its EXIF orientation.

    Greyscale, palette, 1-bit, CMYK and 16-bit pictures are converted (16 bits scaled to 8, not clipped), transparency
    is laid on white, and of an animation the first frame is taken. Raises DataError with the file and the reason.
    """
    name = "<bytes>" if isinstance(source, bytes) else os.fspath(source)
    size = len(source) if isinstance(source, bytes) else _file_size(name)
    if size == 0:
        raise DataError(f"{name}: the picture file is empty (0 bytes); replace or remove it")
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else name, formats=FORMATS) as picture:
            picture.load()
            return np.array(_rgb(_upright(picture)))
    except Image.UnidentifiedImageError:
        raise DataError(f"{name}: is not a picture of the formats {', '.join(FORMATS)}; convert or remove it") from None
    except MemoryError:
        raise DataError(f"{name}: not enough memory to decode the picture; make it smaller or leave it out") from None
    except Exception as error:  # decoders raise nearly every type there is on damaged data
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{name}: the picture cannot be decoded ({reason}); replace or remove it") from error


def require_file(path: str | os.PathLike[str]) -> int:
    """The bytes that a regular file has. DataError on a pipe or a device, which could be read for ever."""
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{os.fspath(path)}: the picture cannot be opened ({reason}); check the path") from error
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
        raise DataError(f"{os.fspath(path)}: is no regular file; give a file that holds a picture")
    return found.st_size


def _file_size(name: str) -> int:
    require_file(name)
    try:
        with open(name, "rb") as file:
            return file.seek(0, os.SEEK_END)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{name}: the picture cannot be opened ({reason}); check the path") from error


def _upright(picture: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # broken EXIF says nothing about the pixels: take them as they lie
        return picture


def _rgb(picture: Image.Image) -> Image.Image:
    """Any mode of Pillow as RGB."""
    if picture.mode == "I" or picture.mode.startswith("I;"):
        return _from_16_bits(picture)
    if picture.mode == "F":
        raise ValueError("floating-point pixels have no known range: save it with 8 or 16 bits")
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return picture.convert("RGB")


def _from_16_bits(picture: Image.Image) -> Image.Image:
    """Greyscale of 16 bits (modes I;16 and I) as RGB: 65535 becomes 255, to the nearest."""
    values = np.array(picture).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("its integer pixels go beyond 16 bits and have no known range: save it with 8 or 16 bits")
    return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8)).convert("RGB")


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
        _one_of("channels", self.channels, CHANNELS)
        _one_of("resize", self.resize, RESIZE_RULES)
        _one_of("filter", self.filter, FILTERS)
        if not _is_number(self.scale) or self.scale <= 0:
            raise ArgumentError(f"preprocessing: scale must be a positive number; got {self.scale!r}")
        for name in ("mean", "std"):
            object.__setattr__(self, name, self._by_channel(name, getattr(self, name)))
        if min(self.std) <= 0:
            raise ArgumentError(f"preprocessing: std must be positive; got {self.std}")
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
        if not isinstance(values, (tuple, list)) or len(values) != count or not all(map(_is_number, values)):
            raise ArgumentError(
                f"preprocessing: {name} must be {count} number(s), one a channel of {self.channels}; got {values!r:.60}"
            )
        return tuple(float(value) for value in values)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """The preprocessing that `to_dict` (or a weight file) describes; ArgumentError on missing or unknown keys."""
        if not isinstance(values, Mapping):
            raise ArgumentError(f"preprocessing: must be a mapping; got {type(values).__name__}")
        known = set(cls.__dataclass_fields__)
        missing = {"channels", "scale", "mean", "std", "resize"} - set(values)
        unknown = set(values) - known
        if missing or unknown:
            wrong = f"lacks {sorted(missing)}" if missing else f"has the unknown keys {sorted(map(str, unknown))}"
            raise ArgumentError(f"preprocessing: {wrong}; the keys are {sorted(known)}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` takes them back."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @property
    def output_size(self) -> tuple[int, int] | None:
        """(height, width) of what comes out, or None where it depends on the picture."""
        return self.crop or (self.size if isinstance(self.size, tuple) else None)

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """`picture` (H, W, 3) uint8 RGB as a float32 array (C, h, w), C-ordered."""
        picture = np.asarray(picture)
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
            raise DataError(
                f"preprocessing: a picture must be (H, W, 3) uint8 RGB and not empty; got {picture.dtype} of shape "
                f"{picture.shape}; decode it with minitl.images.decode"
            )
        image = Image.fromarray(picture)
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


def _is_number(value: Any) -> bool:
    # well inside float32's range; NaN fails the comparison
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e30


def _is_side(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 65535


def _one_of(name: str, value: Any, known: Any) -> None:
    if not isinstance(value, str) or value not in known:
        raise ArgumentError(f"preprocessing: {name} must be one of {', '.join(known)}; got {value!r}")


def _height_width(name: str, value: Any) -> tuple[int, int]:
    values = (value, value) if isinstance(value, int) else value
    if not isinstance(values, (tuple, list)) or len(values) != 2 or not all(map(_is_side, values)):
        raise ArgumentError(f"preprocessing: {name} must be a positive int or (height, width); got {value!r}")
    return values[0], values[1]
