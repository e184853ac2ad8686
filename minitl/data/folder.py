"""A folder of photographs as a Dataset: find, check, name what is set aside, split."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from .. import images
from ..errors import DataError
from .content import announce
from .dataset import Dataset, Item, check_fraction, check_path, check_seed, divide, in_order, require_pictures
from .labels import as_names, is_text, meant, require_unlike
from .scan import Skipped, readable

TRAIN_NAMES = ("train",)
VAL_NAMES = ("val", "valid", "validation")


def folder(
    path: str | os.PathLike[str], val: float = 0.2, seed: int = 0, classes: Sequence[str] | None = None
) -> Dataset:
    """Photographs under photos/<class>/, or under photos/train/<class>/ and photos/val/<class>/ (or valid, validation).

    val: share of each class to validate on, chosen by a key of (seed, relative path); 0 trains on everything, 1 is for
    evaluating alone. It is not used where the folder has its own val/. classes: names in label order (default:
    sorted); every class folder must be among them, and with val=1 some may have no folder. Every picture is opened
    once; what is no readable photograph is set aside in `.skipped`. Hidden files are passed over; links are followed.
    Warns of pictures that are in both splits, or in two classes (Dataset.duplicates, .conflicts). Raises DataError
    where there is nothing to learn from, or two class folders differ by case alone, say.
    """
    share, seed, root = check_fraction(val), check_seed(seed), check_path("folder", path)
    folders, files = _listing(root)
    splits = _split_folders(root, folders)
    skipped: Skipped = [(name, "lies in no class folder") for name in files]
    if splits is None:
        names = _class_names(root, folders, classes, share)
        train, held = divide(readable(_items(root, "", folders, names, skipped), skipped), share, seed)
        own = share
    else:
        unused = [name for name in folders if name not in splits]
        skipped += [(f"{name}/", "is neither the train nor the val folder") for name in unused]
        inside = []
        for split in splits:
            class_folders, loose = _listing(root / split)
            skipped += [(f"{split}/{name}", "lies in no class folder") for name in loose]
            inside.append(class_folders)
        if classes is None:
            _require_unlike(root, sorted({name for own_folders in inside for name in own_folders}))
        _same_classes(root, splits, inside)
        names = _class_names(root, inside[0], classes, share)
        found = [
            readable(_items(root, f"{split}/", own_folders, names, skipped), skipped)
            for split, own_folders in zip(splits, inside, strict=True)
        ]
        train, held = in_order(found[0]), in_order(found[1])
        own = 0.5  # both splits must have every class
    require_pictures(str(root), names, train, held, own)
    return announce(str(root), Dataset(tuple(names), tuple(train), tuple(held), tuple(sorted(skipped)), root))


def _listing(path: Path) -> tuple[list[str], list[str]]:
    """(folders, files) that are not hidden, sorted by name; DataError if `path` is no folder that can be read."""
    if not path.exists():
        raise DataError(f"{path}: there is no such folder; check the path")
    if not path.is_dir():
        raise DataError(f"{path}: is a file; give the folder that holds one folder of pictures a class")
    try:
        with os.scandir(path) as entries:
            visible = [(entry.name, _is_folder(entry)) for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{path}: the folder cannot be read ({error.strerror}); check its permissions") from error
    return sorted(n for n, is_dir in visible if is_dir), sorted(n for n, is_dir in visible if not is_dir)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, say: then it is a file that cannot be read, and is set aside as such
        return False


def _is_photograph(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in images.EXTENSIONS


def _split_folders(root: Path, folders: Sequence[str]) -> tuple[str, str] | None:
    """(train folder, val folder), or None where the folders are classes. A class may well be called "train"."""
    train = [name for name in folders if name.lower() in TRAIN_NAMES and _holds_folders(root / name)]
    val = [name for name in folders if name.lower() in VAL_NAMES and _holds_folders(root / name)]
    if not train and not val:
        return None
    if len(train) == 1 and len(val) == 1:
        return train[0], val[0]
    if len(train) + len(val) > 2:
        raise DataError(f"{root}: has more than one train or val folder ({', '.join(train + val)}); keep one of each")
    have, lacks = (train[0], "val") if train else (val[0], "train")
    raise DataError(
        f"{root}: has {have}/ but no {lacks}/; add {lacks}/<class>/, or give {root / have} to have it split by val="
    )


def _holds_folders(path: Path) -> bool:
    folders, files = _listing(path)
    return bool(folders) and not any(map(_is_photograph, files))


def _same_classes(root: Path, splits: tuple[str, str], inside: list[list[str]]) -> None:
    for here, there, mine, others in (
        (splits[0], splits[1], inside[0], inside[1]),
        (splits[1], splits[0], inside[1], inside[0]),
    ):
        alone = [name for name in mine if name not in others]
        if alone:
            raise DataError(
                f"{root}: class {', '.join(alone)} is in {here}/ but not in {there}/; "
                f"add {there}/{alone[0]}/ with pictures, or remove {here}/{alone[0]}/"
            )


def _class_names(root: Path, folders: Sequence[str], classes: Sequence[str] | None, share: float) -> list[str]:
    if not folders:
        raise DataError(f"{root}: has no class folders; put the pictures of each class into a folder of its name")
    bad = [name for name in folders if not is_text(name)]
    if bad:
        raise DataError(f"{root}: the name of the folder {bad[0]!r} is not valid text (UTF-8); rename it")
    if classes is None:
        _require_unlike(root, folders)
        return list(folders)
    names = as_names(classes)
    known, there = set(names), set(folders)
    unknown = [name for name in folders if name not in known]
    if unknown:
        raise DataError(
            f"{root}: folder {', '.join(unknown)} is none of the classes {', '.join(names)}"
            f"{meant(unknown[0], names)}; rename it or move it"
        )
    missing = [name for name in names if name not in there]
    if missing and share < 1:
        raise DataError(f"{root}: there is no folder for the class {', '.join(missing)}; add {root / missing[0]}/")
    return names


def _require_unlike(root: Path, folders: Iterable[str]) -> None:
    require_unlike(str(root), folders, "put the pictures of both into one folder, or rename one")


def _items(root: Path, prefix: str, folders: Iterable[str], names: Sequence[str], skipped: Skipped) -> list[Item]:
    items = []
    labels = {name: label for label, name in enumerate(names)}
    for name in folders:
        inner, files = _listing(root / prefix / name)
        skipped += [
            (f"{prefix}{name}/{sub}/", "is a folder inside a class folder; its pictures are not read") for sub in inner
        ]
        for file in files:
            relative = f"{prefix}{name}/{file}"
            if _is_photograph(file):
                items.append(Item(relative, labels[name], root / relative))
            else:
                skipped.append((relative, "is no photograph by its ending"))
    return items
