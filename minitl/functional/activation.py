"""Activations: ReLU and the softmax family."""

from __future__ import annotations

from typing import Any

from ..autograd import Context, Function
from ..kernels import log_softmax as log_softmax_kernel
from ..kernels import relu as relu_kernel
from ..kernels import softmax as softmax_kernel
from ..tensor import Tensor
from .apply import apply


class ReLU(Function):
    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        y = relu_kernel.forward(x)
        ctx.save(y)
        return y

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (y,) = ctx.saved
        return relu_kernel.grad_input(grad, y)


class Softmax(Function):
    @staticmethod
    def forward(ctx: Context, x: Any, axis: int) -> Any:
        ctx.axis = axis
        y = softmax_kernel.forward(x, axis)
        ctx.save(y)
        return y

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (y,) = ctx.saved
        return softmax_kernel.grad_input(grad, y, ctx.axis)


class LogSoftmax(Function):
    @staticmethod
    def forward(ctx: Context, x: Any, axis: int) -> Any:
        ctx.axis = axis
        y = log_softmax_kernel.forward(x, axis)
        ctx.save(y)
        return y

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (y,) = ctx.saved
        return log_softmax_kernel.grad_input(grad, y, ctx.axis)


def relu(x: Tensor) -> Tensor:
    """max(x, 0), elementwise, any shape. The gradient at 0 is 0; NaN propagates."""
    return apply(ReLU, x)


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """exp(x) divided by its sum along `axis`; any shape. Raises ShapeError if there is no such axis or it is empty."""
    return apply(Softmax, x, axis=axis)


def log_softmax(x: Tensor, axis: int = -1) -> Tensor:
    """The logarithm of softmax, accurate where softmax underflows; any shape. Raises ShapeError as softmax does."""
    return apply(LogSoftmax, x, axis=axis)
