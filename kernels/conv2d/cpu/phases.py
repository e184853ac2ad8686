"""The input gradient as convolutions of the output's gradient: one for each class of pixels that the same taps reach.

With a stride, some of a filter's taps alone see a pixel of the input, and pixels `stride` apart are seen by the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import gcd
from typing import Any, NamedTuple

import numpy as np

from ...cpu.memory import empty
from ...geometry import ConvGeometry
from .axes import Axis


class Phase(NamedTuple):
    """Input pixels first, first + stride, ... along one axis, the taps that reach them, and where from."""

    first: int
    taps: tuple[int, ...]
    start: int
    step: int

    def axis(self, size: int, stride: int) -> Axis:
        return Axis(-(-(size - self.first) // stride), 1, self.start, len(self.taps), self.step)


def phases(kernel: int, stride: int, padding: int, dilation: int) -> list[Phase]:
    """Of each residue class of input pixels modulo `stride` that any tap reaches, along one axis.

    Tap r takes input pixel i to output pixel (i + padding - r * dilation) / stride where that is whole. The
    taps that do are evenly spaced; they are listed from the last to the first, so that outputs ascend.
    Dumoulin & Visin (2016), chapter 4, without their zeros.
    """
    apart = stride // gcd(stride, dilation)  # taps that share a residue
    found = []
    for first in range(stride):
        taps = tuple(r for r in reversed(range(kernel)) if (first + padding - r * dilation) % stride == 0)
        if taps:
            found.append(
                Phase(first, taps, (first + padding - taps[0] * dilation) // stride, apart * dilation // stride)
            )
    return found


def all_phases(g: ConvGeometry) -> tuple[list[Phase], list[Phase]]:
    """Of the input gradient, vertically and horizontally; a repeated edge is folded back once it is computed."""
    padding = [0 if g.padding_mode == "replicate" else before for before, _ in g.padding]
    vertical, horizontal = (phases(g.kernel[a], g.stride[a], padding[a], g.dilation[a]) for a in (0, 1))
    return vertical, horizontal


def phase_steps(g: ConvGeometry, v: Phase, h: Phase) -> tuple[int, int, int, int]:
    """The input pixels of a phase: steps from image to image, row to row and pixel to pixel, and the first number."""
    row, pixel = g.size[1] * g.in_channels, g.in_channels
    return g.size[0] * row, g.stride[0] * row, g.stride[1] * pixel, v.first * row + h.first * pixel


def phase_axes(g: ConvGeometry, v: Phase, h: Phase) -> tuple[Axis, Axis]:
    """The windows of outputs that the input pixels of a phase see."""
    return v.axis(g.size[0], g.stride[0]), h.axis(g.size[1], g.stride[1])


def grad_input(
    grad: np.ndarray, g: ConvGeometry, filters: Mapping[tuple[int, int], Any], convolved: Callable[..., None]
) -> np.ndarray:
    """The input gradient (N, C, H, W), channels-last; a repeated edge gets what its copies in the border get.

    filters: of each phase, by its first row and column. convolved(grad, filters, gx, steps, axes) fills what `steps`
    (see `phase_steps`) tell of gx, flat, with grad seen through the windows `axes`.
    """
    if g.padding_mode == "replicate":
        return _fold_edges(grad_input(grad, _unpadded(g), filters, convolved), g)
    vertical, horizontal = all_phases(g)
    gx = empty((g.batch, *g.size, g.in_channels), grad.dtype)
    if len(vertical) < g.stride[0] or len(horizontal) < g.stride[1]:
        gx[...] = 0  # pixels that no window sees
    for v in vertical:
        for h in horizontal:
            if g.batch and v.first < g.size[0] and h.first < g.size[1]:
                steps, axes = phase_steps(g, v, h), phase_axes(g, v, h)
                convolved(grad, filters[v.first, h.first], gx.reshape(gx.size), steps, axes)
    return gx.transpose(0, 3, 1, 2)


def _unpadded(g: ConvGeometry) -> ConvGeometry:
    """The same convolution of an image that has its border already."""
    (top, bottom), (left, right) = g.padding
    shape = (g.batch, g.in_channels, top + g.size[0] + bottom, left + g.size[1] + right)
    return ConvGeometry.infer(shape, g.w_shape, g.stride, 0, g.dilation, g.groups)


def _fold_edges(padded, g: ConvGeometry):
    """The gradient of a padded image, with the border's added to the edge that it repeats."""
    ((top, _), (left, _)), (height, width) = g.padding, g.size
    padded[:, :, top] += padded[:, :, :top].sum(2)
    padded[:, :, top + height - 1] += padded[:, :, top + height :].sum(2)
    padded[..., left] += padded[..., :left].sum(3)
    padded[..., left + width - 1] += padded[..., left + width :].sum(3)
    return padded[:, :, top : top + height, left : left + width]
