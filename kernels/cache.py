"""A folder of compiled kernels: what was built once is found again by the hash of everything that went into it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from ..errors import BackendUnavailable

HALF_MADE = re.compile(r"\.([0-9a-f]{12}\.|probe-)")  # how the names of files begin that are being made
OLD = 86400  # seconds after which nobody is making such a file any more


@cache
def folder() -> Path:
    """Where compiled kernels are kept: MINITL_CACHE, or the user's cache folder, or one that goes with the process.

    The last only where the others cannot be written to; a warning says so once.
    """
    place = _wanted()
    if place.parts[0] == "~":
        _cannot_keep(place, "this user has no home folder")
        return _of_this_process()
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=place, prefix=".probe-") as probe:
            probe.write(b"room")
            probe.flush()
        _sweep(place)
        return place
    except OSError as error:
        _cannot_keep(place, error.strerror)
        return _of_this_process()


def _wanted() -> Path:
    """The folder that the variables name; it begins with ~ where this user has no home."""
    named = os.environ.get("MINITL_CACHE") or os.environ.get("XDG_CACHE_HOME")
    if not named:
        at_home = "Library/Caches" if sys.platform == "darwin" else ".cache"
        named = os.path.join("~", at_home)
    place = Path(os.path.expanduser(named)) / "minitl" / "kernels"
    return place if place.parts[0] == "~" else place.absolute()


def _sweep(place: Path) -> None:
    """Takes away what processes that were killed left half made."""
    for path in place.iterdir():
        if HALF_MADE.match(path.name):
            with contextlib.suppress(OSError):  # it is ready meanwhile, or somebody else's
                if time.time() - path.stat().st_mtime > OLD:
                    path.unlink()


@cache
def _cannot_keep(place: Path, reason: str | None) -> None:
    """Says so once."""
    warnings.warn(f"compiled kernels cannot be kept in {place} ({reason}); set MINITL_CACHE", stacklevel=3)


@cache
def _of_this_process() -> Path:
    import atexit
    import shutil

    place, process = Path(tempfile.mkdtemp(prefix="minitl-")), os.getpid()

    def remove() -> None:
        if os.getpid() == process:  # not one that was forked from it
            shutil.rmtree(place, ignore_errors=True)

    atexit.register(remove)
    return place


def key(parts: Iterable[str]) -> str:
    """A hash of texts, each with its length, so that no two lists of texts share one."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode("utf-8", "surrogateescape")  # a path may hold any bytes
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
    again. Raises BackendUnavailable where no disk takes it.
    """
    name = _named(name, parts)
    path = folder() / name
    if path.is_file() and sound(path):
        return path
    try:
        return _make(path, make)
    except OSError as error:  # the disk is full, or the folder went away
        _cannot_keep(path.parent, error.strerror)
        try:
            return _make(_of_this_process() / name, make)
        except OSError as again:
            why = again.strerror or again
            raise BackendUnavailable(
                f"{name}: cannot be written anywhere: {why}; free some space, or set MINITL_CACHE or TMPDIR"
            ) from again


def found(name: str, parts: Iterable[str]) -> Path | None:
    """Where `built` has put such a file, or None; looks only, so that a folder which none may write to serves too."""
    path = _wanted() / _named(name, parts)
    try:
        return path if path.is_file() else None
    except OSError:  # a folder that this user may not look into, a name that is too long
        return None


def _named(name: str, parts: Iterable[str]) -> str:
    stem, _, ending = name.rpartition(".")
    return f"{stem}-{key(parts)}.{ending}"


def _make(path: Path, make: Callable[[Path], None]) -> Path:
    beside = path.with_name(f".{secrets.token_hex(6)}.{path.name}")
    try:
        make(beside)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    return path
