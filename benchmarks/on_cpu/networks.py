"""The networks that are timed, their pictures, and their single layers as networks of one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

import minitl as tl
from minitl import nn
from minitl.nn.graph import INPUT, rewire

MODELS = ("vgg16", "alexnet", "squeezenet1_0")
CLASSES = 1000
TIMED = ("conv2d", "linear", "max_pool2d", "adaptive_avg_pool2d")


@lru_cache(maxsize=3)
def whole(name: str) -> tl.Network:
    """The network with random weights, which take no less time than others. Not to be changed by those who get it."""
    return tl.models.build(name)


def pictures(net: tl.Network, batch: int, seed: int = 0) -> np.ndarray:
    """(batch, C, H, W) float32 numbers of a normal distribution, as preprocessed pictures have them."""
    return np.random.default_rng(seed).standard_normal((batch, *net.input_shape), dtype=np.float32)


def labels(count: int, classes: int) -> np.ndarray:
    """(count,) int64."""
    return np.random.default_rng(1).integers(0, classes, count)


def rebuilt(net: tl.Network, nodes: list[nn.Node], shape: tuple[int, ...] | None = None) -> tl.Network:
    """A network of its own of these nodes of `net`, with its numbers; for pictures of `shape`, or of the same."""
    made = tl.Network(nodes, name=net.name, input_shape=shape or net.input_shape, seed=None)
    for name, array in made.named_arrays().items():
        array.assign(net[name].data)
    return made


def without_dropout(net: tl.Network) -> tl.Network:
    """A copy that draws no random numbers: frameworks draw different ones, and could not be compared."""
    nodes = list(net.graph)
    for node in net.graph:
        if node.op == "dropout":
            nodes = rewire([n for n in nodes if n.name != node.name], node.name, node.inputs[0])
    return rebuilt(net, nodes)


@lru_cache(maxsize=1)
def features(name: str, size: int) -> tl.Network:
    """The network below its classifier, for square pictures of another size."""
    net = tl.models.build(name, num_classes=None)
    return rebuilt(net, list(net.graph), (3, size, size))


@dataclass(frozen=True)
class Part:
    """A layer, with the ReLU that follows it, as a network of its own. names: of all layers of this shape."""

    names: tuple[str, ...]
    net: tl.Network

    @property
    def label(self) -> str:
        return self.names[0] + (f" (and {len(self.names) - 1} more)" if len(self.names) > 1 else "")

    @property
    def shape(self) -> str:
        """In words: the input's size and the layer's."""
        node = next(iter(self.net.graph))
        a, given = node.layer.attributes(), "x".join(map(str, self.net.input_shape or ()))
        if node.op == "conv2d":
            return f"{given}, {a['out_channels']} of {a['kernel_size']} / {a['stride']}"
        if node.op == "linear":
            return f"{given} to {a['out_features']}"
        return f"{given}, {a.get('kernel_size', a.get('output_size'))} / {a.get('stride', 1)}"


def parts(net: tl.Network) -> Iterator[Part]:
    """Every distinct convolution, dense layer and pooling of a network."""
    shapes = {INPUT: tuple(net.input_shape or ()), **net.graph.shapes(net.input_shape or ())}
    alike: dict[str, list[nn.Node]] = {}
    for node in net.graph:
        given = shapes[node.inputs[0]]
        if node.op in TIMED and (node.op in ("conv2d", "linear") or shapes[node.name] != given):
            alike.setdefault(f"{node.op} {node.layer.attributes()} {given}", []).append(node)
    for nodes in alike.values():
        first = nodes[0]
        after = [n for n in net.graph if first.name in n.inputs]
        cut = rewire([first], first.inputs[0], INPUT)
        if len(after) == 1 and after[0].op == "relu" and first.op in ("conv2d", "linear"):
            cut += [after[0]]
        yield Part(tuple(n.name for n in nodes), rebuilt(net, cut, shapes[first.inputs[0]]))


def work(net: tl.Network, batch: int) -> tuple[int, int]:
    """(operations, bytes) that inference takes at least: as the formulas have them; input, numbers and output once."""
    shapes = {INPUT: tuple(net.input_shape or ()), **net.graph.shapes(net.input_shape or ())}
    flops = sum(node.layer.flops(*(shapes[i] for i in node.inputs)) for node in net.graph)
    numbers = sum(p.size for p in net.named_arrays().values())
    moved = batch * (math.prod(shapes[INPUT]) + math.prod(shapes[net.graph.output])) + numbers
    return batch * flops, 4 * moved
