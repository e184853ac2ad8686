"""Decoding: whatever a camera or a tool wrote becomes one kind of array."""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from PIL import ExifTags, Image, ImageOps

from ..errors import DataError

Result = TypeVar("Result")

# What counts as a photograph in a folder of pictures. No .gif: its 256 colours hold no photographs, and what lies
# about in folders under that ending is placeholders ("image not found") and banners. `decode` does read one when asked.
EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})

# Pillow formats that `decode` opens; the rest stays closed (EPS, for one, would start another program)
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "PPM", "GIF")

# The half of that limit at which Pillow warns says nothing to people who take large photographs. A filter for the whole
# process, since warnings.catch_warnings does not serve in the threads that decode.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
MAX_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 89_478_485)  # where Pillow, too, calls a picture a decompression bomb


def decode(source: str | os.PathLike[str] | bytes) -> np.ndarray:
    """The picture in a file, or in the bytes of one, as (H, W, 3) uint8 RGB, turned upright by its EXIF orientation.

    Greyscale, palette, 1-bit, CMYK and 16-bit pictures are converted (16 bits scaled to 8, not clipped), transparency
    is laid on white, and of an animation the first frame is taken. Raises DataError with the file and the reason.
    """
    return _decoded(source, np.array)


def decode_image(source: str | os.PathLike[str] | bytes) -> Image.Image:
    """The same as a picture of Pillow's, mode RGB: `Preprocessing` takes it as it is, which spares two copies."""
    return _decoded(source, lambda picture: picture)


def _decoded(source: str | os.PathLike[str] | bytes, finish: Callable[[Image.Image], Result]) -> Result:
    name = "<bytes>" if isinstance(source, bytes) else os.fspath(source)
    size = len(source) if isinstance(source, bytes) else _file_size(name)
    if size == 0:
        raise DataError(f"{name}: the picture file is empty (0 bytes); replace or remove it")
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else name, formats=FORMATS) as picture:
            picture.load()
            return finish(_rgb(_upright(picture)))
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
        lies_right = picture.getexif().get(ExifTags.Base.Orientation, 1) == 1
        return picture if lies_right else ImageOps.exif_transpose(picture)  # which would copy it in either case
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
    return picture if picture.mode == "RGB" else picture.convert("RGB")  # which would copy it


def _from_16_bits(picture: Image.Image) -> Image.Image:
    """Greyscale of 16 bits (modes I;16 and I) as RGB: 65535 becomes 255, to the nearest."""
    values = np.array(picture).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("its integer pixels go beyond 16 bits and have no known range: save it with 8 or 16 bits")
    return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8)).convert("RGB")
