"""A kernel from outside: a function of a .cu or .py file, verified as a version of an op.

A CUDA C++ kernel takes the parameters of the op's naive kernel, and is launched as that one is: while the naive
version's launcher runs, the file and the name stand in for its own. A Numba-CUDA kernel likewise. Any other Python
function takes the op's arguments and returns what the op does.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ArgumentError, BackendUnavailable, CompileError
from ..backends import BACKENDS
from ..cuda import Source
from ..cuda.numba import Kernel
from ..cuda.source import Parameter
from ..emulator import library
from ..registry import LENT, KernelSpec, Version, spec
from .cases import ten
from .properties.calls import parts
from .suite import Subject

Launched = dict[tuple[Path, str, str], dict[str, str]]  # as in Subject

_turn = threading.RLock()  # launching is one method of a class


def own(target: str, op: str, backend: str | None = None) -> Subject:
    """The kernel at "file.cu:name" or "file.py:name" as a version of `op`.

    backend: "cuda" or "numba_cuda" to run it on a GPU; by default it runs without one. Raises ArgumentError where
    there is no such file, name or op, or the parameters differ from the naive kernel's, and CompileError with the
    compiler's words.
    """
    kernel = spec(op)
    path, name = located(target)
    make = _cuda if path.suffix == ".cu" else _python
    seen: Launched = {}
    version = make(path, name, kernel, backend, seen)
    words = target, "--as", op, *(("--backend", backend) if backend in ("cuda", "numba_cuda") else ())
    return Subject(kernel, version, target, words, path, seen)


def located(target: str) -> tuple[Path, str]:
    """The file and the name that "file.cu:name" or "file.py:name" tells; ArgumentError where there is no such file."""
    path_name, _, name = target.rpartition(":")
    path = Path(path_name)
    if not path_name or path.suffix not in (".cu", ".py"):
        there = Path(target)
        names = Source(there).kernels if there.suffix == ".cu" and there.is_file() else ()
        known = f"; there are {', '.join(f'{target}:{known}' for known in names)}" if names else ""
        raise ArgumentError(f"{target}: give a kernel as file.cu:name or file.py:name{known}")
    if not path.is_file():
        raise ArgumentError(f"{path}: no such file")
    return path, name


# CUDA C++ ---------------------------------------------------------------------------------------------------------


def _cuda(path: Path, name: str, kernel: KernelSpec, backend: str | None, seen: Launched) -> Version:
    backend = _checked(kernel, backend, "emulator", "cuda")
    source = Source(path)
    if '#include "minitl.cuh"' not in source.text:
        raise CompileError(f'{path}: must begin with #include "minitl.cuh", the header of all kernels')
    mine = source.parameters(name)
    borrowed = naive(kernel, "cuda", Source)
    there, wanted_name = launched(kernel, borrowed, Source)
    wanted = there.parameters(wanted_name)
    single = _fits(f"{path}: {name}", mine, wanted, kernel, f"{wanted_name} in {_shown(there.path)}")
    if backend == "emulator":
        library.compiled(source, (), "float32")

    def launch(plain: Callable[..., None], it: Source, called: str, *arguments: Any, **options: Any) -> None:
        if called == wanted_name:
            _note(seen, source, name, options)
            plain(source, name, *arguments, **options)
        else:
            plain(it, called, *arguments, **options)

    def serves(**arguments: Any) -> str | None:
        doubles = any(a.dtype == np.float64 for value in arguments.values() for a in parts(value))
        return f"{name} takes float, not real, so float32 alone" if single and doubles else borrowed.serves(**arguments)

    return Version(f"{backend}.{name}", _standing_in(kernel, borrowed, Source, launch), serves)


def _fits(what: str, mine: tuple[Parameter, ...], wanted: tuple[Parameter, ...], kernel: KernelSpec, of: str) -> bool:
    """Whether the kernel takes float where the naive one takes real; ArgumentError where it takes anything else."""

    if types(mine) != types(wanted):
        raise ArgumentError(
            f"{what}: as {kernel.name} it must take the parameters of {of}: "
            f"({_listed(wanted)}); it takes ({_listed(mine)})"
        )
    return any(p.type == "float" and w.type == "real" for p, w in zip(mine, wanted, strict=True))


def types(parameters: tuple[Parameter, ...]) -> list[tuple[str, bool]]:
    """What two kernels must have in common for one to stand in for the other; float may stand for real."""
    return [("real" if p.type == "float" else p.type, p.pointer) for p in parameters]


def _listed(parameters: tuple[Parameter, ...]) -> str:
    return ", ".join(f"{'const ' * p.const}{p.type}{'*' * p.pointer} {p.name}" for p in parameters)


# Python -----------------------------------------------------------------------------------------------------------


def function(path: Path, name: str) -> Any:
    """The function or Numba-CUDA kernel of that name in a Python file; ArgumentError where there is none."""
    module = _module(path)
    found = getattr(module, name, None)
    if not callable(found) and not isinstance(found, Kernel):
        own_names = [
            known
            for known, value in vars(module).items()
            if isinstance(value, Kernel) or (callable(value) and getattr(value, "__module__", "") == module.__name__)
        ]
        raise ArgumentError(f"{path}: has no function {name}; there are {', '.join(own_names) or 'none'}")
    return found


def is_numba(found: Any) -> bool:
    """Whether it is a Numba-CUDA kernel, made by minitl's decorator or by Numba's."""
    return isinstance(found, Kernel) or type(found).__module__.startswith("numba.cuda")


def plain(found: Any) -> Any:
    """The Python function of a kernel, or the function itself."""
    inner = getattr(found, "function", found)
    return getattr(inner, "py_func", inner)


def _python(path: Path, name: str, kernel: KernelSpec, backend: str | None, seen: Launched) -> Version:
    found = function(path, name)
    if is_numba(found):
        return _numba(path, name, getattr(found, "function", found), kernel, backend)
    if backend not in (None, "reference"):
        raise ArgumentError(f"{path}: {name} is a function of NumPy arrays and runs as it is; leave out --backend")
    wanted = [name for name in kernel.signature.parameters if name not in LENT]
    signature = inspect.signature(found)
    try:
        signature.bind(*wanted)
    except TypeError:
        raise ArgumentError(
            f"{path}: {name}{signature} must take the arguments of {kernel.name}: ({', '.join(wanted)}); "
            "a Numba-CUDA kernel is marked by @cuda.jit or @kernel(writes=[...])"
        ) from None

    def launch(plainly: Callable[..., None], it: Source, called: str, *arguments: Any, **options: Any) -> None:
        _note(seen, it, called, options)
        plainly(it, called, *arguments, **options)

    def run(**arguments: Any) -> Any:
        with _launching(Source, launch):
            answer = found(*(arguments[name] for name in wanted))
        # NumPy makes numbers of arrays without axes wherever it computes with them.
        return np.asarray(answer) if isinstance(answer, np.generic) else answer

    return Version(f"reference.{name}", run)


def _numba(path: Path, name: str, given: Any, kernel: KernelSpec, backend: str | None) -> Version:
    backend = _checked(kernel, backend, "interpreter", "numba_cuda")
    borrowed = naive(kernel, "numba_cuda", Kernel)
    wanted, _ = launched(kernel, borrowed, Kernel)
    mine = tuple(inspect.signature(plain(given)).parameters)
    if len(mine) != len(wanted.parameters):
        raise ArgumentError(
            f"{path}: {name}: as {kernel.name} it must take the parameters of {wanted.name}: "
            f"({', '.join(wanted.parameters)}); it takes {len(mine)}: ({', '.join(mine)})"
        )
    pairs = zip(mine, wanted.parameters, strict=True)
    own_kernel = Kernel(given, [named for named, theirs in pairs if theirs in wanted.writes])

    def launch(plain: Callable[..., None], it: Kernel, *arguments: Any, **options: Any) -> None:
        plain(own_kernel if it is wanted else it, *arguments, **options)

    return Version(f"{backend}.{name}", _standing_in(kernel, borrowed, Kernel, launch), borrowed.serves)


def _module(path: Path) -> Any:
    """The file, imported; ArgumentError with the line where that fails."""
    found = importlib.util.spec_from_file_location(f"_own_{path.stem}", path)
    if found is None or found.loader is None:
        raise ArgumentError(f"{path}: cannot be imported")
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module
    sys.path.insert(0, str(path.parent.absolute()))  # it may import its neighbours
    try:
        found.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        steps, there = traceback.extract_tb(error.__traceback__), path.resolve()
        lines = [step.lineno for step in steps if Path(step.filename).resolve() == there]
        line = getattr(error, "lineno", None) or (lines[-1] if lines else None)
        where = f"{path}:{line}" if line else str(path)
        raise ArgumentError(f"{where}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.parent.absolute()))
    return module


# The naive version's launcher -------------------------------------------------------------------------------------


def _checked(kernel: KernelSpec, backend: str | None, without: str, with_gpu: str) -> str:
    """The backend to run on; raises where it cannot."""
    backend = backend or without
    if backend not in (without, with_gpu):
        raise ArgumentError(f"a kernel of your own runs as {without} or as {with_gpu}; got --backend {backend}")
    reason = BACKENDS[backend].unavailable()
    if reason:
        raise BackendUnavailable(f"{kernel.name}: {backend}: {reason}")
    return backend


def naive(kernel: KernelSpec, backend: str, launcher: type) -> Version:
    """The version of a backend whose launcher is borrowed: "naive", or the only one that launches anything."""
    mine = [version for version in kernel.versions if version.backend == backend]
    for version in sorted(mine, key=lambda version: not version.name.endswith(".naive")):
        if _launches(kernel, version, launcher):
            return version
    kind = "CUDA C++" if backend == "cuda" else "Numba-CUDA"
    raise ArgumentError(f"{kernel.name}: has no {kind} kernel whose place another could take; verify a Python function")


def launched(kernel: KernelSpec, version: Version, launcher: type) -> tuple[Any, str]:
    """The kernel that stands for the op among those that a version launches: (its Source or Kernel, its name)."""
    found = _launches(kernel, version, launcher)
    named = [one for one in found if one[1].endswith("_naive")]
    return (named or found)[-1]


def _launches(kernel: KernelSpec, version: Version, launcher: type) -> list[tuple[Any, str]]:
    """What a version's launcher launches on drawn calls, if nothing is run."""
    found: list[tuple[Any, str]] = []

    def launch(plain: Callable[..., None], it: Any, *arguments: Any, **options: Any) -> None:
        name = it.name if isinstance(it, Kernel) else arguments[0]
        if (it, name) not in found and not (isinstance(it, Source) and it.path.stem == "total"):
            found.append((it, name))

    with _launching(launcher, launch), np.errstate(all="ignore"):
        for call, _ in ten(kernel.name, 0):
            if version.serves(**call) is None:
                kernel.load(version.target)(**call)
    return found


