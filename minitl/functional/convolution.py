"""Convolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..autograd import Context, Function
from ..errors import ShapeError
from ..kernels import ConvGeometry, PoolGeometry
from ..kernels import concat as concat_kernel
from ..kernels import conv2d as kernel
from ..kernels import relu as relu_kernel
from ..kernels.geometry import PADDING_MODES
from ..tensor import Tensor
from .apply import apply, as_tensor, asarray, forms
from .padding import Pad

BORDERS = ("reflect", "circular")  # padding modes that no kernel knows: the picture gets its border first


class Conv2d(Function):
    @staticmethod
    def forward(ctx: Context, x: Any, w: Any, b: Any, relu: bool = False, packed: Any = None, **attributes: Any) -> Any:
        geometry = ConvGeometry.infer(x.shape, w.shape, **attributes)
        ctx.geometry = geometry
        ctx.packed = None if ctx.needs[1] else packed  # weights about to change are not worth keeping packed
        # Each gradient needs the other factor: a frozen weight lets the activations go.
        y = kernel.forward(x, w, b, geometry, relu, ctx.packed)
        ctx.save(x if ctx.needs[1] else None, w if ctx.needs[0] else None, y if relu else None)
        return y

    @staticmethod
    def backward(ctx: Context, grad: Any) -> tuple[Any, ...]:
        x, w, y = ctx.saved
        if y is not None:
            grad = relu_kernel.grad_input(grad, y)
        return (
            kernel.grad_input(grad, w, ctx.geometry, ctx.packed) if ctx.needs[0] else None,
            kernel.grad_weight(grad, x, ctx.geometry) if ctx.needs[1] else None,
            kernel.grad_bias(grad) if ctx.needs[2] else None,
        )


def _bordered(x: Any, w: Any, padding_mode: str, **geometry: Any) -> tuple[Any, dict[str, Any]]:
    """x, and the geometry left to do: with the border around x and no padding, where the kernels do not know it."""
    if padding_mode not in BORDERS:
        if padding_mode not in PADDING_MODES:
            known = ", ".join((*PADDING_MODES, *BORDERS))
            raise ShapeError(f"conv2d: padding_mode must be one of {known}; got {padding_mode!r:.80}")
        return x, {**geometry, "padding_mode": padding_mode}
    x = as_tensor(x)
    padding = ConvGeometry.infer(x.shape, w.shape, **geometry).padding
    if any(map(any, padding)):
        x = apply(Pad, x, padding=padding, mode=padding_mode, op="conv2d")
    return x, {**geometry, "padding": 0}


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
    horizontal). padding: int, pair, ((top, bottom), (left, right)), "valid" or "same". padding_mode: what the
    padding shows, "zeros", or as in `pad` "replicate", "reflect" or "circular". Raises ShapeError where the shapes do
    not fit.
    """
    x, geometry = _bordered(x, w, padding_mode, stride=stride, padding=padding, dilation=dilation, groups=groups)
    return apply(Conv2d, x, w, b, packed=forms(w), **geometry)


def conv2d_relu(x: Tensor, w: Tensor, b: Tensor | None = None, padding_mode: str = "zeros", **geometry: Any) -> Tensor:
    """relu(conv2d(x, w, b, padding_mode=padding_mode, **geometry)), bit for bit, in one pass over the output."""
    x, geometry = _bordered(x, w, padding_mode, **geometry)
    return apply(Conv2d, x, w, b, relu=True, packed=forms(w), **geometry)


def conv2d_concat(convolutions: Sequence[tuple[Tensor, Tensor, Tensor | None, bool, Mapping[str, Any]]]) -> Tensor:
    """concat of the results, bit for bit, each written straight to its channels. Keeps nothing for gradients.

    convolutions: x, w, b, whether to rectify, and the other arguments of `conv2d`, but "reflect" and "circular" for
    padding_mode. Raises ShapeError where shapes do not fit, or do not agree but for the channels.
    """
    geometries = [ConvGeometry.infer(x.shape, w.shape, **settings) for x, w, _, _, settings in convolutions]
    y, parts = concat_kernel.room([geometry.y_shape for geometry in geometries], convolutions[0][0].dtype)
    results = []
    for (x, w, b, relu, _), geometry, part in zip(convolutions, geometries, parts, strict=True):
        results.append(kernel.forward(asarray(x), asarray(w), asarray(b), geometry, relu, forms(w), part))
    return Tensor(concat_kernel.forward(tuple(results), 1) if y is None else y)


def conv2d_max_pool(
    x: Tensor, w: Tensor, b: Tensor | None, relu: bool, settings: Mapping[str, Any], window: Mapping[str, Any]
) -> Tensor:
    """max_pool2d(conv2d(x, w, b, **settings), **window), or of conv2d_relu's, bit for bit. Keeps nothing for gradients.

    settings: of `conv2d`, but "reflect" and "circular" for padding_mode. Raises ShapeError where shapes do not fit.
    """
    geometry = ConvGeometry.infer(x.shape, w.shape, **settings)
    pool = PoolGeometry.infer(geometry.y_shape, **window)
    return Tensor(kernel.pooled(pool, asarray(x), asarray(w), asarray(b), geometry, relu, forms(w)))
