"""Values of frozen layers as a file: HDF5 that any HDF5 tool reads.

/          attributes: format="minitl features", format_version, key (the sha256 of all that the values come from),
           pictures (JSON: [name, variant or null, stamp] of each value), sha256 (of both and the values)
/values    (N, …) float32 or float64, in the order of `pictures`
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Sequence
from math import prod
from typing import Any, BinaryIO

import h5py
import numpy as np

from ..errors import ShapeError, WeightError
from ..weights import hdf5
from ..weights.atomic import replacing

FORMAT = "minitl features"
FORMAT_VERSION = 1
PIECE_BYTES = 8 << 20  # of values, handed to HDF5 at a time

Row = tuple[str, int | None, Any]  # name of the picture, its variant or None, its stamp


def write(path: str | os.PathLike[str], key: str, rows: Sequence[Row], values: Sequence[np.ndarray]) -> None:
    """Writes the values of `rows`, one or more, beside `path` and renames. Needs no second copy of them in memory.

    Raises WeightError where the disk refuses, ShapeError where the values are not all of one shape.
    """
    first = values[0]
    odd = next((value for value in values if value.shape != first.shape), None)
    if odd is not None:
        raise ShapeError(
            f"{os.fspath(path)}: values of different shapes, {first.shape} and {odd.shape}, cannot be kept together; "
            "let the preprocessing resize and crop to one size"
        )
    pictures = json.dumps([_json(row) for row in rows])
    if len(pictures) > hdf5.TEXT_LIMIT_BYTES:
        raise WeightError(f"{os.fspath(path)}: the names of {len(rows)} values are more than the file can hold")
    dtype = first.dtype.newbyteorder("<")
    with replacing(path) as file:
        disk = _Unfailing(file)
        # v108 is what attributes over 64 KB need
        with h5py.File(disk, "w", libver=("v108", "v110")) as h:
            digest = _digested(key, pictures, np.empty(0, dtype))
            dataset = h.create_dataset("values", (len(values), *first.shape), dtype)
            step = max(1, PIECE_BYTES // max(first.nbytes, 1))
            for i in range(0, len(values), step):
                piece = np.stack(values[i : i + step]).astype(dtype, copy=False)
                digest.update(piece.reshape(-1).view(np.uint8).data)
                dataset[i : i + len(piece)] = piece
            h.attrs["format_version"] = FORMAT_VERSION
            texts = {"format": FORMAT, "key": key, "pictures": pictures, "sha256": digest.hexdigest()}
            for name, text in texts.items():
                content = text.encode("ascii")
                h.attrs.create(name, np.array(content, h5py.string_dtype("ascii", len(content))))
        if disk.error is not None:
            raise disk.error


def read(
    path: str | os.PathLike[str], key: str, shape: tuple[int, ...] | None, dtype: np.dtype, limit: int
) -> tuple[list[Row], np.ndarray] | None:
    """(rows, their values); None where the file has another key, or its values would take more than `limit` bytes.

    shape, dtype: what a value must be; shape None: any. Trusts nothing: WeightError for a file that is damaged, made
    by something else, or by a newer minitl.
    """
    with hdf5.opened(path, limit) as guard:
        root = guard.file
        if guard.text(root, "format") != FORMAT:
            raise guard.error("the file", "does not hold values of frozen layers", "give the one that minitl wrote")
        version = guard.integer(root, "format_version")
        if version != FORMAT_VERSION:
            known = f"is {version}, and this minitl reads {FORMAT_VERSION}"
            raise guard.error("attribute 'format_version'", known, "upgrade minitl, or let the file be written anew")
        if guard.text(root, "key") != key:
            return None
        pictures = guard.text(root, "pictures") or "null"
        rows = [_row(guard, row) for row in json.loads(pictures)]
        dataset = dict(guard.members(root)).get("values")
        if not isinstance(dataset, h5py.Dataset):
            raise guard.error("/values", "is missing")
        if prod(dataset.shape or ()) * dataset.dtype.itemsize > limit:
            return None
        values = guard.array(dataset)
        if values.shape[:1] != (len(rows),) or values.dtype != dtype or shape not in (None, values.shape[1:]):
            found = f"{values.dtype} of shape {values.shape}"
            raise guard.error("/values", f"must be {len(rows)} of {shape}, {dtype}; got {found}")
        if guard.text(root, "sha256") != _digested(key, pictures, values).hexdigest():
            raise guard.error("/values", "their sha256 is not that which the file states")
    return rows, values


def _digested(key: str, pictures: str, values: np.ndarray) -> Any:
    """The running sha256 of both texts, each ended by a zero byte, and the little-endian bytes of the values."""
    digest = hashlib.sha256(f"{key}\0{pictures}\0".encode())
    digest.update(np.ascontiguousarray(values, values.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data)
    return digest


def _json(row: Row) -> list[Any]:
    name, variant, stamp = row
    return [name, variant, {"digest": stamp.hex()} if isinstance(stamp, bytes) else stamp]


def _row(guard: hdf5.Guard, value: Any) -> Row:
    """The inverse of `_json`; raises on anything else."""
    name, variant, stamp = value
    if not isinstance(name, str) or not (variant is None or type(variant) is int):
        raise guard.error("attribute 'pictures'", f"{value!r:.80} names no picture")
    if isinstance(stamp, dict):
        return name, variant, bytes.fromhex(stamp["digest"])
    return name, variant, tuple(stamp) if isinstance(stamp, list) else stamp


class _Unfailing(io.RawIOBase):
    """A file for HDF5 to write, which takes everything: HDF5 cannot close a file whose bytes were refused.

    error: the first refusal, after which nothing more is written.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.error: OSError | None = None

    def _attempt(self, do: Callable[..., int], *arguments: Any, otherwise: int) -> int:
        if self.error is None:
            try:
                return do(*arguments)
            except OSError as error:
                self.error = error
        return otherwise

    def write(self, content: Any) -> int:
        return self._attempt(self.file.write, content, otherwise=len(content))

    def readinto(self, buffer: Any) -> int:
        return self._attempt(self.file.readinto, buffer, otherwise=0)  # type: ignore[attr-defined]

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._attempt(self.file.seek, offset, whence, otherwise=offset)

    def tell(self) -> int:
        return self._attempt(self.file.tell, otherwise=0)

    def truncate(self, size: int | None = None) -> int:
        return self._attempt(self.file.truncate, size, otherwise=size or 0)

    def flush(self) -> None:
        self._attempt(self._flush, otherwise=0)

    def _flush(self) -> int:
        self.file.flush()
        return 0
