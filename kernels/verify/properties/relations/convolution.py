"""Relations of convolution and its gradients: each says how the answer to one call follows from answers to others.

Letters: x (N, C, H, W), w (O, C / groups, R, S), y and grad (N, O, P, Q). Source of the identities: Dumoulin & Visin,
"A guide to convolution arithmetic for deep learning" (2016).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ....geometry import ConvGeometry
from ...agreement import Call
from ..ask import Ask, same

Array = np.ndarray
Answer = float | None


def explicit_padding(ask: Ask, call: Call) -> Answer:
    """A convolution with padding is one without, of a picture with a border."""
    g = call["geometry"]
    x = _bordered(call["x"], g)
    return same(ask({**call, "x": x, "geometry": _like(g, x.shape, padding=0)}), ask(call), ask.allowed(call))


def explicit_padding_of_grad_input(ask: Ask, call: Call) -> Answer:
    """The gradient of the bordered picture, without the border."""
    g = call["geometry"]
    if g.padding_mode != "zeros":
        return None
    wide = (g.batch, g.in_channels, *(n + sum(p) for n, p in zip(g.size, g.padding, strict=True)))
    (whole,) = ask({**call, "geometry": _like(g, wide, padding=0)})
    (top, _), (left, _) = g.padding
    return same([whole[:, :, top : top + g.size[0], left : left + g.size[1]]], ask(call), ask.allowed(call))


def groups_as_blocks(ask: Ask, call: Call) -> Answer:
    """Each group is a convolution of its own."""
    g = call["geometry"]
    if g.groups == 1:
        return None
    answers = [ask(part) for part in _blocks(call, g)]
    joined = [np.concatenate(each, 0 if "grad" in call and "x" in call else 1) for each in zip(*answers, strict=True)]
    return same(joined, ask(call), ask.allowed(call))


def _blocks(call: Call, g: ConvGeometry) -> list[Call]:
    """The call of each group. Arrays are cut along their channels: x and grad along axis 1, w and b along axis 0."""
    found = []
    for i in range(g.groups):
        part = dict(call)
        for name, axis, per_group in (
            ("x", 1, g.in_channels // g.groups),
            ("grad", 1, g.out_channels // g.groups),
            ("w", 0, g.out_channels // g.groups),
            ("b", 0, g.out_channels // g.groups),
        ):
            if part.get(name) is not None:
                part[name] = part[name][(slice(None),) * axis + (slice(i * per_group, (i + 1) * per_group),)]
        part["geometry"] = _like(g, (g.batch, g.in_channels // g.groups, *g.size), groups=1, filters=g.groups)
        found.append(part)
    return found


def dilation_as_stuffing(ask: Ask, call: Call) -> Answer:
    """A dilated filter is a larger one with zeros between its taps."""
    g = call["geometry"]
    w = np.zeros(_stuffed_shape(g), call["w"].dtype)
    w[:, :, :: g.dilation[0], :: g.dilation[1]] = call["w"]
    return same(ask({**call, "w": w, "geometry": _undilated(g)}), ask(call), ask.allowed(call))


def dilation_of_grad_weight(ask: Ask, call: Call) -> Answer:
    """Every so manyth tap of the larger filter's gradient."""
    g = call["geometry"]
    (whole,) = ask({**call, "geometry": _undilated(g)})
    return same([whole[:, :, :: g.dilation[0], :: g.dilation[1]]], ask(call), ask.allowed(call))


def _stuffed_shape(g: ConvGeometry) -> tuple[int, ...]:
    return (*g.w_shape[:2], *(d * (k - 1) + 1 for d, k in zip(g.dilation, g.kernel, strict=True)))


def _undilated(g: ConvGeometry) -> ConvGeometry:
    return ConvGeometry.infer(g.x_shape, _stuffed_shape(g), g.stride, g.padding, 1, g.groups, g.padding_mode)


def stride_as_subsampling(ask: Ask, call: Call) -> Answer:
    """A stride takes every so manyth pixel of the answer without one."""
    g = call["geometry"]
    (whole,) = ask({**call, "geometry": _like(g, g.x_shape, stride=1)})
    return same([whole[_every(g)]], ask(call), ask.allowed(call))


def stride_as_stuffing(ask: Ask, call: Call) -> Answer:
    """Backwards, a stride puts zeros between the gradients."""
    g = call["geometry"]
    dense = _like(g, g.x_shape, stride=1)
    grad = np.zeros(dense.y_shape, call["grad"].dtype)
    grad[_every(g)] = call["grad"]
    return same(ask({**call, "grad": grad, "geometry": dense}), ask(call), ask.allowed(call))


