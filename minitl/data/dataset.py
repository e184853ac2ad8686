"""Dataset: labelled pictures in two splits. Item: one picture, known by name, whatever order it arrives in."""

from __future__ import annotations

import hashlib
import math
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .. import images
from ..errors import ArgumentError, DataError
from ..terminal import escaped
from . import content
from .labels import require_distinct

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
    the dataset's classes. source: the file, or the raw array (H, W, 3) or (H, W) uint8. A subclass that has another
    source gives it a `picture` of its own.
    """

    name: str
    label: int
    source: Path | np.ndarray = field(compare=False, repr=False)

    def picture(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB. Raises DataError naming the file if it cannot be decoded."""
        if isinstance(self.source, Path):
            return images.decode(self.source)
        return colour(self.source)

    def image(self) -> Image.Image:
        """The same as a picture of Pillow's, mode RGB."""
        if isinstance(self.source, Path) and self._is_its_source():
            return images.decode_image(self.source)
        return Image.fromarray(self.picture())

    def stamp(self) -> Any:
        """Changes when the picture does: a file's size and time, an array's digest. None for a file that is gone."""
        if not isinstance(self.source, Path):
            return content.of_array(self.source)
        try:
            status = self.source.stat()
        except OSError:
            return None
        return status.st_size, status.st_mtime_ns

    def size(self) -> int | None:
        """The bytes that the source has; None for a file that is gone."""
        if isinstance(self.source, Path):
            stamp = self.stamp()
            return None if stamp is None else stamp[0]
        return self.source.nbytes

    def glimpse(self) -> bytes | None:
        """Some bytes of the source: where they differ, so do the pictures. None for a file that cannot be read."""
        if not self._is_its_source():
            return b""
        if isinstance(self.source, Path):
            return content.glimpse_of_file(self.source, self.size() or 0)
        return content.glimpse_of_array(self.source)

    def digest(self) -> bytes | None:
        """The picture's content in 128 bits: of a file's bytes, of an array's values; None where it cannot be read.

        Of a picture that is neither the whole file nor the array, but what a subclass makes of them: of its pixels.
        """
        if not self._is_its_source():
            try:
                return content.of_array(self.picture())
            except DataError:
                return None
        return content.of_file(self.source) if isinstance(self.source, Path) else content.of_array(self.source)

    def _is_its_source(self) -> bool:
        return type(self).picture is Item.picture


def colour(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) of a picture that may be grey (H, W)."""
    return np.repeat(picture[:, :, None], 3, axis=2) if picture.ndim == 2 else picture


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

    @cached_property
    def _twins(self) -> list[list[Item]]:
        return content.twins((*self.train, *self.val))

    @property
    def duplicates(self) -> tuple[tuple[str, str], ...]:
        """(train name, val name) of each validation picture that is byte for byte one of the training pictures.

        Looked for once, when first asked: only files of equal size are read.
        """
        held = {item.name for item in self.val}
        found = []
        for group in self._twins:
            train = [item.name for item in group if item.name not in held]
            found += [(train[0], item.name) for item in group if train and item.name in held]
        return tuple(sorted(found))

    @property
    def conflicts(self) -> tuple[tuple[str, str], ...]:
        """(name, name) of pictures, in either split, that are the same byte for byte but have different labels."""
        found = []
        for group in self._twins:
            first = {item.label: item.name for item in reversed(group)}  # the first of each label
            names = [name for label, name in first.items() if label != group[0].label]
            found += [(group[0].name, name) for name in names]
        return tuple(sorted(found))

    def fingerprint(self) -> Iterator[dict[str, Any]]:
        """What each picture was, picture by picture: {"split", "name", "label" (index), "size", "mtime_ns", "digest"}.

        size: in bytes. mtime_ns: when its file was last written, None for an array. digest: blake2b-128 of the file's
        or the array's bytes, in hexadecimal. All three are None for a picture that cannot be read.
        """
        for split in SPLITS:
            for item in self.split(split):
                stamp, digest = item.stamp(), item.digest()
                yield {
                    "split": split,
                    "name": item.name,
                    "label": item.label,
                    "size": None if digest is None else item.size(),
                    "mtime_ns": stamp[1] if digest is not None and isinstance(stamp, tuple) else None,
                    "digest": None if digest is None else digest.hex(),
                }

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


def check_path(source: str, path: Any) -> Path:
    """`path` as a Path; DataError if it is none, or the system refuses to look there."""
    if not isinstance(path, (str, os.PathLike)):
        raise DataError(f"{source}: path must be the path of a file or folder; got {type(path).__name__}")
    found = Path(path)
    try:
        found.exists()
    except OSError as error:  # a name too long, or a folder on the way that may not be entered
        raise DataError(f"{found}: cannot be reached ({error.strerror}); check the path") from error
    return found


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
        raise DataError(f"{where}: holds no picture that can be read; give it some of each class")
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
