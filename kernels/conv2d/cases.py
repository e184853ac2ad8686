"""Hypothesis strategies of calls: any geometry, layout and dtype, small enough for the oracle's plain loops."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ..geometry import PADDING_MODES, ConvGeometry
from ..verify.strategies import ELEMENTS, arrays, dtypes

_PRODUCTS = 4000  # of one call, at most; of the kinds that fill tiles
_MORE_PRODUCTS = 8000
_MOST_PRODUCTS = 12000  # of squares
_KINDS = ("small",) * 6 + ("thick", "deep", "deep", "large", "whole")
_SQUARE = st.sampled_from([8, 9, 17, 24])  # channels and filters for Winograd's transforms
_DEEP = st.sampled_from([260, 132, 131])  # of a group: sums long enough to be cut into parts
_THICK = st.sampled_from([4, 12, 20, 68, 8, 36, 5, 132])  # channels of a group: by fours, for loads of four; and 5
_WHOLE = 64  # a tile, of filters or of a window's numbers; half a tile, or two, of other kernels


@st.composite
def geometries(draw: st.DrawFn) -> ConvGeometry:
    """A ConvGeometry with every attribute drawn; batch 0 and 1x1 images included.

    Most are small. Some fill more than one tile of a kernel: thick in channels and filters, or deep (long sums forward
    or backward), with few pixels; or large, with few channels; or they fill tiles of every group exactly, where
    rounding up must not count one more.
    """
    kind = draw(st.sampled_from(_KINDS))
    most, limit = (3, _PRODUCTS) if kind == "small" else (1, _MORE_PRODUCTS)  # of padding; of products
    kernel = (draw(st.integers(1, 4 if kind == "small" else 2)), draw(st.integers(1, 4 if kind == "small" else 3)))
    kernel = {"whole": (kernel[0], kernel[0]), "deep": (kernel[0], 1)}.get(kind, kernel)
    stride = draw(_ints_or_pairs(1, 2 if kind == "large" else 3))
    dilation = draw(_ints_or_pairs(1, 3))
    mode = draw(st.sampled_from(("zeros", *PADDING_MODES)))  # the one that is used most
    one = st.integers(0, most)
    four_sided = st.tuples(st.tuples(one, one), st.tuples(one, one))
    padding = draw(st.one_of(_ints_or_pairs(1, most), four_sided, st.sampled_from(["valid", "same"])))
    padding = 0 if kind == "whole" else padding
    sizes = {"small": st.integers(1, 8), "large": st.integers(18, 32), "whole": st.integers(1, 3)}
    size = [draw(sizes.get(kind, st.integers(1, 3))) for _ in kernel]
    if padding != "same":  # enlarge the image until the window fits into it
        around = ConvGeometry.infer((1, 1, 99, 99), (1, 1, *kernel), stride, padding, dilation).padding
        spread = dilation if isinstance(dilation, tuple) else (dilation, dilation)
        for axis in (0, 1):
            size[axis] = max(size[axis], spread[axis] * (kernel[axis] - 1) + 1 - sum(around[axis]))
    groups = draw(st.integers(1, 3))
    batch = draw(st.sampled_from([1, 2, 3, 1, 2, 3, 0] if kind == "small" else [1, 3]))  # none shrinks to nothing
    few = st.integers(1, 3)
    channels, filters = (draw(_THICK), draw(_THICK)) if kind == "thick" else (draw(few), draw(few))
    if kind == "deep":
        channels = draw(_DEEP)
    if kind == "deep" and draw(st.booleans()):
        channels, filters = filters, channels
    if kind == "whole":
        taps = math.prod(kernel)
        batch, groups = draw(st.sampled_from([(1, 2), (2, 1)]))
        channels, filters = draw(st.sampled_from([(_WHOLE // taps, 4), (4, _WHOLE)]))

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


@st.composite
def squares(draw: st.DrawFn, taps: int, least: int = 8) -> ConvGeometry:
    """Filters of taps x taps side by side, some tiles of outputs, enough channels: for Winograd's transforms.

    least: channels; there are 8 filters or more.
    """
    one = st.integers(0, taps + 1)
    padding = draw(st.just(taps // 2) | st.tuples(st.tuples(one, one), st.tuples(one, one)))
    channels, filters = max(draw(_SQUARE), least), draw(_SQUARE)
    size = [draw(st.integers(4 if taps == 3 else 5, 11)) for _ in range(2)]
    mode = draw(st.sampled_from(["zeros", "zeros", "replicate"]))

    def infer() -> ConvGeometry:
        return ConvGeometry.infer((batch, channels, *size), (filters, channels, taps, taps), 1, padding, 1, 1, mode)

    batch = 1
    while infer().flops > 2 * _MOST_PRODUCTS and max(channels - least + 8, filters, *size) > 8:
        channels, filters = max(channels * 3 // 4, least), max(filters * 3 // 4, 8)
        size = [max(n - 1, 5) for n in size]
    batch = draw(st.integers(1, max(_MOST_PRODUCTS * 2 // infer().flops, 1)))
    return infer()


@st.composite
def depthwise(draw: st.DrawFn) -> ConvGeometry:
    """The windows of `geometries`, over channels that each have a filter of their own."""
    g, channels = draw(geometries()), draw(st.sampled_from([2, 3, 17, 40]))

    def infer() -> ConvGeometry:
        shape, filters = (g.batch, channels, *g.size), (channels, 1, *g.kernel)
        return ConvGeometry.infer(shape, filters, g.stride, g.padding, g.dilation, channels, g.padding_mode)

    while infer().flops > 2 * _MORE_PRODUCTS and channels > 2:
        channels = channels // 2 + 1
    return infer()


def _fewer(channels: int) -> int:
    """Some less, in fours where there are more than four."""
    return channels - 1 if channels < 8 else channels * 3 // 16 * 4


def _ints_or_pairs(least: int, most: int) -> st.SearchStrategy[Any]:
    one = st.integers(least, most)
    return one | st.tuples(one, one)


@st.composite
def _calls(
    draw: st.DrawFn, names: tuple[str, ...], geometries: Callable[[], st.SearchStrategy[ConvGeometry]]
) -> dict[str, Any]:
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


FORWARD, GRAD_INPUT, GRAD_WEIGHT = (
    ("x", "w", "b", "geometry", "relu"),
    ("grad", "w", "geometry"),
    ("grad", "x", "geometry"),
)


def forward() -> st.SearchStrategy[dict[str, Any]]:
    return _calls(FORWARD, geometries)


def grad_input() -> st.SearchStrategy[dict[str, Any]]:
    return _calls(GRAD_INPUT, geometries)


def grad_weight() -> st.SearchStrategy[dict[str, Any]]:
    return _calls(GRAD_WEIGHT, geometries)


def grad_bias() -> st.SearchStrategy[dict[str, Any]]:
    return _calls(("grad",), geometries)


def forward_3x3() -> st.SearchStrategy[dict[str, Any]]:
    return _calls(FORWARD, lambda: squares(3))


def forward_5x5() -> st.SearchStrategy[dict[str, Any]]:
    return _calls(FORWARD, lambda: squares(5))


def grad_input_3x3() -> st.SearchStrategy[dict[str, Any]]:
    return _calls(GRAD_INPUT, lambda: squares(3))


def grad_input_5x5() -> st.SearchStrategy[dict[str, Any]]:
    return _calls(GRAD_INPUT, lambda: squares(5))


def grad_weight_3x3() -> st.SearchStrategy[dict[str, Any]]:
    return _calls(GRAD_WEIGHT, lambda: squares(3, least=16))


def grad_weight_5x5() -> st.SearchStrategy[dict[str, Any]]:
    return _calls(GRAD_WEIGHT, lambda: squares(5, least=16))


def forward_depthwise() -> st.SearchStrategy[dict[str, Any]]:
    return _calls(FORWARD, depthwise)


def grad_input_depthwise() -> st.SearchStrategy[dict[str, Any]]:
    return _calls(GRAD_INPUT, depthwise)


def grad_weight_depthwise() -> st.SearchStrategy[dict[str, Any]]:
    return _calls(GRAD_WEIGHT, depthwise)
