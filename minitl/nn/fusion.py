"""Neighbouring nodes that are computed together. The results are the same, bit for bit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, cast

from .. import functional as F
from ..tensor import Tensor
from .graph import Graph, Node
from .layers import Concat, Conv2d, Layer, MaxPool2d, ReLU, Shape


@dataclass(frozen=True)
class Fused(Node):
    """A node that is computed together with the convolutions that it alone reads.

    name, layer: its own; inputs: the convolutions'. convolutions: each with whether it is rectified before or here.
    """

    convolutions: tuple[tuple[Node, bool], ...] = ()

    @classmethod
    def of(cls, node: Node, convolutions: Iterable[tuple[Node, bool]]) -> Fused:
        here = node.op == "relu"
        parts = tuple((part, relu or here) for part, relu in convolutions)
        return cls(node.name, node.layer, tuple(part.inputs[0] for part, _ in parts), parts)

    @property
    def parts(self) -> tuple[Node, ...]:
        return tuple(part for part, _ in self.convolutions)

    @property
    def label(self) -> str:
        named = [part.name for part in self.parts] + [self.name] * (self.op != "relu")  # a ReLU fits everything
        return f"layer{'s' * (len(named) > 1)} {', '.join(map(repr, named))}"

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(part.name for part in self.parts)

    def beside(self, batch: int, dtype: Any, shapes: Mapping[str, Shape], gradient: bool) -> tuple[str, ...]:
        if self.op != "max_pool2d":
            return ()
        part = cast(Conv2d, self.parts[0].layer)
        window, call = self.layer.attributes(), part.call(batch, shapes[self.inputs[0]])
        return () if not gradient and F.pooled_at_once(dtype, window, **call) else self.reads

    @property
    def keeps(self) -> tuple[str, ...]:
        # A largest pixel of 0 lets nothing through to its window, and one above 0 is of a pixel above 0: the maxima
        # tell as much as what was rectified.
        rectified = any(relu for _, relu in self.convolutions)
        return ("inputs if trained", *["output"] * (rectified and self.op != "relu"), *self.layer.keeps)

    @property
    def passing(self) -> tuple[str, ...]:
        return (*self.reads * (self.op == "max_pool2d"), *[self.name] * ("output" in self.keeps))

    @cached_property
    def _arrays(self) -> list[tuple[str, str]]:
        return [(f"{part.name}.weight", f"{part.name}.bias") for part in self.parts]

    @cached_property
    def _convolutions(self) -> F.Convolutions:
        settings = [(relu, cast(Conv2d, part.layer).settings()) for part, relu in self.convolutions]
        return F.Convolutions(settings, self.layer.attributes() if self.op == "max_pool2d" else None)

    def forward(self, inputs: Sequence[Tensor], arrays: Mapping[str, Tensor], inference: bool) -> Tensor:
        """The value, given the inputs and the network's arrays. inference: on a CPU, without gradients."""
        calls = [(x, arrays[w], arrays.get(b)) for x, (w, b) in zip(inputs, self._arrays, strict=True)]
        if inference:
            return self._convolutions(*calls)
        settings, relu = cast(Conv2d, self.parts[0].layer).settings(), self.convolutions[0][1]
        if self.op == "relu":
            return F.conv2d_relu(*calls[0], **settings)
        return F.conv2d_max_pool(*calls[0], relu, settings, self.layer.attributes())


@lru_cache(maxsize=256)
def steps(graph: Graph, after: str, upto: str, inference: bool = False) -> tuple[list[Node], dict[str, int]]:
    """What to run for the value of `upto` given that of `after`, `fused`; and the last to read each value.

    Worked out once, for every batch asks for it again; not to be changed by those who get it.
    """
    nodes = fused(graph.segment(after, upto), inference)
    return nodes, {name: i for i, node in enumerate(nodes) for name in node.inputs}


def fused(nodes: Iterable[Node], inference: bool = False) -> list[Node]:
    """The nodes, with each convolution drawn into the ReLU and the max-pooling that alone read it.

    inference: into a concat too, whose parts convolutions can write only on a CPU and where no gradient is wanted.
    """
    kept = {node.name: node for node in nodes}
    place = {name: i for i, name in enumerate(kept)}
    readers = Counter(name for node in kept.values() for name in node.inputs)
    draw = (ReLU, MaxPool2d, Concat) if inference else (ReLU, MaxPool2d)
    for node in list(kept.values()):
        if type(node.layer) not in draw or any(name not in kept or readers[name] > 1 for name in node.inputs):
            continue
        drawn = [found for name in node.inputs if (found := _convolution(kept[name])) is not None]
        if len(drawn) == len(node.inputs):
            kept[node.name] = Fused.of(node, drawn)
            if not inference:  # where the convolution stood: gradients of a value are added in the order of its readers
                place[node.name] = place[node.inputs[0]]
            for name in node.inputs:
                del kept[name]
    return sorted(kept.values(), key=lambda node: place[node.name])


def _convolution(node: Node) -> tuple[Node, bool] | None:
    """The convolution that a node is, and whether rectified; None if it is none."""
    if isinstance(node, Fused):
        return node.convolutions[0] if node.op == "relu" else None
    return (node, False) if _plain(node.layer) else None


def _plain(layer: Layer) -> bool:
    """Whether it is a convolution with a border that the kernels know."""
    return type(layer) is Conv2d and layer.padding_mode in ("zeros", "replicate")
