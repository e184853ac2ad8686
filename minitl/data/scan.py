"""Whether picture files can be read, found out before training begins."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from .. import images
from ..errors import DataError
from . import jpeg
from .dataset import Item

# As large as the most pixels that are decoded take uncompressed, 16 bits of red, green, blue and opacity each. Some
# decoders read a file whole, so that larger ones (a film, an archive named .jpg) are not tried.
LARGEST_BYTES = 8 * images.MAX_PIXELS

Skipped = list[tuple[str, str]]


def readable(items: Sequence[Item], skipped: Skipped) -> list[Item]:
    """The items, of files, whose pictures open; the others are named in `skipped`. Shows a bar where there are many."""
    good = []
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        reasons = pool.map(lambda item: unreadable(item.source), items)  # type: ignore[arg-type]
        bar = tqdm(
            zip(items, reasons, strict=True), "checking pictures", len(items), disable=len(items) < 1000, leave=False
        )
        for item, reason in bar:
            if reason is None:
                good.append(item)
            else:
                skipped.append((item.name, reason))
    return good


def unreadable(path: Path) -> str | None:
    """Why the picture cannot be decoded, or None if it can.

    An ordinary JPEG is not decoded, but its bytes are looked at; any other only at an eighth of its size, which finds
    what is wrong with it at a fraction of the cost.
    """
    try:
        size = images.require_file(path)  # to open a pipe could take for ever
    except DataError as error:
        return str(error).removeprefix(f"{path}: ")
    if size > LARGEST_BYTES:
        return f"has {size / 1e9:.1f} GB, more than any picture that can be decoded; make it smaller or leave it out"
    try:
        with Image.open(path, formats=("JPEG",)) as picture:
            if not jpeg.is_plain(picture):
                picture.draft(None, (picture.width // 8 or 1, picture.height // 8 or 1))
                picture.load()
            return None
    except Exception:  # another format, or damaged: the whole decoder knows the reason
        pass
    try:
        images.decode(path)
    except DataError as error:
        return str(error).removeprefix(f"{path}: ")
    return None
