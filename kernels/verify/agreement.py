"""A version of an op against the op's oracle: the check that every version in the register passes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import ArgumentError, BackendUnavailable
from .. import precision
from ..registry import KernelSpec, Version, spec

Call = dict[str, Any]


def check(op: str, version: str, cases: int = 400) -> int:
    """Holds a version against the op's float64 oracle over `cases` drawn calls; returns how many of them it served.

    It must return what the oracle does within the op's derived error bound, in the oracle's shapes and the call's
    dtype, and leave its inputs untouched. Raises AssertionError with the smallest call that shows otherwise,
    ArgumentError where there is no such version, and BackendUnavailable where it serves no call at all. Needs
    hypothesis.
    """
    from hypothesis import HealthCheck, given, settings

    kernel = spec(op)
    found = [known for known in kernel.versions if known.name == version]
    if not found:
        raise ArgumentError(f"{op}: no version {version!r}; there are {', '.join(v.name for v in kernel.versions)}")
    served = 0
    reason: str | None = None

    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        derandomize=True,  # the same calls every time: a fault that was found once is found again
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(kernel.load(kernel.cases)())
    def every(call: Call) -> None:
        nonlocal served, reason
        kernel.check(**call)
        reason = kernel.reason_against(found[0], call)
        if reason is None:
            served += 1
            agrees(kernel, found[0], call)

    with precision.as_needed(found[0].precision):
        every()
    if not served:
        raise BackendUnavailable(f"{op}: {version} served none of {cases} calls; {reason}")
    return served


def agrees(kernel: KernelSpec, version: Version, call: Call) -> None:
    """AssertionError unless the version answers this one call as the oracle does, within the bound."""
    inputs = [array for value in call.values() for array in arrays_in(value)]
    before = [array.tobytes() for array in inputs]
    got = kernel.run(version, call)
    _require([array.tobytes() for array in inputs] == before, "an input was written to")
    truth = kernel.load(kernel.oracle)(**call)
    bound = kernel.bound_of(version, call, truth)
    parts = arrays_in(got)
    truths, bounds = (truth, bound) if isinstance(truth, tuple) else ((truth,), (bound,))
    _require(len(parts) == len(truths), f"{len(parts)} results, but the oracle has {len(truths)}")
    dtype = next(array.dtype for array in inputs if array.dtype.kind == "f")
    for part, true, allowed in zip(parts, truths, bounds, strict=True):
        _require(part.shape == true.shape, f"shape {part.shape}, but the oracle has {true.shape}")
        wanted = dtype if true.dtype.kind == "f" else true.dtype
        _require(part.dtype == wanted, f"dtype {part.dtype}, but the call has {wanted}")
        within(part, true, allowed)


def within(got: np.ndarray, truth: np.ndarray, bound: Any) -> None:
    """AssertionError unless |got - truth| <= bound elementwise; NaN is met by NaN, an infinity by the same one."""
    finite = np.isfinite(truth)
    _require(np.array_equal(got[~finite], truth[~finite], equal_nan=True), "NaN or infinity in the wrong place")
    error = np.abs(got[finite].astype(np.float64) - truth[finite])
    allowed = np.broadcast_to(bound, truth.shape)[finite]
    passes = error <= allowed  # false wherever a NaN is involved
    if not passes.all():
        worst = np.flatnonzero(~passes)[0]
        at = np.argwhere(finite)[worst].tolist()
        raise AssertionError(f"at {at}: {got[tuple(at)]!r} is {error[worst]} from the truth; bound {allowed[worst]}")


def arrays_in(value: Any) -> list[np.ndarray]:
    """The arrays of an argument or a result: itself, or those of a tuple."""
    if isinstance(value, np.ndarray):
        return [value]
    return [array for part in value for array in arrays_in(part)] if isinstance(value, tuple) else []


def _require(condition: bool, message: str) -> None:
    """An assertion that stays where Python leaves `assert` out."""
    if not condition:
        raise AssertionError(message)
