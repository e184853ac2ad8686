"""Launchers of the kernels in grad_bias.cu: one a version, each with the signature of conv2d.grad_bias."""

from __future__ import annotations

from ...cuda import ceil_div, empty, source, strides
from . import gradient_tiles as tiles

GRAD_BIAS = source(__file__, "grad_bias.cu")


def naive(grad):
    n, o, p, q = grad.shape
    gb = empty((o,), grad.dtype, like=grad)
    GRAD_BIAS.launch(
        "conv2d_grad_bias_naive", ceil_div(o, 64), 64, grad, gb, n, o, p, q, strides(grad), real=grad.dtype
    )
    return gb


def blocks(grad):
    n, o, p, q = grad.shape
    gb = empty((o,), grad.dtype, like=grad)
    planes = grad.reshape(n, o, p * q)  # copies only where rows do not follow each other evenly
    step_n, step_o, step_pixel = (step // grad.itemsize for step in planes.strides)
    block, slices, part = tiles.bias_blocks(n, o, p * q, channels_last=abs(step_o) == 1)
    sums = empty((slices, o), "float64", like=grad)
    GRAD_BIAS.launch(
        "conv2d_grad_bias_blocks", (ceil_div(o, block[0]), slices), block,
        planes, sums, n, o, p * q, step_n, step_o, step_pixel, part, real=grad.dtype,
    )  # fmt: skip
    GRAD_BIAS.launch("conv2d_grad_bias_sum", ceil_div(o, 64), 64, sums, gb, o, slices, real=grad.dtype)
    return gb
