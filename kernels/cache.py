"""A folder of compiled kernels: what was built once is found again by the hash of everything that went into it."""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path


@cache
def folder() -> Path:
    """Where compiled kernels are kept: MINITL_CACHE, or the user's cache folder, or one that goes with the process.

    The last only where the others cannot be written to; a warning says so once.
    """
    wanted = os.environ.get("MINITL_CACHE") or os.environ.get("XDG_CACHE_HOME")
    if not wanted:
        at_home = "Library/Caches" if sys.platform == "darwin" else ".cache"
        wanted = os.path.join(os.path.expanduser("~"), at_home)
    place = Path(wanted) / "minitl" / "kernels"
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=place) as probe:
            probe.write(b"room")
            probe.flush()
        return place
    except OSError as error:
        _cannot_keep(place, error.strerror)
        return _of_this_process()


@cache
def _cannot_keep(place: Path, reason: str | None) -> None:
    """Says so once."""
    warnings.warn(f"compiled kernels cannot be kept in {place} ({reason}); set MINITL_CACHE", stacklevel=3)


@cache
def _of_this_process() -> Path:
    import atexit
    import shutil

    place = Path(tempfile.mkdtemp(prefix="minitl-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place


def key(parts: Iterable[str]) -> str:
    """A hash of texts, each with its length, so that no two lists of texts share one."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode()
        digest.update(f"{len(content)}:".encode() + content)
    return digest.hexdigest()[:32]


def _not_empty(path: Path) -> bool:
    return path.stat().st_size > 0


def built(
    name: str, parts: Iterable[str], make: Callable[[Path], None], sound: Callable[[Path], bool] = _not_empty
) -> Path:
    """The file made by `make(path)` from what `parts` tell, from the cache where it is there already.

    name: how the file's name begins and ends, such as "conv2d_forward.so". It appears whole or not at all: `make`
    writes beside it, then it is renamed. sound: whether a file that is there is what was written; if not, it is made
    again.
    """
    stem, _, ending = name.rpartition(".")
    name = f"{stem}-{key(parts)}.{ending}"
    path = folder() / name
    if path.is_file() and sound(path):
        return path
    try:
        return _make(path, make)
    except OSError as error:  # the disk is full, or the folder went away
        _cannot_keep(path.parent, error.strerror)
        return _make(_of_this_process() / name, make)


def _make(path: Path, make: Callable[[Path], None]) -> Path:
    beside = path.with_name(f".{secrets.token_hex(6)}.{path.name}")
    try:
        make(beside)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    return path
