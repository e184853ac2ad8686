"""Launchers of convolution on tensor cores: float32 arrays; products in TF32 (three or one) or bfloat16."""

from __future__ import annotations

from functools import partial

from ...cuda import channels_last, contiguous, conv_struct, empty, source
from . import products

TENSOR_CORES = source(__file__, "tensor_cores.cu")


def forward(x, w, b, geometry, relu=False, precision="tf32x3"):
    y = empty(geometry.y_shape, x.dtype, like=x, channels_last=True)
    plan = products.forward(geometry)
    memory = y.transpose(0, 2, 3, 1)
    target = plan.target(memory)
    b = None if b is None else contiguous(b)
    plan.launch(
        TENSOR_CORES, "conv2d_forward", precision,
        channels_last(x), channels_last(w), b, target, conv_struct(geometry), plan.parts, relu,
    )  # fmt: skip
    if target is not memory:
        plan.sum_up(target, b, y, relu)
    return y


def grad_input(grad, w, geometry, precision="tf32x3"):
    g = products.bordered(geometry)
    gx = empty(g.x_shape, grad.dtype, like=grad, channels_last=True)
    plan = products.grad_input(geometry)
    memory = gx.transpose(0, 2, 3, 1)
    target = plan.target(memory)
    plan.launch(
        TENSOR_CORES, "conv2d_grad_input", precision,
        channels_last(grad), channels_last(w), target, conv_struct(g), plan.parts,
    )  # fmt: skip
    if target is not memory:
        plan.sum_up(target, None, gx)
    if g is geometry:
        return gx
    folded = empty(geometry.x_shape, grad.dtype, like=grad, channels_last=True)
    plan.launch_each(
        TENSOR_CORES, "conv2d_fold_border", precision, folded.size, gx, folded, conv_struct(geometry), *g.size
    )
    return folded


def grad_weight(grad, x, geometry, precision="tf32x3"):
    g = geometry
    gw = empty(g.w_shape, grad.dtype, like=grad)
    plan = products.grad_weight(g)
    channels, taps = g.w_shape[1], g.kernel[0] * g.kernel[1]
    in_order = 1 in (channels, taps)  # then (taps, channels) and (channels, taps) lie the same
    target = gw if in_order and plan.parts == 1 else empty((plan.parts, *gw.shape), gw.dtype, like=grad)
    plan.launch(
        TENSOR_CORES, "conv2d_grad_weight", precision,
        channels_last(grad), channels_last(x), target, conv_struct(g), plan.parts,
    )  # fmt: skip
    if target is not gw:
        plan.launch_each(
            TENSOR_CORES, "conv2d_sum_weights", precision, gw.size, target, gw, plan.parts, gw.size, channels, taps
        )
    return gw


forward_tf32 = partial(forward, precision="tf32")
forward_bfloat16 = partial(forward, precision="bfloat16")
grad_input_tf32 = partial(grad_input, precision="tf32")
grad_input_bfloat16 = partial(grad_input, precision="bfloat16")
grad_weight_tf32 = partial(grad_weight, precision="tf32")
grad_weight_bfloat16 = partial(grad_weight, precision="bfloat16")
