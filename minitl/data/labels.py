"""Names of classes: text that can be stored, and that people can tell apart."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from ..errors import DataError


def is_text(name: str) -> bool:
    """Whether `name` can be stored as UTF-8: bytes of a folder's name that are none reach Python as lone surrogates."""
    try:
        return bool(name.encode("utf-8")) and "\0" not in name
    except UnicodeEncodeError:
        return False


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
    """The label without what people do not see or mean: space around, composition and, unless `case`, its case."""
    label = unicodedata.normalize("NFC", label).strip()
    return label if case else unicodedata.normalize("NFC", label.casefold())


def _difference(a: str, b: str) -> str:
    if a.strip() == b.strip():
        return "the space around them"
    if unicodedata.normalize("NFC", a) == unicodedata.normalize("NFC", b):
        return "how their accents are composed"
    return "case" if a.casefold() == b.casefold() else "case, space around them or how accents are composed"


def meant(label: str, classes: Iterable[str]) -> str:
    """A remark that names the class which an unknown label may be meant to be; empty if there is none."""
    near = [name for name in classes if folded(name) == folded(label)]
    return f" ({label!r} is nearly {near[0]!r})" if near else ""
