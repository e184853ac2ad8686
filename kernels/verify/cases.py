"""Drawn cases: a call of an op and a thread schedule, from a fixed seed; and the smallest one that fails.

They are drawn by tens, each ten from a seed of its own: left to itself hypothesis goes on from what it has drawn, which
finds little new in calls as small as these.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

from ..emulator import NAMED, Schedule
from ..registry import spec
from .agreement import Call, arrays_in, require

Case = tuple[Call, Schedule]
TEN = 10
SCHEDULES: tuple[Schedule, ...] = (*NAMED, 1, 2, 3)


@cache
def ten(op: str, number: int, smallest_first: bool = False, version: str = "") -> tuple[Case, ...]:
    """The cases of an op from the `number`th seed; of a version, if it has some of its own.

    Their arrays are shared: copy what might be written to.
    """
    if smallest_first:
        return tuple(
            sorted(
                ten(op, number, version=version),
                key=lambda case: sum(a.size for v in case[0].values() for a in arrays_in(v)),
            )
        )
    found: list[Case] = []
    _visit(op, number, version, found.append, shrink=False)
    return (*found[2:], *found[:2])  # the first two are always as simple as can be


def smallest(
    op: str, number: int, fails: Callable[[Case], BaseException | None], version: str = ""
) -> tuple[Case, BaseException] | None:
    """The smallest case that `fails` has an exception for, and that; None if none of `ten(op, number)` fails.

    From the first that fails on it is made smaller, as long as it still fails.
    """
    from hypothesis.errors import Flaky

    last: list[tuple[Case, BaseException]] = []

    def visit(case: Case) -> None:
        error = fails(case)
        if error is not None:
            last.append((case, error))
        require(error is None, "")  # for hypothesis, to whom all failures are one

    with suppress(AssertionError, Flaky):  # a version whose answers change may not fail again
        _visit(op, number, version, visit, shrink=True)
    return last[-1] if last else None


def _visit(op: str, number: int, version: str, visitor: Callable[[Case], Any], shrink: bool) -> None:
    from hypothesis import HealthCheck, Phase, given, seed, settings
    from hypothesis import strategies as st

    known = spec(op)

    @seed(number)
    @settings(
        max_examples=TEN,
        deadline=None,
        database=None,
        phases=(Phase.generate, *([Phase.shrink] if shrink else [])),
        report_multiple_bugs=False,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.tuples(known.calls(version), st.sampled_from(SCHEDULES)))
    def every(case: Case) -> None:
        visitor(case)

    every()
