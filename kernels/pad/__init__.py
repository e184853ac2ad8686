"""A border around pictures, and its gradient.

`forward(x, geometry, value=0.0)`: x (N, C, H, W) -> (N, C, P, Q). What stands in the border is the geometry's
`mode`: "constant" (`value`, rounded to the dtype of x), "reflect" (the picture mirrored at its outermost pixels, which
are not repeated), "replicate" (the nearest pixel) or "circular" (the picture again, as if it were tiled). Corners
come from both axes. `grad_input(grad, geometry)` adds what the border received to the pixels that it shows.

Any strides; the reference version's result lies in memory as x does, versions named channels_last return
channels-last views.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import ArgumentError
from ..cuda import pixels
from ..geometry import PadGeometry
from ..registry import Cost, KernelSpec, Version, check_floats, check_shape, dummy
from ..verify import bounds

Array = np.ndarray


def _check_forward(x: Array, geometry: PadGeometry, value: float = 0.0) -> None:
    check_floats("pad", x=x)
    check_shape("pad", "x", x, geometry.x_shape)
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise ArgumentError(f"pad: value must be a number; got {value!r:.80}")
    if float(np.finfo(x.dtype).max) < abs(value) != math.inf:
        raise ArgumentError(f"pad: value {value!r:.80} is too large for {x.dtype}; use a smaller one, or inf")


def _check_grad_input(grad: Array, geometry: PadGeometry) -> None:
    check_floats("pad.grad_input", grad=grad)
    check_shape("pad.grad_input", "grad", grad, geometry.y_shape)


def _copies(geometry: PadGeometry, **_: Any) -> int:
    """The most pixels of y that can show the same pixel of x."""
    most = 1
    for before, after in geometry.padding:
        if geometry.mode == "replicate":
            most *= 1 + before + after  # all of both borders where the picture is one pixel wide
        elif geometry.mode != "constant":
            most *= 1 + (before > 0) + (after > 0)
    return most


def _cost(geometry: PadGeometry, value: float = 0.0, **arrays: Array) -> Cost:
    itemsize = next(a.dtype.itemsize for a in arrays.values())
    return Cost(0, itemsize * (math.prod(geometry.x_shape) + math.prod(geometry.y_shape)))


def _dummies(
    dtype: np.dtype, x_shape: tuple[int, ...], padding: Any, mode: str = "constant", value: float = 0.0
) -> Mapping[str, Any]:
    geometry = PadGeometry.infer(x_shape, padding, mode)
    return {
        "x": dummy(geometry.x_shape, dtype),
        "grad": dummy(geometry.y_shape, dtype),
        "geometry": geometry,
        "value": value,
    }


def _by_fours(geometry: PadGeometry, **_: Any) -> str | None:
    return pixels.refusal(geometry.channels)


forward = KernelSpec(
    name="pad",
    package=__name__,
    check=_check_forward,
    cost=_cost,
    bound=bounds.exact,
    dummies=_dummies,
    versions=(
        Version("reference.borders", "reference:forward"),
        Version("cuda.channels_last", "cuda:forward_channels_last", _by_fours),
        Version("cuda.naive", "cuda:forward_naive"),
    ),
    oracle="oracle:forward",
    cases="cases:forward",
)

grad_input = KernelSpec(
    name="pad.grad_input",
    package=__name__,
    check=_check_grad_input,
    cost=_cost,
    bound=bounds.inner_product(_copies, "pad.grad_input"),
    dummies=_dummies,
    versions=(
        Version("reference.borders", "reference:grad_input"),
        Version("cuda.channels_last", "cuda:grad_input_channels_last", _by_fours),
        Version("cuda.naive", "cuda:grad_input_naive"),
    ),
    oracle="oracle:grad_input",
    cases="cases:grad_input",
)
