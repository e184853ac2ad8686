"""What mutants are tried on: calls of every op, what its oracle answers, and which kernels each version launches."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ... import precision
from ...cuda import Source
from ...cuda.numba import Kernel
from ...emulator import Schedule, library
from ...registry import KernelSpec, Version
from ..agreement import Call
from ..cases import TEN, ten

Build = tuple[str, tuple[tuple[str, str], ...], str]  # a source, macros, and float32 or float64


@dataclass(frozen=True)
class Case:
    """A call, a schedule, what the oracle answers, and its bounds by the precision that a version computes in."""

    call: Call
    schedule: Schedule
    truth: Any
    bounds: dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """One version on one call. kernels: (file, kernel) that it launches; builds: libraries that it needs.

    files: the sources of its kernels, and the headers that these take in.
    """

    kernel: KernelSpec
    version: Version
    number: int  # of the call
    kernels: frozenset[tuple[str, str]]
    builds: frozenset[Build]

    @cached_property
    def files(self) -> frozenset[str]:
        sources = {file for file, _ in self.kernels}
        return frozenset(sources.union(*(included(file) for file in sources)))


def cases(kernel: KernelSpec, count: int) -> list[Case]:
    """The first `count` cases of an op (or some more) that the suite draws; the same ones every time."""
    truth = kernel.load(kernel.oracle)
    kinds = {version.precision: version for version in kernel.versions}
    found = []
    drawn = [case for number in range(-(-count // TEN)) for case in ten(kernel.name, number)]
    for call, schedule in drawn:
        true = truth(**call)
        found.append(Case(call, schedule, true, {kind: kernel.bound_of(v, call, true) for kind, v in kinds.items()}))
    return found


def trials(kernel: KernelSpec, version: Version, given: list[Case]) -> list[Trial]:
    """Those of a version: it is run on every call that it serves, with launches that only tell of themselves."""
    found = []
    with precision.as_needed(version.precision):
        for number, case in enumerate(given):
            if kernel.reason_against(version, case.call) is not None:
                continue
            with _overheard() as (kernels, builds), np.errstate(all="ignore"):
                kernel.run(version, case.call)
            found.append(Trial(kernel, version, number, frozenset(kernels), frozenset(builds)))
    return found


@contextmanager
def _overheard() -> Iterator[tuple[set[tuple[str, str]], set[Build]]]:
    """Collects what is launched inside a `with` block, and launches nothing."""
    kernels: set[tuple[str, str]] = set()
    builds: set[Build] = set()

    def heard(source: Source, kernel: str, grid: Any, block: Any, *_: Any, **options: Any) -> None:
        if np.all(np.asarray(grid)):
            file = _below_kernels(source.path)
            macros = {**dict(source.defines), **{k: str(v) for k, v in (options.get("defines") or {}).items()}}
            kernels.add((file, kernel))
            builds.add((file, tuple(sorted(macros.items())), np.dtype(options.get("real", np.float32)).name))

    def heard_in_python(kernel: Kernel, grid: Any, *_: Any) -> None:
        if np.all(np.asarray(grid)):
            kernels.add((_below_kernels(Path(kernel.function.__code__.co_filename)), kernel.name))

    plain: tuple[Callable[..., None], Callable[..., None]] = Source.launch, Kernel.launch
    Source.launch, Kernel.launch = heard, heard_in_python  # type: ignore[method-assign, assignment]
    try:
        yield kernels, builds
    finally:
        Source.launch, Kernel.launch = plain  # type: ignore[method-assign]


def _below_kernels(path: Path) -> str:
    return path.absolute().relative_to(library.ROOT).as_posix()


@cache
def included(file: str) -> frozenset[str]:
    """A source and the headers that it takes in, directly or by another, by their paths below kernels/."""
    found, waiting = set(), [file]
    while waiting:
        taken = waiting.pop()
        if taken not in found:
            found.add(taken)
            text = (library.ROOT / taken).read_text(encoding="utf-8")
            waiting += [_below_kernels(library.INCLUDE / name) for name in re.findall(r'#include "(\w+\.cuh)"', text)]
    return frozenset(found)
