"""Neighbouring nodes that one kernel computes together. The results are the same, bit for bit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar

from .. import functional as F
from ..tensor import Tensor
from .graph import Graph, Node
from .layers import Conv2d, Layer, Mode


@dataclass(frozen=True)
class _ConvReLU(Conv2d):
    """A convolution that rectifies what it writes. Without an op name: it is never stored."""

    op: ClassVar[str] = ""
    keeps: ClassVar[tuple[str, ...]] = ("inputs if trained", "output")

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        return F.conv2d_relu(inputs[0], parameters["weight"], parameters.get("bias"), **self.settings())


@lru_cache(maxsize=256)
def steps(graph: Graph, after: str, upto: str) -> tuple[list[Node], dict[str, str], dict[str, int]]:
    """What to run for the value of `upto` given that of `after`: `fused` nodes, and the last to read each value.

    Worked out once, for every batch asks for it again; not to be changed by those who get it.
    """
    nodes, given_by = fused(graph.segment(after, upto))
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
        if node.op == "relu" and source is not None and _rectifiable(source.layer) and readers[source.name] == 1:
            kept[source.name] = replace(source, layer=_ConvReLU(**source.layer.attributes()))
            given_by[node.name] = source.name
        else:
            kept[node.name] = node
    return list(kept.values()), given_by


def _rectifiable(layer: Layer) -> bool:
    return type(layer) is Conv2d and layer.padding_mode in ("zeros", "replicate")
