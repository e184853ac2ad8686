"""Why a version of an op serves a call, and why no other does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ArgumentError
from .registry import spec


@dataclass(frozen=True)
class Explanation:
    """The answer of `why`: the version chosen and, for each other, the reason against it."""

    op: str
    chosen: str | None
    reasons: Mapping[str, str]

    def __str__(self) -> str:
        lines = [f"{self.op}: {self.chosen or 'no version can serve'}"]
        lines += [f"  not {name}: {reason}" for name, reason in self.reasons.items()]
        return "\n".join(lines)

    __repr__ = __str__


def why(op: str, *, dtype: Any = "float32", **shapes: Any) -> Explanation:
    """Which version of `op` would serve arrays of these shapes, and why each other would not.

    why("conv2d", x_shape=(8, 3, 224, 224), w_shape=(64, 3, 3, 3), padding=1). Raises ShapeError for a call
    that the op itself would refuse.
    """
    kernel = spec(op)
    try:
        arguments = kernel.example(np.dtype(dtype), **shapes)
    except TypeError as error:
        problem = str(error).rpartition("() ")[2]
        raise ArgumentError(f"why({op!r}): {problem}; it takes {', '.join(kernel.keywords)}") from None
    kernel.check(**arguments)
    forced = kernel.forced()
    chosen, reasons = None, {}
    for version in kernel.versions:
        reason = kernel.reason_against(version, arguments)
        if reason is None and forced and forced not in (version.name, version.backend):
            reason = f"{forced!r} is forced by using()"
        if reason is None and chosen is not None:
            reason = f"{chosen} comes first"
        if reason is None:
            chosen = version.name
        else:
            reasons[version.name] = reason
    return Explanation(op, chosen, reasons)
