"""Guarded access to HDF5: every link, attribute and dataset is checked before a byte of it is believed.

HDF5 lets a file point into other files (external and soft links, external and virtual datasets), claim
terabytes, and hold types whose reading runs far from plain numbers. All of that is refused here. Chunks are
decompressed here too, because HDF5's own filter grows its buffer as far as a crafted chunk asks it to.
"""

from __future__ import annotations

import hashlib
import os
import stat
import zlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from math import prod
from pathlib import Path

import h5py
import numpy as np

from ..errors import WeightError

SIGNATURE = b"\x89HDF\r\n\x1a\n"
LIMIT_BYTES = 8 << 30  # the most that the arrays of one file may take in memory
MOST_MEMBERS = 100_000  # groups and datasets looked at in one file
TEXT_LIMIT_BYTES = 64 << 20  # the most that one text attribute may take
DEFLATE_RATIO = 1032  # deflate cannot pack tighter: 258 bytes from 2 bits (zlib, "Maximum expansion factor")
UNPACKERS = min(4, os.cpu_count() or 1)  # threads that decompress; a disk seldom feeds more
FLOATS = {
    "float16": (h5py.h5t.IEEE_F16LE, h5py.h5t.IEEE_F16BE),
    "float32": (h5py.h5t.IEEE_F32LE, h5py.h5t.IEEE_F32BE),
    "float64": (h5py.h5t.IEEE_F64LE, h5py.h5t.IEEE_F64BE),
}
INTEGERS = {
    "uint8": (h5py.h5t.STD_U8LE, h5py.h5t.STD_U8BE),
    "int8": (h5py.h5t.STD_I8LE, h5py.h5t.STD_I8BE),
    "uint16": (h5py.h5t.STD_U16LE, h5py.h5t.STD_U16BE),
    "int16": (h5py.h5t.STD_I16LE, h5py.h5t.STD_I16BE),
    "uint32": (h5py.h5t.STD_U32LE, h5py.h5t.STD_U32BE),
    "int32": (h5py.h5t.STD_I32LE, h5py.h5t.STD_I32BE),
    "uint64": (h5py.h5t.STD_U64LE, h5py.h5t.STD_U64BE),
    "int64": (h5py.h5t.STD_I64LE, h5py.h5t.STD_I64BE),
}
DAMAGED = "the file is damaged or not to be trusted; get it again from its source"


