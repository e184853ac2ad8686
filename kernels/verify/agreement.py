"""A version of an op against the op's oracle: the check that every version in the register passes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from ...errors import ArgumentError, BackendUnavailable, KernelFault
from .. import precision
from ..registry import KernelSpec, Version, spec
from . import homes
from .truth import bound, each, truth

Call = dict[str, Any]


class Disagreement(AssertionError):
    """What a version answers and what it should. share: the error as a multiple of its bound; inf where it has none.

    call: what was asked, where that is another call than the one drawn.
    """

    def __init__(self, message: str, share: float = math.inf, call: Call | None = None) -> None:
        super().__init__(message)
        self.share, self.call = share, call


@contextmanager
def telling(what: str, call: Call | None = None) -> Iterator[None]:
    """Puts `what` before the message of a Disagreement, and behind that of a KernelFault. call: what is asked."""
    try:
        yield
    except Disagreement as error:
        raise Disagreement(f"{what}: {error}", error.share, call or error.call) from None
    except KernelFault as fault:
        told = str(fault).removeprefix(f"{fault.kernel}: {fault.kind}: ")
        raise KernelFault(fault.kernel, fault.kind, f"{told}, found with {what}") from None


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
    @given(kernel.calls(version))
    def every(call: Call) -> None:
        nonlocal served, reason
        kernel.check(**call)
        reason = kernel.reason_against(found[0], homes.moved(call, found[0]))
        if reason is None:
            served += 1
            agrees(kernel, found[0], call)

    with precision.as_needed(found[0].precision):
        every()
    if not served:
        raise BackendUnavailable(f"{op}: {version} served none of {cases} calls; {reason}")
    return served


def agrees(kernel: KernelSpec, version: Version, call: Call) -> float | None:
    """AssertionError unless the version answers this one call as the oracle does, within the bound.

    Returns the largest error as a share of its bound; None where there was no number to compare.
    """
    inputs = [array for value in call.values() for array in arrays_in(value)]
    before = [array.tobytes() for array in inputs]
    given = homes.moved(call, version)
    got = homes.fetched(kernel.run(version, given))
    after = [array.tobytes() for value in given.values() for array in arrays_in(homes.fetched(value))]
    require(after == before, "an input was written to")
    parts = arrays_in(got)
    truths, bounds = each(truth(kernel, call)), each(bound(kernel, version, call))
    require(len(parts) == len(truths), f"{len(parts)} results, but the oracle has {len(truths)}")
    dtype = next(array.dtype for array in inputs if array.dtype.kind == "f")
    shares = []
    for number, (part, true, allowed) in enumerate(zip(parts, truths, bounds, strict=True), 1):
        with telling(f"answer {number} of {len(parts)}") if len(parts) > 1 else nullcontext():
            require(part.shape == true.shape, f"shape {part.shape}, but the oracle has {true.shape}")
            wanted = dtype if true.dtype.kind == "f" else true.dtype
            require(part.dtype == wanted, f"dtype {part.dtype}, but the call has {wanted}")
            shares.append(within(part, true, allowed))
    return largest(shares)


def largest(shares: Iterable[float | None]) -> float | None:
    """The largest share; None where nothing was compared."""
    return max((share for share in shares if share is not None), default=None)


def within(got: np.ndarray, true: np.ndarray, allowed: Any) -> float | None:
    """AssertionError unless |got - true| <= allowed elementwise; NaN is met by NaN, an infinity by the same one.

    Returns the largest |got - true| as a share of its bound; None where the arrays are empty.
    """
    require(got.shape == true.shape, f"shape {got.shape} instead of {true.shape}")
    if not true.size:
        return None
    finite = np.isfinite(true)
    misplaced = np.argwhere(~finite & (got != true) & ~(np.isnan(got) & np.isnan(true)))
    if len(misplaced):
        at = tuple(misplaced[0].tolist())
        raise Disagreement(f"NaN or infinity in the wrong place: at {list(at)}: {got[at]} instead of {true[at]}")
    error = np.abs(got[finite].astype(np.float64) - true[finite])
    allowed = np.broadcast_to(allowed, true.shape)[finite]
    passes = error <= allowed  # false wherever a NaN is involved
    if not passes.all():
        worst = np.flatnonzero(~passes)[0]
        at = np.argwhere(finite)[worst].tolist()
        answer = f"{got[finite][worst]:.9g} instead of {true[finite][worst]:.9g}"
        message = f"at {at}: {answer}, {error[worst]:.3g} from the truth; bound {allowed[worst]:.3g}"
        share = math.inf if not allowed[~passes].all() else float(np.max(error[~passes] / allowed[~passes]))
        raise Disagreement(message, share)
    return float(np.divide(error, allowed, out=np.zeros_like(error), where=allowed > 0).max(initial=0))


def arrays_in(value: Any) -> list[np.ndarray]:
    """The arrays of an argument or a result: itself, or those of a tuple."""
    if isinstance(value, np.ndarray):
        return [value]
    return [array for part in value for array in arrays_in(part)] if isinstance(value, tuple) else []


def require(condition: bool, message: str) -> None:
    """A Disagreement unless the condition holds: an assertion that stays where Python leaves `assert` out."""
    if not condition:
        raise Disagreement(message)
