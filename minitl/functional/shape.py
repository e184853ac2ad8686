"""Operations that move numbers without changing them: concat, flatten, reshape, transpose, indexing."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .. import device
from ..autograd import Context, Function
from ..errors import ShapeError
from ..kernels import concat as concat_kernel
from ..kernels import flatten as flatten_kernel
from ..tensor import Tensor
from .apply import apply, as_tensor


class Concat(Function):
    @staticmethod
    def forward(ctx: Context, *xs: Any, axis: int) -> Any:
        y = concat_kernel.forward(xs, axis)
        ctx.axis, ctx.sizes = axis, tuple(x.shape[axis] for x in xs)
        return y

    @staticmethod
    def backward(ctx: Context, grad: Any) -> tuple[Any, ...]:
        parts = concat_kernel.grad_input(grad, ctx.sizes, ctx.axis)
        return tuple(part if need else None for part, need in zip(parts, ctx.needs, strict=True))


class Flatten(Function):
    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        ctx.x_shape = x.shape
        return flatten_kernel.forward(x)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return flatten_kernel.grad_input(grad, ctx.x_shape)


class Reshape(Function):
    @staticmethod
    def forward(ctx: Context, x: Any, shape: tuple[int, ...]) -> Any:
        ctx.x_shape = x.shape
        return x.reshape(shape)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return grad.reshape(ctx.x_shape)


class Transpose(Function):
    @staticmethod
    def forward(ctx: Context, x: Any, axes: tuple[int, ...]) -> Any:
        ctx.axes = axes
        return x.transpose(axes)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return grad.transpose(tuple(map(ctx.axes.index, range(len(ctx.axes)))))


class Index(Function):
    @staticmethod
    def forward(ctx: Context, x: Any, index: Any) -> Any:
        ctx.x_shape, ctx.index = x.shape, index
        return x[index]

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        gx = device.library(grad).zeros(ctx.x_shape, grad.dtype)
        parts = ctx.index if isinstance(ctx.index, tuple) else (ctx.index,)
        if all(part is None or part is Ellipsis or isinstance(part, (int, np.integer, slice)) for part in parts):
            gx[ctx.index] = grad
        elif device.on_gpu(gx):
            _add_at(gx, ctx.index, grad)
        else:
            np.add.at(gx, ctx.index, grad)  # an integer array may name an element twice
        return gx


def _add_at(gx: Any, index: Any, grad: Any) -> None:
    """np.add.at on a GPU. CuPy's adds in any order, so that results would differ from run to run.

    Each round takes one mention of every element, in the order in which they come, as NumPy does: bits are the same.
    """
    where = np.arange(gx.size).reshape(gx.shape)[_on_host(index)].ravel()
    order = np.argsort(where, kind="stable")
    _, first, counts = np.unique(where[order], return_index=True, return_counts=True)
    mention = np.arange(where.size) - np.repeat(first, counts)  # of its element, from 0, along `order`
    flat, numbers = gx.reshape(-1), grad.reshape(-1)  # gx is contiguous: the first is a view
    for turn in range(int(counts.max(initial=0))):
        chosen = order[mention == turn]
        places = device.beside(where[chosen], gx)
        flat[places] = flat[places] + numbers[device.beside(chosen, gx)]


def _on_host(index: Any) -> Any:
    parts = index if isinstance(index, tuple) else (index,)
    held = tuple(device.to_host(part) if device.is_array(part) else part for part in parts)
    return held if isinstance(index, tuple) else held[0]


def concat(xs: Any, axis: int = 1) -> Tensor:
    """Joins tensors along `axis` (channels unless told). Raises ShapeError unless the other axes agree."""
    if isinstance(xs, Tensor) or device.is_array(xs):
        raise ShapeError(f"concat: needs a list of tensors; got one tensor of shape {xs.shape}")
    return apply(Concat, *xs, axis=axis)


def flatten(x: Tensor) -> Tensor:
    """(N, ...) -> (N, product of the rest), in row-major order of the shape whatever the memory layout."""
    return apply(Flatten, x)


def reshape(x: Tensor, *shape: Any) -> Tensor:
    """x with another shape of the same size; one length may be -1. Raises ShapeError if it cannot be."""
    x = as_tensor(x)
    wanted = _integers("reshape", shape)
    known = int(np.prod([n for n in wanted if n != -1]))
    guess = x.size // known if known else 0
    full = tuple(guess if n == -1 else n for n in wanted)
    if wanted.count(-1) > 1 or min(full, default=0) < 0 or int(np.prod(full)) != x.size:
        raise ShapeError(f"reshape: {x.size} elements of shape {x.shape} cannot take shape {wanted}")
    return apply(Reshape, x, shape=full)


def transpose(x: Tensor, *axes: Any) -> Tensor:
    """x with its axes in another order; reversed unless told. Raises ShapeError unless every axis is named once."""
    x = as_tensor(x)
    order = _integers("transpose", axes) or tuple(reversed(range(x.ndim)))
    if len(order) != x.ndim or sorted(a % x.ndim for a in order if -x.ndim <= a < x.ndim) != list(range(x.ndim)):
        raise ShapeError(f"transpose: axes {order} are not an order of the {x.ndim} axes of shape {x.shape}")
    return apply(Transpose, x, axes=tuple(a % x.ndim for a in order))


def index(x: Tensor, key: Any) -> Tensor:
    """x[key] for anything that NumPy takes as an index: ints, slices, None, ..., integer and boolean arrays."""
    x, parts = as_tensor(x), key if isinstance(key, tuple) else (key,)
    if any(isinstance(part, Tensor) for part in parts):
        raise ShapeError("indexing: a Tensor holds floats and cannot be an index; use an integer or boolean array")
    copied = tuple(_copied(part, x) if isinstance(part, list) or device.is_array(part) else part for part in parts)
    return apply(Index, x, index=copied if isinstance(key, tuple) else copied[0])  # backward needs the index of now


def _copied(part: Any, x: Tensor) -> Any:
    """An index array of one's own, where x lives."""
    return device.beside(part.copy() if device.is_array(part) else np.array(part), x.data)


def _integers(op: str, numbers: tuple[Any, ...]) -> tuple[int, ...]:
    """f(2, 3) and f((2, 3)) alike."""
    if len(numbers) == 1 and (numbers[0] is None or isinstance(numbers[0], (tuple, list))):
        numbers = tuple(numbers[0] or ())
    try:
        return tuple(operator.index(n) for n in numbers)
    except TypeError:
        raise ShapeError(f"{op}: needs ints; got {numbers!r}") from None
