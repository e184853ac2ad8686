"""Files written beside their final place and renamed into it, so that nothing half-written is ever found."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import WeightError

REMEDY = {
    errno.ENOSPC: "the disk is full: free some space or choose another folder",
    errno.EDQUOT: "the disk quota is used up: free some space or choose another folder",
    errno.EFBIG: "the file would be larger than the system allows here; choose another folder",
    errno.EROFS: "the file system is read-only: choose another folder",
    errno.EACCES: "no permission to write there: choose another folder",
    errno.EPERM: "no permission to write there: choose another folder",
    errno.ENOENT: "the folder does not exist: create it first",
    errno.ENOTDIR: "its parent is not a folder: choose another path",
    errno.EISDIR: "it is a folder: give the name of a file",
}


def write_bytes(path: str | os.PathLike[str], content: bytes | memoryview) -> None:
    """Put `content` at `path` in one step: a reader sees the old file or the new one, whole, and never a part.

    See `replacing`; but what is there and is no file (a device, a pipe) is written into as it stands. Raises
    WeightError with the path and the remedy if that fails; the old file then still stands.
    """
    if _is_special(_mode(path)):
        _write_into(path, content)
        return
    with replacing(path) as file:
        file.write(content)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write and read, which stands at `path` in one step when the block ends well.

    It is a hidden file in the same folder, whose bytes are forced to the disk before it is renamed. A link is
    followed, and a file that was there keeps its mode. Whatever goes wrong, the old file stands and the new one goes;
    OSError and ValueError leave as a WeightError with the path and the remedy. A device or a pipe is never replaced.
    """
    mode = _mode(path)
    if _is_special(mode):
        raise WeightError(f"{os.fspath(path)}: is no regular file, so it is not replaced; choose another path")
    target = Path(os.path.realpath(path))
    beside = target.with_name(f".{target.name}.{secrets.token_hex(6)}.part")
    try:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with open(beside, "x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            os.chmod(beside, stat.S_IMODE(mode))
        os.replace(beside, target)
    except (OSError, ValueError) as error:  # ValueError: a path with a zero character
        _discard(beside)
        raise _refused(path, error) from error
    except BaseException:  # an interrupt, say: leave nothing behind, then pass it on
        _discard(beside)
        raise
    _sync_folder(target.parent)


def _mode(path: str | os.PathLike[str]) -> int | None:
    try:
        return os.stat(path).st_mode
    except (OSError, ValueError):
        return None  # nothing there yet, or nothing that can be: then opening it says so


def _is_special(mode: int | None) -> bool:
    """Whether that is the mode of a device, a pipe or a socket."""
    return mode is not None and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _write_into(path: str | os.PathLike[str], content: bytes | memoryview) -> None:
    """Write to a device or a pipe, which must not be replaced by a file."""
    try:
        with open(path, "wb") as stream:
            stream.write(content)
    except OSError as error:
        raise _refused(path, error) from error


def _refused(path: str | os.PathLike[str], error: OSError | ValueError) -> WeightError:
    reason = getattr(error, "strerror", None) or error
    remedy = REMEDY.get(getattr(error, "errno", None) or 0, "choose another path")
    return WeightError(f"{os.fspath(path)}: cannot be written ({reason}); {remedy}")


def _discard(path: Path) -> None:
    with contextlib.suppress(OSError, ValueError):  # it may never have come to be
        path.unlink()


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system lets a folder be opened."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        with contextlib.suppress(OSError):  # some network file systems cannot; the rename has happened all the same
            os.fsync(handle)
    finally:
        os.close(handle)
