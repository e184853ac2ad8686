"""How much memory a network takes at its fullest moment, worked out from its graph alone.

The walk is that of `Network.run`, on a CPU, and `autograd.backward`: which values live, which are kept for gradients,
what is handed down. Two things are guessed: what the allocator keeps of what was freed, and what a user's own layer
keeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from .fusion import steps
from .graph import INPUT, Graph, Node
from .layers import Dropout, Shape

SLACK = 1.05  # of what comes and goes: the allocator cannot use every gap again
SHARED = ("add", "concat", "flatten")  # the gradients of these are their output's, or parts of it


@dataclass(frozen=True)
class Memory:
    """Bytes: of all arrays of the network, and at the fullest moment (those included) of running and training it.

    training: one step of SGD with momentum: activations kept for the gradients, the gradients, the velocity.
    """

    arrays: int
    inference: int
    training: int


def predicted(
    graph: Graph, shapes: Mapping[str, Shape], frozen: Mapping[str, bool], batch: int, dtype: np.dtype
) -> Memory:
    """The memory that batches of `batch` pictures take, in numbers of `dtype`.

    shapes: of one picture's value at each node. frozen: by name of each parameter and buffer.
    """
    own = {node.name: {role: prod(s) for role, s in node.layer.array_shapes().items()} for node in graph}
    arrays = sum(sum(roles.values()) for roles in own.values())
    running, _ = _Walk(graph, shapes, frozen, batch, dtype, inference=True).forward(kept=False)
    training = _Walk(graph, shapes, frozen, batch, dtype)
    step = training.step()
    backwards = {part.name for node in training.nodes if training.needs[node.name] for part in (node, *node.parts)}
    size, given = dtype.itemsize, batch * prod(shapes[INPUT])  # the caller's array, of which a Tensor is a copy

    def total(numbers: int, gradients: bool) -> int:
        own = size * arrays
        lent = _workspace(graph, shapes, frozen, batch, dtype, backwards if gradients else None)
        return own + round(SLACK * (size * (given + numbers) + lent))

    return Memory(size * arrays, total(running, False), total(step, True))


def _workspace(
    graph: Graph,
    shapes: Mapping[str, Shape],
    frozen: Mapping[str, bool],
    batch: int,
    dtype: np.dtype,
    backwards: set[str] | None,
) -> int:
    """The most bytes that the kernels of one node take: once used, they stay with the process. And all packed weights.

    backwards: the nodes that run backwards too, in training; the packed form of a weight that is trained is then made
    anew in every step and not kept.
    """
    most, kept = 0, 0
    for node in graph:
        inputs = [shapes[name] for name in node.inputs]
        packed, lent = node.layer.packed(batch, dtype, *inputs), 0
        if backwards is not None and not frozen.get(f"{node.name}.weight", True):
            lent = packed
        kept += packed - lent
        for backward in {False, node.name in (backwards or ())}:
            most = max(most, lent + node.layer.workspace(batch, dtype, *inputs, gradients=backward))
    return most + kept


def _trained(node: Node, frozen: Mapping[str, bool]) -> int:
    """Numbers of a node's parameters that are not frozen."""
    return sum(prod(s) for role, s in node.layer.parameter_shapes().items() if not frozen[f"{node.name}.{role}"])


class _Walk:
    """One pass over the graph, counting numbers. A value is known by the name of the node that made its array."""

    def __init__(
        self,
        graph: Graph,
        shapes: Mapping[str, Shape],
        frozen: Mapping[str, bool],
        batch: int,
        dtype: np.dtype,
        inference: bool = False,
    ) -> None:
        self.nodes, self.last_use = steps(graph, INPUT, graph.output, inference)
        self.output = self.nodes[-1].name
        self.shapes = shapes
        self.numbers = {name: batch * prod(shape) for name, shape in shapes.items()}
        self.batch, self.dtype = batch, dtype
        self.trained = {node.name: sum(_trained(part, frozen) for part in node.parts) for node in self.nodes}
        self.made_by = {INPUT: INPUT}  # node -> whose array its value is
        self.needs = {INPUT: False}  # node -> whether a gradient is wanted of its value
        self.kept: dict[str, list[str]] = {}  # node -> arrays that it keeps for its gradient
        self.own: dict[str, int] = {}  # node -> other numbers that it keeps for it

    def forward(self, kept: bool) -> tuple[int, int]:
        """(numbers at the fullest moment, numbers left at the end) of running the graph; `kept`: for gradients."""
        live = {INPUT}
        fullest = 0
        for i, node in enumerate(self.nodes):
            inputs, layer = [self.made_by[name] for name in node.inputs], node.layer
            handed_on = isinstance(layer, Dropout) and not kept
            self.made_by[node.name] = inputs[0] if handed_on else node.name
            self.needs[node.name] = kept and (self.trained[node.name] > 0 or any(self.needs[n] for n in node.inputs))
            scratch = self.batch * layer.scratch(*(self.shapes[name] for name in node.reads))
            made = 0 if handed_on else self.numbers[node.name]
            if not self.needs[node.name]:
                scratch *= "scratch" not in node.keeps
            beside = node.beside(self.batch, self.dtype, self.shapes, self.needs[node.name])
            made += sum(self.numbers[name] for name in beside)
            held = self._held({self.made_by[name] for name in live} | set(inputs))
            fullest = max(fullest, held + made + scratch)
            if self.needs[node.name]:
                self._keep(node, inputs, scratch)
            live -= {name for name in node.inputs if self.last_use[name] == i}
            live.add(node.name)
        return fullest, self._held({self.made_by[name] for name in live})

    def _keep(self, node: Node, inputs: list[str], scratch: int) -> None:
        keeps = node.keeps
        wanted = "inputs" in keeps or ("inputs if trained" in keeps and self.trained[node.name])
        self.kept[node.name] = (inputs if wanted else []) + ([node.name] if "output" in keeps else [])
        self.own[node.name] = scratch if "scratch" in keeps else 0

    def _held(self, arrays: set[str]) -> int:
        """Numbers of these arrays and of all that is kept, each counted once."""
        every = arrays.union(*self.kept.values())
        return sum(self.numbers[name] for name in every) + sum(self.own.values())

    def step(self) -> int:
        """Numbers at the fullest moment of a step: forward, backward, or the update."""
        fullest, _ = self.forward(kept=True)
        outside = {INPUT, self.output}  # whoever called holds these
        pending = {self.output: self.output}  # node -> the array of its gradient, named by the node it was made for
        gradients = 0  # of parameters
        for node in reversed(self.nodes):
            if not self.needs[node.name]:
                continue
            grad = pending.pop(node.name)
            wanted = [name for name in node.inputs if self.needs[name]]
            handed_on = node.op in SHARED
            made = 0 if handed_on else sum(self.numbers[name] for name in wanted)
            made += sum(self.numbers[name] for name in node.passing)
            gradients += self.trained[node.name]
            alive = sum(self.numbers[name] for name in {grad, *pending.values()})
            now = self._held(outside) + alive + made + gradients
            fullest = max(fullest, now)
            self.kept.pop(node.name, None)
            self.own.pop(node.name, None)
            for name in wanted:
                if name in pending:
                    fullest = max(fullest, now + self.numbers[name])  # the sum of the two is a third
                    pending[name] = name
                else:
                    pending[name] = grad if handed_on else name
        trained = sum(self.trained.values())
        update = gradients + trained  # the velocity; numbers are overwritten
        return max(fullest + trained, self._held(outside) + update)
