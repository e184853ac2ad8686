"""Pictures that are the same, byte for byte. A picture kept in two forms (as PNG and as JPEG, say) counts as two."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .dataset import Dataset, Item

GLIMPSE_BYTES = 4096  # of the middle of a picture, where few pictures are alike that are not the same


def new_digest(content: bytes | memoryview = b"") -> Any:
    """blake2b of 128 bits: no two pictures share it by chance, nor on purpose."""
    return hashlib.blake2b(content, digest_size=16)


def of_file(path: str | os.PathLike[str]) -> bytes | None:
    """The digest of a file's bytes, read in pieces; None for a file that cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, new_digest).digest()
    except (OSError, ValueError):
        return None


def of_array(array: np.ndarray) -> bytes:
    """The digest of an array's values in C order."""
    return new_digest(np.ascontiguousarray(array).data).digest()


def glimpse_of_array(array: np.ndarray) -> bytes:
    """Bytes from the middle of an array."""
    plain = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    start = max(0, plain.size - GLIMPSE_BYTES) // 2
    return plain[start : start + GLIMPSE_BYTES].tobytes()


def glimpse_of_file(path: Path, size: int, offset: int = 0) -> bytes | None:
    """Bytes from the middle of the `size` bytes that begin at `offset`; None if they cannot be read."""
    try:
        with open(path, "rb", buffering=0) as file:
            file.seek(offset + max(0, size - GLIMPSE_BYTES) // 2)
            return file.read(min(size, GLIMPSE_BYTES))
    except (OSError, ValueError):
        return None


def twins(items: Iterable[Item]) -> list[list[Item]]:
    """Groups of two items or more of one content, each in the order given.

    Read whole are only pictures that others equal in size and in what the middle shows.
    """
    groups = [list(items)]
    for of in (lambda item: item.size(), lambda item: item.glimpse(), lambda item: item.digest()):
        groups = [part for group in groups for part in _parted(group, of)]
    return groups


def _parted(items: Iterable[Item], of: Callable[[Item], Hashable]) -> list[list[Item]]:
    """Those of equal value together, alone ones left out; None is equal to nothing."""
    found: dict[Hashable, list[Item]] = {}
    for item in items:
        value = of(item)
        if value is not None:
            found.setdefault(value, []).append(item)
    return [part for part in found.values() if len(part) > 1]


def announce(where: str, dataset: Dataset) -> Dataset:
    """Warns, for the caller of a source, of pictures that are there twice where that misleads; returns `dataset`."""
    same = dataset.duplicates
    if same:
        warnings.warn(
            f"{where}: pictures in val are in train too, byte for byte ({_pairs(same)}; {len(same)} of "
            f"{len(dataset.val)} in val): answers to them prove nothing; remove one of each two",
            stacklevel=3,
        )
    torn = dataset.conflicts
    if torn:
        warnings.warn(
            f"{where}: pictures that are the same, byte for byte, have different labels ({_pairs(torn)}; {len(torn)} "
            "in all): one of each two is wrong; remove it",
            stacklevel=3,
        )
    return dataset


def _pairs(pairs: Sequence[tuple[str, str]], most: int = 3) -> str:
    return ", ".join(f"{a} = {b}" for a, b in pairs[:most]) + (", …" if len(pairs) > most else "")
