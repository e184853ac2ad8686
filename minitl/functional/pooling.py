"""Pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd import Context, Function
from ..errors import ArgumentError, ShapeError
from ..kernels import PoolGeometry
from ..kernels import adaptive_avg_pool2d as adaptive_kernel
from ..kernels import avg_pool2d as avg_kernel
from ..kernels import max_pool2d as max_kernel
from ..kernels.geometry import adaptive_output, adaptive_windows
from ..tensor import Tensor
from .apply import apply, as_tensor
from .reduction import max as largest
from .shape import index


class MaxPool2d(Function):
    @staticmethod
    def forward(ctx: Context, x: Any, winners: list[Any] | None = None, **attributes: Any) -> Any:
        ctx.geometry = PoolGeometry.infer(x.shape, **attributes)
        y, indices = max_kernel.forward(x, ctx.geometry, where=ctx.needs[0] or winners is not None)
        if winners is not None:
            winners.append(indices)
        ctx.save(indices)
        return y

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (indices,) = ctx.saved
        return max_kernel.grad_input(grad, indices, ctx.geometry)


class AvgPool2d(Function):
    @staticmethod
    def forward(ctx: Context, x: Any, count_include_pad: Any, divisor_override: Any, **attributes: Any) -> Any:
        ctx.geometry = PoolGeometry.infer(x.shape, op="avg_pool2d", **attributes)
        ctx.divisor = {"count_include_pad": count_include_pad, "divisor_override": divisor_override}
        return avg_kernel.forward(x, ctx.geometry, **ctx.divisor)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return avg_kernel.grad_input(grad, ctx.geometry, **ctx.divisor)


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
    return_indices: bool = False,
) -> Any:
    """The largest pixel of each window, as in torch.nn.functional.max_pool2d.

    x: (N, C, H, W). Returns a Tensor (N, C, P, Q); with return_indices that and an int64 array of the same shape,
    which tells where in its plane each pixel was, as h * W + w. kernel_size, stride (kernel_size unless given),
    dilation: int or (vertical, horizontal). padding: int, pair, ((top, bottom), (left, right)), "valid" or "same"; it
    never wins. ceil_mode: a last partial window counts too. The gradient goes to the first largest pixel in
    row-major order; NaN propagates. Raises ShapeError where the window does not fit.
    """
    if not isinstance(return_indices, (bool, np.bool_)):
        raise ArgumentError(f"max_pool2d: return_indices must be True or False; got {return_indices!r:.80}")
    winners: list[Any] | None = [] if return_indices else None
    y = apply(
        MaxPool2d,
        x,
        winners=winners,
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
    )
    return y if winners is None else (y, winners[0].astype(np.int64))


def avg_pool2d(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window, as in torch.nn.functional.avg_pool2d.

    x: (N, C, H, W). Returns (N, C, P, Q). kernel_size, stride (kernel_size unless given): int or (vertical,
    horizontal). padding, with zeros: int, pair, ((top, bottom), (left, right)), "valid" or "same". ceil_mode: a last
    partial window counts too; what of it lies beyond the padding does not. count_include_pad: whether padding counts
    as pixels of value 0. divisor_override: what to divide the sums by instead. Raises ShapeError where the window
    does not fit, and ArgumentError for a divisor that is no positive int.
    """
    return apply(
        AvgPool2d,
        x,
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
        divisor_override=divisor_override,
    )


def adaptive_avg_pool2d(x: Tensor, output_size: Any) -> Tensor:
    """The mean of each of P x Q bins that cover the picture, as in torch.nn.functional.adaptive_avg_pool2d.

    x: (N, C, H, W). output_size: P and Q, of which None is the picture's own, or one int for both. Returns (N, C, P,
    Q). Raises ShapeError for an x that is no batch of pictures.
    """
    x = as_tensor(x)
    return apply(AdaptiveAvgPool2d, x, output_size=adaptive_output(x.shape, output_size))


def adaptive_max_pool2d(x: Tensor, output_size: Any) -> Tensor:
    """The largest pixel of each of P x Q bins that cover the picture, as in torch.nn.functional.adaptive_max_pool2d.

    Arguments and result as in `adaptive_avg_pool2d`; ties and NaN as in `max_pool2d`. Quickest where P divides H and
    Q divides W.
    """
    x = as_tensor(x)
    bins = adaptive_output(x.shape, output_size, op="adaptive_max_pool2d")
    if min(x.shape[2:]) < 1:
        raise ShapeError(f"adaptive_max_pool2d: x of shape {x.shape} has no pixel; pass a larger picture")
    if all(n % b == 0 for n, b in zip(x.shape[2:], bins, strict=True)):
        return max_pool2d(x, (x.shape[2] // bins[0], x.shape[3] // bins[1]))
    rows, columns = (_pixels(n, b) for n, b in zip(x.shape[2:], bins, strict=True))
    return largest(index(x, (..., rows[:, None, :, None], columns[:, None, :])), axis=(4, 5))


def _pixels(size: int, bins: int) -> Any:
    """(bins, n): the pixels of each bin along one axis; a bin of fewer than n names its last one again."""
    windows = np.array(adaptive_windows(size, bins))
    first, last = windows[:, :1], windows[:, 1:] - 1
    return np.minimum(first + np.arange((last - first).max() + 1), last)
