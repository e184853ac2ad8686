"""A network of ours in PyTorch on a GPU, channels-last, with the same numbers: a function that does one batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as T

import minitl as tl
from minitl.cli.torch_peer import operator

from .torch_peers import precision as computing_in

DECAY = 0.0


def candidates(
    net: tl.Network, x: Any, labels: Any, task: str, precision: str, rate: float, momentum: float
) -> dict[str, Callable[[int], Any]]:
    """By name, eager and compiled, a function that runs or trains on the batch x, an array of CuPy's or NumPy's."""
    given, truth = torch.from_dlpack(x), torch.from_dlpack(labels)
    given = given.contiguous(memory_format=torch.channels_last)
    made = {}
    for name in ("PyTorch", "PyTorch compiled"):
        model = _Model(net, given.device)
        forward = torch.compile(model) if name.endswith("compiled") else model
        work = (
            _inference(forward, given)
            if task == "inference"
            else _training(model, forward, given, truth, rate, momentum)
        )
        made[name] = _in_precision(work, precision)
    return made


def _in_precision(work: Callable[[], Any], precision: str) -> Callable[[int], Any]:
    def run(i: int) -> Any:
        with computing_in(precision):
            return work()

    return run


def _inference(forward: Callable[..., Any], given: torch.Tensor) -> Callable[[], Any]:
    def work() -> Any:
        with torch.inference_mode():
            return forward(given)

    return work


def _training(
    model: torch.nn.Module,
    forward: Callable[..., Any],
    given: torch.Tensor,
    truth: torch.Tensor,
    rate: float,
    momentum: float,
) -> Callable[[], Any]:
    optimizer = torch.optim.SGD(model.parameters(), rate, momentum, weight_decay=DECAY)

    def work() -> None:
        optimizer.zero_grad()
        T.cross_entropy(forward(given), truth).backward()
        optimizer.step()

    return work


class _Model(torch.nn.Module):
    """The graph, node by node."""

    def __init__(self, net: tl.Network, device: torch.device) -> None:
        super().__init__()
        self.arrays = torch.nn.ParameterDict()
        self.steps = []
        for node in net.graph:
            of = {}
            for role in ("weight", "bias"):
                array = net.named_parameters().get(f"{node.name}.{role}")
                if array is not None:
                    tensor = torch.from_numpy(array.numpy().copy()).to(device)
                    if tensor.ndim == 4:
                        tensor = tensor.contiguous(memory_format=torch.channels_last)
                    of[role] = f"{node.name}_{role}".replace(".", "_")
                    self.arrays[of[role]] = torch.nn.Parameter(tensor)
            self.steps.append((node.name, node.inputs, node.op, node.layer.attributes(), of))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The scores of a batch."""
        values = {"input": x}
        for name, inputs, op, attributes, of in self.steps:
            weight, bias = (self.arrays[of[role]] if role in of else None for role in ("weight", "bias"))
            values[name] = operator(op, attributes, weight, bias)(*(values[i] for i in inputs))
        return values[name]
