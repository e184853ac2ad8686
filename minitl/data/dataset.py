"""Dataset: labelled pictures in two splits. Item: one picture, known by name, whatever order it arrives in."""

from __future__ import annotations

import hashlib
import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .. import images
from ..errors import ArgumentError, DataError
from ..terminal import escaped

SPLITS = ("train", "val")


def key(*parts: Any) -> int:
    """64 bits from any parts: the same on every machine. Accents count alike however they are composed."""
    text = "\0".join(unicodedata.normalize("NFC", str(part)) for part in parts)
    digest = hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


@dataclass(frozen=True)
class Item:
    """One labelled picture.

    name: its identity: the path relative to the dataset's folder, with "/", or a number for arrays. label: index in
    the dataset's classes. source: the file, or the raw array (H, W, 3) or (H, W) uint8.
    """

    name: str
    label: int
    source: Path | np.ndarray = field(compare=False, repr=False)

    def picture(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB. Raises DataError naming the file if it cannot be decoded."""
        if isinstance(self.source, Path):
            return images.decode(self.source)
        if self.source.ndim == 2:
            return np.repeat(self.source[:, :, None], 3, axis=2)
        return self.source

    def stamp(self) -> Any:
        """Changes when the picture does: a file's size and time, an array's digest. None for a file that is gone."""
        if not isinstance(self.source, Path):
            return hashlib.blake2b(np.ascontiguousarray(self.source).data, digest_size=16).digest()
        try:
            status = self.source.stat()
        except OSError:
            return None
        return status.st_size, status.st_mtime_ns


@dataclass(frozen=True)
class Dataset:
    """Labelled pictures for training and for validation.

    classes: names in label order. train, val: the items, sorted by class and name. skipped: (path, reason) of what
    was set aside. print(dataset) says what is in it.
    """

    classes: tuple[str, ...]
    train: tuple[Item, ...]
    val: tuple[Item, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    root: Path | None = None

    def __post_init__(self) -> None:
        require_distinct(self.classes)
        twice = [name for name, count in Counter(item.name for item in (*self.train, *self.val)).items() if count > 1]
        if twice:
            raise DataError(f"pictures: {twice[0]!r} is named more than once; a picture's name is its identity")

    def split(self, name: str) -> tuple[Item, ...]:
        """The items of "train" or "val"; ArgumentError on any other name."""
        if name not in SPLITS:
            raise ArgumentError(f"split must be one of {', '.join(SPLITS)}; got {name!r}")
        return getattr(self, name)

    def counts(self, split: str) -> dict[str, int]:
        """Number of pictures of each class."""
        found = np.bincount([item.label for item in self.split(split)], minlength=len(self.classes))
        return dict(zip(self.classes, found.tolist(), strict=True))

    def describe(self) -> str:
        """A table of the classes and counts, and what was set aside."""
        train, val = self.counts("train"), self.counts("val")
        width = max(len("class"), len("all"), *(len(escaped(name)) for name in self.classes))
        lines = [f"{'class':<{width}}  train    val"]
        lines += [f"{escaped(name):<{width}}  {train[name]:>5}  {val[name]:>5}" for name in self.classes]
        lines.append(f"{'all':<{width}}  {len(self.train):>5}  {len(self.val):>5}")
        if self.skipped:
            lines.append(f"set aside: {len(self.skipped)}")
            lines += [f"  {escaped(path)}: {escaped(reason)}" for path, reason in self.skipped[:10]]
            if len(self.skipped) > 10:
                lines.append(f"  and {len(self.skipped) - 10} more (dataset.skipped)")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.describe()

    def __repr__(self) -> str:
        return f"Dataset({len(self.classes)} classes, {len(self.train)} train, {len(self.val)} val)"


def is_text(name: str) -> bool:
    """Whether `name` can be stored as UTF-8: bytes of a folder's name that are none reach Python as lone surrogates."""
    try:
        return bool(name.encode("utf-8")) and "\0" not in name
    except UnicodeEncodeError:
        return False


def require_distinct(classes: Sequence[str]) -> None:
    """DataError if two classes have one name, or the name of one is no text that a file can hold."""
    for name in classes:
        if not is_text(name):
            raise DataError(
                f"classes: {name!r:.80} is not valid text (UTF-8 without zero characters); rename the class"
            )
    twice = sorted(name for name, count in Counter(classes).items() if count > 1)
    if twice:
        raise DataError(f"classes: {', '.join(twice)} named more than once; give each class a name of its own")


def check_fraction(val: Any) -> float:
    """`val` as a share of the pictures; ArgumentError if it is none."""
    if isinstance(val, bool) or not isinstance(val, (int, float, np.integer, np.floating)) or not 0 <= val <= 1:
        raise ArgumentError(f"val must be the share of pictures to validate on, from 0 to 1; got {val!r}")
    return float(val)


def check_seed(seed: Any) -> int:
    """A seed as an int; ArgumentError unless it is a whole number of at least 0."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ArgumentError(f"seed must be a whole number of at least 0; got {seed!r}")
    return int(seed)


def divide(items: Iterable[Item], val: float, seed: int) -> tuple[list[Item], list[Item]]:
    """(train, val): of every class the share `val`, chosen by a key of (seed, name), whatever the order of `items`.

    Where 0 < val < 1, each class of two pictures or more has at least one in either split.
    """
    by_class: dict[int, list[Item]] = {}
    for item in items:
        by_class.setdefault(item.label, []).append(item)
    train, held = [], []
    for label in sorted(by_class):
        ranked = sorted(by_class[label], key=lambda item: (key(seed, item.name), item.name))
        count = math.floor(val * len(ranked) + 0.5)
        if 0 < val < 1:
            count = min(max(count, 1), len(ranked) - 1)
        held += ranked[:count]
        train += ranked[count:]
    return in_order(train), in_order(held)


def in_order(items: Iterable[Item]) -> list[Item]:
    """Sorted by class, then name."""
    return sorted(items, key=lambda item: (item.label, item.name))


def require_pictures(
    where: str, classes: Sequence[str], train: Sequence[Item], val: Sequence[Item], share: float
) -> None:
    """DataError, with the remedy, unless every class can be trained and (where share > 0) validated.

    With share 1 nothing is trained, so it is enough that there is a picture at all.
    """
    require_distinct(classes)
    if not train and not val:
        raise DataError(
            f"{where}: holds no picture that can be read; put each class's pictures into a folder of its name"
        )
    if share == 1:
        return
    if len(classes) < 2:
        raise DataError(f"{where}: has one class only ({classes[0]!r}); a classifier needs at least two")
    for purpose, items in (("train", train), ("validate", val)) if share else (("train", train),):
        present = {item.label for item in items}
        for label, name in enumerate(classes):
            if label not in present:
                count = sum(item.label == label for item in (*train, *val))
                none = f"no readable picture to {purpose} on" + (f" (of {count})" if count else "")
                raise DataError(
                    f"{where}: class {name!r} has {none}; "
                    "add at least two, one to train and one to validate on, or remove the class"
                )
