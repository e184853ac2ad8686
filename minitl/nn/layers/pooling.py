"""Pooling."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ... import functional as F
from ...errors import ShapeError
from ...kernels.geometry import PoolGeometry, adaptive_output, pair
from ...tensor import Tensor
from .base import Layer, Mode, Shape, Window, check_flag, check_positive, make_plain


def _window(kernel_size: Any, stride: Any, dilation: Any = 1) -> Window:
    kernel = pair(kernel_size, op="pooling", name="kernel_size", least=1)
    stride = kernel if stride is None else pair(stride, op="pooling", name="stride", least=1)
    return Window(kernel, stride, pair(dilation, op="pooling", name="dilation", least=1))


@dataclass(frozen=True)
class MaxPool2d(Layer):
    """Maximum of each window; arguments as in functional.max_pool2d."""

    op: ClassVar[str] = "max_pool2d"
    keeps: ClassVar[tuple[str, ...]] = ("scratch",)  # where the maxima were
    kernel_size: Any
    stride: Any = None
    padding: Any = 0
    dilation: Any = 1
    ceil_mode: bool = False

    def __post_init__(self) -> None:
        make_plain(self)
        check_flag(self, "ceil_mode")

    def output_shape(self, *shapes: Shape) -> Shape:
        return PoolGeometry.infer((1, *shapes[0]), **self.attributes()).y_shape[1:]

    def flops(self, *shapes: Shape) -> int:
        return math.prod(self.output_shape(*shapes)) * math.prod(self.window().kernel)

    def window(self) -> Window:
        return _window(self.kernel_size, self.stride, self.dilation)

    def scratch(self, *shapes: Shape) -> int:
        return math.prod(self.output_shape(*shapes))

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        return F.max_pool2d(inputs[0], **self.attributes())


@dataclass(frozen=True)
class AvgPool2d(Layer):
    """Mean of each window; arguments as in functional.avg_pool2d."""

    op: ClassVar[str] = "avg_pool2d"
    temporaries: ClassVar[int] = 1
    keeps: ClassVar[tuple[str, ...]] = ()
    kernel_size: Any
    stride: Any = None
    padding: Any = 0
    ceil_mode: bool = False
    count_include_pad: bool = True
    divisor_override: int | None = None

    def __post_init__(self) -> None:
        make_plain(self)
        check_flag(self, "ceil_mode")
        check_flag(self, "count_include_pad")
        if self.divisor_override is not None:
            check_positive(self, "divisor_override")

    def output_shape(self, *shapes: Shape) -> Shape:
        geometry = PoolGeometry.infer(
            (1, *shapes[0]), self.kernel_size, self.stride, self.padding, ceil_mode=self.ceil_mode, op=self.op
        )
        return geometry.y_shape[1:]

    def flops(self, *shapes: Shape) -> int:
        return math.prod(self.output_shape(*shapes)) * math.prod(self.window().kernel)

    def window(self) -> Window:
        return _window(self.kernel_size, self.stride)

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        return F.avg_pool2d(inputs[0], **self.attributes())


@dataclass(frozen=True)
class AdaptiveAvgPool2d(Layer):
    """Means over a grid of `output_size` (int or pair; None keeps a side) windows; 1 is the global average."""

    op: ClassVar[str] = "adaptive_avg_pool2d"
    keeps: ClassVar[tuple[str, ...]] = ()
    output_size: Any = 1

    def __post_init__(self) -> None:
        make_plain(self)

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(shapes[0]) != 3:
            raise ShapeError(f"adaptive_avg_pool2d: needs an input (C, H, W); got {shapes[0]}")
        return (shapes[0][0], *adaptive_output((1, *shapes[0]), self.output_size, op=self.op))

    def flops(self, *shapes: Shape) -> int:
        return math.prod(shapes[0])

    def window(self) -> None:
        return None

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        return F.adaptive_avg_pool2d(inputs[0], self.output_size)
