"""Activations: ReLU and its kin, the sigmoid and its kin, and the softmax family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..autograd import Context, Function
from ..kernels import gelu as gelu_kernel
from ..kernels import leaky_relu as leaky_relu_kernel
from ..kernels import log_softmax as log_softmax_kernel
from ..kernels import logsumexp as logsumexp_kernel
from ..kernels import relu as relu_kernel
from ..kernels import sigmoid as sigmoid_kernel
from ..kernels import softmax as softmax_kernel
from ..kernels import tanh as tanh_kernel
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


class LeakyReLU(Function):
    @staticmethod
    def forward(ctx: Context, x: Any, negative_slope: float) -> Any:
        ctx.negative_slope = negative_slope
        ctx.save(x)
        return leaky_relu_kernel.forward(x, negative_slope)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (x,) = ctx.saved
        return leaky_relu_kernel.grad_input(grad, x, ctx.negative_slope)


class Sigmoid(Function):
    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        y = sigmoid_kernel.forward(x)
        ctx.save(y)
        return y

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (y,) = ctx.saved
        return sigmoid_kernel.grad_input(grad, y)


class Tanh(Function):
    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        y = tanh_kernel.forward(x)
        ctx.save(y)
        return y

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (y,) = ctx.saved
        return tanh_kernel.grad_input(grad, y)


class GELU(Function):
    @staticmethod
    def forward(ctx: Context, x: Any, approximate: str) -> Any:
        ctx.approximate = approximate
        ctx.save(x)
        return gelu_kernel.forward(x, approximate)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (x,) = ctx.saved
        return gelu_kernel.grad_input(grad, x, ctx.approximate)


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


class LogSumExp(Function):
    @staticmethod
    def forward(ctx: Context, x: Any, axis: int | tuple[int, ...], keepdims: bool) -> Any:
        ctx.axis, ctx.keepdims = axis, keepdims
        y = logsumexp_kernel.forward(x, axis, keepdims)
        ctx.save(x, y)
        return y

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        x, y = ctx.saved
        return logsumexp_kernel.grad_input(grad, x, y, ctx.axis, ctx.keepdims)


def relu(x: Tensor) -> Tensor:
    """max(x, 0), elementwise, any shape. The gradient at 0 is 0; NaN propagates."""
    return apply(ReLU, x)


def leaky_relu(x: Tensor, negative_slope: float = 0.01) -> Tensor:
    """x where x > 0, else negative_slope x, elementwise, any shape.

    The gradient at 0 is negative_slope; NaN propagates. Source: Maas, Hannun & Ng, "Rectifier Nonlinearities Improve
    Neural Network Acoustic Models" (2013). Raises ArgumentError unless negative_slope is a finite number.
    """
    return apply(LeakyReLU, x, negative_slope=negative_slope)


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x)), elementwise, any shape; accurate in both tails; NaN propagates."""
    return apply(Sigmoid, x)


def tanh(x: Tensor) -> Tensor:
    """The hyperbolic tangent, elementwise, any shape; NaN propagates."""
    return apply(Tanh, x)


def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    """x times the standard normal distribution function of x, elementwise, any shape; NaN propagates.

    approximate: "none", or "tanh" for x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2. Source: Hendrycks & Gimpel,
    "Gaussian Error Linear Units" (2016). Raises ArgumentError for another approximation.
    """
    return apply(GELU, x, approximate=approximate)


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """exp(x) divided by its sum along `axis`; any shape. Raises ShapeError if there is no such axis or it is empty."""
    return apply(Softmax, x, axis=axis)


def log_softmax(x: Tensor, axis: int = -1) -> Tensor:
    """The logarithm of softmax, accurate where softmax underflows; any shape. Raises ShapeError as softmax does."""
    return apply(LogSoftmax, x, axis=axis)


def logsumexp(x: Tensor, axis: int | Sequence[int] = -1, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))) along `axis` (an int or several), which is summed away unless keepdims; any shape.

    Large x do not overflow; over nothing, or over nothing but -inf, it is -inf. Raises ShapeError if there is no such
    axis.
    """
    return apply(LogSumExp, x, axis=tuple(axis) if isinstance(axis, list) else axis, keepdims=keepdims)
