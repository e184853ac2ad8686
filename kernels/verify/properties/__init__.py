"""The kinds of property: each a function (kernel, version, call) -> worst error as a share of its bound.

None where a call shows nothing: the op does not have the property, or no number was compared. A Disagreement or a
KernelFault is a failure. A call alone decides what a property does, so that the smallest failing one can be found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...registry import KernelSpec, Version, spec
from ..agreement import Call, agrees
from .adjoint import adjoint, forward_of, gradients
from .determinism import determinism
from .exact import EXACT, exact
from .memory import memory
from .metamorphic import metamorphic
from .relations import RELATIONS
from .specials import has_special_values, special_values


@dataclass(frozen=True)
class Property:
    """A kind of property. has: whether an op has it. calls_of: the op whose calls it takes."""

    name: str
    holds: Callable[[KernelSpec, Version, Call], float | None]
    has: Callable[[str], bool] = lambda op: True
    calls_of: Callable[[str], str] = lambda op: op

    def cases(self, kernel: KernelSpec, version: str = "") -> Any:
        """The strategy of the calls that it takes, for the version of that name or for any."""
        return spec(self.calls_of(kernel.name)).calls(version)


PROPERTIES = (
    Property("bound", agrees),
    Property("exact integers", exact, EXACT.__contains__),
    Property("adjoint", adjoint, lambda op: bool(gradients(op)), forward_of),
    Property("metamorphic", metamorphic, RELATIONS.__contains__),
    Property("special values", special_values, has_special_values),
    Property("memory", memory),
    Property("determinism", determinism),
)
