"""Hypothesis strategies of calls: any geometry, layout and dtype, small enough for the oracle's plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ..geometry import PADDING_MODES, ConvGeometry
from ..verify.strategies import ELEMENTS, arrays, dtypes

_PRODUCTS = 4000  # of one call, at most; of the kinds that fill tiles
_MORE_PRODUCTS = 12000
_KINDS = ("small",) * 6 + ("thick", "deep", "large")
_DEEP = st.sampled_from([260, 132, 131])  # of a group: sums long enough to be cut into parts
_THICK = st.sampled_from([4, 12, 20, 68, 8, 36, 5, 132])  # channels of a group: by fours, for loads of four; and 5


@st.composite
def geometries(draw: st.DrawFn) -> ConvGeometry:
    """A ConvGeometry with every attribute drawn; batch 0 and 1x1 images included.

    Most are small. Some fill more than one tile of a kernel: thick in channels and filters, or deep (long sums forward
    or backward), with few pixels; or large, with few channels.
    """
    kind = draw(st.sampled_from(_KINDS))
    most, limit = (3, _PRODUCTS) if kind == "small" else (1, _MORE_PRODUCTS)  # of padding; of products
    kernel = (draw(st.integers(1, 4 if kind == "small" else 2)), draw(st.integers(1, 4 if kind == "small" else 3)))
    stride = draw(_ints_or_pairs(1, 3))
    dilation = draw(_ints_or_pairs(1, 3))
    mode = draw(st.sampled_from(PADDING_MODES))
    one = st.integers(0, most)
    four_sided = st.tuples(st.tuples(one, one), st.tuples(one, one))
    padding = draw(st.one_of(_ints_or_pairs(0, most), four_sided, st.sampled_from(["valid", "same"])))
    size = [
        draw(st.integers(8, 40) if kind == "large" else st.integers(1, 8 if kind == "small" else 3)) for _ in kernel
    ]
    if padding != "same":  # enlarge the image until the window fits into it
        around = ConvGeometry.infer((1, 1, 99, 99), (1, 1, *kernel), stride, padding, dilation).padding
        spread = dilation if isinstance(dilation, tuple) else (dilation, dilation)
        for axis in (0, 1):
            size[axis] = max(size[axis], spread[axis] * (kernel[axis] - 1) + 1 - sum(around[axis]))
    groups = draw(st.integers(1, 3))
    batch = draw(st.sampled_from([1, 2, 3, 0] if kind == "small" else [1, 3]))  # an empty one shrinks to nothing
    few = st.integers(1, 3)
    channels, filters = (draw(_THICK), draw(_THICK)) if kind == "thick" else (draw(few), draw(few))
    if kind == "deep":
        channels = draw(_DEEP)
    if kind == "deep" and draw(st.booleans()):
        channels, filters = filters, channels

    def infer() -> ConvGeometry:
        return ConvGeometry.infer(
            (batch, channels * groups, *size), (filters * groups, channels, *kernel),
            stride, padding, dilation, groups, mode,
        )  # fmt: skip

    while infer().flops > 2 * limit and max(batch, groups, channels, filters) > 1:
        if max(batch, groups) > 1:
            batch, groups = min(batch, 1), max(groups - 1, 1)
        else:
            first = filters == 1 or (channels > 1 and (channels < filters if kind == "deep" else channels > filters))
            channels, filters = (_fewer(channels), filters) if first else (channels, _fewer(filters))
    return infer()


def _fewer(channels: int) -> int:
    """Some less, in fours where there are more than four."""
    return channels - 1 if channels < 8 else channels * 3 // 16 * 4


def _ints_or_pairs(least: int, most: int) -> st.SearchStrategy[Any]:
    one = st.integers(least, most)
    return one | st.tuples(one, one)


@st.composite
def _calls(draw: st.DrawFn, names: tuple[str, ...]) -> dict[str, Any]:
    g = draw(geometries())
    dtype, elements = draw(dtypes()), draw(st.sampled_from(ELEMENTS))
    shapes = {"x": g.x_shape, "w": g.w_shape, "b": (g.out_channels,), "grad": g.y_shape}
    call: dict[str, np.ndarray | ConvGeometry | bool | None] = {}
    for name in names:
        if name == "geometry":
            call[name] = g
        elif name == "relu":
            call[name] = draw(st.booleans())
        elif name == "b" and not draw(st.booleans()):
            call[name] = None
        else:
            call[name] = draw(arrays(shapes[name], dtype, elements))
    return call


def forward() -> st.SearchStrategy[dict[str, Any]]:
    return _calls(("x", "w", "b", "geometry", "relu"))


def grad_input() -> st.SearchStrategy[dict[str, Any]]:
    return _calls(("grad", "w", "geometry"))


def grad_weight() -> st.SearchStrategy[dict[str, Any]]:
    return _calls(("grad", "x", "geometry"))


def grad_bias() -> st.SearchStrategy[dict[str, Any]]:
    return _calls(("grad",))
