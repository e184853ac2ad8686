"""Names of classes: text that can be stored, and that people can tell apart."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError, DataError

# Marks of direction and the like, which show nothing. The joiners (U+200C and U+200D) are not among them: they change
# what letters and emoji look like.
UNSEEN = dict.fromkeys([0xAD, 0x61C, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF])


def is_text(name: Any) -> bool:
    """Whether `name` can be stored as UTF-8: bytes of a folder's name that are none reach Python as lone surrogates."""
    try:
        return isinstance(name, str) and bool(name.encode("utf-8")) and "\0" not in name
    except UnicodeEncodeError:
        return False


def as_names(classes: Any) -> list[str]:
    """The names of classes that a caller lists; whole numbers become text. ArgumentError for anything else."""
    if isinstance(classes, (str, bytes)) or not isinstance(classes, Iterable):
        raise ArgumentError(f"classes must be a list of names in the order of the labels; got {classes!r:.60}")
    names = list(classes)
    for name in names:
        if isinstance(name, bool) or not isinstance(name, (str, int, np.integer)):
            raise ArgumentError(f"classes: each name must be text; got {name!r:.60}")
    return [str(name) for name in names]


def require_distinct(classes: Sequence[str]) -> None:
    """DataError if the names of two classes cannot be told apart, or one is no text that a file can hold.

    Names that differ by case alone are two classes where somebody lists them: ImageNet has a "Cardigan" (a dog) and a
    "cardigan" (to wear).
    """
    for name in classes:
        if not is_text(name):
            raise DataError(
                f"classes: {name!r:.80} is not valid text (UTF-8 without zero characters); rename the class"
            )
    twice = sorted(name for name, count in Counter(classes).items() if count > 1)
    if twice:
        raise DataError(f"classes: {', '.join(twice)} named more than once; give each class a name of its own")
    _require_apart("classes", classes, "give each class a name of its own", case=True)


def require_unlike(where: str, labels: Iterable[str], remedy: str) -> None:
    """DataError, naming both, if two labels found in the data differ only by case, space around or composition.

    Such labels are slips of the keyboard: each would become a class of its own.
    """
    _require_apart(where, labels, remedy, case=False)


def _require_apart(where: str, labels: Iterable[str], remedy: str, case: bool) -> None:
    seen: dict[str, str] = {}
    for label in labels:
        other = seen.setdefault(folded(label, case), label)
        if other != label:
            raise DataError(f"{where}: {other!r} and {label!r} differ only by {_difference(other, label)}; {remedy}")


def folded(label: str, case: bool = False) -> str:
    """The label without what people do not see or mean: space around, marks that show nothing, composition and,
    unless `case`, its case."""
    label = unicodedata.normalize("NFC", label.translate(UNSEEN)).strip()
    return label if case else unicodedata.normalize("NFC", label.casefold())


def _difference(a: str, b: str) -> str:
    if a.strip() == b.strip():
        return "the space around them"
    if a.translate(UNSEEN).strip() == b.translate(UNSEEN).strip():
        return "characters that show nothing"
    if unicodedata.normalize("NFC", a) == unicodedata.normalize("NFC", b):
        return "how their accents are composed"
    return "case" if a.casefold() == b.casefold() else "case, space around them or how accents are composed"


def meant(label: str, classes: Iterable[str]) -> str:
    """A remark that names the class which an unknown label may be meant to be; empty if there is none."""
    near = [name for name in classes if folded(name) == folded(label)]
    return f" ({label!r} is nearly {near[0]!r})" if near else ""
