"""Convolution as a matrix product over gathered windows (im2col), in NumPy alone.

Source of the method: Chellapilla, Puri & Simard, "High Performance Convolutional Neural Networks for
Document Processing" (2006). Letters: N batch, G groups, c = C / G, o = O / G, R x S filter, P x Q output.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..geometry import ConvGeometry


def _pad(x: np.ndarray, g: ConvGeometry) -> np.ndarray:
    if g.padding == ((0, 0), (0, 0)):
        return x
    return np.pad(x, ((0, 0), (0, 0), *g.padding), mode={"zeros": "constant", "replicate": "edge"}[g.padding_mode])


def _windows(padded: np.ndarray, g: ConvGeometry) -> np.ndarray:
    """A view (N, C, R, S, P, Q) of the padded input: the pixel that tap (r, s) sees at output (p, q)."""
    n, c, h, w = padded.strides
    shape = (g.batch, g.in_channels, *g.kernel, *g.output)
    strides = (n, c, h * g.dilation[0], w * g.dilation[1], h * g.stride[0], w * g.stride[1])
    return as_strided(padded, shape, strides, writeable=padded.flags.writeable)


def _columns(x: np.ndarray, g: ConvGeometry) -> np.ndarray:
    """(N, C, H, W) -> (N, G, c R S, P Q), one column an output pixel."""
    return _windows(_pad(x, g), g).reshape(g.batch, g.groups, g.depth, g.output[0] * g.output[1])


def forward(x, w, b, geometry, relu=False):
    g = geometry
    y = w.reshape(g.groups, -1, g.depth) @ _columns(x, g)  # (G, o, cRS) @ (N, G, cRS, PQ) -> (N, G, o, PQ)
    y = y.reshape(g.y_shape)
    if b is not None:
        y = y + b[:, None, None]
    return np.maximum(y, y.dtype.type(0)) if relu else y


def grad_input(grad, w, geometry):
    g = geometry
    grad = grad.reshape(g.batch, g.groups, g.out_channels // g.groups, g.output[0] * g.output[1])
    columns = w.reshape(g.groups, -1, g.depth).swapaxes(1, 2) @ grad  # -> (N, G, cRS, PQ)
    columns = columns.reshape(g.batch, g.in_channels, *g.kernel, *g.output)
    (top, bottom), (left, right) = g.padding
    h, w_ = g.size
    padded = np.zeros((g.batch, g.in_channels, top + h + bottom, left + w_ + right), grad.dtype)
    windows = _windows(padded, g)
    for r in range(g.kernel[0]):  # one tap at a time: the windows of one tap never overlap
        for s in range(g.kernel[1]):
            windows[:, :, r, s] += columns[:, :, r, s]
    if g.padding_mode == "replicate":  # what the padding received belongs to the edge it repeats
        padded[:, :, top] += padded[:, :, :top].sum(2)
        padded[:, :, top + h - 1] += padded[:, :, top + h :].sum(2)
        padded[..., left] += padded[..., :left].sum(3)
        padded[..., left + w_ - 1] += padded[..., left + w_ :].sum(3)
    return padded[:, :, top : top + h, left : left + w_]


def grad_weight(grad, x, geometry):
    g = geometry
    grad = grad.reshape(g.batch, g.groups, g.out_channels // g.groups, g.output[0] * g.output[1])
    products = grad @ _columns(x, g).swapaxes(2, 3)  # (N, G, o, PQ) @ (N, G, PQ, cRS) -> (N, G, o, cRS)
    return products.sum(0).reshape(g.w_shape)


def grad_bias(grad):
    # Summed in float64: at N P Q of a million, a running float32 sum would lose three digits.
    return grad.sum((0, 2, 3), dtype=np.float64).astype(grad.dtype)
