"""Files written beside their final place and renamed into it, so that nothing half-written is ever found."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path

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

    The bytes go to a hidden file in the same folder, are forced to the disk, and the file is renamed.
    Raises WeightError with the path and the remedy if that fails; the old file then still stands.
    """
    target = Path(path)
    beside = target.with_name(f".{target.name}.{secrets.token_hex(6)}.part")
    try:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with open(beside, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
    except OSError as error:
        _discard(beside)
        remedy = REMEDY.get(error.errno or 0, "choose another path")
        raise WeightError(f"{target}: cannot be written ({error.strerror or error}); {remedy}") from error
    except BaseException:  # an interrupt, say: leave nothing behind, then pass it on
        _discard(beside)
        raise
    _sync_folder(target.parent)


def _discard(path: Path) -> None:
    with contextlib.suppress(OSError):  # it may never have come to be
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
