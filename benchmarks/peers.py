"""The same networks in other frameworks, with the same numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as T

from minitl import nn


def _tensor(array: np.ndarray, memory_format: torch.memory_format) -> torch.Tensor:
    made = torch.from_numpy(np.array(array))
    return made.contiguous(memory_format=memory_format) if made.ndim == 4 else made


def torch_network(net: nn.Network, memory_format: torch.memory_format) -> Callable[[torch.Tensor], torch.Tensor]:
    """A function that runs `net`'s graph with PyTorch's operators, in inference mode."""
    parameters = {name: _tensor(p.data, memory_format) for name, p in net.named_parameters().items()}
    steps = []
    for node in net.graph:
        weights = [parameters.get(f"{node.name}.{role}") for role in ("weight", "bias")]
        steps.append((node.name, node.inputs, operator(node.op, node.layer.attributes(), *weights)))

    def run(x: torch.Tensor) -> torch.Tensor:
        values = {"input": x}
        with torch.inference_mode():
            for name, inputs, operator in steps:
                values[name] = operator(*(values[i] for i in inputs))
        return values[name]

    return run


def operator(op: str, a: dict, weight: torch.Tensor | None, bias: torch.Tensor | None) -> Callable:
    if op == "conv2d":
        return lambda x: T.conv2d(x, weight, bias, a["stride"], a["padding"], a["dilation"], a["groups"])
    if op == "max_pool2d":
        return lambda x: T.max_pool2d(x, a["kernel_size"], a["stride"], a["padding"], a["dilation"], a["ceil_mode"])
    simple = {
        "linear": lambda x: T.linear(x, weight, bias),
        "relu": T.relu_,  # in place: what a tuned PyTorch network does
        "adaptive_avg_pool2d": lambda x: T.adaptive_avg_pool2d(x, a["output_size"]),
        "flatten": lambda x: torch.flatten(x, 1),
        "dropout": lambda x: x,
        "concat": lambda *xs: torch.cat(xs, 1),
    }
    return simple[op]
