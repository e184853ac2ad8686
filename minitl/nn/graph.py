"""The graph of a network: named nodes in an order in which they can run. Data, not code."""

from __future__ import annotations

import fnmatch
import math
import operator
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ..errors import GraphError, ShapeError
from .layers import Layer, Shape

INPUT = "input"  # the name under which nodes refer to the network's input
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
MOST_VALUES = 2**30  # in one node's value for one picture: 4 GiB of float32


@dataclass(frozen=True)
class Node:
    """A named layer and the names of the nodes whose values it takes."""

    name: str
    layer: Layer
    inputs: tuple[str, ...]

    @property
    def op(self) -> str:
        return self.layer.op

    @cached_property
    def arrays(self) -> tuple[tuple[str, str], ...]:
        """The role and the full name of each of its layer's arrays."""
        return tuple((role, f"{self.name}.{role}") for role in self.layer.array_shapes())

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"layer {self.name!r}"

    @property
    def parts(self) -> tuple[Node, ...]:
        """The nodes whose arrays it uses: itself; of a `fusion.Fused`, its convolutions."""
        return (self,)

    @property
    def reads(self) -> tuple[str, ...]:
        """The nodes whose values its layer takes: its inputs; of a `fusion.Fused`, its convolutions."""
        return self.inputs

    @property
    def keeps(self) -> tuple[str, ...]:
        """What is kept for its gradient; see `Layer`."""
        return self.layer.keeps

    def beside(self, batch: int, dtype: Any, shapes: Mapping[str, Shape], gradient: bool) -> tuple[str, ...]:
        """Those of them whose values are written only to be read while it runs; `gradient`: one is wanted of it."""
        return ()

    @property
    def passing(self) -> tuple[str, ...]:
        """The nodes of whose values' size its gradient makes arrays on the way, besides its result."""
        return (self.name,) * self.layer.temporaries

    @property
    def stream(self) -> int:
        """A number of the node's own, so that two dropouts never draw the same mask."""
        return zlib.crc32(self.name.encode())


