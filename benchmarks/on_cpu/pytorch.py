"""What PyTorch does in a comparison: in both layouts, eager, and compiled where a compiler is at hand."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as T

import minitl as tl
from minitl import nn
from minitl.cli.torch_peer import operator
from minitl.nn.graph import INPUT

from .ours import MOMENTUM, RATE

LAYOUTS = {"PyTorch": torch.contiguous_format, "PyTorch channels-last": torch.channels_last}
COMPILED = "PyTorch compiled"  # channels-last, the better of the two there


def can_compile() -> bool:
    """Whether there is a C++ compiler for torch.compile to use."""
    return shutil.which("g++") is not None or shutil.which("clang++") is not None


class Model(torch.nn.Module):
    """A graph of ours with these arrays, by name, which it may share. frozen: names of those that are not trained."""

    def __init__(
        self, graph: nn.Graph, arrays: Mapping[str, np.ndarray], layout: Any, frozen: Collection[str] = ()
    ) -> None:
        super().__init__()
        self.layout = layout
        self.given = torch.nn.ParameterDict()
        self.names: dict[str, str] = {}  # ours -> here
        self.nodes = []
        for node in graph:
            names = {}
            for role in node.layer.parameter_shapes():
                full = f"{node.name}.{role}"
                tensor = torch.from_numpy(arrays[full])
                if tensor.ndim == 4:
                    tensor = tensor.contiguous(memory_format=layout)
                names[role] = self.names[full] = full.replace(".", "_")
                self.given[names[role]] = torch.nn.Parameter(tensor, requires_grad=full not in frozen)
            self.nodes.append((node.name, node.inputs, node.op, node.layer.attributes(), names))

    @classmethod
    def of(cls, net: tl.Network, layout: Any) -> Model:
        """The network with its numbers, copied, and what is frozen there frozen here."""
        parameters = net.named_parameters()
        arrays = {name: p.numpy() for name, p in parameters.items()}
        return cls(net.graph, arrays, layout, {name for name, p in parameters.items() if p.frozen})

    def tensor(self, x: np.ndarray) -> torch.Tensor:
        """x in this model's layout."""
        made = torch.from_numpy(np.array(x, order="C"))
        return made.contiguous(memory_format=self.layout) if made.ndim == 4 else made

    def forward(self, x: torch.Tensor, after: str = INPUT) -> torch.Tensor:
        """The scores, given the value of node `after`."""
        values, begun = {after: x}, after == INPUT
        for name, inputs, op, attributes, names in self.nodes:
            if begun:
                weights = (self.given[names[role]] if role in names else None for role in ("weight", "bias"))
                values[name] = operator(op, attributes, *weights)(*(values[i] for i in inputs))
            begun = begun or name == after
        return values[name]


def inference(net: tl.Network, x: np.ndarray, compiled: bool) -> dict[str, Callable[[], np.ndarray]]:
    """By name, functions that give the scores."""
    made = {name: inferring(Model.of(net, layout), x) for name, layout in LAYOUTS.items()}
    if compiled:
        model = Model.of(net, torch.channels_last).eval()
        torch._dynamo.reset()  # what was compiled for other networks would count towards its limit
        # Freezing: the weights become constants and are laid out once, as the other runtimes do.
        made[COMPILED] = inferring(model, x, torch.compile(model, dynamic=False, options={"freezing": True}))
    return made


def inferring(model: Model, x: np.ndarray, run: Any = None) -> Callable[[], np.ndarray]:
    """A function that gives the scores. run: the model compiled."""
    forward, given = model if run is None else run, model.tensor(x)

    def infer() -> np.ndarray:
        with torch.inference_mode():
            return forward(given).numpy()

    return infer


class Step:
    """A step of SGD with momentum on one batch, as `ours.Step`."""

    def __init__(self, model: Model, x: np.ndarray, truth: np.ndarray, compiled: bool, after: str = INPUT) -> None:
        self.model, self.x, self.truth, self.after = model, model.tensor(x), torch.from_numpy(truth), after
        self._forward = torch.compile(model, dynamic=False) if compiled else model
        free = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.SGD(free, RATE, MOMENTUM)

    def __call__(self) -> float:
        self.optimizer.zero_grad()
        loss = T.cross_entropy(self._forward(self.x, self.after), self.truth)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def numbers(self) -> dict[str, np.ndarray]:
        """Copies of the parameters that are trained, by their names here."""
        found = {full: self.model.given[name] for full, name in self.model.names.items()}
        return {full: p.detach().numpy().copy() for full, p in found.items() if p.requires_grad}


def steps(
    net: tl.Network, x: np.ndarray, truth: np.ndarray, compiled: bool, after: str = INPUT
) -> dict[str, Callable[[], float]]:
    """A Step in each layout and, if wanted, compiled."""
    made = {name: Step(Model.of(net, layout), x, truth, False, after) for name, layout in LAYOUTS.items()}
    if compiled:
        torch._dynamo.reset()
        made[COMPILED] = Step(Model.of(net, torch.channels_last), x, truth, True, after)
    return made


def passes(net: tl.Network, x: np.ndarray, grad: np.ndarray) -> dict[str, Callable[[], dict[str, np.ndarray]]]:
    """In each layout, a function as `ours.passes` gives it."""

    def passing(model: Model) -> Callable[[], dict[str, np.ndarray]]:
        given, back = model.tensor(x).requires_grad_(), model.tensor(grad)

        def run() -> dict[str, np.ndarray]:
            given.grad = None
            for p in model.parameters():
                p.grad = None
            model(given).backward(back)
            of = {full: model.given[name].grad for full, name in model.names.items()}
            return {"input": given.grad.numpy(), **{full: g.numpy() for full, g in of.items()}}

        return run

    return {name: passing(Model.of(net, layout)) for name, layout in LAYOUTS.items()}
