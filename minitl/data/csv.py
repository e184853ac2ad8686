"""A table of pictures and their labels (CSV) as a Dataset."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePath

from ..errors import DataError
from .content import announce
from .dataset import Dataset, Item, check_fraction, check_path, check_seed, divide, in_order, require_pictures
from .labels import as_names, meant, require_unlike
from .scan import Skipped, readable
from .table import Row, Table

SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def csv(
    path: str | os.PathLike[str],
    picture: str | None = None,
    label: str | None = None,
    split: str | None = None,
    val: float = 0.2,
    seed: int = 0,
    classes: Sequence[str] | None = None,
    root: str | os.PathLike[str] | None = None,
    delimiter: str | None = None,
) -> Dataset:
    """Pictures named in a table: UTF-8, a header line, then a picture and its label a line.

    picture, label, split: the columns' names (default: well-known ones such as file and class; table.PICTURES, LABELS,
    SPLITS). Paths are relative to `root` (default: the table's folder), with / or \\. Labels are text, numbers too.
    split says train, val (valid, validation) or test, which is left out; without such a column the share `val` of each
    class is chosen by a key of (seed, path). classes: names in label order (default: sorted). delimiter: by default
    the one of , ; tab and | that divides the header.

    Set aside in `.skipped`, with the line: pictures that cannot be read, that have no label, or two, and repetitions.
    Warns of pictures that are in both splits, or in two classes (Dataset.duplicates, .conflicts). Raises DataError
    where there is nothing to learn from, or two labels differ by case alone, say.
    """
    share, seed, file = check_fraction(val), check_seed(seed), check_path("csv", path)
    base = file.parent if root is None else check_path("csv", root)
    table = Table(file, picture, label, split, delimiter)
    skipped: Skipped = []
    labelled = _labelled(table, skipped)
    if classes is None:
        names = sorted({row.label for row in labelled})
        require_unlike(str(file), names, "write them alike")
    else:
        names = as_names(classes)
        _require_known(file, labelled, names)
    rows = _distinct(labelled, base, skipped)
    labels = {name: i for i, name in enumerate(names)}
    items = [Item(name, labels[row.label], base / name) for name, row in rows.items()]
    good = readable(items, skipped)
    if rows and not good:
        first = items[0].source
        raise DataError(
            f"{file}: none of the {len(rows)} pictures that it names can be read; the first is {first}; if that is "
            "the wrong place, give the folder that the paths are relative to with root="
        )
    if table.split is None:
        train, held = divide(good, share, seed)
        needed = share
    else:
        parts = {part: [item for item in good if _part(rows[item.name]) == part] for part in ("train", "val")}
        train, held = in_order(parts["train"]), in_order(parts["val"])
        needed = 1.0 if share == 1 else 0.5  # both splits must have every class, unless it is to be evaluated alone
        if good and share < 1 and not (train and held):
            have, lacks = ("train", "val") if train else ("val", "train")
            raise DataError(
                f"{file}: its column {table.split!r} names {have} pictures, but no {lacks} pictures that can be read; "
                "mark some, or rename the column to have them divided by val="
            )
    require_pictures(str(file), names, train, held, needed)
    return announce(str(file), Dataset(tuple(names), tuple(train), tuple(held), tuple(sorted(skipped)), base))


def _labelled(table: Table, skipped: Skipped) -> list[Row]:
    """The rows to use, by what they say alone."""
    found, tests = [], 0
    for row in table.rows():
        if table.split is not None and _part(row) is None:
            raise DataError(
                f"{table.path}: line {row.line}: {row.split!r} in column {table.split!r} is no split; write train, val "
                "or test, or give another column with split="
            )
        if _part(row) == "test":
            tests += 1
        elif not row.picture:
            skipped.append((f"line {row.line}", "names no picture"))
        elif not row.label:
            skipped.append((row.picture, f"line {row.line} gives it no label"))
        else:
            found.append(row)
    if tests:
        skipped.append((table.path.name, f"its test part is left out ({tests} pictures)"))
    return found


def _part(row: Row) -> str | None:
    """Which part the row says it is of: "train", "val" or "test"; None for another word, or none."""
    return SPLIT_WORDS.get(row.split.strip().lower())


def _distinct(rows: Sequence[Row], base: Path, skipped: Skipped) -> dict[str, Row]:
    """The rows by the picture's name, each once; what contradicts itself or repeats is set aside."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(_name(row.picture, base), []).append(row)
    kept = {}
    for name, same in found.items():
        first = same[0]
        labels = {row.label: row for row in reversed(same)}  # the first of each
        if len(labels) > 1:
            said = ", ".join(
                f"{row.label!r} (line {row.line})" for row in sorted(labels.values(), key=lambda r: r.line)
            )
            skipped.append((name, f"has {len(labels)} labels: {said}"))
            continue
        kept[name] = first
        for row in same[1:]:
            also = f", though as {_part(row)}" if _part(row) != _part(first) else ""
            skipped.append((name, f"line {row.line} repeats line {first.line}{also}; the first counts"))
    return kept


def _name(picture: str, base: Path) -> str:
    """The picture's identity: its path with /, be it written as here or as in Windows, without idle parts."""
    if not _is_file(base / picture):
        picture = picture.replace("\\", "/")
    return PurePath(picture).as_posix()


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a path too long, or with a zero character
        return False


def _require_known(file: Path, rows: Sequence[Row], names: Sequence[str]) -> None:
    known = set(names)
    for row in rows:
        if row.label not in known:
            raise DataError(
                f"{file}: line {row.line}: label {row.label!r} is none of the classes {', '.join(names)}"
                f"{meant(row.label, names)}; correct the label or classes="
            )
