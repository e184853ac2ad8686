"""Pictures and labels that NumPy wrote, as .npz or as .npy files, as a Dataset. Nothing pickled is ever loaded."""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import DataError
from ..weights.hdf5 import DEFLATE_RATIO
from . import stored
from .content import announce
from .dataset import Dataset, check_path

ENDING = ".npy"
SIGNATURE = b"PK\x03\x04"
LOCAL_HEADER = struct.Struct("<4s22xHH")  # of a zip member: signature, lengths of its name and its extra field
DAMAGED = "the file is damaged; get or write it anew"


def npz(
    path: str | os.PathLike[str],
    x: str | None = None,
    y: str | None = None,
    x_val: str | None = None,
    y_val: str | None = None,
    classes: Sequence[str] | None = None,
    val: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Raw pictures (N, H, W, 3) or grey (N, H, W), uint8, and their labels (N,) or (N, 1) from 0, as NumPy wrote them.

    path: an .npz file, or a folder of .npy files (x.npy and y.npy). x, y, x_val, y_val, classes, val, seed: as in
    `hdf5`, with arrays of the .npz, or files of the folder without their ending, for datasets.

    Arrays that are not compressed (np.savez, np.save) stay in their file and are read picture by picture; any other
    (np.savez_compressed) is read into memory, once. Warns as `arrays` does. Raises DataError on a file that is damaged
    or holds Python objects, which would have to be unpickled.
    """
    root = check_path("npz", path)
    return announce(str(root), stored.build(root, found(root), (x, y, x_val, y_val), classes, val, seed))


def found(path: Path) -> dict[str, stored.Stored]:
    """The arrays of an .npz file, or of the .npy files of a folder, by name, not read yet."""
    if path.is_dir():
        files = sorted(file for file in path.glob(f"[!.]*{ENDING}") if file.is_file())
        return {file.stem: _of_file(file) for file in files}
    with _opened(path) as archive:
        members = [info for info in archive.infolist() if info.filename.endswith(ENDING)]
        return {info.filename.removesuffix(ENDING): _of_member(path, archive, info) for info in members}


def _of_file(path: Path) -> stored.Stored:
    with _readable(path, path.name), open(path, "rb") as file:
        shape, fortran, dtype = _header(file, f"{path}")
        offset = file.tell()
        held = os.fstat(file.fileno()).st_size - offset
        if not dtype.hasobject and prod(shape) * dtype.itemsize > held:
            raise DataError(f"{path}: claims an array of {dtype} {shape}, but holds {held} bytes; {DAMAGED}")
    plain = None if fortran or dtype.hasobject else offset
    return stored.Stored(path, shape, dtype, plain, partial(_load_file, path))


def _load_file(path: Path) -> np.ndarray:
    with _readable(path, path.name), open(path, "rb") as file:
        return _values(file, f"{path}")


def _of_member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> stored.Stored:
    where = f"{path}: {info.filename}"
    with _readable(path, info.filename), archive.open(info) as file:
        shape, fortran, dtype = _header(file, where)
        start = file.tell()
    stored_plainly = info.compress_type == zipfile.ZIP_STORED
    held = (info.compress_size if stored_plainly else info.compress_size * DEFLATE_RATIO) - start * stored_plainly
    if not dtype.hasobject and prod(shape) * dtype.itemsize > held:
        raise DataError(f"{where}: claims an array of {dtype} {shape} out of {info.compress_size} bytes; {DAMAGED}")
    plain = stored_plainly and not fortran and not dtype.hasobject
    offset = _member_offset(path, info) + start if plain else None
    return stored.Stored(path, shape, dtype, offset, partial(_load_member, path, info.filename))


def _member_offset(path: Path, info: zipfile.ZipInfo) -> int:
    """Where the bytes of a member that is not compressed begin: after its own header, which the archive repeats."""
    with open(path, "rb") as file:
        file.seek(info.header_offset)
        signature, name, extra = LOCAL_HEADER.unpack(file.read(LOCAL_HEADER.size))
    begin = info.header_offset + LOCAL_HEADER.size + name + extra
    if signature != SIGNATURE or begin + info.compress_size > path.stat().st_size:
        raise DataError(f"{path}: {info.filename} does not lie where the archive says; {DAMAGED}")
    return begin


def _load_member(path: Path, name: str) -> np.ndarray:
    with _opened(path) as archive, _readable(path, name), archive.open(name) as file:
        return _values(file, f"{path}: {name}")


def _header(file: Any, where: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """(shape, whether in Fortran order, dtype); the file then stands at the first value."""
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise DataError(
            f"{where}: is of version {version} of the format, in which only records are written; save arrays"
        )
    shape, fortran, dtype = read(file)
    if any(side < 0 for side in shape):
        raise DataError(f"{where}: claims the shape {shape}; {DAMAGED}")
    return shape, fortran, dtype


def _values(file: BinaryIO | Any, where: str) -> np.ndarray:
    start = file.tell()
    dtype = _header(file, where)[2]
    if dtype.hasobject:
        raise DataError(f"{where}: holds Python objects, which are never unpickled; save whole numbers, or fixed text")
    file.seek(start)
    return np.lib.format.read_array(file, allow_pickle=False)


def is_zip(path: Path) -> bool:
    """Whether a file begins as zip archives, and so .npz files, do; False for what is no file."""
    return stored.begins_with(path, SIGNATURE)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    if not path.exists():
        raise DataError(f"{path}: there is no such file; check the path")
    if not is_zip(path):
        raise DataError(f"{path}: this is not an .npz file; write it with np.savez")
    try:
        archive = zipfile.ZipFile(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be opened ({error.strerror or error}); check the path") from error
    except (zipfile.BadZipFile, ValueError, RuntimeError) as error:
        raise DataError(f"{path}: this is not an .npz file ({error}); write it with np.savez") from error
    with archive:
        yield archive


@contextmanager
def _readable(path: Path, name: str) -> Iterator[None]:
    """Whatever goes wrong inside leaves as a DataError that names the file and the array."""
    try:
        yield
    except DataError:
        raise
    except MemoryError:
        raise DataError(f"{path}: {name}: not enough memory; save it with np.savez or np.save") from None
    except Exception as error:  # zipfile, what it unpacks with and numpy raise nearly every type there is
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path}: {name} cannot be read ({reason}); {DAMAGED}") from error
