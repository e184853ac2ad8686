"""Activations, and softmax."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ... import functional as F
from ...errors import ArgumentError
from ...tensor import Tensor
from .base import Elementwise, Mode, check_number, make_plain


@dataclass(frozen=True)
class ReLU(Elementwise):
    """max(x, 0)."""

    op: ClassVar[str] = "relu"
    keeps: ClassVar[tuple[str, ...]] = ("output",)

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        return F.relu(inputs[0])


@dataclass(frozen=True)
class LeakyReLU(Elementwise):
    """x where x > 0, negative_slope * x elsewhere."""

    op: ClassVar[str] = "leaky_relu"
    keeps: ClassVar[tuple[str, ...]] = ("inputs",)
    negative_slope: float = 0.01

    def __post_init__(self) -> None:
        make_plain(self)
        check_number(self, "negative_slope", -float("inf"), float("inf"))

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        return F.leaky_relu(inputs[0], self.negative_slope)


@dataclass(frozen=True)
class Sigmoid(Elementwise):
    """1 / (1 + exp(-x))."""

    op: ClassVar[str] = "sigmoid"
    keeps: ClassVar[tuple[str, ...]] = ("output",)

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        return F.sigmoid(inputs[0])


@dataclass(frozen=True)
class Tanh(Elementwise):
    """The hyperbolic tangent."""

    op: ClassVar[str] = "tanh"
    temporaries: ClassVar[int] = 1
    keeps: ClassVar[tuple[str, ...]] = ("output",)

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        return F.tanh(inputs[0])


@dataclass(frozen=True)
class GELU(Elementwise):
    """x times the normal distribution's share below x; approximate: "none" or "tanh" (Hendrycks & Gimpel 2016)."""

    op: ClassVar[str] = "gelu"
    temporaries: ClassVar[int] = 2
    keeps: ClassVar[tuple[str, ...]] = ("inputs",)
    approximate: str = "none"

    def __post_init__(self) -> None:
        if self.approximate not in ("none", "tanh"):
            raise ArgumentError(f"GELU: approximate must be 'none' or 'tanh'; got {self.approximate!r}")

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        return F.gelu(inputs[0], self.approximate)


@dataclass(frozen=True)
class Softmax(Elementwise):
    """Probabilities over the channels (the first axis of a picture)."""

    op: ClassVar[str] = "softmax"
    keeps: ClassVar[tuple[str, ...]] = ("output",)

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        return F.softmax(inputs[0], axis=1)


@dataclass(frozen=True)
class LogSoftmax(Elementwise):
    """Logarithms of the probabilities over the channels."""

    op: ClassVar[str] = "log_softmax"
    keeps: ClassVar[tuple[str, ...]] = ("output",)

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        return F.log_softmax(inputs[0], axis=1)
