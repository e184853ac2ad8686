"""Asking a version: the answers to a call as NumPy arrays, and how far off each may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....errors import BackendUnavailable
from ...registry import KernelSpec, Version
from .. import homes
from ..agreement import Call, arrays_in, largest, require, within
from ..truth import bound, each

Array = np.ndarray


@dataclass(frozen=True)
class Ask:
    """A version that answers calls. exact: its answers are without error, as those on whole numbers are."""

    kernel: KernelSpec
    version: Version
    exact: bool = False

    def __call__(self, call: Call) -> tuple[Array, ...]:
        """Its answers; BackendUnavailable where it does not serve the call."""
        self.kernel.check(**call)
        given = homes.moved(call, self.version)
        reason = self.kernel.reason_against(self.version, given)
        if reason:
            raise BackendUnavailable(f"{self.kernel.name}: {self.version.name}: {reason}")
        answer = homes.fetched(self.kernel.run(self.version, given))
        arrays = tuple(arrays_in(answer))
        require(bool(arrays), f"returns {type(answer).__name__}, not an array")
        return arrays

    def allowed(self, call: Call) -> tuple[Any, ...]:
        """How far each answer may lie from the truth."""
        if self.exact:
            return (0.0,) * 4
        allowed = each(bound(self.kernel, self.version, call))
        if self.version.exact:
            return allowed
        return tuple(2 * np.max(a, initial=0) for a in allowed)  # both sides are rounded, and tiles lie differently


def same(got: Sequence[Array], wanted: Sequence[Array], allowed: Sequence[Any]) -> float | None:
    """The largest share over several answers, compared in float64; a Disagreement where one exceeds its bound."""
    require(len(got) == len(wanted), f"{len(got)} answers instead of {len(wanted)}")
    return largest(within(g, np.asarray(w, np.float64), a) for g, w, a in zip(got, wanted, allowed, strict=False))