class Guard:
    """One open HDF5 file with the budget that its arrays share. Made by `opened`."""

    def __init__(self, path: Path, file: h5py.File, limit_bytes: int) -> None:
        self.path = path
        self.file = file
        self.file_bytes = path.stat().st_size
        self.memory_left = limit_bytes
        self.stored_left = self.file_bytes
        self.members_left = MOST_MEMBERS

    def error(self, item: str, found: str, remedy: str = DAMAGED) -> WeightError:
        """A WeightError in the one form: file, item, what was found, what to do."""
        return WeightError(f"{self.path}: {item}: {found}; {remedy}")

    def members(self, group: h5py.Group) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
        """(name, object) of everything in `group`, all reached by hard links."""
        for name in group:
            item = f"{group.name.rstrip('/')}/{name}"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise self.error(item, "is a link to elsewhere (soft, external or user-defined)")
            self.members_left -= 1
            if self.members_left < 0:  # a few groups that hold each other can look like millions
                raise self.error(item, f"is beyond the {MOST_MEMBERS} members that a weight file may have")
            member = group[name]
            if not isinstance(member, (h5py.Group, h5py.Dataset)):
                raise self.error(item, "is neither a group nor a dataset")
            yield name, member

    def text(self, where: h5py.Group | h5py.Dataset, name: str, variable: bool = False) -> str | None:
        """The string attribute `name` (stored as ASCII or UTF-8), or None if there is none.

        Strings of variable length lie in HDF5's global heap, in which a crafted file can make the library run for
        ever: only `variable` admits them, for files of makers that know no other.
        """
        if name not in where.attrs:
            return None
        item = f"attribute {name!r} of {where.name}"
        attribute = h5py.h5a.open(where.id, name.encode())
        kind = attribute.get_type()
        if attribute.shape != () or not isinstance(kind, h5py.h5t.TypeStringID):
            raise self.error(item, "is not a single string")
        if kind.is_variable_str() and not variable:
            raise self.error(
                item, "is a string of variable length", "write the file anew with minitl, or store a fixed length"
            )
        if attribute.get_storage_size() > TEXT_LIMIT_BYTES:
            raise self.error(item, f"claims {attribute.get_storage_size()} bytes, more than {TEXT_LIMIT_BYTES}")
        return self.decoded(where.attrs[name], item)

    def integer(self, where: h5py.Group, name: str) -> int | None:
        """The integer attribute `name`, or None if there is none."""
        if name not in where.attrs:
            return None
        attribute = h5py.h5a.open(where.id, name.encode())
        if attribute.shape != () or not isinstance(attribute.get_type(), h5py.h5t.TypeIntegerID):
            raise self.error(f"attribute {name!r} of {where.name}", "is not a single integer")
        return int(where.attrs[name])

    def decoded(self, value: object, item: str) -> str:
        """`value`, bytes or str, as str."""
        if isinstance(value, str):
            # h5py hands on bytes that are no UTF-8 as lone surrogates: bring them back to be judged
            value = value.encode("utf-8", "surrogateescape")
        if not isinstance(value, bytes):
            raise self.error(item, "is not a string")
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            raise self.error(item, "is not UTF-8 text") from None

    def names(self, dataset: h5py.Dataset) -> list[str]:
        """A one-axis dataset of strings of fixed length, UTF-8."""
        kind = dataset.id.get_type()
        if dataset.ndim != 1 or not isinstance(kind, h5py.h5t.TypeStringID) or kind.is_variable_str():
            raise self.error(dataset.name, f"must hold fixed-length strings along one axis; got {_described(dataset)}")
        if dataset.chunks is not None:  # HDF5 itself would unpack the chunks, without a bound
            raise self.error(dataset.name, "is chunked", "store the names contiguously")
        self._within_the_file(dataset)
        self._spend(dataset)
        return [self.decoded(value, f"{dataset.name}[{i}]") for i, value in enumerate(dataset[()])]

    def array(self, dataset: h5py.Dataset, types: Mapping[str, tuple[h5py.h5t.TypeID, ...]] = FLOATS) -> np.ndarray:
        """A dataset of numbers of one of the `types` (FLOATS or INTEGERS), in the stored width, native byte order."""
        stored = dataset.id.get_type()
        name = next((name for name, orders in types.items() if stored in orders), None)
        if name is None:
            *most, last = types
            raise self.error(dataset.name, f"must be {', '.join(most)} or {last}; got {_described(dataset)}")
        if dataset.shape is None:
            raise self.error(dataset.name, "has no shape (a null dataspace)")
        self._within_the_file(dataset)
        self._spend(dataset)
        dtype = np.dtype(name).newbyteorder("<" if stored == types[name][0] else ">")
        chunked = dataset.id.get_create_plist().get_layout() == h5py.h5d.CHUNKED
        array = self._chunked(dataset, dtype) if chunked else np.asarray(dataset[()], dtype)
        return np.ascontiguousarray(array, np.dtype(name)).reshape(dataset.shape)

    def offset(self, dataset: h5py.Dataset) -> int | None:
        """Where in the file the values of a dataset lie one after the other, all of them; None if they do not."""
        if dataset.id.get_create_plist().get_layout() != h5py.h5d.CONTIGUOUS or not dataset.size:
            return None
        self._within_the_file(dataset)
        self._backed(dataset)
        return dataset.id.get_offset()

    def _within_the_file(self, dataset: h5py.Dataset) -> None:
        """Refuse data that lie outside this file, or where the file says that they are not."""
        plist = dataset.id.get_create_plist()
        layout = plist.get_layout()
        if plist.get_external_count() or layout == h5py.h5d.VIRTUAL:
            raise self.error(dataset.name, "takes its data from another file")
        stored, offset = dataset.id.get_storage_size(), dataset.id.get_offset()
        self.stored_left -= stored
        if self.stored_left < 0 or (offset is not None and offset + stored > self.file_bytes):
            raise self.error(dataset.name, f"claims {stored} stored bytes, more than the file holds")

    def _spend(self, dataset: h5py.Dataset) -> None:
        """Refuse shapes that the stored bytes cannot fill, and arrays over the limit."""
        self.memory_left -= self._backed(dataset)
        if self.memory_left < 0:
            raise self.error(
                dataset.name,
                f"with shape {dataset.shape} the arrays of the file pass the limit",
                "pass a larger limit_bytes if you trust the file",
            )

    def _backed(self, dataset: h5py.Dataset) -> int:
        """The bytes that the array takes; refuses shapes that the stored bytes cannot fill."""
        stored, plist = dataset.id.get_storage_size(), dataset.id.get_create_plist()
        if dataset.shape is None:
            raise self.error(dataset.name, "has no shape (a null dataspace)")
        needed = prod(dataset.shape) * dataset.id.get_type().get_size()
        filters = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
        foreign = [code for code in filters if code not in (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE)]
        backwards = [h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE]
        if foreign or len(filters) != len(set(filters)) or filters == backwards:
            raise self.error(
                dataset.name,
                f"uses filter {(foreign or filters)[0]}",
                "write it with shuffle and gzip, each once, in this order",
            )
        most = stored * DEFLATE_RATIO if h5py.h5z.FILTER_DEFLATE in filters else stored
        if needed > most:
            raise self.error(dataset.name, f"claims {needed} bytes ({dataset.shape}) out of {stored} stored")
        return needed

    def _chunked(self, dataset: h5py.Dataset, dtype: np.dtype) -> np.ndarray:
        """The array of a chunked dataset, decompressed here, never further than its shape; several chunks at once."""
        plist = dataset.id.get_create_plist()
        filters = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
        array = np.empty(dataset.shape, dtype)
        waiting: deque[tuple[tuple[int, ...], Future[bool]]] = deque()

        def settle() -> None:
            start, unpacked = waiting.popleft()
            if not unpacked.result():
                raise self.error(dataset.name, f"the chunk at {start} does not unpack to its {size} bytes")

        size = prod(dataset.chunks) * dtype.itemsize
        with ThreadPoolExecutor(UNPACKERS) as pool:  # zlib and NumPy leave Python's lock to others while they work
            for window in dataset.iter_chunks() if array.size else ():
                start = tuple(axis.start for axis in window)
                mask, raw = self._stored(dataset, start, size)
                undo = [code for place, code in enumerate(filters) if not mask >> place & 1]  # the others were left out
                waiting.append((start, pool.submit(_unpack, raw, undo, dataset.chunks, array[window])))
                if len(waiting) > 2 * UNPACKERS:
                    settle()
            while waiting:
                settle()
        return array

    def _stored(self, dataset: h5py.Dataset, start: tuple[int, ...], size: int) -> tuple[int, bytes]:
        """The stored bytes of the chunk at `start`, and the mask of the filters that its writer left out."""
        info = dataset.id.get_chunk_info_by_coord(start)
        if info.byte_offset is None or info.byte_offset + info.size > self.file_bytes:
            raise self.error(dataset.name, f"lacks the chunk at {start}")
        if size > max(info.size, 1) * DEFLATE_RATIO:
            raise self.error(dataset.name, f"claims a chunk of {size} bytes out of {info.size} stored bytes")
        return dataset.id.read_direct_chunk(start)


