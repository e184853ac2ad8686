"""Two-dimensional max pooling and its gradient.

`forward(x, geometry, where=True)` -> (y, indices): y (N, C, P, Q) holds the largest pixel of each window of
x (N, C, H, W); indices, int32 of the same shape, tell where it was, as h * W + w within its plane. Of
equal pixels the first in row-major order wins; a NaN wins over every number, the first NaN over later
ones (as in PyTorch). Padding never wins, not even over -inf. Unless asked `where`, indices may be None.
`grad_input(grad, indices, geometry)` adds each gradient to the pixel that won; indices are those that `forward` returns
for this geometry.

Any strides; versions named channels_last work so and return channels-last views.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import ShapeError
from ..cuda import pixels
from ..geometry import PoolGeometry
from ..registry import Cost, KernelSpec, Version, check_floats, check_shape, dummy
from ..verify import bounds

Array = np.ndarray
INDEX = np.dtype("int32")


def _check_plane(op: str, geometry: PoolGeometry) -> None:
    h, w = geometry.size
    if h * w > np.iinfo(INDEX).max:
        raise ShapeError(f"{op}: a plane of {h} x {w} pixels has more than int32 can number; pool a smaller picture")


def _check_forward(x: Array, geometry: PoolGeometry, where: bool = True) -> None:
    check_floats("max_pool2d", x=x)
    check_shape("max_pool2d", "x", x, geometry.x_shape)
    _check_plane("max_pool2d", geometry)


def _check_grad_input(grad: Array, indices: Array, geometry: PoolGeometry) -> None:
    op = "max_pool2d.grad_input"
    check_floats(op, grad=grad)
    check_shape(op, "grad", grad, geometry.y_shape)
    check_shape(op, "indices", indices, geometry.y_shape)
    _check_plane(op, geometry)
    if indices.dtype != INDEX:
        raise ShapeError(f"{op}: indices must be int32, as max_pool2d returns them; got {indices.dtype}")
    if not isinstance(indices, Array):
        return  # the host would wait for a device's answer; kernels there gather, and never address by an index
    plane = geometry.size[0] * geometry.size[1]
    if indices.size and int(indices.view(np.uint32).max()) >= plane:  # as such, a negative one is large
        raise ShapeError(
            f"{op}: indices must lie in 0 .. {plane - 1}, the pixels of x of shape {geometry.x_shape}; "
            f"got {int(indices.min())} .. {int(indices.max())}; pass what max_pool2d returned for this geometry"
        )


def _cost(geometry: PoolGeometry, **arrays: Array) -> Cost:
    outputs = math.prod(geometry.y_shape)
    floats = next(a.dtype.itemsize for a in arrays.values() if a.dtype.kind == "f")
    moved = floats * (math.prod(geometry.x_shape) + outputs) + INDEX.itemsize * outputs
    return Cost(outputs * geometry.kernel[0] * geometry.kernel[1], moved)


def _dummies(dtype: np.dtype, x_shape: tuple[int, ...], kernel_size: Any, **attributes: Any) -> Mapping[str, Any]:
    geometry = PoolGeometry.infer(x_shape, kernel_size, **attributes)
    return {
        "x": dummy(geometry.x_shape, dtype),
        "grad": dummy(geometry.y_shape, dtype),
        "indices": dummy(geometry.y_shape, INDEX),
        "geometry": geometry,
    }


def _by_fours(geometry: PoolGeometry, **_: Any) -> str | None:
    return pixels.refusal(geometry.channels)


forward = KernelSpec(
    name="max_pool2d",
    package=__name__,
    check=_check_forward,
    cost=_cost,
    bound=bounds.exact,
    dummies=_dummies,
    versions=(
        Version("cpu.channels_last", "cpu:forward", heeds=("where",)),
        Version("reference.taps", "reference:forward"),
        Version("cuda.channels_last", "cuda:forward_channels_last", _by_fours),
        Version("cuda.naive", "cuda:forward_naive"),
        Version("numba_cuda.naive", "cuda_numba:forward"),
    ),
    oracle="oracle:forward",
    cases="cases:forward",
)

grad_input = KernelSpec(
    name="max_pool2d.grad_input",
    package=__name__,
    check=_check_grad_input,
    cost=_cost,
    # A pixel wins at most once for each position that it can take in a window.
    bound=bounds.inner_product(lambda geometry, **_: geometry.kernel[0] * geometry.kernel[1], "max_pool2d.grad_input"),
    dummies=_dummies,
    versions=(
        Version("cpu.channels_last", "cpu:grad_input"),
        Version("reference.scatter", "reference:grad_input"),
        Version("cuda.channels_last", "cuda:grad_input_channels_last", _by_fours),
        Version("cuda.naive", "cuda:grad_input_naive"),
        Version("numba_cuda.naive", "cuda_numba:grad_input"),
    ),
    oracle="oracle:grad_input",
    cases="cases:grad_input",
)
