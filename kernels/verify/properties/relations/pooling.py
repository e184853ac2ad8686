"""Relations of pooling and of borders. Letters: x (N, C, H, W), y and grad (N, C, P, Q)."""

from __future__ import annotations

from typing import Any

import numpy as np

from .....errors import ShapeError
from ....geometry import PadGeometry, PoolGeometry
from ...agreement import Call, largest
from ..ask import Ask, same

Array = np.ndarray
Answer = float | None


def explicit_padding(ask: Ask, call: Call) -> Answer:
    """Padding is a border of -inf under a maximum, of 0 under a sum. Windows of ceil mode may reach beyond it."""
    g = call["geometry"]
    if g.ceil_mode:
        return None
    x = np.pad(call["x"], ((0, 0), (0, 0), *g.padding), constant_values=_nothing(ask))
    bordered = {**call, "x": x, "geometry": _like(g, x.shape, padding=0)}
    (top, _), (left, _) = g.padding
    return same(_answers(ask, bordered, top, left, g), ask(call), ask.allowed(call))


def stride_as_subsampling(ask: Ask, call: Call) -> Answer:
    """A stride takes every so manyth window."""
    g = call["geometry"]
    if g.ceil_mode:
        return None
    try:
        dense = {**call, "geometry": _like(g, g.x_shape, stride=1)}
    except ShapeError:  # some of the windows between lie in the padding
        return None
    every: Any = (..., *(slice(0, (n - 1) * s + 1, s) for n, s in zip(g.output, g.stride, strict=True)))
    return same([answer[every] for answer in ask(dense)], ask(call), ask.allowed(call))


def translation(ask: Ask, call: Call) -> Answer:
    """A picture moved by a stride gives an answer moved by a pixel."""
    g = call["geometry"]
    top, left = g.stride
    x = np.pad(call["x"], ((0, 0), (0, 0), (top, 0), (left, 0)), constant_values=_nothing(ask))
    try:
        moved = {**call, "x": x, "geometry": _like(g, x.shape)}
    except ShapeError:
        return None
    answers = [answer[:, :, 1:, 1:] for answer in _answers(ask, moved, top, left, g)]
    return same(answers, ask(call), ask.allowed(call))


def _nothing(ask: Ask) -> float:
    """What changes no answer: of a maximum, or of a sum."""
    return -np.inf if ask.kernel.name == "max_pool2d" else 0.0


def _answers(ask: Ask, call: Call, top: int, left: int, g: PoolGeometry) -> list[Array]:
    """Those of a call with a larger picture, indices counted in the picture without its first rows and columns."""
    y, *indices = ask(call)
    width = call["x"].shape[3]
    return [y, *((i // width - top) * g.size[1] + i % width - left for i in indices)]


def _like(g: PoolGeometry, x_shape: tuple[int, ...], stride: Any = None, padding: Any = None) -> PoolGeometry:
    return PoolGeometry.infer(
        x_shape,
        g.kernel,
        g.stride if stride is None else stride,
        g.padding if padding is None else padding,
        g.dilation,
        g.ceil_mode,
    )


def as_many_bins_as_pixels(ask: Ask, call: Call) -> Answer:
    """A bin a pixel: nothing changes."""
    asked = {**call, "output_size": call["x"].shape[2:]}
    return same(ask(asked), [call["x"]], ask.allowed(asked))


def one_bin_as_mean(ask: Ask, call: Call) -> Answer:
    """One bin holds the mean of the picture."""
    x = call["x"]
    if x.shape[2] * x.shape[3] & (x.shape[2] * x.shape[3] - 1):
        return None  # a division that rounds; the bound property covers it
    asked = {**call, "output_size": (1, 1)}
    return same(ask(asked), [x.mean((2, 3), np.float64, keepdims=True)], ask.allowed(asked))


def crop(ask: Ask, call: Call) -> Answer:
    """Inside its border a picture is as it was, and the border of a constant is that."""
    g = call["geometry"]
    (y,) = ask(call)
    (top, _), (left, _) = g.padding
    inside = (..., slice(top, top + g.size[0]), slice(left, left + g.size[1]))
    shares = [same([y[inside]], [call["x"]], (0.0,))]
    if g.mode == "constant":
        border = np.ones(y.shape, bool)
        border[inside] = False
        shares.append(same([y[border]], [np.full(border.sum(), call["value"], y.dtype)], (0.0,)))
    return largest(shares)


def border_in_two_steps(ask: Ask, call: Call) -> Answer:
    """Above and below first, then left and right."""
    g = call["geometry"]
    one = PadGeometry.infer(g.x_shape, (g.padding[0], (0, 0)), g.mode)
    (tall,) = ask({**call, "geometry": one})
    both = {**call, "x": tall, "geometry": PadGeometry.infer(tall.shape, ((0, 0), g.padding[1]), g.mode)}
    return same(ask(both), ask(call), ask.allowed(call))


WINDOWS = {
    "explicit = implicit padding": explicit_padding,
    "stride = subsampling": stride_as_subsampling,
    "translation": translation,
}
ADAPTIVE = {"as many bins as pixels = the picture": as_many_bins_as_pixels, "one bin = the mean": one_bin_as_mean}
BORDERS = {"cropped = the picture": crop, "in two steps = in one": border_in_two_steps}
