"""Two-dimensional average pooling and its gradient.

`forward(x, geometry, count_include_pad=True, divisor_override=None)`: x (N, C, H, W) -> (N, C, P, Q), the sum of
the pixels in each window divided by the window's area. What of that area counts, as in PyTorch: all that lies in
the picture or its padding, but not what reaches beyond the padding (as windows of ceil mode may); without
`count_include_pad` the pixels alone; with `divisor_override` that number stands in place of the area.
`grad_input(grad, geometry, ...)` spreads each gradient, divided by the same number, evenly over its window.

Any strides; versions named channels_last work so and return channels-last views.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import ArgumentError, ShapeError
from ..cuda import pixels
from ..geometry import PoolGeometry
from ..registry import Cost, KernelSpec, Version, check_floats, check_shape, dummy
from ..verify import bounds

Array = np.ndarray
MOST = 2**31 - 1  # of divisor_override


def _check_options(op: str, geometry: PoolGeometry, count_include_pad: bool, divisor_override: int | None) -> None:
    if geometry.dilation != (1, 1):
        raise ShapeError(f"{op}: takes no dilation; got {geometry.dilation}; use a convolution for a dilated mean")
    if not isinstance(count_include_pad, (bool, np.bool_)):
        raise ArgumentError(f"{op}: count_include_pad must be True or False; got {count_include_pad!r}")
    if divisor_override is None:
        return
    try:
        number = 0 if isinstance(divisor_override, bool) else operator.index(divisor_override)
    except TypeError:
        number = 0
    if not 1 <= number <= MOST:
        raise ArgumentError(f"{op}: divisor_override must be None or an int from 1 to {MOST}; got {divisor_override!r}")


def _check_forward(
    x: Array, geometry: PoolGeometry, count_include_pad: bool = True, divisor_override: int | None = None
) -> None:
    check_floats("avg_pool2d", x=x)
    check_shape("avg_pool2d", "x", x, geometry.x_shape)
    _check_options("avg_pool2d", geometry, count_include_pad, divisor_override)


def _check_grad_input(
    grad: Array, geometry: PoolGeometry, count_include_pad: bool = True, divisor_override: int | None = None
) -> None:
    op = "avg_pool2d.grad_input"
    check_floats(op, grad=grad)
    check_shape(op, "grad", grad, geometry.y_shape)
    _check_options(op, geometry, count_include_pad, divisor_override)


def _cost(geometry: PoolGeometry, **arguments: Any) -> Cost:
    outputs = math.prod(geometry.y_shape)
    itemsize = next(a.dtype.itemsize for a in arguments.values() if isinstance(a, Array))
    moved = itemsize * (math.prod(geometry.x_shape) + outputs)
    return Cost(outputs * (geometry.kernel[0] * geometry.kernel[1] + 1), moved)


def _dummies(
    dtype: np.dtype,
    x_shape: tuple[int, ...],
    kernel_size: Any,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    **attributes: Any,
) -> Mapping[str, Any]:
    geometry = PoolGeometry.infer(x_shape, kernel_size, **attributes, op="avg_pool2d")
    return {
        "x": dummy(geometry.x_shape, dtype),
        "grad": dummy(geometry.y_shape, dtype),
        "geometry": geometry,
        "count_include_pad": count_include_pad,
        "divisor_override": divisor_override,
    }


def _roundings(geometry: PoolGeometry, **_: Any) -> int:
    """Additions of a window, the rounding of a divisor that the dtype cannot hold, and the division."""
    return geometry.kernel[0] * geometry.kernel[1] + 1


def _grad_roundings(geometry: PoolGeometry, **_: Any) -> int:
    """Additions of the windows that hold a pixel, at most ceil(kernel / stride) an axis, and as above."""
    overlapping = [-(-k // s) for k, s in zip(geometry.kernel, geometry.stride, strict=True)]
    return overlapping[0] * overlapping[1] + 1


def _by_fours(geometry: PoolGeometry, **_: Any) -> str | None:
    return pixels.refusal(geometry.channels)


forward = KernelSpec(
    name="avg_pool2d",
    package=__name__,
    check=_check_forward,
    cost=_cost,
    bound=bounds.inner_product(_roundings, "avg_pool2d"),
    dummies=_dummies,
    versions=(
        Version("cpu.channels_last", "cpu:forward"),
        Version("reference.separable", "reference:forward"),
        Version("cuda.channels_last", "cuda:forward_channels_last", _by_fours),
        Version("cuda.naive", "cuda:forward_naive"),
    ),
    oracle="oracle:forward",
    cases="cases:forward",
)

grad_input = KernelSpec(
    name="avg_pool2d.grad_input",
    package=__name__,
    check=_check_grad_input,
    cost=_cost,
    bound=bounds.inner_product(_grad_roundings, "avg_pool2d.grad_input"),
    dummies=_dummies,
    versions=(
        Version("cpu.channels_last", "cpu:grad_input"),
        Version("reference.separable", "reference:grad_input"),
        Version("cuda.channels_last", "cuda:grad_input_channels_last", _by_fours),
        Version("cuda.naive", "cuda:grad_input_naive"),
    ),
    oracle="oracle:grad_input",
    cases="cases:grad_input",
)
