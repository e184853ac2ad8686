"""The pictures of a Dataset as a file, from which it is made again without a look at the pictures.

A CSV table with the columns split, name, label, size, mtime_ns, digest. Its first rows have the split "class": name is
that of a class, label its number. Then follow the pictures, as Dataset.fingerprint has them; what is not known of one
that could not be read is empty.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from ..errors import DataError, WeightError
from ..weights.atomic import write_bytes
from . import stored
from .dataset import SPLITS, Dataset, Item
from .hdf5 import found as found_in_hdf5
from .hdf5 import is_hdf5
from .npz import found as found_in_npz
from .read import is_stored

COLUMNS = ("split", "name", "label", "size", "mtime_ns", "digest")
CLASS = "class"
ERRORS = "surrogateescape"  # names of files may be any bytes
LONGEST_NUMBER = 12  # digits


def write(path: str | os.PathLike[str], dataset: Dataset) -> None:
    """Writes the table of `dataset` beside `path` and renames. Reads every picture file once, in pieces.

    Raises DataError, with the remedy, where it cannot be written.
    """
    text = io.StringIO(newline="")
    rows = csv.DictWriter(text, COLUMNS)  # ends lines with \r\n, and so quotes names that hold either
    rows.writeheader()
    rows.writerows({"split": CLASS, "name": name, "label": label} for label, name in enumerate(dataset.classes))
    rows.writerows(dataset.fingerprint())
    try:
        write_bytes(path, text.getvalue().encode("utf-8", ERRORS))
    except WeightError as error:
        raise DataError(str(error)) from error


def read(path: str | os.PathLike[str], root: str | os.PathLike[str]) -> Dataset:
    """The Dataset that `write` described. root: its folder, or the file of its arrays, wherever that is by now.

    No picture is looked at: one that has gone or changed keeps its place, and fails when its turn comes (see
    `changed`). `.skipped` is empty. Raises DataError where the table is damaged, or where `root` is a file that lacks
    a picture.
    """
    place = Path(root)
    if not place.exists():
        raise DataError(f"{place}: the pictures are not there; say where they are by now")
    classes: list[str] = []
    found: dict[str, list[Item]] = {split: [] for split in SPLITS}
    arrays = _Arrays(place) if is_stored(place) else None
    for line, row in _rows(Path(path)):
        name, label = row["name"], int(row["label"])
        if row["split"] == CLASS and label == len(classes):
            classes.append(name)
        elif row["split"] in found and label < len(classes):
            item = Item(name, label, place / name) if arrays is None else arrays.item(name, label)
            found[row["split"]].append(item)
        else:
            raise _damaged(Path(path), line)
    return Dataset(tuple(classes), tuple(found["train"]), tuple(found["val"]), (), place)


def changed(path: str | os.PathLike[str], dataset: Dataset) -> list[str]:
    """Names of the pictures of `dataset` that are not what the table at `path` says they were, or not in it.

    Only files of another size or time are read: their content decides.
    """
    then = {row["name"]: row for _, row in _rows(Path(path)) if row["split"] != CLASS}
    return [item.name for split in SPLITS for item in dataset.split(split) if not _is(item, then.get(item.name))]


def _is(item: Item, then: Mapping[str, str] | None) -> bool:
    if then is None:
        return False
    stamp, size = item.stamp(), item.size()
    if str(size) != then["size"]:
        return False
    if isinstance(stamp, tuple) and str(stamp[1]) == then["mtime_ns"]:
        return True
    digest = item.digest()
    return digest is not None and digest.hex() == then["digest"]


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """(line number, row) of the table; every label is a number."""
    try:
        with open(path, newline="", encoding="utf-8", errors=ERRORS) as file:
            reader = csv.DictReader(file)
            rows = [(reader.line_num, row) for row in reader]
            header = tuple(reader.fieldnames or ())
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(
            f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}); check the file"
        ) from error
    if header != COLUMNS:
        raise _damaged(path, 1)
    for line, row in rows:
        if None in row or None in row.values() or not _is_number(row["label"]):
            raise _damaged(path, line)
    return rows


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER


def _damaged(path: Path, line: int) -> DataError:
    return DataError(f"{path}: line {line} is not as minitl writes it; put back the table as it was written")


class _Arrays:
    """Pictures that lie as rows of arrays, by their names (<array>/<row>)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found = (found_in_hdf5 if is_hdf5(path) else found_in_npz)(path)
        self._items: dict[str, Callable[[int, int], Item]] = {}

    def item(self, name: str, label: int) -> Item:
        """The picture of that name."""
        array, _, row = name.rpartition("/")
        there = self._found.get(array)
        if there is None or not _is_number(row) or int(row) >= there.shape[0]:
            raise DataError(
                f"{self._path}: does not hold the picture {name}; give the file that the pictures came from"
            )
        if array not in self._items:
            self._items[array] = stored.items(self._path, array, there)
        return self._items[array](int(row), label)
