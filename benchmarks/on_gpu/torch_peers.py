"""The ops in PyTorch, on the same arrays, in a precision that is set, not left to its defaults."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as T

# What PyTorch is asked to compute in, for a version of each precision of ours.
EQUAL = {"float32": "float32", "tf32x3": "float32", "tf32": "tf32", "bfloat16": "bfloat16"}


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Sets how PyTorch multiplies float32 matrices and convolves, "float32" or "tf32"; as it was, afterwards."""
    knobs = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)
    before = [knob.fp32_precision for knob in knobs]
    for knob in knobs:
        knob.fp32_precision = "tf32" if name == "tf32" else "ieee"
    try:
        yield
    finally:
        for knob, value in zip(knobs, before, strict=True):
            knob.fp32_precision = value


def _backward_of_convolution(a: Mapping[str, Any], of_weight: bool) -> torch.Tensor:
    g, like = a["geometry"], a["grad"]

    def unread(shape: tuple[int, ...]) -> torch.Tensor:  # the operator asks for both, whatever it computes
        return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)

    x, w = (a["x"], unread(g.w_shape)) if of_weight else (unread(g.x_shape), a["w"])
    mask = [not of_weight, of_weight, False]
    found = torch.ops.aten.convolution_backward(
        like, x, w, None, g.stride, _padding(g), g.dilation, False, (0, 0), g.groups, mask
    )
    return found[1] if of_weight else found[0]


def _padding(g: Any) -> tuple[int, int]:
    return g.padding[0][0], g.padding[1][0]


def _pool(g: Any) -> tuple[Any, ...]:
    return g.kernel, g.stride, _padding(g), g.dilation, False


OPS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "conv2d": lambda a: T.conv2d(
        a["x"],
        a["w"],
        a["b"],
        a["geometry"].stride,
        _padding(a["geometry"]),
        a["geometry"].dilation,
        a["geometry"].groups,
    ),
    "conv2d.grad_input": lambda a: _backward_of_convolution(a, of_weight=False),
    "conv2d.grad_weight": lambda a: _backward_of_convolution(a, of_weight=True),
    "conv2d.grad_bias": lambda a: a["grad"].sum((0, 2, 3)),
    "max_pool2d": lambda a: torch.ops.aten.max_pool2d_with_indices(a["x"], *_pool(a["geometry"])),
    "avg_pool2d": lambda a: T.avg_pool2d(
        a["x"], a["geometry"].kernel, a["geometry"].stride, _padding(a["geometry"]), False, a["count_include_pad"]
    ),
    "linear": lambda a: T.linear(a["x"], a["w"], a["b"]),
    "linear.grad_input": lambda a: a["grad"] @ a["w"],
    "linear.grad_weight": lambda a: a["grad"].T @ a["x"],
    "linear.grad_bias": lambda a: a["grad"].sum(0),
    "relu": lambda a: T.relu(a["x"]),
    "relu.grad_input": lambda a: torch.ops.aten.threshold_backward(a["grad"], a["y"], 0),
    "softmax": lambda a: torch.softmax(a["x"], a["axis"]),
    "log_softmax": lambda a: torch.log_softmax(a["x"], a["axis"]),
    "local_response_norm": lambda a: T.local_response_norm(a["x"], a["size"], a["alpha"], a["beta"], a["k"]),
    "batch_norm": lambda a: T.batch_norm(a["x"], a["mean"], a["var"], a["weight"], a["bias"], False, 0.0, a["eps"]),
    "dropout": lambda a: T.dropout(a["x"], a["p"], True),
}
RANDOM = {"dropout", "dropout.grad_input"}  # their results are not comparable


def candidate(op: str, name: str, sets: list[dict[str, Any]]) -> Callable[[int], Any] | None:
    """The op in PyTorch on CuPy's or NumPy's arrays, without a copy, in precision `name`; None where there is none."""
    if op not in OPS:
        return None
    given = [{key: _tensor(value, name) for key, value in arguments.items()} for arguments in sets]

    def run(i: int) -> Any:
        with torch.inference_mode(), precision(name):
            return OPS[op](given[i])

    return run


def _tensor(value: Any, name: str) -> Any:
    if not hasattr(value, "__dlpack__"):
        return value
    made = torch.from_dlpack(value)
    return made.bfloat16() if name == "bfloat16" and made.is_floating_point() else made
