"""Compiled functions on disk, in the folder of compiled kernels (kernels/cache.py), so that the next start finds them.

Numba's own cache raises where its folder is read-only, the disk is full or a file is damaged; it takes a function for
fresh while another file that it is made from has changed; and two processes that store at once can mix their entries.
Here an entry is one file, named by a hash of all that went into it, whole or not taken; what cannot be kept is compiled
again at the next start, and one warning says so.
"""

from __future__ import annotations

import hashlib
import logging
import pickle
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache as once
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core import compiler
from numba.core.caching import NullCache
from numba.core.serialize import dumps

from ...errors import BackendUnavailable
from .. import cache

HASH_BYTES = hashlib.sha256().digest_size
_log = logging.getLogger(__name__)


@once
def say_once() -> None:
    """Logs that kernels are being compiled, which takes seconds; only once a process."""
    _log.info("compiling kernels, which this machine needs once")


@once
def _sources(folder: Path) -> str:
    """A hash of the Python files of a folder, as they are when the first function in it is defined."""
    return cache.key(text for path in sorted(folder.glob("*.py")) for text in (path.name, path.read_text("utf-8")))


class Kept(NullCache):
    """What Numba asks for machine code of one function, and gives it to; for signatures as they come.

    A function may call others of its own folder and of this one, and use their constants: their files are part of
    the hash.
    """

    def __init__(self, dispatcher: Any) -> None:
        function, options = dispatcher.py_func, dispatcher.targetoptions
        code = function.__code__
        file, names = Path(code.co_filename), function.__module__.split(".")
        self._name = "_".join([*names[1:], code.co_name.strip("<>_")]) + ".numba"
        self._made_of = [
            *(sys.version, numba.__version__, llvmlite.__version__),
            *(str(file), str(code.co_firstlineno), code.co_code.hex(), str(sorted(options.items()))),
            *(_sources(folder) for folder in (file.parent, Path(__file__).parent)),
            *(hashlib.sha256(dumps(cell.cell_contents)).hexdigest() for cell in function.__closure__ or ()),
        ]

    def _parts(self, signature: Any, target: Any) -> Iterator[str]:
        yield from self._made_of
        yield from (str(signature), str(target.magic_tuple()))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled function from the disk; None if it is not there whole, and must be compiled."""
        target_context.refresh()
        path = cache.found(self._name, self._parts(sig, target_context.codegen()))
        content = None if path is None else _content(path)
        if path is not None and content is not None:
            try:
                return compiler.CompileResult._rebuild(target_context, *pickle.loads(content))
            except Exception:  # whole, but nothing that this program understands
                with suppress(OSError):
                    path.unlink()
        say_once()
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keeps a compiled function if some disk takes it."""
        if data.library.has_dynamic_globals:  # addresses that mean nothing to another process
            return
        content = dumps(data._reduce())

        def write(path: Path) -> None:
            path.write_bytes(hashlib.sha256(content).digest() + content)

        with suppress(BackendUnavailable):  # `built` has told
            cache.built(self._name, self._parts(sig, data.codegen), write, lambda path: _content(path) is not None)


def _content(path: Path) -> bytes | None:
    """What was written, or None where it is damaged or cannot be read."""
    try:
        written = path.read_bytes()
    except OSError:
        return None
    digest, content = written[:HASH_BYTES], written[HASH_BYTES:]
    return content if hashlib.sha256(content).digest() == digest else None
