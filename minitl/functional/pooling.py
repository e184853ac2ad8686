"""Pooling."""

from __future__ import annotations

from typing import Any

from ..autograd import Context, Function
from ..kernels import PoolGeometry
from ..kernels import adaptive_avg_pool2d as adaptive_kernel
from ..kernels import max_pool2d as max_kernel
from ..kernels.geometry import pair
from ..tensor import Tensor
from .apply import apply


class MaxPool2d(Function):
    @staticmethod
    def forward(ctx: Context, x: Any, **attributes: Any) -> Any:
        ctx.geometry = PoolGeometry.infer(x.shape, **attributes)
        y, indices = max_kernel.forward(x, ctx.geometry)
        ctx.save(indices)
        return y

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (indices,) = ctx.saved
        return max_kernel.grad_input(grad, indices, ctx.geometry)


class AdaptiveAvgPool2d(Function):
    @staticmethod
    def forward(ctx: Context, x: Any, output_size: tuple[int, int]) -> Any:
        ctx.x_shape = x.shape
        return adaptive_kernel.forward(x, output_size)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return adaptive_kernel.grad_input(grad, ctx.x_shape)


def max_pool2d(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """The largest pixel of each window, as in torch.nn.functional.max_pool2d.

    x: (N, C, H, W). Returns (N, C, P, Q). kernel_size, stride (kernel_size unless given), dilation: int or
    (vertical, horizontal). padding: int, pair, ((top, bottom), (left, right)), "valid" or "same"; it never
    wins. ceil_mode: a last partial window counts too. The gradient goes to the first largest pixel in
    row-major order; NaN propagates. Raises ShapeError where the window does not fit.
    """
    return apply(
        MaxPool2d,
        x,
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
    )


def adaptive_avg_pool2d(x: Tensor, output_size: Any) -> Tensor:
    """The mean of each of P x Q bins that cover the picture, as in torch.nn.functional.adaptive_avg_pool2d.

    x: (N, C, H, W). output_size: P and Q, or one int for both. Returns (N, C, P, Q). Raises ShapeError for
    an x that is no batch of pictures.
    """
    return apply(
        AdaptiveAvgPool2d, x, output_size=pair(output_size, op="adaptive_avg_pool2d", name="output_size", least=1)
    )
