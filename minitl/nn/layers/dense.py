"""Dense layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ... import functional as F
from ...errors import ShapeError
from ...tensor import Tensor
from .base import Layer, Mode, Shape, check_flag, check_initializer, check_positive, make_plain


@dataclass(frozen=True)
class Linear(Layer):
    """y = x weight.T + bias for flat inputs (in_features,)."""

    op: ClassVar[str] = "linear"
    keeps: ClassVar[tuple[str, ...]] = ("inputs if trained",)
    in_features: int
    out_features: int
    bias: bool = True
    initializer: str = "he_normal"

    def __post_init__(self) -> None:
        make_plain(self)
        check_positive(self, "in_features", "out_features")
        check_flag(self, "bias")
        check_initializer(self)

    def parameter_shapes(self) -> dict[str, Shape]:
        shapes: dict[str, Shape] = {"weight": (self.out_features, self.in_features)}
        return {**shapes, "bias": (self.out_features,)} if self.bias else shapes

    def initializers(self) -> dict[str, str]:
        return {**super().initializers(), "weight": self.initializer}

    def output_shape(self, *shapes: Shape) -> Shape:
        if shapes[0] != (self.in_features,):
            raise ShapeError(
                f"linear: expects {self.in_features} features a picture, but its input has shape {shapes[0]}; "
                "use the input size that the network was made for, or a head that pools (head='gap')"
            )
        return (self.out_features,)

    def flops(self, *shapes: Shape) -> int:
        return 2 * self.in_features * self.out_features

    def window(self) -> None:
        return None

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        return F.linear(inputs[0], parameters["weight"], parameters.get("bias"))