def _unpack(raw: bytes, filters: Sequence[int], shape: tuple[int, ...], into: np.ndarray) -> bool:
    """Writes what a chunk of `shape` holds into its place, cut off at the array's edge; whether it has that size."""
    dtype = into.dtype
    size = prod(shape) * dtype.itemsize
    whole = into if into.shape == shape and into.flags.c_contiguous else np.empty(shape, dtype)
    if h5py.h5z.FILTER_DEFLATE in filters:
        raw = _inflated(raw, size)
    if len(raw) != size:
        return False
    shuffled = h5py.h5z.FILTER_SHUFFLE in filters
    # HDF5's shuffle: the first bytes of all values, then the second bytes, ...
    planes = np.frombuffer(raw, np.uint8).reshape((dtype.itemsize, -1) if shuffled else (1, -1))
    values = whole.reshape(-1).view(np.uint8).reshape(-1, len(planes))
    for place, plane in enumerate(planes):
        values[:, place] = plane
    if whole is not into:
        into[...] = whole[tuple(map(slice, into.shape))]
    return True


def _inflated(raw: bytes, size: int) -> bytes:
    """The deflate stream `raw` unpacked, but never by more than one byte beyond `size`; empty if it is broken."""
    stream = zlib.decompressobj()
    try:
        out = stream.decompress(raw, size + 1)
        return out if len(out) > size or stream.eof else out + stream.decompress(stream.unconsumed_tail, 1)
    except zlib.error:
        return b""


