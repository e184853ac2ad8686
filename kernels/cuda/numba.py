"""Numba-CUDA kernels: Python functions that a GPU runs compiled, and that the interpreter runs as they are without one.

>>> @kernel(writes=["y"])
... def double(x, y):
...     i = cuda.grid(1)
...     if i < x.size:
...         y[i] = 2 * x[i]
>>> double.launch(ceil_div(x.size, 128), 128, x, y)

CuPy arrays run on the GPU: Numba compiles the function at its first launch for each combination of dtypes, and is not
imported before. NumPy arrays run on the interpreter (emulator/interpreter.py). `cuda` is the interpreter's; where a
function is compiled, Numba's takes its place.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable
from functools import cached_property
from types import FunctionType
from typing import Any

from ...errors import ArgumentError, BackendUnavailable
from ..emulator import interpreter
from ..emulator.numba_names import cuda
from .arrays import on_device
from .source import Size, _size

__all__ = ["Kernel", "cuda", "device", "kernel"]

Function = Callable[..., Any]


def device(function: Function) -> Function:
    """Marks a function that kernels call."""
    function._called_by_kernels = True  # type: ignore[attr-defined]
    return function


def kernel(writes: Iterable[str]) -> Callable[[Function], Kernel]:
    """Makes a kernel of a function. writes: the parameters that it may write to; all other arrays are only read."""
    if callable(writes):
        raise ArgumentError(f"{writes.__name__}: say what it may write to: @kernel(writes=[...])")
    return lambda function: Kernel(function, writes)


class Kernel:
    """A kernel written in Python. `function`, also one that numba.cuda.jit was applied to, is its source."""

    def __init__(self, function: Any, writes: Iterable[str]) -> None:
        self.function: FunctionType = getattr(function, "py_func", function)
        self.name = self.function.__name__
        self.parameters = tuple(inspect.signature(self.function).parameters)
        self.writes = frozenset(writes)
        strangers = sorted(self.writes - set(self.parameters))
        if strangers:
            raise ArgumentError(f"{self.name}: writes names {strangers}; its parameters are {self.parameters}")

    def launch(self, grid: Size, block: Size, *arguments: Any) -> None:
        """Runs it on `grid` blocks of `block` threads. A grid with no blocks does nothing.

        arguments: arrays, numbers and tuples of numbers. Raises ArgumentError for arguments that do not fit,
        BackendUnavailable where there is nothing to run it on, and KernelFault for what the interpreter finds.
        """
        if len(arguments) != len(self.parameters):
            wanted = ", ".join(self.parameters)
            raise ArgumentError(f"{self.name}: takes {len(self.parameters)} arguments ({wanted}); got {len(arguments)}")
        arrays = [argument for argument in arguments if hasattr(argument, "dtype") and getattr(argument, "shape", None)]
        homes = {on_device(array) for array in arrays}
        if len(homes) > 1:
            raise BackendUnavailable(f"{self.name}: some arrays are NumPy's and some are on a device; move all to one")
        sizes = _size(self.name, "grid", grid), _size(self.name, "block", block)
        if 0 in sizes[0]:
            return
        if homes == {True}:
            import cupy

            numba_cuda = _numba(self.name)
            stream = numba_cuda.external_stream(cupy.cuda.get_current_stream().ptr)
            # By itself Numba makes the host wait for CuPy's stream, once an array; the kernel runs in that very one.
            given = (
                numba_cuda.as_cuda_array(argument, sync=False)
                if hasattr(argument, "__cuda_array_interface__")
                else argument
                for argument in arguments
            )
            self.compiled[(*sizes, stream)](*given)
        else:
            interpreter.launch(self.name, self.interpreted, self.writes, self.parameters, *sizes, arguments)

    @cached_property
    def interpreted(self) -> FunctionType:
        """The function with the interpreter's `cuda`."""
        return _seeing(cuda, self.function, lambda function: function)

    @cached_property
    def compiled(self) -> Any:
        """Numba's dispatcher of the function: compiles it for each new combination of types."""
        return _numba(self.name).jit(self._for_numba)

    @cached_property
    def _for_numba(self) -> FunctionType:
        numba_cuda = _numba(self.name)

        def called(function: FunctionType) -> Any:  # inlined, or Numba would ask the GPU what to compile it for
            return numba_cuda.jit(function, device=True, inline="always")

        return _seeing(numba_cuda, self.function, called)

    def ptx(self, *arguments: Any, cc: tuple[int, int] = (9, 0)) -> str:
        """The PTX that Numba compiles for a launch with these arguments (arrays of NumPy will do); needs no GPU."""
        numba_cuda = _numba(self.name)
        from numba import typeof, types

        signature = types.void(*(typeof(argument) for argument in arguments))
        return numba_cuda.compile_ptx(self._for_numba, signature, cc=cc)[0]


def _numba(name: str) -> Any:
    try:
        from numba import cuda as numba_cuda
    except ImportError:
        raise BackendUnavailable(f"{name}: numba-cuda is not installed (pip install numba-cuda)") from None
    return numba_cuda


def _seeing(module: Any, function: FunctionType, called: Callable[[FunctionType], Any]) -> FunctionType:
    """The function with `module` for its `cuda`, and what it calls on the GPU likewise, made ready by `called`."""
    others = (cuda, sys.modules.get("numba.cuda"))
    replaced: dict[str, Any] = {}
    for name in function.__code__.co_names:
        value = function.__globals__.get(name)
        if any(value is other for other in others if other is not None):
            replaced[name] = module
        elif getattr(value, "_called_by_kernels", False) or hasattr(value, "py_func"):
            replaced[name] = called(_seeing(module, getattr(value, "py_func", value), called))
    if all(function.__globals__[name] is value for name, value in replaced.items()):
        return function
    names = {**function.__globals__, **replaced}
    seeing = FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
    seeing.__module__ = function.__module__
    return seeing
