"""Arrays kept by name and role: {name: {role: array}}, as optimizers and averages save and take them back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .. import device
from ..errors import ArgumentError, ShapeError
from ..tensor import Tensor

Kept = dict[str, dict[str, np.ndarray]]

STEP = "step"  # the role of a count: one whole number, where every other role has the shape of its array


def copied(kept: Kept, leaving_out: Iterable[str] = ()) -> Kept:
    """Copies of what is kept, but of the names left out, and of names under which there is nothing."""
    without = set(leaving_out)
    return {
        name: {role: np.array(device.to_host(array)) for role, array in roles.items()}
        for name, roles in kept.items()
        if roles and name not in without
    }


def checked(where: str, given: Any, targets: Mapping[str, Tensor], roles: tuple[str, ...]) -> Kept:
    """Copies of a saved state in which every name is a target's and has these roles, in the target's shape and dtype.

    Raises ArgumentError or ShapeError, naming what does not fit, before anything is changed. Targets without a saved
    state are left out.
    """
    if not isinstance(given, Mapping):
        raise ArgumentError(f"{where}: the state must be a dict {{name: {{role: array}}}}; got {type(given).__name__}")
    found: Kept = {}
    for name, arrays in given.items():
        if name not in targets:
            raise ArgumentError(
                f"{where}: the state holds {name!r}, and there is no such parameter; it was saved with another network"
            )
        if not isinstance(arrays, Mapping) or set(arrays) != set(roles):
            held = ", ".join(sorted(map(str, arrays))) if isinstance(arrays, Mapping) else type(arrays).__name__
            raise ArgumentError(
                f"{where}: the state of {name!r} must hold {', '.join(roles) or 'nothing'}; it holds "
                f"{held or 'nothing'}, saved by another optimizer or under other settings; make it with those"
            )
        found[name] = {
            role: _count(where, name, arrays[role]) if role == STEP else _array(where, name, role, arrays, targets)
            for role in roles
        }
    return found


def _array(where: str, name: str, role: str, arrays: Mapping[str, Any], targets: Mapping[str, Tensor]) -> np.ndarray:
    target, array = targets[name], np.asarray(arrays[role])
    if array.shape != target.shape:
        raise ShapeError(f"{where}: {role} of {name!r} must have shape {target.shape}; got {array.shape}")
    if array.dtype.newbyteorder("=") != target.dtype:
        raise ShapeError(
            f"{where}: {role} of {name!r} must be {target.dtype}, exact to the bit; got {array.dtype}; "
            "load it into a network of that dtype"
        )
    return np.array(array, target.dtype)


def _count(where: str, name: str, given: Any) -> np.ndarray:
    count = np.asarray(given)
    if count.shape != () or count.dtype.kind not in "iu" or not 1 <= int(count) <= np.iinfo(np.int64).max:
        raise ArgumentError(f"{where}: {STEP} of {name!r} must be one whole number, at least 1; got {given!r:.60}")
    return np.array(count, np.int64)
