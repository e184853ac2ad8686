"""Convolution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ... import functional as F
from ...errors import ArgumentError
from ...kernels.geometry import ConvGeometry, pair
from ...tensor import Tensor
from .base import Layer, Mode, Shape, Window, check_flag, check_initializer, check_positive, make_plain

PADDING_MODES = ("zeros", "replicate", "reflect", "circular")


@dataclass(frozen=True)
class Conv2d(Layer):
    """Convolution of (C, H, W) with `out_channels` filters; arguments as in functional.conv2d."""

    op: ClassVar[str] = "conv2d"
    keeps: ClassVar[tuple[str, ...]] = ("inputs if trained",)
    in_channels: int
    out_channels: int
    kernel_size: Any
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    groups: int = 1
    bias: bool = True
    padding_mode: str = "zeros"
    initializer: str = "he_normal"

    def __post_init__(self) -> None:
        make_plain(self)
        check_positive(self, "in_channels", "out_channels", "groups")
        check_flag(self, "bias")
        check_initializer(self)
        if self.padding_mode not in PADDING_MODES:
            raise ArgumentError(
                f"Conv2d: padding_mode must be one of {', '.join(PADDING_MODES)}; got {self.padding_mode!r}"
            )
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ArgumentError(
                f"Conv2d: groups={self.groups} must divide in_channels={self.in_channels} "
                f"and out_channels={self.out_channels}"
            )

    def parameter_shapes(self) -> dict[str, Shape]:
        kernel = pair(self.kernel_size, op="Conv2d", name="kernel_size", least=1)
        shapes: dict[str, Shape] = {"weight": (self.out_channels, self.in_channels // self.groups, *kernel)}
        return {**shapes, "bias": (self.out_channels,)} if self.bias else shapes

    def initializers(self) -> dict[str, str]:
        return {**super().initializers(), "weight": self.initializer}

    def settings(self) -> dict[str, Any]:
        """What functional.conv2d takes besides arrays."""
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
            "padding_mode": self.padding_mode,
        }

    def geometry(self, shape: Shape) -> ConvGeometry:
        """The geometry for one picture of this shape; ShapeError if it does not fit."""
        settings = self.settings() | {"padding_mode": "zeros"}  # the mode changes no shape
        return ConvGeometry.infer((1, *shape), self.parameter_shapes()["weight"], **settings)

    def output_shape(self, *shapes: Shape) -> Shape:
        return self.geometry(shapes[0]).y_shape[1:]

    def flops(self, *shapes: Shape) -> int:
        return self.geometry(shapes[0]).flops

    def workspace(self, batch: int, dtype: Any, *shapes: Shape, gradients: bool) -> int:
        ops = ("conv2d.grad_input", "conv2d.grad_weight") if gradients else ("conv2d",)
        call = self.call(batch, shapes[0])
        return max(F.workspace(op, dtype, **call) + gradients * F.packed(op, dtype, **call) for op in ops)

    def packed(self, batch: int, dtype: Any, *shapes: Shape) -> int:
        return F.packed("conv2d", dtype, **self.call(batch, shapes[0]))

    def call(self, batch: int, shape: Shape) -> dict[str, Any]:
        """What decides on the kernel's version, as kernels.why takes it; the mode of padding does not."""
        settings = self.settings() | {"padding_mode": "zeros"}
        return {"x_shape": (batch, *shape), "w_shape": self.parameter_shapes()["weight"], **settings}

    def window(self) -> Window:
        sizes = (
            pair(value, op="Conv2d", name=name, least=1)
            for name, value in (("kernel_size", self.kernel_size), ("stride", self.stride), ("dilation", self.dilation))
        )
        return Window(*sizes)

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        return F.conv2d(inputs[0], parameters["weight"], parameters.get("bias"), **self.settings())
