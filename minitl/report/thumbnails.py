"""Small pictures inside a page."""

from __future__ import annotations

import base64
import io

from PIL import Image

from ..data import Item
from ..errors import DataError

SIDE = 180  # pixels


def data_uri(content: bytes, kind: str) -> str:
    """Bytes as an address that a browser shows without another file."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def thumbnail(item: Item) -> str | None:
    """The item's picture, at most SIDE pixels wide and high, as a JPEG data URI; None if it cannot be read any more."""
    try:
        picture = Image.fromarray(item.picture())
    except DataError:
        return None
    picture.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return data_uri(buffer.getvalue(), "jpeg")
