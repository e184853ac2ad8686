"""What a network is made of: shapes, parameters, operations, receptive fields, and the memory it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from operator import mul
from typing import TYPE_CHECKING

from ..errors import ShapeError
from .graph import INPUT, Graph, plain_shape
from .layers import Shape
from .memory import Memory, predicted

if TYPE_CHECKING:
    from .network import Network

Field = tuple[int, int]


@dataclass(frozen=True)
class SummaryRow:
    """One node. shape: of its value for one picture. flops: for one picture. field: the (height, width) of the

    pixels of the input that one of its pixels depends on, at most the input's; None where the input has no height.
    """

    name: str
    op: str
    shape: Shape
    parameters: int
    frozen: int
    flops: int
    field: Field | None


@dataclass(frozen=True)
class Summary:
    """A network node by node (iterate for the rows), and its totals. print(summary) shows a table.

    input_shape: of one picture. batch_size: that `memory` is for.
    """

    name: str
    rows: tuple[SummaryRow, ...]
    input_shape: Shape
    batch_size: int
    memory: Memory

    @classmethod
    def of(cls, net: Network, batch_size: int, input_shape: Shape | None) -> Summary:
        """See Network.summary."""
        shape = net.input_shape if input_shape is None else plain_shape(input_shape)
        if shape is None:
            raise ShapeError(f"{net.name}: knows no input shape; give summary(input_shape=(C, H, W))")
        shapes = net.graph.shapes(shape)
        fields = receptive_fields(net.graph, shapes)
        arrays = net.named_arrays()
        rows = []
        for node in net.graph:
            own = [arrays[f"{node.name}.{role}"] for role in node.layer.parameter_shapes()]
            rows.append(
                SummaryRow(
                    node.name,
                    node.op or type(node.layer).__name__,
                    shapes[node.name],
                    sum(p.size for p in own),
                    sum(p.size for p in own if p.frozen),
                    node.layer.flops(*(shapes[name] for name in node.inputs)),
                    fields[node.name],
                )
            )
        frozen = {name: array.frozen for name, array in arrays.items()}
        memory = predicted(net.graph, shapes, frozen, batch_size, net.dtype)
        return cls(net.name, tuple(rows), shape, batch_size, memory)

    @property
    def parameters(self) -> int:
        """Numbers in all parameters."""
        return sum(row.parameters for row in self.rows)

    @property
    def flops(self) -> int:
        """Floating-point operations of inference for one picture."""
        return sum(row.flops for row in self.rows)

    @property
    def activations(self) -> int:
        """Numbers in the values of all nodes, for one picture."""
        return sum(prod(row.shape) for row in self.rows)

    def __iter__(self) -> Iterator[SummaryRow]:
        return iter(self.rows)

    def __str__(self) -> str:
        table = [("layer", "op", "output", "parameters", "Mflop", "sees")]
        for row in self.rows:
            seen = "" if row.field is None else "x".join(map(str, row.field))
            parameters = f"{row.parameters:,}" if row.parameters else ""
            shape = "x".join(map(str, row.shape))
            table.append((row.name, row.op, shape, parameters, f"{row.flops / 1e6:,.1f}" if row.flops else "", seen))
        widths = [max(len(line[i]) for line in table) for i in range(6)]
        lines = [
            "  ".join(c.rjust(w) if i > 2 else c.ljust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True)))
            for line in table
        ]
        frozen = sum(row.frozen for row in self.rows)
        memory = self.memory
        lines += [
            f"{self.name}: {self.parameters:,} parameters, {frozen:,} of them frozen; {self.activations:,} activations "
            f"and {self.flops / 1e9:.3g} Gflop a picture {'x'.join(map(str, self.input_shape))}",
            f"memory: {_megabytes(memory.arrays)} for its arrays; at most, with {self.batch_size} pictures at a time, "
            f"{_megabytes(memory.inference)} to run and {_megabytes(memory.training)} to train",
        ]
        return "\n".join(line.rstrip() for line in lines)


def receptive_fields(graph: Graph, shapes: dict[str, Shape]) -> dict[str, Field | None]:
    """By node, the extent of the input pixels that one pixel of its value depends on.

    A window of k pixels, d apart, on values that lie j input pixels apart and see r each, sees r + d (k - 1) j; its
    stride multiplies j (Araujo, Norris & Sim, "Computing receptive fields of convolutional neural networks", 2019).
    """
    size = shapes[INPUT]
    if len(size) != 3:
        return dict.fromkeys(shapes)
    whole: Field = (size[1], size[2])
    seen: dict[str, Field] = {INPUT: (1, 1)}
    apart: dict[str, Field] = {INPUT: (1, 1)}
    for node in graph:
        inputs, window = node.inputs, node.layer.window()
        apart[node.name] = _each(_most, *(apart[name] for name in inputs))
        if window is None or len(shapes[node.name]) != 3:
            seen[node.name] = whole
            continue
        farthest = _each(_most, *(seen[name] for name in inputs))
        seen[node.name] = _each(_widened, farthest, apart[node.name], window.kernel, window.dilation)
        apart[node.name] = _each(mul, apart[node.name], window.stride)
    return {name: _each(min, extent, whole) for name, extent in seen.items()}


def _most(*values: int) -> int:
    return max(values)


def _widened(seen: int, apart: int, kernel: int, dilation: int) -> int:
    return seen + dilation * (kernel - 1) * apart


def _each(function: Callable[..., int], *fields: Field) -> Field:
    """Vertically, and horizontally."""
    return function(*(f[0] for f in fields)), function(*(f[1] for f in fields))


def _megabytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
