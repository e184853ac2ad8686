"""From Tensors to a Function and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import autograd, device
from ..tensor import Tensor, tensor


def asarray(x: Any) -> Any:
    """The bare array of a Tensor, for kernels, which never write to their inputs; anything else unchanged."""
    return x._array if isinstance(x, Tensor) else x


def as_tensor(x: Any, like: Tensor | None = None) -> Tensor:
    """x as a Tensor; plain numbers take the dtype of `like`."""
    if isinstance(x, Tensor):
        return x
    if like is not None and not device.is_array(x):  # numbers belong to no device
        return Tensor(device.beside(tensor(x, dtype=like.dtype)._array, like._array))
    return tensor(x)


def forms(weight: Any) -> dict[Any, Any] | None:
    """Where kernels keep what they have made of a parameter's numbers; None for a weight that nobody keeps."""
    return weight.forms if isinstance(weight, Tensor) and weight.version is not None else None


def _share(a: Any, b: Any) -> bool:
    return device.library(a).may_share_memory(a, b)


def apply(function: type[autograd.Function], *inputs: Any, **attributes: Any) -> Tensor:
    """Runs a Function on Tensors (or arrays; None stays None), recording it where gradients are wanted."""
    tensors = tuple(None if x is None else as_tensor(x) for x in inputs)
    arrays = tuple(asarray(t) for t in tensors)
    device.require_same(function.__name__, arrays)
    array, node = autograd.call(function, tensors, arrays, attributes)
    if isinstance(array, np.generic):
        array = np.asarray(array)  # NumPy turns arrays without axes into scalars
    if any(t is not None and t.version is not None and _share(array, t._array) for t in tensors):
        array = array.copy()  # a view of a parameter would change when the parameter is assigned to
    return Tensor(array, node=node)
