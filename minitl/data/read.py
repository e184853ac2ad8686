"""Labelled pictures from wherever they lie: what the command line takes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import DataError
from .csv import csv
from .dataset import Dataset, check_path
from .folder import folder
from .hdf5 import hdf5, is_hdf5
from .npz import ENDING, is_zip, npz

TABLES = (".csv", ".tsv")
KINDS = "a folder of pictures, a .csv table, an .npz file or an HDF5 file (.h5)"


def read(
    path: str | os.PathLike[str], val: float = 0.2, seed: int = 0, classes: Sequence[str] | None = None
) -> Dataset:
    """The Dataset of `path` by what that is: `folder`, `csv`, `hdf5` or `npz`, each with its defaults.

    A folder of .npy files alone is read by `npz`, any other by `folder`. Raises DataError for a path that is none of
    these.
    """
    where = check_path("read", path)
    if where.is_dir():
        return (npz if is_stored(where) else folder)(where, val=val, seed=seed, classes=classes)
    if where.suffix.lower() in TABLES:
        return csv(where, val=val, seed=seed, classes=classes)
    if is_stored(where):
        return (hdf5 if is_hdf5(where) else npz)(where, val=val, seed=seed, classes=classes)
    if not where.exists():
        raise DataError(f"{where}: there is no such file or folder; check the path")
    if where.suffix.lower() == ENDING:
        raise DataError(f"{where}: is one array; give the folder that holds x{where.suffix} and y{where.suffix}")
    raise DataError(f"{where}: is a file of another kind; give {KINDS}")


def is_stored(path: Path) -> bool:
    """Whether pictures lie at `path` as arrays: in an HDF5 or .npz file, or a folder of .npy files and no folders."""
    if path.is_dir():
        return any(path.glob(f"[!.]*{ENDING}")) and not any(inside.is_dir() for inside in path.glob("[!.]*"))
    return is_hdf5(path) or is_zip(path)