def _described(dataset: h5py.Dataset) -> str:
    return f"{dataset.dtype} of shape {dataset.shape}"


@contextmanager
def opened(path: str | os.PathLike[str], limit_bytes: int = LIMIT_BYTES, damaged: str = DAMAGED) -> Iterator[Guard]:
    """Open an HDF5 file to be read under guard; whatever goes wrong inside leaves as a WeightError naming it.

    damaged: what to say of a file that HDF5 itself cannot read, with the remedy.
    """
    path = Path(path)
    _recognised(path)
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield Guard(path, file, limit_bytes)
    except WeightError:
        raise
    except (Exception, RecursionError) as error:  # h5py raises nearly every type there is on a damaged file
        reason = (str(error).strip("'").splitlines() or [type(error).__name__])[0]  # KeyError quotes its text
        raise WeightError(f"{path}: cannot be read as HDF5 ({reason}); {damaged}") from error


def walk(guard: Guard, group: h5py.Group | None = None, depth: int = 4) -> Iterator[tuple[str, h5py.Dataset]]:
    """(path without the leading "/", dataset) of every dataset down to `depth` groups; WeightError beyond."""
    for _, member in guard.members(guard.file if group is None else group):
        if isinstance(member, h5py.Dataset):
            yield member.name.lstrip("/"), member
        elif depth:
            yield from walk(guard, member, depth - 1)
        else:
            raise guard.error(member.name, "lies deeper than weights do")


def _recognised(path: Path) -> None:
    """Refuse what is no HDF5 file at all, saying what it looks like."""
    try:
        kind = os.stat(path).st_mode
        if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):  # a pipe could be waited for without end
            raise WeightError(f"{path}: is no regular file; give a weight file")
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError as error:
        raise WeightError(f"{path}: cannot be opened ({error.strerror or error}); check the path") from error
    if head.startswith(SIGNATURE):
        return
    start = head.lstrip().lower()
    if not head:
        raise WeightError(f"{path}: the file is empty; get it again from its source")
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise WeightError(f"{path}: this is a web page, not a weight file; download the file itself")
    if start.startswith(b"version https://git-lfs"):
        raise WeightError(f"{path}: this is a Git LFS pointer, not the file; fetch the file with 'git lfs pull'")
    if head.startswith((b"PK\x03\x04", b"\x80")):
        raise WeightError(f"{path}: this is a zip or pickle file (PyTorch's .pth?); save its arrays as HDF5 first")
    raise WeightError(f"{path}: this is not an HDF5 file; give one that minitl wrote or 'minitl convert' reads")


def array_sha256(array: np.ndarray) -> str:
    """sha256, in hexadecimal, of the little-endian C-order bytes of `array`."""
    plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return hashlib.sha256(plain.reshape(-1).view(np.uint8).data).hexdigest()


def names_sha256(names: list[str]) -> str:
    """sha256, in hexadecimal, of the UTF-8 names, each ended by a zero byte."""
    return hashlib.sha256(b"".join(name.encode() + b"\0" for name in names)).hexdigest()
