"""What a converter gives, and class names from a text file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...errors import WeightError

SYNSET = re.compile(r"n\d{8}\s+(?=\S)")
MOST_BYTES = 64 << 20


@dataclass(frozen=True, eq=False)
class Foreign:
    """A foreign weight file, understood.

    architecture: a name in models.ARCHITECTURES, such as "vgg16". layers: canonical name -> role -> array (OIHW).
    preprocessing: a dict for images.Preprocessing. outputs: (layer, count) of the classifier, or None if the file
    ends before it. ignored: names in the file that are no part of the network.
    """

    architecture: str
    layers: Mapping[str, Mapping[str, np.ndarray]]
    preprocessing: dict[str, Any]
    classes: list[str] | None
    origin: str
    license: str
    outputs: tuple[str, int] | None = None
    ignored: tuple[str, ...] = ()


def with_class_names(foreign: Foreign, classes: list[str], path: str) -> Foreign:
    """`foreign` with its outputs named; WeightError if there is no classifier or the count differs."""
    if foreign.outputs is None:
        raise WeightError(
            f"{path}: this file ends before the classifier, so it has no outputs to name; leave out classes"
        )
    layer, count = foreign.outputs
    if len(classes) != count:
        raise WeightError(
            f"{path}: {layer} has {count} outputs, but {len(classes)} class names were given; give {count}"
        )
    return replace(foreign, classes=list(classes))


def read_class_names(path: str | os.PathLike[str], count: int | None = None) -> list[str]:
    """Class names from a UTF-8 text file, one a line in output order; a synset id before a name is dropped.

    So "tench" and "n01440764 tench, Tinca tinca" both serve. Empty lines at the end are left out. Raises WeightError
    on a file that is empty, has an empty line within, is no UTF-8 text, or does not hold `count` names.
    """
    try:
        if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
            raise WeightError(f"{path}: is no regular file; give a text file with one name a line")
        with open(path, "rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise WeightError(f"{path}: cannot be opened ({error.strerror or error}); check the path") from error
    if len(content) > MOST_BYTES or b"\0" in content:
        raise WeightError(f"{path}: is no list of class names; give a text file with one name a line")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise WeightError(f"{path}: line {line} is not UTF-8 text; save the file as UTF-8") from None
    lines = [line.strip() for line in text.replace("\r\n", "\n").replace("\r", "\n").rstrip().split("\n")]
    if lines == [""]:
        raise WeightError(f"{path}: holds no class names; give one a line")
    if "" in lines:
        raise WeightError(f"{path}: line {lines.index('') + 1} is empty; give one class name a line, in output order")
    if count is not None and len(lines) != count:
        raise WeightError(f"{path}: holds {len(lines)} class names, but {count} are needed; give one a line")
    return [SYNSET.sub("", line, count=1) if SYNSET.match(line) else line for line in lines]
