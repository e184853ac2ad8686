"""Plants one mutant and runs the versions that it touches, until one of them is noticed to be wrong."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ....errors import CompileError
from ... import emulator, precision, registry
from ...cuda import Source
from ...emulator import library
from ...registry import Version, specs
from .. import agreement
from ..properties import PROPERTIES
from ..properties.calls import fresh
from .calls import Case, Trial, cases, included, trials
from .operators import Mutant, applied
from .same_code import same_code

KINDS = ("exact integers", "special values", "memory", "determinism")  # asked of what the bound alone does not find
ASKED = {"emulator": 30, "interpreter": 8}  # calls of each version, for that
STEPS = 30_000_000  # of one launch: far more than any of these calls needs

KILLED, SURVIVED, EQUIVALENT = "killed", "survived", "equivalent"
STILLBORN, UNREACHED, BROKEN = "does not compile", "never reached", "could not be tried"


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant. result: one of those above; EQUIVALENT here: it compiles to the same machine code.

    by: what noticed it.
    """

    mutant: Mutant
    result: str
    by: str = ""


class Bench:
    """What is kept between mutants: `count` calls of each op with their truths, and which kernels they launch."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._cases: dict[str, list[Case]] = {}
        self._trials: dict[tuple[str, str], list[Trial]] = {}

    def prepare(self, mutant: Mutant) -> list[Trial]:
        """The trials that reach a mutant, those first that share a library with most others, naive versions first."""
        found = []
        folders = _folders(mutant.file)
        for kernel in specs().values():
            if not {kernel.package.rpartition(".")[2], "cuda"} & folders:
                continue
            if kernel.name not in self._cases:
                self._cases[kernel.name] = cases(kernel, self._count)
            for version in reversed(kernel.versions):
                if version.backend not in ("emulator", "interpreter"):
                    continue
                name = kernel.name, version.name
                if name not in self._trials:
                    self._trials[name] = trials(kernel, version, self._cases[kernel.name])
                found += [trial for trial in self._trials[name] if mutant.file in trial.files]
        if _is_kernel(mutant):
            found = [trial for trial in found if (mutant.file, mutant.function) in trial.kernels]
        shared = Counter(trial.builds for trial in found)
        return sorted(found, key=lambda trial: -shared[trial.builds])

    def attempt(self, mutant: Mutant, folder: Path) -> Outcome:
        """Plants a mutant, in `folder` where it needs files, and runs its trials until one complains."""
        reached = self.prepare(mutant)
        try:
            with planted(mutant, folder), np.errstate(all="ignore"):
                for trial in reached:
                    complaint = self._complaint(trial)
                    if complaint:
                        return Outcome(mutant, KILLED, complaint)
                complaint = self._objection(reached)
                if complaint:
                    return Outcome(mutant, KILLED, complaint)
        except (CompileError, SyntaxError):
            return Outcome(mutant, STILLBORN)
        if not reached:
            return Outcome(mutant, UNREACHED)
        builds = frozenset(build for trial in reached for build in trial.builds if mutant.file in included(build[0]))
        return Outcome(mutant, EQUIVALENT if same_code(mutant, builds, folder) else SURVIVED)

    def _complaint(self, trial: Trial) -> str | None:
        """What is wrong with a version on one call, or None."""
        case = self._cases[trial.kernel.name][trial.number]
        what = _wrong(trial.version, case, partial(_hold, trial, case))
        return f"{trial.kernel.name} {trial.version.name}, call {trial.number}: {what}" if what else None

    def _objection(self, reached: list[Trial]) -> str | None:
        """What the other properties of the suite find, over some calls of every version."""
        asked: Counter[tuple[str, str]] = Counter()
        for trial in reached:
            kernel, version = trial.kernel, trial.version
            asked[kernel.name, version.name] += 1
            if asked[kernel.name, version.name] > ASKED[version.backend]:
                continue
            case = self._cases[kernel.name][trial.number]
            for kind in PROPERTIES:
                if kind.name in KINDS and kind.has(kernel.name):
                    what = _wrong(version, case, partial(kind.holds, kernel, version, fresh(case.call)))
                    if what:
                        return f"{kernel.name} {version.name}, call {trial.number}: {kind.name}: {what}"
        return None


def _wrong(version: Version, case: Case, check: Callable[[], Any]) -> str | None:
    """What a check raises, or None."""
    try:
        with precision.as_needed(version.precision), emulator.schedule(case.schedule):
            check()
    except CompileError:
        raise
    except Exception as error:  # whatever a planted fault may cause in launchers and in Python kernels
        return f"{type(error).__name__}: {str(error).splitlines()[0]:.200}"
    return None


@cache
def _folders(file: str) -> frozenset[str]:
    """The folders of kernels/ whose sources take in a file; kernels in "cuda" are launched by many ops."""
    if not file.endswith(".cuh"):
        return frozenset([file.partition("/")[0]])
    users = [path.relative_to(library.ROOT).as_posix() for path in library.ROOT.rglob("*.cu")]
    return frozenset(user.partition("/")[0] for user in users if file in included(user))


def _is_kernel(mutant: Mutant) -> bool:
    """Whether the function that it stands in is launched, rather than called by others."""
    if mutant.file.endswith(".py"):
        return hasattr(getattr(importlib.import_module(_module(mutant.file)), mutant.function, None), "launch")
    return mutant.function in Source(library.ROOT / mutant.file).kernels


def _module(file: str) -> str:
    return f"{registry.__package__}.{file.removesuffix('.py').replace('/', '.')}"


def _hold(trial: Trial, case: Case) -> None:
    """AssertionError unless the version answers as the oracle does, within its bound."""
    parts = agreement.arrays_in(trial.kernel.run(trial.version, case.call))
    bound = case.bounds[trial.version.precision]
    truths, bounds = (case.truth, bound) if isinstance(case.truth, tuple) else ((case.truth,), (bound,))
    agreement.require(len(parts) == len(truths), f"{len(parts)} results instead of {len(truths)}")
    for part, true, allowed in zip(parts, truths, bounds, strict=True):
        agreement.within(part, true, allowed)


@contextmanager
def planted(mutant: Mutant, folder: Path) -> Iterator[None]:
    """A `with` block in which the emulator compiles, or the interpreter runs, the sources with a mutant among them."""
    text = applied(mutant, (library.ROOT / mutant.file).read_text(encoding="utf-8"))
    with _planted_python(mutant, text) if mutant.file.endswith(".py") else _planted_cuda(mutant, text, folder):
        yield


@contextmanager
def _planted_cuda(mutant: Mutant, text: str, folder: Path) -> Iterator[None]:
    overlay = folder / "kernels"
    shutil.copytree(library.INCLUDE, overlay / library.INCLUDE.relative_to(library.ROOT))
    place = overlay / mutant.file
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8")
    library.overlay, steps = overlay, library.MOST_STEPS
    library.MOST_STEPS = STEPS
    try:
        yield
    finally:
        library.overlay, library.MOST_STEPS = None, steps


@contextmanager
def _planted_python(mutant: Mutant, text: str) -> Iterator[None]:
    """A module of that text in place of the file's; it keeps the file's name, for messages."""
    name = _module(mutant.file)
    plain = importlib.import_module(name)
    module = ModuleType(name)
    module.__package__, module.__file__ = name.rpartition(".")[0], plain.__file__
    exec(compile(text, str(plain.__file__), "exec"), module.__dict__)
    sys.modules[name] = module
    registry._load.cache_clear()
    try:
        yield
    finally:
        sys.modules[name] = plain
        registry._load.cache_clear()
