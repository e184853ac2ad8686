"""A network of ours run by PyTorch's operators, with the same numbers: what timings are compared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as T

from ..nn import Network


def network(net: Network, memory_format: torch.memory_format) -> Callable[[torch.Tensor], torch.Tensor]:
    """A function that runs `net`'s graph in inference mode, its filters laid out in this format."""
    steps = []
    for node in net.graph:
        roles = node.layer.parameter_shapes()
        weights = [_tensor(net[f"{node.name}.{r}"].data, memory_format) if r in roles else None for r in _ROLES]
        steps.append((node.name, node.inputs, operator(node.op, node.layer.attributes(), *weights)))

    def run(x: torch.Tensor) -> torch.Tensor:
        values = {"input": x}
        with torch.inference_mode():
            for name, inputs, step in steps:
                values[name] = step(*(values[i] for i in inputs))
        return values[name]

    return run


_ROLES = ("weight", "bias")


def _tensor(array: np.ndarray, memory_format: torch.memory_format) -> torch.Tensor:
    made = torch.from_numpy(np.array(array))
    return made.contiguous(memory_format=memory_format) if made.ndim == 4 else made


def operator(op: str, a: dict[str, Any], weight: Any, bias: Any) -> Callable[..., torch.Tensor]:
    """PyTorch's form of a node with attributes `a`; KeyError, with the op's name, where it has none here."""
    if op == "conv2d":
        return lambda x: T.conv2d(x, weight, bias, a["stride"], a["padding"], a["dilation"], a["groups"])
    if op == "max_pool2d":
        return lambda x: T.max_pool2d(x, a["kernel_size"], a["stride"], a["padding"], a["dilation"], a["ceil_mode"])
    simple: dict[str, Callable[..., torch.Tensor]] = {
        "linear": lambda x: T.linear(x, weight, bias),
        "relu": T.relu_,  # in place: what a tuned PyTorch network does
        "adaptive_avg_pool2d": lambda x: T.adaptive_avg_pool2d(x, a["output_size"]),
        "flatten": lambda x: torch.flatten(x, 1),
        "dropout": lambda x: x,
        "concat": lambda *xs: torch.cat(xs, 1),
    }
    return simple[op]