def _standing_in(kernel: KernelSpec, naive: Version, launcher: type, launch: Callable[..., None]) -> Callable[..., Any]:
    """The naive version's function, with its launches done by `launch`."""
    function = kernel.load(naive.target)

    def run(**arguments: Any) -> Any:
        with _launching(launcher, launch):
            return function(**arguments)

    return run


def _note(seen: Launched, source: Source, name: str, options: dict[str, Any]) -> None:
    """Keeps what is launched of the user's files, with the macros of the first time."""
    if source.path.is_relative_to(library.ROOT):
        return
    given = {**dict(source.defines), **{key: str(value) for key, value in (options.get("defines") or {}).items()}}
    seen.setdefault((source.path, name, np.dtype(options.get("real", np.float32)).name), given)


@contextmanager
def _launching(launcher: type, launch: Callable[..., None]) -> Iterator[None]:
    """Inside the `with` block, what would launch a kernel calls `launch`, with the plain way of doing it first."""
    with _turn:
        plain = launcher.launch  # type: ignore[attr-defined]

        def instead(it: Any, *arguments: Any, **options: Any) -> None:
            launch(plain, it, *arguments, **options)

        launcher.launch = instead  # type: ignore[attr-defined]
        try:
            yield
        finally:
            launcher.launch = plain  # type: ignore[attr-defined]


def _shown(path: Path) -> str:
    """A path from the folder of kernels."""
    return path.relative_to(library.ROOT.parent).as_posix() if path.is_relative_to(library.ROOT.parent) else str(path)
