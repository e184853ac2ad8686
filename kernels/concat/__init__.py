"""Joining arrays along one axis, and its gradient.

`forward(xs, axis)`: a tuple of arrays whose shapes agree but along `axis` -> one array.
`grad_input(grad, sizes, axis)` -> a tuple of arrays, cut from grad (as views) at the sizes along `axis`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from ...errors import MinitlError, ShapeError
from ..cpu import room as memory_left
from ..cpu.memory import empty
from ..registry import Cost, KernelSpec, Version, check_floats, dummy
from ..verify import bounds
from . import cuda

Array = np.ndarray


class Joined:
    """Arrays for images (N, C, H, W) of these shapes joined along the channels, each with a part for every one.

    What computes them writes there, and nothing is left to join. Channels-last in memory. `serves`: whether there may
    be any; not where a version of one's own serves, or one that was asked for. Raises ShapeError for shapes that do not
    agree.
    """

    def __init__(self, shapes: Sequence[tuple[int, ...]], dtype: np.dtype) -> None:
        self._xs = tuple(dummy(shape, dtype) for shape in shapes)
        _check_forward(self._xs, 1)
        self.serves = forward.forced() in (None, "cpu") and forward.versions[0].backend == "cpu"
        ends = list(accumulate(shape[1] for shape in shapes))
        self._parts = [(slice(None), slice(*span)) for span in pairwise([0, *ends])]
        batch, _, height, width = shapes[0]
        self._shape, self._dtype = (batch, height, width, ends[-1]), dtype
        self._size = dtype.itemsize * math.prod(self._shape)

    def new(self) -> tuple[Array, list[Array]]:
        """An array and its parts, unfilled. Raises HostMemoryError."""
        try:
            if self._size >= memory_left.LARGE:
                memory_left.check("concat", {"xs": self._xs}, self._size)
            y = empty(self._shape, self._dtype).transpose(0, 3, 1, 2)
        except MemoryError as error:
            if isinstance(error, MinitlError):
                raise
            raise memory_left.lacking("concat", {"xs": self._xs}, f"more memory than there is ({error})") from None
        return y, [y[part] for part in self._parts]


def _check_axis(op: str, axis: int, ndim: int) -> None:
    if not -ndim <= operator.index(axis) < ndim:
        raise ShapeError(f"{op}: axis {axis} does not exist in arrays of {ndim} axes")


def _check_forward(xs: tuple[Array, ...], axis: int) -> None:
    op = "concat"
    if not isinstance(xs, tuple) or not xs:
        raise ShapeError(f"{op}: xs must be a tuple of at least one array; got {type(xs).__name__} {xs!r:.60}")
    check_floats(op, **{f"xs[{i}]": x for i, x in enumerate(xs)})
    _check_axis(op, axis, xs[0].ndim)
    for i, x in enumerate(xs):
        same = x.ndim == xs[0].ndim and all(
            a == b or k == axis % x.ndim for k, (a, b) in enumerate(zip(x.shape, xs[0].shape, strict=True))
        )
        if not same:
            raise ShapeError(
                f"{op}: shapes must agree but along axis {axis}; xs[0] has {xs[0].shape}, xs[{i}] has {x.shape}"
            )


def _check_grad_input(grad: Array, sizes: tuple[int, ...], axis: int) -> None:
    op = "concat.grad_input"
    check_floats(op, grad=grad)
    _check_axis(op, axis, grad.ndim)
    if sum(sizes) != grad.shape[axis]:
        raise ShapeError(f"{op}: sizes {tuple(sizes)} must add up to axis {axis} of grad of shape {grad.shape}")


def _dummies(dtype: np.dtype, x_shapes: tuple[tuple[int, ...], ...], axis: int = 1) -> Mapping[str, Any]:
    return {"xs": tuple(dummy(shape, dtype) for shape in x_shapes), "axis": axis}


def _grad_dummies(dtype: np.dtype, x_shapes: tuple[tuple[int, ...], ...], axis: int = 1) -> Mapping[str, Any]:
    sizes = tuple(shape[axis] for shape in x_shapes)
    joined = list(x_shapes[0])
    joined[axis] = sum(sizes)
    return {"grad": dummy(tuple(joined), dtype), "sizes": sizes, "axis": axis}


LEAST = 1 << 12  # numbers: below, NumPy has begun and ended before Numba's threads are awake


def _channels_serve(xs: tuple[Array, ...], axis: int) -> str | None:
    if xs[0].ndim != 4 or axis % 4 != 1:
        return "it joins images along their channels"
    if any(x.transpose(0, 2, 3, 1).flags.c_contiguous is False for x in xs):
        return "it joins images whose channels lie side by side"
    return None if sum(x.size for x in xs) >= LEAST else f"of fewer than {LEAST} numbers, its threads cost too much"


forward = KernelSpec(
    name="concat",
    package=__name__,
    check=_check_forward,
    cost=lambda xs, axis: Cost(0, 2 * sum(x.nbytes for x in xs)),
    bound=bounds.exact,
    dummies=_dummies,
    versions=(
        Version("cpu.channels", "cpu:forward", _channels_serve, cases="cases:channels"),
        Version("reference.concatenate", "reference:forward"),
        Version("cuda.rows", "cuda:rows", cuda.rows_serves),
        Version("cuda.naive", "cuda:naive"),
    ),
    oracle="oracle:forward",
    cases="cases:forward",
)

grad_input = KernelSpec(
    name="concat.grad_input",
    package=__name__,
    check=_check_grad_input,
    cost=lambda grad, sizes, axis: Cost(0, 2 * grad.nbytes),
    bound=bounds.exact,
    dummies=_grad_dummies,
    versions=(Version("reference.split", "reference:grad_input"), Version("cuda.views", "cuda:views")),
    oracle="oracle:grad_input",
    cases="cases:grad_input",
)
