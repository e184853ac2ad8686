"""A .cu file: its text, the kernels that it declares with their parameters, and launching one."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ArgumentError, BackendUnavailable, CompileError
from .structs import STRUCTS

INCLUDE = Path(__file__).with_name("include")
Size = int | tuple[int, ...]

_BOUNDS = r"(?:__launch_bounds__\s*\([^)]*\)\s*)?"  # before the type or behind it
KERNEL = re.compile(rf'extern\s+"C"\s+__global__\s+{_BOUNDS}void\s+{_BOUNDS}(\w+)\s*\(([^)]*)\)\s*\{{', re.DOTALL)
SCALARS = {
    "float": np.float32,
    "double": np.float64,
    "int": np.int32,
    "unsigned": np.uint32,
    "unsigned int": np.uint32,
    "long long": np.int64,
    "unsigned long long": np.uint64,
    "unsigned char": np.uint8,
    "signed char": np.int8,
    "char": np.int8,
    "bool": np.bool_,
    "unsigned short": np.uint16,
}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel. type: as in C, without const, * and __restrict__; `real` is float or double."""

    name: str
    type: str
    pointer: bool
    const: bool

    def dtype(self, real: Any) -> np.dtype:
        """Of the value, or of the array's elements."""
        if self.type == "real":
            return np.dtype(real)
        return STRUCTS[self.type] if self.type in STRUCTS else np.dtype(SCALARS[self.type])


@dataclass(frozen=True)
class Source:
    """A .cu file at `path`. defines: macros that every launch of it is compiled with."""

    path: Path
    defines: tuple[tuple[str, str], ...] = ()

    @cached_property
    def text(self) -> str:
        try:
            return self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CompileError(f"{self.path}: cannot be read ({error}); give the path of a .cu file") from error

    @cached_property
    def kernels(self) -> Mapping[str, tuple[Parameter, ...]]:
        """The parameters of every `extern "C" __global__ void` function, by name."""
        code = re.sub(r"//[^\n]*|/\*.*?\*/", " ", self.text, flags=re.DOTALL)
        return {name: self._parameters(name, declared) for name, declared in KERNEL.findall(code)}

    def _parameters(self, kernel: str, declared: str) -> tuple[Parameter, ...]:
        found = []
        for part in filter(None, (part.strip() for part in declared.split(","))):
            words = part.replace("*", " * ").replace("__restrict__", " ").replace("__grid_constant__", " ").split()
            kind = " ".join(word for word in words[:-1] if word not in ("const", "*"))
            if kind != "real" and kind not in SCALARS and kind not in STRUCTS:
                raise CompileError(
                    f"{self.path}: {kernel}: parameter {part!r} has a type that a launch cannot pass; use real, "
                    f"{', '.join(SCALARS)}, {', '.join(STRUCTS)} or a pointer to a number"
                )
            found.append(Parameter(words[-1], kind, "*" in words, "const" in words))
        return tuple(found)

    def parameters(self, kernel: str) -> tuple[Parameter, ...]:
        """Those of one kernel; CompileError where the file has none of that name."""
        if kernel not in self.kernels:
            raise CompileError(
                f'{self.path}: has no kernel extern "C" __global__ void {kernel}(…); '
                f"there are {', '.join(self.kernels) or 'none'}"
            )
        return self.kernels[kernel]

    def launch(
        self,
        kernel: str,
        grid: Size,
        block: Size,
        *arguments: Any,
        real: Any = np.float32,
        shared: int = 0,
        defines: Mapping[str, Any] | None = None,
    ) -> None:
        """Runs a kernel: on the GPU if its arrays are CuPy's, on the emulator if they are NumPy's.

        grid, block: numbers of blocks, and of threads a block, along x, y and z. arguments: arrays, None for a null
        pointer, numbers, structs as NumPy scalars. real: float32 or float64. shared: bytes of dynamic shared memory.
        A grid with no blocks does nothing. Raises ArgumentError for arguments that do not fit the declaration,
        CompileError, and KernelFault for what the emulator finds.
        """
        parameters = self.parameters(kernel)
        if len(arguments) != len(parameters):
            wanted = ", ".join(p.name for p in parameters)
            raise ArgumentError(f"{kernel}: takes {len(parameters)} arguments ({wanted}); got {len(arguments)}")
        values = [_value(kernel, p, a, real) for p, a in zip(parameters, arguments, strict=True)]
        homes = {
            isinstance(v, np.ndarray) for p, v in zip(parameters, values, strict=True) if p.pointer and v is not None
        }
        if len(homes) > 1:
            raise BackendUnavailable(f"{kernel}: some arrays are NumPy's and some are on a device; move all to one")
        sizes = _size(kernel, "grid", grid), _size(kernel, "block", block)
        if 0 in sizes[0]:
            return
        macros = {**dict(self.defines), **{name: str(value) for name, value in (defines or {}).items()}}
        if homes == {False}:
            from . import device

            device.launch(self, kernel, *sizes, values, macros, np.dtype(real), shared)
        else:
            from ..emulator import library

            library.launch(self, kernel, *sizes, values, macros, np.dtype(real), shared)


def source(beside: str | os.PathLike[str], name: str) -> Source:
    """The .cu file `name` in the folder of the module whose __file__ is `beside`."""
    return Source(Path(beside).with_name(name))


def _size(kernel: str, name: str, size: Size) -> tuple[int, int, int]:
    given = tuple(size) if isinstance(size, (tuple, list)) else (size,)
    whole = given and all(isinstance(n, (int, np.integer)) for n in given)
    x, y, z = (int(n) for n in (*given, 1, 1)[:3]) if whole else (-1, 1, 1)
    if min(x, y, z) < (name == "block") or len(given) > 3 or (name == "block" and (x * y * z > 1024 or z > 64)):
        limit = "1 to 1024 threads in all, at most 64 along z" if name == "block" else "numbers of blocks"
        raise ArgumentError(f"{kernel}: {name} must be one to three numbers, {limit}; got {size!r}")
    return x, y, z


def _value(kernel: str, parameter: Parameter, given: Any, real: Any) -> Any:
    """What to hand over: an array as it is, a number or struct as a NumPy scalar of the declared type."""
    dtype = parameter.dtype(real)
    if parameter.pointer:
        if given is not None and getattr(given, "dtype", None) != dtype:
            found = getattr(given, "dtype", type(given).__name__)
            raise ArgumentError(f"{kernel}: {parameter.name} must be an array of {dtype}; got {found}")
        if isinstance(given, np.ndarray) and not parameter.const and not given.flags.writeable:
            raise ArgumentError(f"{kernel}: {parameter.name} is written to, but the array is read-only; give a copy")
        return given
    if dtype.names and getattr(given, "dtype", None) != dtype:
        raise ArgumentError(f"{kernel}: {parameter.name} must be a struct {parameter.type}; got {type(given).__name__}")
    if dtype.names:
        return given
    try:
        value = dtype.type(given)
        exact = dtype.kind == "f" or value == given
    except (TypeError, ValueError, OverflowError):
        exact = False
    if not exact:
        raise ArgumentError(f"{kernel}: {parameter.name} must be a number that fits {dtype}; got {given!r}")
    return value
