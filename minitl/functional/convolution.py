"""Convolution."""

from __future__ import annotations

from typing import Any

from ..autograd import Context, Function
from ..kernels import ConvGeometry
from ..kernels import conv2d as kernel
from ..kernels import relu as relu_kernel
from ..tensor import Tensor
from .apply import apply


class Conv2d(Function):
    @staticmethod
    def forward(ctx: Context, x: Any, w: Any, b: Any, relu: bool = False, **attributes: Any) -> Any:
        geometry = ConvGeometry.infer(x.shape, w.shape, **attributes)
        ctx.geometry = geometry
        # Each gradient needs the other factor: a frozen weight lets the activations go.
        y = kernel.forward(x, w, b, geometry, relu)
        ctx.save(x if ctx.needs[1] else None, w if ctx.needs[0] else None, y if relu else None)
        return y

    @staticmethod
    def backward(ctx: Context, grad: Any) -> tuple[Any, ...]:
        x, w, y = ctx.saved
        if y is not None:
            grad = relu_kernel.grad_input(grad, y)
        return (
            kernel.grad_input(grad, w, ctx.geometry) if ctx.needs[0] else None,
            kernel.grad_weight(grad, x, ctx.geometry) if ctx.needs[1] else None,
            kernel.grad_bias(grad) if ctx.needs[2] else None,
        )


def conv2d(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
) -> Tensor:
    """Cross-correlation of images with filters, as in torch.nn.functional.conv2d.

    x: (N, C, H, W). w: (O, C / groups, R, S). b: (O,) or None. Returns (N, O, P, Q) with
    P = (H + padding - dilation (R - 1) - 1) // stride + 1. stride, dilation: int or (vertical,
    horizontal). padding: int, pair, ((top, bottom), (left, right)), "valid" or "same". padding_mode:
    "zeros" or "replicate". Raises ShapeError where the shapes do not fit.
    """
    return apply(
        Conv2d,
        x,
        w,
        b,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        padding_mode=padding_mode,
    )


def conv2d_relu(x: Tensor, w: Tensor, b: Tensor | None = None, **geometry: Any) -> Tensor:
    """relu(conv2d(x, w, b, **geometry)), bit for bit, in one pass over the output."""
    return apply(Conv2d, x, w, b, relu=True, **geometry)
