"""The verification suite: every property over drawn calls, for every version of every op that can run here.

>>> rows = list(verified(subjects("conv2d", backend="emulator"), cases=5))
>>> [row for row in rows if row.outcome == "failed"]

A row is one property of one version. hypothesis draws the calls and, where threads are emulated, the schedule; a
failure is shrunk to the smallest call that shows it. Calls are drawn from fixed seeds.
"""

from __future__ import annotations

import importlib.util
import math
import re
import shlex
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ArgumentError, CompileError, KernelFault
from .. import precision
from ..backends import BACKENDS
from ..emulator import library, schedule
from ..registry import KernelSpec, Version, spec, specs
from . import homes
from .agreement import Call, Disagreement
from .cases import TEN, Case, smallest, ten
from .describe import described
from .properties import PROPERTIES, Property
from .properties.calls import fresh

QUICK, OWN, DEEP = 3, 25, 100  # calls that show something, of each property of each version; OWN of a single one
WATCHED = ("emulator", "interpreter")  # where the order of threads is chosen
SLOW = ("interpreter",)  # backends that are asked the smallest calls first
MOST_STEPS = 100_000_000  # of a launch on a drawn call; none of the register's takes a tenth
TRIED = 10  # calls drawn for each that shows something, before the version is said not to serve


@dataclass(frozen=True)
class Subject:
    """A version of an op to verify. name: what reports call it, if not by the version's.

    Of a kernel from outside besides: words: what the command line calls it by. file: where it stands. launched: filled
    with what it launches, the macros and the `real` of each first launch by (.cu file, kernel, name of the `real`).
    """

    kernel: KernelSpec
    version: Version
    name: str = ""
    words: tuple[str, ...] = ()
    file: Path | None = None
    launched: dict[tuple[Path, str, str], dict[str, str]] = field(default_factory=dict, compare=False)

    @property
    def label(self) -> str:
        """What reports call it."""
        return self.name or self.version.name

    @property
    def command(self) -> str:
        """The command that verifies it alone."""
        return shlex.join(("minitl", "verify", *(self.words or (self.kernel.name, "--version", self.version.name))))


@dataclass(frozen=True)
class Row:
    """One property of one version. outcome: "passed", "failed" or "not served"; why: of the latter two (and
    what machine code takes: machine_code.py).

    cases: calls that showed something; worst: the largest error among them as a share of its bound.
    """

    op: str
    version: str
    property: str
    cases: int
    worst: float | None
    outcome: str
    why: str = ""
    case: dict[str, Any] = field(default_factory=dict)


def unavailable() -> str | None:
    """Why nothing can be verified here, or None."""
    found = importlib.util.find_spec("hypothesis")
    return None if found else "hypothesis, which draws calls, is not installed (pip install 'minitl[verify]')"


def subjects(op: str | None = None, backend: str | None = None, version: str | None = None) -> list[Subject]:
    """The versions of an op and its gradients (default: of all), perhaps those of one backend or of one name alone.

    version: "backend.name" or a name alone. Raises ArgumentError where there is none.
    """
    if backend is not None and backend not in BACKENDS:
        raise ArgumentError(f"no backend {backend!r}; there are {', '.join(BACKENDS)}")
    kernels = list(specs().values())
    if op is not None:
        kernels = [known for known in kernels if known.name == op or known.name.startswith(f"{op}.")] or [spec(op)]
    found = [
        Subject(known, each)
        for known in kernels
        for each in known.versions
        if backend in (None, each.backend) and version in (None, each.name, each.name.partition(".")[2])
    ]
    if not found:
        known = ", ".join(dict.fromkeys(each.name for known in kernels for each in known.versions))
        raise ArgumentError(f"no version {version or backend!r} of {op or 'any op'}; there are {known}")
    return found


def verified(chosen: Iterable[Subject], cases: int = QUICK) -> Iterator[Row]:
    """The rows of every property of every subject, each as soon as it is there; needs hypothesis.

    A version whose backend is missing gets one row, "not served", with the reason. One that never ends is asked for
    no more properties.
    """
    for subject in chosen:
        missing = BACKENDS[subject.version.backend].unavailable()
        if missing:
            yield Row(subject.kernel.name, subject.label, "all", 0, None, "not served", missing)
            continue
        for kind in PROPERTIES:
            if kind.has(subject.kernel.name):
                row = held(kind, subject, cases)
                yield row
                if row.case.get("fault") == "hang":
                    break


