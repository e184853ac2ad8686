"""Convolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..autograd import Context, Function
from ..errors import ShapeError
from ..kernels import ConvGeometry, PoolGeometry, registry
from ..kernels import concat as concat_kernel
from ..kernels import conv2d as kernel
from ..kernels import max_pool2d as max_pool_kernel
from ..kernels import relu as relu_kernel
from ..kernels.geometry import PADDING_MODES
from ..tensor import Tensor
from .apply import apply, as_tensor, forms
from .padding import Pad

BORDERS = ("reflect", "circular")  # padding modes that no kernel knows: the picture gets its border first


class Conv2d(Function):
    """Convolution, rectified if `relu`, and then the max-pooling that `pool` describes, if any."""

    @staticmethod
    def forward(
        ctx: Context,
        x: Any,
        w: Any,
        b: Any,
        relu: bool = False,
        packed: Any = None,
        pool: Mapping[str, Any] | None = None,
        **attributes: Any,
    ) -> Any:
        geometry = ctx.geometry = ConvGeometry.infer(x.shape, w.shape, **attributes)
        ctx.pool = None if pool is None else PoolGeometry.infer(geometry.y_shape, **pool)
        ctx.packed = None if ctx.needs[1] else packed  # weights about to change are not worth keeping packed
        call = x, w, b, geometry, relu, ctx.packed
        indices = None
        if ctx.pool is None:
            y = kernel.forward(*call)
        elif any(ctx.needs):
            y, indices = max_pool_kernel.forward(kernel.forward(*call), ctx.pool)
        else:
            y = kernel.Ready(x, w, b, geometry, relu, ctx.pool)(x, w, b, ctx.packed)
        # Each gradient needs the other factor: a frozen weight lets the activations go. Of what is pooled, the ReLU's
        # gradient needs no more than the maxima: where one is 0, nothing of its window passes.
        ctx.save(x if ctx.needs[1] else None, w if ctx.needs[0] else None, y if relu else None, indices)
        return y

    @staticmethod
    def backward(ctx: Context, grad: Any) -> tuple[Any, ...]:
        x, w, y, indices = ctx.saved
        if y is not None:
            grad = relu_kernel.grad_input(grad, y)
        if ctx.pool is not None:
            grad = max_pool_kernel.grad_input(grad, indices, ctx.pool)
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


def conv2d_max_pool(
    x: Tensor, w: Tensor, b: Tensor | None, relu: bool, settings: Mapping[str, Any], window: Mapping[str, Any]
) -> Tensor:
    """max_pool2d(conv2d(x, w, b, **settings), **window), or of conv2d_relu's, bit for bit, its gradients too.

    What is pooled is not kept for them. settings: of `conv2d`, but
    "reflect" and "circular" for padding_mode. Raises ShapeError where shapes do not fit.
    """
    return apply(Conv2d, x, w, b, relu=relu, packed=forms(w), pool=window, **settings)


class Convolutions:
    """Convolutions in inference, rectified or not: one, or its max-pooling, or several joined along the channels.

    Called with x, w and b of each, it gives, bit for bit, what `conv2d`, `conv2d_relu`, `max_pool2d` and `concat` give,
    and keeps nothing for gradients. Each writes straight to its channels of the joined; what is pooled need not be
    written. Geometries are worked out, arguments checked and kernels chosen once for arrays of the same shapes.

    settings: for each, whether it is rectified, and the arguments of `conv2d`, but "reflect" and "circular" for
    padding_mode. window: of the pooling. Raises ShapeError where shapes do not fit, or do not agree.
    """

    MOST = 16  # plans that are remembered; for one more, all are forgotten

    def __init__(
        self, settings: Sequence[tuple[bool, Mapping[str, Any]]], window: Mapping[str, Any] | None = None
    ) -> None:
        self._settings, self._window = settings, window
        self._plans: dict[Any, tuple[Any, list[kernel.Ready], concat_kernel.Joined | None]] = {}

    def __call__(self, *inputs: tuple[Tensor, Tensor, Tensor | None]) -> Tensor:
        calls = [(x._array, w._array, None if b is None else b._array, w) for x, w, b in inputs]
        key = tuple([(a.shape, a.dtype) if a is not None else None for call in calls for a in call[:3]])
        settled, ready, joined = self._plans.get(key) or (None, [], None)
        if settled != registry.settled():
            settled = registry.settled()  # as it is now: what changes meanwhile is noticed the next time
            ready, joined = self._planned(calls)
            if len(self._plans) >= self.MOST:
                self._plans.clear()
            self._plans[key] = settled, ready, joined
        if joined is None:
            results = [run(x, w, b, forms(of)) for run, (x, w, b, of) in zip(ready, calls, strict=True)]
            return Tensor(results[0] if len(results) == 1 else concat_kernel.forward(tuple(results), 1))
        y, parts = joined.new()
        for run, (x, w, b, of), part in zip(ready, calls, parts, strict=True):
            run(x, w, b, forms(of), part)
        return Tensor(y)

    def _planned(self, calls: list[Any]) -> tuple[list[kernel.Ready], concat_kernel.Joined | None]:
        registry.check_floats("conv2d", **{f"x[{i}]": call[0] for i, call in enumerate(calls)})
        ready, shapes = [], []
        for (x, w, b, _), (relu, settings) in zip(calls, self._settings, strict=True):
            geometry = ConvGeometry.infer(x.shape, w.shape, **settings)
            pool = None if self._window is None else PoolGeometry.infer(geometry.y_shape, **self._window)
            ready.append(kernel.Ready(x, w, b, geometry, relu, pool))
            shapes.append(geometry.y_shape)
        joined = concat_kernel.Joined(shapes, calls[0][0].dtype) if len(calls) > 1 else None
        return ready, joined if joined is not None and joined.serves else None
