"""Pictures that lie as rows of an array in a file, and Datasets made of such arrays: what HDF5 and npz share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import numpy as np

from ..errors import DataError
from . import content
from .arrays import check_pictures, checked_labels, numbered
from .dataset import Dataset, Item, colour
from .features import available_memory, megabytes

# Pictures, labels, and those to validate on, as files call them. The first pair that is there is taken.
KNOWN = (
    ("x", "y", "x_val", "y_val"),
    ("x_train", "y_train", "x_val", "y_val"),
    ("train_images", "train_labels", "val_images", "val_labels"),
    ("images", "labels", "val_images", "val_labels"),
)
LEFT_OUT = ("x_test", "test_images")
CLASSES = "classes"


def begins_with(path: Path, signature: bytes) -> bool:
    """Whether a file begins with these bytes; False for what is no file."""
    if not path.is_file():
        return False
    try:
        with open(path, "rb") as file:
            return file.read(len(signature)) == signature
    except OSError as error:
        raise DataError(f"{path}: cannot be opened ({error.strerror or error}); check its permissions") from error


@dataclass(frozen=True)
class StoredPicture(Item):
    """A picture inside a file, read when its turn comes: the uint8 values of `shape` at `offset` of the file.

    opened: the file's stamp when that was found out. Where the file has changed since, nothing is read from it.
    """

    offset: int = field(compare=False, repr=False)
    shape: tuple[int, ...] = field(compare=False, repr=False)
    opened: tuple[int, int] = field(compare=False, repr=False)

    def picture(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB. Raises DataError if the file has changed since it was opened, or cannot be read."""
        if self.stamp() != self.opened:
            raise DataError(f"{self.source}: the file is gone or has changed; load the data anew ({self.name})")
        read = self._bytes()
        if read is None or len(read) != self.size():
            raise DataError(f"{self.source}: cannot be read any more ({self.name}); check the file")
        return colour(np.frombuffer(read, np.uint8).reshape(self.shape))

    def size(self) -> int:
        """The bytes that the picture has in the file."""
        return prod(self.shape)

    def glimpse(self) -> bytes | None:
        """Bytes from the middle of the picture."""
        return content.glimpse_of_file(self._path, self.size(), self.offset)

    def digest(self) -> bytes | None:
        """The digest of the picture's values; None where they cannot be read."""
        read = self._bytes()
        return None if read is None else content.new_digest(read).digest()

    @property
    def _path(self) -> Path:
        return Path(self.source)  # type: ignore[arg-type]  # it is a file always

    def _bytes(self) -> bytes | None:
        try:
            with open(self._path, "rb") as file:
                file.seek(self.offset)
                return file.read(self.size())
        except OSError:
            return None


@dataclass(frozen=True)
class Stored:
    """One array of a file, not read yet. offset: where its values lie plainly in C order in `path`, else None.

    load: reads it; it raises DataError for what is neither numbers nor text.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int | None
    load: Callable[[], np.ndarray]


def build(
    path: Path,
    found: Mapping[str, Stored],
    names: tuple[str | None, str | None, str | None, str | None],
    classes: Sequence[str] | None,
    val: float,
    seed: int,
) -> Dataset:
    """The Dataset of the arrays `found` at `path`. names: x, y, x_val, y_val as given by the caller."""
    x, y, x_val, y_val, skipped = _chosen(path, found, *names)
    train = _items(path, found, x, y)
    held = None if x_val is None or y_val is None else _items(path, found, x_val, y_val)
    if classes is None and CLASSES in found:
        classes = _class_names(path, found[CLASSES].load())
    share = val if held is None or val == 1 else 0.5  # with pictures for either, both must have every class
    return numbered(str(path), train, held, classes, share, seed, path, skipped)


def _chosen(
    path: Path,
    found: Mapping[str, Stored],
    x: str | None,
    y: str | None,
    x_val: str | None,
    y_val: str | None,
) -> tuple[str, str, str | None, str | None, list[tuple[str, str]]]:
    """The names to use, and what is left out: (name, reason)."""
    skipped: list[tuple[str, str]] = []
    if (x is None) != (y is None) or (x_val is None) != (y_val is None):
        raise DataError(f"{path}: name both the pictures and their labels (x= and y=, x_val= and y_val=), or neither")
    if x is None or y is None:
        for x, y, *theirs in KNOWN:
            if x in found and y in found:
                if x_val is None and all(name in found for name in theirs):
                    x_val, y_val = theirs
                skipped = [(name, "is a test part and left out") for name in LEFT_OUT if name in found]
                break
        else:
            known = ", ".join(f"{pictures} and {labels}" for pictures, labels, *_ in KNOWN)
            raise DataError(
                f"{path}: holds no pictures and labels under names that are known ({known}); it has {_listed(found)}; "
                "name them with x= and y="
            )
    for name in (x, y, x_val, y_val):
        if name is not None and name not in found:
            raise DataError(f"{path}: has no array {name!r}; it has {_listed(found)}; name them with x= and y=")
    return x, y, x_val, y_val, skipped


def _listed(found: Mapping[str, Stored], most: int = 12) -> str:
    names = list(found)[:most]
    return (", ".join(names) + (", …" if len(found) > most else "")) or "none"


def _items(path: Path, found: Mapping[str, Stored], x: str, y: str) -> list[Item]:
    check_pictures(str(path), x, found[x].dtype, found[x].shape)
    count = found[x].shape[0]
    labels = checked_labels(str(path), x, count, _loaded(path, y, found[y]))
    item = items(path, x, found[x])
    return [item(row, int(label)) for row, label in enumerate(labels)]


def items(path: Path, name: str, stored: Stored) -> Callable[[int, int], Item]:
    """What makes the Item of a row of an array of pictures, and its label. Its name is <name>/<row>."""
    check_pictures(str(path), name, stored.dtype, stored.shape)
    shape, offset = stored.shape[1:], stored.offset
    if offset is None:
        array = _loaded(path, name, stored)
        return lambda row, label: Item(f"{name}/{row:06d}", label, array[row])
    size, status = prod(shape), stored.path.stat()
    opened = status.st_size, status.st_mtime_ns

    def item(row: int, label: int) -> Item:
        return StoredPicture(f"{name}/{row:06d}", label, stored.path, offset + row * size, shape, opened)

    return item


def _loaded(path: Path, name: str, stored: Stored) -> np.ndarray:
    needed, free = prod(stored.shape) * stored.dtype.itemsize, available_memory()
    if needed > free:
        raise DataError(
            f"{path}: {name} would take {megabytes(needed)} of memory, and {megabytes(free)} are free; store it "
            "uncompressed and in one piece, and it is read picture by picture"
        )
    return stored.load()


def _class_names(path: Path, names: np.ndarray) -> list[str]:
    if names.ndim != 1 or names.dtype.kind not in "US":
        raise DataError(
            f"{path}: {CLASSES} must be text along one axis; got {names.dtype} of shape {names.shape}; "
            "give the names with classes="
        )
    try:
        return [name.decode("utf-8") if isinstance(name, bytes) else str(name) for name in names.tolist()]
    except UnicodeDecodeError:
        raise DataError(f"{path}: {CLASSES} is not UTF-8 text; give the names with classes=") from None
