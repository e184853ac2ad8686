"""Sums, means and maxima along axes."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from .. import device
from ..autograd import Context, Function
from ..errors import ShapeError
from ..tensor import Tensor
from .apply import apply, as_tensor

Axes = tuple[int, ...]


def total(x: Any, axes: Any, keepdims: bool = False) -> Any:
    """The sum, accumulated in float64: a running float32 sum of a million numbers would lose three digits."""
    return device.library(x).asarray(x.sum(axes, dtype=np.float64, keepdims=keepdims)).astype(x.dtype)


def _spread(grad: Any, shape: tuple[int, ...], axes: Axes) -> Any:
    """A gradient with the reduced axes back, of length 1 or kept, as a view of the full shape."""
    kept = tuple(1 if k in axes else n for k, n in enumerate(shape))
    return np.broadcast_to(grad.reshape(kept), shape)


class Sum(Function):
    @staticmethod
    def forward(ctx: Context, x: Any, axes: Axes, keepdims: bool) -> Any:
        ctx.shape, ctx.axes = x.shape, axes
        return total(x, axes, keepdims)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return _spread(grad, ctx.shape, ctx.axes)


class Mean(Function):
    @staticmethod
    def forward(ctx: Context, x: Any, axes: Axes, keepdims: bool) -> Any:
        ctx.shape, ctx.axes = x.shape, axes
        ctx.count = math.prod(x.shape[k] for k in axes)
        with np.errstate(invalid="ignore", divide="ignore"):  # the mean of nothing is NaN
            mean = np.divide(x.sum(axes, dtype=np.float64, keepdims=keepdims), ctx.count)
            return device.library(x).asarray(mean).astype(x.dtype)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return _spread(grad / (ctx.count or 1), ctx.shape, ctx.axes)


class Max(Function):
    @staticmethod
    def forward(ctx: Context, x: Any, axes: Axes, keepdims: bool) -> Any:
        ctx.shape, ctx.axes = x.shape, axes
        kept = tuple(k for k in range(x.ndim) if k not in axes)
        rows = x.transpose(*kept, *axes).reshape(*(x.shape[k] for k in kept), math.prod(x.shape[k] for k in axes))
        first = rows.argmax(-1)[..., None]  # the first maximum in row-major order, or the first NaN
        ctx.save(first)
        y = np.take_along_axis(rows, first, -1)[..., 0]
        return y.reshape(tuple(1 if k in axes else n for k, n in enumerate(x.shape))) if keepdims else y

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (first,) = ctx.saved
        kept = tuple(k for k in range(len(ctx.shape)) if k not in ctx.axes)
        order = (*kept, *ctx.axes)
        rows = device.library(grad).zeros((*first.shape[:-1], math.prod(ctx.shape[k] for k in ctx.axes)), grad.dtype)
        np.put_along_axis(rows, first, grad.reshape(first.shape), -1)
        return rows.reshape(tuple(ctx.shape[k] for k in order)).transpose(tuple(map(order.index, range(len(order)))))


def _axes(op: str, x: Tensor, axis: Any) -> Axes:
    """None (all axes), an int or a tuple of ints, as sorted non-negative axes."""
    if axis is None:
        return tuple(range(x.ndim))
    try:
        axes = tuple(operator.index(a) for a in (axis if isinstance(axis, (tuple, list)) else (axis,)))
    except TypeError:
        raise ShapeError(f"{op}: axis must be None, an int or a tuple of ints; got {axis!r}") from None
    if any(not -x.ndim <= a < x.ndim for a in axes) or len({a % x.ndim for a in axes}) < len(axes):
        raise ShapeError(f"{op}: axis {axis} does not exist, or comes twice, in a tensor of shape {x.shape}")
    return tuple(sorted(a % x.ndim for a in axes))


def sum(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The sum over all axes, or over `axis` (an int or several); accumulated in float64."""
    x = as_tensor(x)
    return apply(Sum, x, axes=_axes("sum", x, axis), keepdims=keepdims)


def mean(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The mean over all axes, or over `axis` (an int or several); accumulated in float64; NaN over nothing."""
    x = as_tensor(x)
    return apply(Mean, x, axes=_axes("mean", x, axis), keepdims=keepdims)


def max(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The largest element over all axes, or over `axis` (an int or several); NaN propagates.

    The gradient goes to the first maximum in row-major order. Raises ShapeError where there is nothing to choose from.
    """
    x = as_tensor(x)
    axes = _axes("max", x, axis)
    if any(x.shape[k] == 0 for k in axes):
        raise ShapeError(f"max: axis {axis} of a tensor of shape {x.shape} is empty and has no largest element")
    return apply(Max, x, axes=axes, keepdims=keepdims)
