"""Convolution and its gradients from the definition: float64 loops, used by tests alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..geometry import ConvGeometry


def _taps(g: ConvGeometry) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]:
    """Every product of the definition as indices into (x, w, y); taps on zero padding are left out."""
    c_group, o_group = g.in_channels // g.groups, g.out_channels // g.groups
    for n in range(g.batch):
        for o in range(g.out_channels):
            for p in range(g.output[0]):
                for q in range(g.output[1]):
                    for c in range(c_group):
                        for r in range(g.kernel[0]):
                            for s in range(g.kernel[1]):
                                i = p * g.stride[0] + r * g.dilation[0] - g.padding[0][0]
                                j = q * g.stride[1] + s * g.dilation[1] - g.padding[1][0]
                                if g.padding_mode == "replicate":
                                    i = min(max(i, 0), g.size[0] - 1)
                                    j = min(max(j, 0), g.size[1] - 1)
                                if 0 <= i < g.size[0] and 0 <= j < g.size[1]:
                                    yield (n, o // o_group * c_group + c, i, j), (o, c, r, s), (n, o, p, q)


def forward(x, w, b, geometry, relu=False):
    y = np.zeros(geometry.y_shape)
    for at_x, at_w, at_y in _taps(geometry):
        y[at_y] += float(x[at_x]) * float(w[at_w])
    if b is not None:
        for o in range(geometry.out_channels):
            y[:, o] += float(b[o])
    if relu:
        y[y < 0] = 0  # NaN stays
    return y


def grad_input(grad, w, geometry):
    gx = np.zeros(geometry.x_shape)
    for at_x, at_w, at_y in _taps(geometry):
        gx[at_x] += float(grad[at_y]) * float(w[at_w])
    return gx


def grad_weight(grad, x, geometry):
    gw = np.zeros(geometry.w_shape)
    for at_x, at_w, at_y in _taps(geometry):
        gw[at_w] += float(grad[at_y]) * float(x[at_x])
    return gw


def grad_bias(grad):
    gb = np.zeros(grad.shape[1])
    for n, o, p, q in np.ndindex(grad.shape):
        gb[o] += float(grad[n, o, p, q])
    return gb
