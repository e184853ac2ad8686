"""Layers that move numbers or join branches."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ... import functional as F
from ...errors import ArgumentError, ShapeError
from ...kernels.geometry import PAD_MODES, PadGeometry
from ...tensor import Tensor
from .base import Layer, Mode, Shape, check_number, make_plain


@dataclass(frozen=True)
class Flatten(Layer):
    """(C, H, W) -> (C H W,), in row-major order."""

    op: ClassVar[str] = "flatten"
    keeps: ClassVar[tuple[str, ...]] = ()

    def output_shape(self, *shapes: Shape) -> Shape:
        return (math.prod(shapes[0]),)

    def flops(self, *shapes: Shape) -> int:
        return 0

    def window(self) -> None:
        return None

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        return F.flatten(inputs[0])


@dataclass(frozen=True)
class Concat(Layer):
    """Joins its inputs along the channels."""

    op: ClassVar[str] = "concat"
    keeps: ClassVar[tuple[str, ...]] = ()

    def output_shape(self, *shapes: Shape) -> Shape:
        if len({shape[1:] for shape in shapes}) > 1:
            raise ShapeError(f"concat: inputs must agree in all axes but the channels; got {list(shapes)}")
        return (sum(shape[0] for shape in shapes), *shapes[0][1:])

    def flops(self, *shapes: Shape) -> int:
        return 0

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        return F.concat(inputs, axis=1)


@dataclass(frozen=True)
class Add(Layer):
    """The sum of its inputs, which must have one shape: where a residual block's two paths meet (He et al. 2016)."""

    op: ClassVar[str] = "add"
    keeps: ClassVar[tuple[str, ...]] = ()

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(set(shapes)) > 1:
            raise ShapeError(f"add: inputs must have one shape; got {list(shapes)}")
        return shapes[0]

    def flops(self, *shapes: Shape) -> int:
        return (len(shapes) - 1) * math.prod(shapes[0])

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        total = inputs[0]
        for x in inputs[1:]:
            total = F.add(total, x)
        return total


@dataclass(frozen=True)
class Pad2d(Layer):
    """Adds a border to (C, H, W); arguments as in functional.pad."""

    op: ClassVar[str] = "pad"
    keeps: ClassVar[tuple[str, ...]] = ()
    padding: Any
    mode: str = "constant"
    value: float = 0.0

    def __post_init__(self) -> None:
        make_plain(self)
        check_number(self, "value", -np.inf, np.inf)
        if self.mode not in PAD_MODES:
            raise ArgumentError(f"Pad2d: mode must be one of {', '.join(PAD_MODES)}; got {self.mode!r}")

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(shapes[0]) != 3:
            raise ShapeError(f"pad: needs an input (C, H, W); got {shapes[0]}")
        return PadGeometry.infer((1, *shapes[0]), self.padding, self.mode).y_shape[1:]

    def flops(self, *shapes: Shape) -> int:
        return 0

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        return F.pad(inputs[0], self.padding, self.mode, self.value)
