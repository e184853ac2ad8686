"""Padding."""

from __future__ import annotations

from typing import Any

from ..autograd import Context, Function
from ..kernels import PadGeometry
from ..kernels import pad as kernel
from ..tensor import Tensor
from .apply import apply


class Pad(Function):
    @staticmethod
    def forward(ctx: Context, x: Any, value: float = 0.0, **attributes: Any) -> Any:
        ctx.geometry = PadGeometry.infer(x.shape, **attributes)
        return kernel.forward(x, ctx.geometry, value)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return kernel.grad_input(grad, ctx.geometry)


def pad(x: Tensor, padding: Any, mode: str = "constant", value: float = 0.0) -> Tensor:
    """Pictures with a border, as from torch.nn.functional.pad, which names the sides from the last axis on.

    x: (N, C, H, W). padding: int, (vertical, horizontal) or ((top, bottom), (left, right)), in pixels. Returns
    (N, C, top + H + bottom, left + W + right). mode: what stands in the border: "constant" (`value`), "reflect"
    (the picture mirrored at its outermost pixels; the border must be smaller than the picture), "replicate" (the
    nearest pixel) or "circular" (the picture repeated; the border must not be larger than it). Raises ShapeError
    for a border that cannot be, and ArgumentError for a value that is no number.
    """
    return apply(Pad, x, padding=padding, mode=mode, value=value)
