"""The cubins on disk, each with the compiler's report. What is damaged there is compiled again.

An entry is two files in the folder of compiled kernels (kernels/cache.py): `NAME-KEY.json`, found by a hash of all that
went into the compilation, holds the report and the SHA-256 of the cubin; the cubin's own name has that hash in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ...errors import BackendUnavailable
from .. import cache


@dataclass(frozen=True)
class Cubin:
    """Machine code at `path`, and `log`, what the compiler said of its registers and memory."""

    path: Path
    log: str


def cubin(stem: str, parts: Iterable[str], make: Callable[[], tuple[bytes, str]]) -> Cubin:
    """What `make()` returns, machine code and log, from the disk where it is there already, whole.

    stem: how the files' names begin. parts: all that the result depends on. Where the disk is full or read-only, the
    files last as long as the process.
    """

    def write(entry: Path) -> None:
        code, log = make()
        digest = hashlib.sha256(code).hexdigest()
        path = cache.built(
            f"{stem}.cubin", [digest], lambda beside: _write(beside, code), lambda kept: _digest(kept) == digest
        )
        entry.write_text(json.dumps({"cubin": str(path), "sha256": digest, "log": log}), encoding="utf-8")

    found = _read(cache.built(f"{stem}.json", parts, write, lambda kept: _read(kept) is not None))
    if found is None:
        raise BackendUnavailable(f"{stem}: its compiled form was taken away while it was read; try again")
    return found


def _write(path: Path, code: bytes) -> None:
    path.write_bytes(code)


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _read(entry: Path) -> Cubin | None:
    """The entry, or None where something of it is missing or not as it was written."""
    try:
        kept = json.loads(entry.read_text(encoding="utf-8"))
        path = Path(kept["cubin"])
        return Cubin(path, kept["log"]) if _digest(path) == kept["sha256"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
