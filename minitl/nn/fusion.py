"""Neighbouring nodes that one kernel computes together. The results are the same, bit for bit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar, cast

from .. import functional as F
from ..tensor import Tensor
from .graph import Graph, Node
from .layers import Concat, Conv2d, Layer, MaxPool2d, Mode


@dataclass(frozen=True)
class _ConvReLU(Conv2d):
    """A convolution that rectifies what it writes. Without an op name: it is never stored."""

    op: ClassVar[str] = ""
    keeps: ClassVar[tuple[str, ...]] = ("inputs if trained", "output")

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        return F.conv2d_relu(inputs[0], parameters["weight"], parameters.get("bias"), **self.settings())


@dataclass(frozen=True)
class Drawn(Node):
    """A node with the convolutions `parts` drawn into it, whose inputs it takes instead of their values."""

    parts: tuple[Node, ...] = ()

    @classmethod
    def of(cls, node: Node, parts: Sequence[Node]) -> Drawn:
        """`node`, of which `parts` are all that it reads."""
        return cls(node.name, node.layer, tuple(part.inputs[0] for part in parts), tuple(parts))

    @property
    def label(self) -> str:
        return "layers " + ", ".join(repr(node.name) for node in (*self.parts, self))

    def forward(self, inputs: Sequence[Tensor], arrays: Mapping[str, Tensor]) -> Tensor:
        """The value, given those that the parts take and the network's arrays."""
        calls = []
        for x, part in zip(inputs, self.parts, strict=True):
            layer, weight, bias = cast(Conv2d, part.layer), arrays[f"{part.name}.weight"], f"{part.name}.bias"
            calls.append((x, weight, arrays.get(bias), isinstance(layer, _ConvReLU), layer.settings()))
        if self.op == "concat":  # each writes straight to its channels
            return F.conv2d_concat(calls)
        return F.conv2d_max_pool(*calls[0], self.layer.attributes())


@lru_cache(maxsize=256)
def steps(
    graph: Graph, after: str, upto: str, inference: bool = False
) -> tuple[list[Node], dict[str, str], dict[str, int]]:
    """What to run for the value of `upto` given that of `after`: `fused` nodes, and the last to read each value.

    inference: without gradients, convolutions are `drawn` too. Worked out once, for every batch asks for it again;
    not to be changed by those who get it.
    """
    nodes, given_by = fused(graph.segment(after, upto))
    if inference:
        nodes = drawn(nodes)
    return nodes, given_by, {name: i for i, node in enumerate(nodes) for name in node.inputs}


def fused(nodes: Iterable[Node]) -> tuple[list[Node], dict[str, str]]:
    """The nodes with each ReLU that alone reads a convolution drawn into it.

    Returns them and, for each node drawn in, the name of the one that now gives its value.
    """
    nodes = list(nodes)
    readers = Counter(name for node in nodes for name in node.inputs)
    kept: dict[str, Node] = {}
    given_by: dict[str, str] = {}
    for node in nodes:
        node = replace(node, inputs=tuple(given_by.get(name, name) for name in node.inputs))
        source = kept.get(node.inputs[0])
        if node.op == "relu" and source is not None and _plain(source.layer) and readers[source.name] == 1:
            kept[source.name] = replace(source, layer=_ConvReLU(**source.layer.attributes()))
            given_by[node.name] = source.name
        else:
            kept[node.name] = node
    return list(kept.values()), given_by


def drawn(nodes: Iterable[Node]) -> list[Node]:
    """The nodes with convolutions drawn into the concat or the max-pooling that alone reads them, and nothing else."""
    kept = {node.name: node for node in nodes}
    readers = Counter(name for node in kept.values() for name in node.inputs)
    for node in list(kept.values()):
        parts = [kept[name] for name in node.inputs if name in kept]
        fits = type(node.layer) in (Concat, MaxPool2d) and len(parts) == len(node.inputs)
        if fits and all(type(part) is Node and _plain(part.layer) and readers[part.name] == 1 for part in parts):
            kept[node.name] = Drawn.of(node, parts)
            for part in parts:
                del kept[part.name]
    return list(kept.values())


def _plain(layer: Layer) -> bool:
    """Whether it is a convolution with a border that the kernels know."""
    return (
        isinstance(layer, Conv2d)
        and type(layer) in (Conv2d, _ConvReLU)
        and layer.padding_mode in ("zeros", "replicate")
    )
