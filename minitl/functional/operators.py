"""Gives Tensor its operators and methods."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from . import arithmetic, reduction, shape


def _reflected(function: Any) -> Any:
    return lambda b, a: function(a, b)


_METHODS = {
    "__add__": arithmetic.add,
    "__sub__": arithmetic.subtract,
    "__mul__": arithmetic.multiply,
    "__truediv__": arithmetic.divide,
    "__pow__": arithmetic.power,
    "__matmul__": arithmetic.matmul,
    "__radd__": _reflected(arithmetic.add),
    "__rsub__": _reflected(arithmetic.subtract),
    "__rmul__": _reflected(arithmetic.multiply),
    "__rtruediv__": _reflected(arithmetic.divide),
    "__rpow__": _reflected(arithmetic.power),
    "__rmatmul__": _reflected(arithmetic.matmul),
    "__neg__": arithmetic.negate,
    "__getitem__": shape.index,
    "exp": arithmetic.exp,
    "log": arithmetic.log,
    "sum": reduction.sum,
    "mean": reduction.mean,
    "max": reduction.max,
    "reshape": shape.reshape,
    "transpose": shape.transpose,
    "T": property(shape.transpose),
}

for _name, _method in _METHODS.items():
    setattr(Tensor, _name, _method)