def held(kind: Property, subject: Subject, cases: int = QUICK) -> Row:
    """One property of one version over `cases` calls that show something, of those drawn."""
    kernel, version = subject.kernel, subject.version
    op = kind.calls_of(kernel.name)
    most = -(-cases * TRIED // TEN)
    slow = version.backend in SLOW
    own = version.name if any(v.name == version.name and v.cases for v in spec(op).versions) else ""
    shares: list[float] = []
    reason = "none of the calls drawn shows anything"

    def row(outcome: str, worst: float | None, why: str = "", **case: Any) -> Row:
        return Row(kernel.name, subject.label, kind.name, len(shares), worst, outcome, why, case)

    with precision.as_needed(version.precision):
        for number, case in ((tens, case) for tens in range(most) for case in ten(op, tens, slow, own)):
            reason = _reason(kind, kernel, version, case[0]) or reason
            share, error = _held(kind, kernel, version, case)
            if error is not None:
                shares.append(math.inf)
                at, what = _smallest(kind, kernel, version, (case, error), op, number, own)
                repeat = f"{subject.command} --cases {len(shares)}"
                return row("failed", getattr(what, "share", None), **_told(subject, at, what), repeat=repeat)
            if share is not None:
                shares.append(share)
            if len(shares) == cases:
                break
    return row("passed", max(shares)) if shares else row("not served", None, reason)


def _reason(kind: Property, kernel: KernelSpec, version: Version, call: Call) -> str | None:
    """Why the version does not take a call of its own op, or None."""
    if kind.calls_of(kernel.name) != kernel.name:
        return None
    return kernel.reason_against(version, homes.moved(call, version))


def _held(
    kind: Property, kernel: KernelSpec, version: Version, case: Case
) -> tuple[float | None, BaseException | None]:
    """The share of one case, None where it shows nothing; or what went wrong, whatever it is."""
    call, order = case
    if _reason(kind, kernel, version, call):
        return None, None
    try:
        with schedule(order), library.at_most(MOST_STEPS), np.errstate(all="ignore"):
            return kind.holds(kernel, version, fresh(call)), None
    except (Exception, SystemExit) as error:  # a function of the user's may try to end the process
        return None, error


def _smallest(
    kind: Property,
    kernel: KernelSpec,
    version: Version,
    failure: tuple[Case, BaseException],
    op: str,
    number: int,
    own: str,
) -> tuple[Case, BaseException]:
    """The smallest case that fails, and how: of the ten in which one did, or of the first ten.

    hypothesis draws some numbers that stand in the modules loaded so far, so once in a while ten cases drawn again are
    others; then it may be the failure that is given. What never ends takes its time, so that is not made smaller.
    """
    if getattr(failure[1], "kind", None) == "hang":
        return failure
    for tried in dict.fromkeys((number, 0)):
        found = smallest(op, tried, lambda case: _held(kind, kernel, version, case)[1], own)
        if found:
            return found
    return failure


SCHEDULE = re.compile(r" \(schedule (\w+)\)")  # of a KernelFault: under which it happened, perhaps not the case's
PLACE = re.compile(r"^(.+?:\d+), thread")


def _told(subject: Subject, case: Case, error: BaseException) -> dict[str, Any]:
    """What a failed row says: what is wrong, and the smallest case of it.

    reason: of faults and exceptions, the same for all rows that fail for one, whatever thread, call or relation shows
    it.
    """
    call, order = case
    call = getattr(error, "call", None) or call
    text = str(error).partition("\n")[0]
    under = SCHEDULE.search(text)
    if isinstance(error, KernelFault) and under:
        text = text.replace(under[0], "", 1)
        order = int(under[1]) if under[1].isdigit() else under[1]
    plain = isinstance(error, (Disagreement, KernelFault))
    what = text if plain else f"{_place(subject.file, error)}{type(error).__name__}: {text}"
    ordered = {"schedule": order} if under or subject.version.backend in WATCHED or subject.launched else {}
    where = "".join(f"; {name}: {value}" for name, value in ordered.items())
    fault = {"fault": error.kind} if isinstance(error, KernelFault) else {}
    why = f"{what}; {'case' if fault.get('fault') == 'hang' else 'smallest case'}: {described(call)}{where}"
    reason = {} if isinstance(error, Disagreement) else {"reason": _reason_of(error) or what}
    return {"why": why, "call": described(call), **ordered, **fault, **reason}


def _reason_of(fault: BaseException) -> str | None:
    """Kernel, kind and place of a KernelFault, where it has a place."""
    if not isinstance(fault, KernelFault):
        return None
    place = PLACE.match(str(fault).removeprefix(f"{fault.kernel}: {fault.kind}: "))
    return f"{fault.kernel}: {fault.kind}: {place[1]}" if place else None


def _place(file: Path | None, error: BaseException) -> str:
    """Where in a file an exception came from, "file:line: "; nothing where it did not, or tells it itself."""
    if file is None or isinstance(error, CompileError):
        return ""
    there = file.resolve()
    lines = [s.lineno for s in traceback.extract_tb(error.__traceback__) if Path(s.filename).resolve() == there]
    return f"{file.name}:{lines[-1]}: " if lines else ""
