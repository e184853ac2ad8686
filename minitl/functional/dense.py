"""The dense layer."""

from __future__ import annotations

from typing import Any

from ..autograd import Context, Function
from ..kernels import linear as kernel
from ..tensor import Tensor
from .apply import apply


class Linear(Function):
    @staticmethod
    def forward(ctx: Context, x: Any, w: Any, b: Any) -> Any:
        # Each gradient needs the other factor: a frozen weight lets the activations go.
        ctx.save(x if ctx.needs[1] else None, w if ctx.needs[0] else None)
        return kernel.forward(x, w, b)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> tuple[Any, ...]:
        x, w = ctx.saved
        return (
            kernel.grad_input(grad, w) if ctx.needs[0] else None,
            kernel.grad_weight(grad, x) if ctx.needs[1] else None,
            kernel.grad_bias(grad) if ctx.needs[2] else None,
        )


def linear(x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    """x w^T + b. x: (N, in). w: (out, in). b: (out,) or None. Returns (N, out). Raises ShapeError on a mismatch."""
    return apply(Linear, x, w, b)
