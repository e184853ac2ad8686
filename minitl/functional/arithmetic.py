"""Arithmetic with NumPy's broadcasting: + - * / **, negation, exp, log, matrix products."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import device
from ..autograd import Context, Function
from ..errors import ShapeError
from ..tensor import Tensor, tensor
from .apply import apply, as_tensor
from .reduction import total


def _fold(grad: Any, shape: tuple[int, ...]) -> Any:
    """Sums a gradient over the axes that broadcasting made longer than `shape`."""
    if grad.shape == shape:
        return grad
    added = grad.ndim - len(shape)
    stretched = tuple(added + k for k, n in enumerate(shape) if n == 1 and grad.shape[added + k] != 1)
    return total(grad, (*range(added), *stretched)).reshape(shape)


class Add(Function):
    @staticmethod
    def forward(ctx: Context, a: Any, b: Any) -> Any:
        ctx.shapes = a.shape, b.shape
        return a + b

    @staticmethod
    def backward(ctx: Context, grad: Any) -> tuple[Any, ...]:
        return tuple(_fold(grad, shape) if need else None for shape, need in zip(ctx.shapes, ctx.needs, strict=True))


class Subtract(Function):
    @staticmethod
    def forward(ctx: Context, a: Any, b: Any) -> Any:
        ctx.shapes = a.shape, b.shape
        return a - b

    @staticmethod
    def backward(ctx: Context, grad: Any) -> tuple[Any, ...]:
        return (
            _fold(grad, ctx.shapes[0]) if ctx.needs[0] else None,
            _fold(-grad, ctx.shapes[1]) if ctx.needs[1] else None,
        )


class Multiply(Function):
    @staticmethod
    def forward(ctx: Context, a: Any, b: Any) -> Any:
        ctx.shapes = a.shape, b.shape
        ctx.save(a if ctx.needs[1] else None, b if ctx.needs[0] else None)
        return a * b

    @staticmethod
    def backward(ctx: Context, grad: Any) -> tuple[Any, ...]:
        a, b = ctx.saved
        return (
            _fold(grad * b, ctx.shapes[0]) if ctx.needs[0] else None,
            _fold(grad * a, ctx.shapes[1]) if ctx.needs[1] else None,
        )


class Divide(Function):
    @staticmethod
    def forward(ctx: Context, a: Any, b: Any) -> Any:
        ctx.shapes = a.shape, b.shape
        ctx.save(a if ctx.needs[1] else None, b)
        return a / b

    @staticmethod
    def backward(ctx: Context, grad: Any) -> tuple[Any, ...]:
        a, b = ctx.saved
        by_a = grad / b
        return (
            _fold(by_a, ctx.shapes[0]) if ctx.needs[0] else None,
            _fold(-by_a * (a / b), ctx.shapes[1]) if ctx.needs[1] else None,
        )


class Power(Function):
    @staticmethod
    def forward(ctx: Context, a: Any, b: Any) -> Any:
        y = a**b
        ctx.save(a, b, y if ctx.needs[1] else None)
        return y

    @staticmethod
    def backward(ctx: Context, grad: Any) -> tuple[Any, ...]:
        a, b, y = ctx.saved
        # x**0 is constant, and so is 0**b for b > 0: their slopes are 0, not 0 * inf.
        with np.errstate(invalid="ignore", divide="ignore"):
            by_a = np.where(b == 0, 0, grad * b * a ** (b - 1)).astype(grad.dtype) if ctx.needs[0] else None
            by_b = np.where((a == 0) & (b > 0), 0, grad * y * np.log(a)).astype(grad.dtype) if ctx.needs[1] else None
        return (
            _fold(by_a, a.shape) if ctx.needs[0] else None,
            _fold(by_b, b.shape) if ctx.needs[1] else None,
        )


class Negate(Function):
    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        return -x

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return -grad


class Exp(Function):
    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        y = np.exp(x)
        ctx.save(y)
        return y

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (y,) = ctx.saved
        return grad * y


class Log(Function):
    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        ctx.save(x)
        return np.log(x)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (x,) = ctx.saved
        return grad / x


class MatMul(Function):
    """Of arrays with at least two axes; the axes before the last two broadcast."""

    @staticmethod
    def forward(ctx: Context, a: Any, b: Any) -> Any:
        ctx.shapes = a.shape, b.shape
        ctx.save(a if ctx.needs[1] else None, b if ctx.needs[0] else None)
        return a @ b

    @staticmethod
    def backward(ctx: Context, grad: Any) -> tuple[Any, ...]:
        a, b = ctx.saved
        return (
            _fold(grad @ b.swapaxes(-1, -2), ctx.shapes[0]) if ctx.needs[0] else None,
            _fold(a.swapaxes(-1, -2) @ grad, ctx.shapes[1]) if ctx.needs[1] else None,
        )


def _pair(op: str, a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """Both operands as Tensors of one dtype: what is no Tensor takes the dtype of the one that is."""
    if not isinstance(a, Tensor):
        a = _beside(a, b) if isinstance(b, Tensor) else as_tensor(a)
    if not isinstance(b, Tensor):
        b = _beside(b, a)
    if a.dtype != b.dtype:
        raise ShapeError(f"{op}: {a.dtype} of shape {a.shape} and {b.dtype} of shape {b.shape} do not mix; convert one")
    return a, b


def _beside(x: Any, other: Tensor) -> Tensor:
    """Numbers or an array in the dtype of `other`, and numbers where it lives."""
    return tensor(x, dtype=other.dtype) if device.is_array(x) else as_tensor(x, other)


def _elementwise(op: str, function: type[Function], a: Any, b: Any) -> Tensor:
    a, b = _pair(op, a, b)
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ShapeError(
            f"{op}: shapes {a.shape} and {b.shape} do not broadcast; from the right, lengths must be equal or 1"
        ) from None
    return apply(function, a, b)


def add(a: Any, b: Any) -> Tensor:
    """a + b, broadcasting."""
    return _elementwise("add", Add, a, b)


def subtract(a: Any, b: Any) -> Tensor:
    """a - b, broadcasting."""
    return _elementwise("subtract", Subtract, a, b)


def multiply(a: Any, b: Any) -> Tensor:
    """a * b elementwise, broadcasting."""
    return _elementwise("multiply", Multiply, a, b)


def divide(a: Any, b: Any) -> Tensor:
    """a / b elementwise, broadcasting."""
    return _elementwise("divide", Divide, a, b)


def power(a: Any, b: Any) -> Tensor:
    """a ** b elementwise, broadcasting; differentiable in both."""
    return _elementwise("power", Power, a, b)


def negate(x: Tensor) -> Tensor:
    """-x."""
    return apply(Negate, x)


def exp(x: Tensor) -> Tensor:
    """e ** x, elementwise."""
    return apply(Exp, x)


def log(x: Tensor) -> Tensor:
    """The natural logarithm, elementwise."""
    return apply(Log, x)


def matmul(a: Any, b: Any) -> Tensor:
    """The matrix product a @ b: (..., m, k) @ (..., k, n) -> (..., m, n), or with vectors (k,) on either side."""
    a, b = _pair("matmul", a, b)
    left, right = a.ndim == 1, b.ndim == 1
    if not a.ndim or not b.ndim:
        raise ShapeError(f"matmul: shapes {a.shape} and {b.shape}: a scalar has no axis to sum over; use *")
    if a.shape[-1] != b.shape[0 if right else -2]:
        raise ShapeError(
            f"matmul: shapes {a.shape} and {b.shape} do not fit: {a.shape[-1]} columns of the left operand "
            f"against {b.shape[0 if right else -2]} rows of the right one"
        )
    try:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ShapeError(f"matmul: shapes {a.shape} and {b.shape}: the batch axes do not broadcast") from None
    rows, columns = (() if left else a.shape[-2:-1]), (() if right else b.shape[-1:])
    matrix_a = a.reshape(1, -1) if left else a
    matrix_b = b.reshape(-1, 1) if right else b
    y = apply(MatMul, matrix_a, matrix_b)
    return y.reshape(*batch, *rows, *columns) if left or right else y
