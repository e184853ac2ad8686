"""What the bytes of a JPEG tell of it, without decoding them.

Source: ITU-T T.81 (1992), annex B: a mark is FF and a byte; within a scan FF 00 stands for the number FF, and FF D0 to
FF D7 part it in pieces.
"""

from __future__ import annotations

import re
from typing import Any

MOST_BYTES = 1 << 22  # of a file that is read for this
SCAN, END = 0xDA, b"\xff\xd9"
PLAIN = (0xC0, 0xC1)  # marks of frames in one scan, Huffman-coded
FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_MARK = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


def is_plain(picture: Any) -> bool:
    """Whether a JPEG that Pillow has opened is of the ordinary kind, and whole by the look of it.

    It has one scan, for which all tables are there, and that runs up to the mark that ends the file, with no other mark
    in it: of what was cut short or written over, hardly anything is so. A larger file than MOST_BYTES, and any other
    kind of JPEG, is not looked at: False.
    """
    file = picture.fp
    scan = file.tell()
    file.seek(0)
    content = file.read(MOST_BYTES + 1)
    file.seek(scan)
    if len(content) > MOST_BYTES or not picture.tile or _frame(content) not in PLAIN:
        return False
    mark = _MARK.search(content, scan)
    ends = mark is not None and mark.group() == END and mark.end() == len(content)
    return ends and all(component[3] in picture.quantization for component in picture.layer)


def _frame(content: bytes) -> int | None:
    """The mark of the first frame before any scan."""
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF and content[at + 1] != SCAN:
        if content[at + 1] in FRAMES:
            return content[at + 1]
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return None
