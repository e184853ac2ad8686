"""Which ops a kernel from outside may compute, by its parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

from ...errors import ArgumentError
from ..cuda import Source
from ..cuda.numba import Kernel
from ..emulator import library
from ..registry import LENT, KernelSpec, specs
from . import own


def fitting(target: str) -> list[str]:
    """The ops whose naive kernel, or whose function, takes the parameters of "file.cu:name" or "file.py:name".

    One that has the same name comes first. Raises what `own` does where there is no such file or name.
    """
    path, name = own.located(target)
    fits = _cuda(path, name) if path.suffix == ".cu" else _python(path, name)
    return sorted((op for op, kernel in specs().items() if fits(kernel)), key=lambda op: op != name)


def _cuda(path: Path, name: str) -> Callable[[KernelSpec], bool]:
    mine = own.types(Source(path).parameters(name))

    def fits(kernel: KernelSpec) -> bool:
        folder = library.ROOT / kernel.package.rpartition(".")[2]
        declared = [known for file in folder.rglob("*.cu") for known in Source(file).kernels.values()]
        if mine not in map(own.types, declared):  # quicker than to see what the launcher launches
            return False
        try:
            there, naive = own.launched(kernel, own.naive(kernel, "cuda", Source), Source)
        except ArgumentError:  # the op has none
            return False
        return own.types(there.parameters(naive)) == mine

    return fits


def _python(path: Path, name: str) -> Callable[[KernelSpec], bool]:
    found = own.function(path, name)
    mine = list(inspect.signature(own.plain(found)).parameters)

    def fits(kernel: KernelSpec) -> bool:
        if not own.is_numba(found):
            return mine == [name for name in kernel.signature.parameters if name not in LENT]
        try:
            wanted, _ = own.launched(kernel, own.naive(kernel, "numba_cuda", Kernel), Kernel)
        except ArgumentError:
            return False
        return len(mine) == len(wanted.parameters)

    return fits
