"""Pictures and labels in an HDF5 file as a Dataset. The file is read under guard (see weights.hdf5)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from ..errors import DataError, WeightError
from ..weights.hdf5 import INTEGERS, SIGNATURE, Guard, opened, walk
from . import stored
from .content import announce
from .dataset import Dataset, check_path
from .features import available_memory


def hdf5(
    path: str | os.PathLike[str],
    x: str | None = None,
    y: str | None = None,
    x_val: str | None = None,
    y_val: str | None = None,
    classes: Sequence[str] | None = None,
    val: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Raw pictures (N, H, W, 3) or grey (N, H, W), uint8, and their labels (N,) or (N, 1) from 0, in an HDF5 file.

    x, y: names of the datasets, "group/x" in a group; default: x and y, x_train and y_train, train_images and
    train_labels, or images and labels, whichever are there. x_val, y_val: pictures to validate on; without them the
    share `val` of each class, chosen by a key of (seed, name). classes: names in label order; default: the dataset
    "classes", or else the numbers. A picture's name is <dataset>/<row>.

    A dataset that is neither compressed nor chunked stays in the file and is read picture by picture; any other is
    read into memory, once. Warns as `arrays` does. Raises DataError on a file that is damaged, points into other
    files, or holds anything else.
    """
    file = check_path("hdf5", path)
    return announce(str(file), stored.build(file, found(file), (x, y, x_val, y_val), classes, val, seed))


def found(path: Path) -> dict[str, stored.Stored]:
    """The arrays of the file by name, not read yet."""
    with _opened(path) as guard:
        return {name: _stored(path, name, guard, dataset) for name, dataset in walk(guard)}


def _stored(path: Path, name: str, guard: Guard, dataset: h5py.Dataset) -> stored.Stored:
    kind, dtype = dataset.id.get_type(), np.dtype(object)
    if isinstance(kind, (h5py.h5t.TypeIntegerID, h5py.h5t.TypeFloatID)):
        dtype = dataset.dtype
    offset = guard.offset(dataset) if dtype == np.uint8 else None
    return stored.Stored(path, dataset.shape or (), dtype, offset, lambda: _load(path, name))


def _load(path: Path, name: str) -> np.ndarray:
    """An array of whole numbers, or of text."""
    with _opened(path) as guard:
        dataset = dict(walk(guard))[name]
        kind = dataset.id.get_type()
        if not isinstance(kind, h5py.h5t.TypeStringID):
            return guard.array(dataset, INTEGERS)
        if kind.is_variable_str():
            remedy = "store the names as np.char.encode(names, 'utf-8'), or give them with classes="
            raise guard.error(dataset.name, "holds text of variable length", remedy)
        return np.array(guard.names(dataset), dtype=np.str_)


def is_hdf5(path: Path) -> bool:
    """Whether a file begins as HDF5 files do; False for what is no file."""
    return stored.begins_with(path, SIGNATURE)


@contextmanager
def _opened(path: Path) -> Iterator[Guard]:
    """The file under guard; errors are those of data."""
    if not path.exists():
        raise DataError(f"{path}: there is no such file; check the path")
    if not is_hdf5(path):
        raise DataError(f"{path}: this is not an HDF5 file; check that it arrived whole, and what it is")
    try:
        with opened(path, available_memory()) as guard:
            yield guard
    except WeightError as error:
        raise DataError(str(error)) from error