class Graph:
    """Nodes by name, checked: unique names, inputs that exist and come first. The last node is the output."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._nodes: dict[str, Node] = {}
        for node in nodes:
            if not _NAME.fullmatch(node.name) or node.name == INPUT:
                raise GraphError(
                    f"node name {node.name!r} must be made of letters, digits, '_', '.', '-' and not be {INPUT!r}"
                )
            if node.name in self._nodes:
                raise GraphError(f"two nodes are named {node.name!r}; rename one")
            if not node.inputs:
                raise GraphError(f"node {node.name!r} has no inputs")
            for name in node.inputs:
                if name != INPUT and name not in self._nodes:
                    raise GraphError(f"node {node.name!r} takes {name!r}, which no earlier node is named")
            self._nodes[node.name] = node
        if not self._nodes:
            raise GraphError("a network needs at least one node")

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes.values())

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, name: object) -> bool:
        return name in self._nodes

    def __getitem__(self, name: str) -> Node:
        if name not in self._nodes:
            raise GraphError(f"no layer {name!r}; there are {', '.join(self._nodes)}")
        return self._nodes[name]

    @property
    def names(self) -> list[str]:
        return list(self._nodes)

    @property
    def output(self) -> str:
        return self.names[-1]

    def ancestors(self, name: str) -> set[str]:
        """`name` and every node that its value depends on."""
        wanted = {self[name].name}
        for node in reversed(list(self)):
            if node.name in wanted:
                wanted |= set(node.inputs) - {INPUT}
        return wanted

    def segment(self, after: str, upto: str) -> list[Node]:
        """The nodes to run for the value of `upto` when that of `after` (a node or "input") is given."""
        wanted, nodes = {self[upto].name}, []
        for node in reversed(list(self)):
            if node.name in wanted and node.name != after:
                nodes.append(node)
                wanted |= set(node.inputs)
        if after != INPUT and (INPUT in wanted or after not in wanted):
            raise GraphError(f"layer {upto!r} cannot be computed from {after!r} alone")
        return nodes[::-1]

    def bottlenecks(self) -> list[str]:
        """Nodes through whose value alone every path to the output goes, in order."""
        found = []
        open_values = {INPUT: self._uses(INPUT)}  # values that later nodes still take
        for node in self:
            for name in set(node.inputs):
                open_values[name] -= 1
                if not open_values[name]:
                    del open_values[name]
            open_values[node.name] = self._uses(node.name)
            if set(open_values) == {node.name}:
                found.append(node.name)
        return found

    def _uses(self, name: str) -> int:
        return sum(name in node.inputs for node in self)

    def match(self, pattern: str, aliases: Mapping[str, str] | None = None) -> list[str]:
        """Names of the nodes that a glob matches, in order; `aliases` maps other names to those here.

        GraphError unless the glob is text.
        """
        if not isinstance(pattern, str):
            raise GraphError(f"a pattern of layer names must be text, such as 'conv5_*'; got {pattern!r:.60}")
        found = {name for name in self._nodes if fnmatch.fnmatchcase(name, pattern)}
        found |= {name for alias, name in (aliases or {}).items() if fnmatch.fnmatchcase(alias, pattern)}
        return [name for name in self._nodes if name in found]

    def shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Each node's output shape for one picture; ShapeError naming the layer that does not fit or is absurdly large.

        A weight file may claim anything, and a value may double with every node: hence the bound, MOST_VALUES.
        """
        known: dict[str, Shape] = {INPUT: _bounded("input_shape", plain_shape(input_shape))}
        for node in self:
            try:
                shape = node.layer.output_shape(*(known[name] for name in node.inputs))
                known[node.name] = _bounded(f"its value {shape}", shape)
            except ShapeError as error:
                raise ShapeError(f"layer {node.name!r}: {error}") from None
        return known

    def to_json(self) -> list[dict[str, Any]]:
        """The nodes as a list of JSON objects."""
        return [
            {"name": n.name, "op": n.op, "inputs": list(n.inputs), "attributes": n.layer.attributes()} for n in self
        ]

    @classmethod
    def from_json(cls, nodes: Any) -> Graph:
        """The inverse of `to_json`; GraphError on anything malformed."""
        made = []
        for i, item in enumerate(nodes if isinstance(nodes, list) else []):
            try:
                name, op, inputs, attributes = (item[k] for k in ("name", "op", "inputs", "attributes"))
            except (TypeError, KeyError):
                raise GraphError(f"node {i} of the graph needs name, op, inputs and attributes; got {item!r}") from None
            texts = isinstance(inputs, list) and all(isinstance(text, str) for text in (name, op, *inputs))
            if not (texts and isinstance(attributes, dict)):
                raise GraphError(f"node {i} of the graph is malformed: {item!r}")
            made.append(Node(name, Layer.from_attributes(op, attributes, f"node {name!r}"), tuple(inputs)))
        return cls(made)


def plain_shape(value: Any) -> Shape:
    """The shape of one picture as a tuple of ints; ShapeError if it is none."""
    try:
        return tuple(operator.index(side) for side in value)
    except TypeError:
        raise ShapeError(f"input_shape must be whole numbers, such as (C, H, W); got {value!r:.60}") from None


def _bounded(what: str, shape: Shape) -> Shape:
    values = math.prod(shape)
    if values > MOST_VALUES:
        raise ShapeError(
            f"{what} would have more than {MOST_VALUES:,} values a picture; use smaller pictures or strides"
        )
    return shape


def chain(layers: Iterable[tuple[str, Layer]], after: str = INPUT) -> list[Node]:
    """Nodes one after the other."""
    nodes = []
    for name, layer in layers:
        nodes.append(Node(name, layer, (after,)))
        after = name
    return nodes


def rewire(nodes: Iterable[Node], old: str, new: str) -> list[Node]:
    """The nodes with every use of the value `old` replaced by `new`."""
    return [replace(n, inputs=tuple(new if i == old else i for i in n.inputs)) for n in nodes]