def _every(g: ConvGeometry) -> tuple[Any, ...]:
    return (..., *(slice(0, (n - 1) * s + 1, s) for n, s in zip(g.output, g.stride, strict=True)))


def translation(ask: Ask, call: Call) -> Answer:
    """A picture moved by a stride gives an answer moved by a pixel: zeros are put above and to the left."""
    g = call["geometry"]
    if g.padding_mode != "zeros":
        return None
    x = np.pad(call["x"], ((0, 0), (0, 0), (g.stride[0], 0), (g.stride[1], 0)))
    (moved,) = ask({**call, "x": x, "geometry": _like(g, x.shape)})
    return same([moved[:, :, 1:, 1:]], ask(call), ask.allowed(call))


def one_by_one_as_product(ask: Ask, call: Call) -> Answer:
    """A 1x1 convolution multiplies each pixel's channels by a matrix."""
    g = call["geometry"]
    w = np.ascontiguousarray(call["w"][:, :, :1, :1])
    geometry = ConvGeometry.infer(g.x_shape, w.shape, groups=g.groups)
    asked = {**call, "w": w, "b": None, "relu": False, "geometry": geometry}
    x = call["x"].astype(np.float64).reshape(g.batch, g.groups, w.shape[1], *g.size)
    matrices = w.astype(np.float64).reshape(g.groups, -1, w.shape[1])
    y = np.einsum("ngchw,goc->ngohw", x, matrices).reshape(geometry.y_shape)
    return same(ask(asked), [y], ask.allowed(asked))


def bias_and_relu(ask: Ask, call: Call) -> Answer:
    """Bias and ReLU are what they would be apart."""
    b = call["w"].reshape(len(call["w"]), -1)[:, 0].copy()
    fused = {**call, "b": b, "relu": True}
    (plain,) = ask({**call, "b": None, "relu": False})
    apart = np.maximum(plain.astype(np.float64) + b[:, None, None], 0)
    return same(ask(fused), [apart], ask.allowed(fused))


def batch_as_sum(ask: Ask, call: Call) -> Answer:
    """The weight gradient of a batch is the sum of its pictures'."""
    g = call["geometry"]
    if g.batch < 2:
        return None
    one = _like(g, (1, *g.x_shape[1:]))
    total = np.zeros(g.w_shape)
    for n in range(g.batch):
        total += ask({"grad": call["grad"][n : n + 1], "x": call["x"][n : n + 1], "geometry": one})[0]
    return same([total], ask(call), ask.allowed(call))


def _bordered(x: Array, g: ConvGeometry) -> Array:
    modes: dict[str, Any] = {"zeros": "constant", "replicate": "edge"}
    return np.pad(x, ((0, 0), (0, 0), *g.padding), mode=modes[g.padding_mode])


def _like(
    g: ConvGeometry,
    x_shape: tuple[int, ...],
    stride: Any = None,
    padding: Any = None,
    groups: int | None = None,
    filters: int = 1,
) -> ConvGeometry:
    """The geometry with another picture, stride, padding or groups; `filters` times fewer of them."""
    stride = g.stride if stride is None else stride
    padding = g.padding if padding is None else padding
    w_shape = (g.out_channels // filters, *g.w_shape[1:])
    return ConvGeometry.infer(x_shape, w_shape, stride, padding, g.dilation, groups or g.groups, g.padding_mode)


FORWARD = {
    "explicit = implicit padding": explicit_padding,
    "groups = blocks": groups_as_blocks,
    "dilation = zero-stuffed filter": dilation_as_stuffing,
    "stride = subsampling": stride_as_subsampling,
    "translation": translation,
    "1x1 = matrix product": one_by_one_as_product,
    "bias and ReLU fused = apart": bias_and_relu,
}
GRAD_INPUT = {
    "explicit = implicit padding": explicit_padding_of_grad_input,
    "groups = blocks": groups_as_blocks,
    "dilation = zero-stuffed filter": dilation_as_stuffing,
    "stride = zero-stuffed gradient": stride_as_stuffing,
}
GRAD_WEIGHT = {
    "explicit = implicit padding": explicit_padding,
    "groups = blocks": groups_as_blocks,
    "dilation = zero-stuffed filter": dilation_of_grad_weight,
    "stride = zero-stuffed gradient": stride_as_stuffing,
    "batch = sum of pictures": batch_as_sum,
}
