"""Dropout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ... import functional as F
from ...errors import ArgumentError
from ...tensor import Tensor
from .base import Elementwise, Mode, Shape, make_plain


@dataclass(frozen=True)
class Dropout(Elementwise):
    """In training, sets each element to zero with probability p and scales the rest by 1 / (1 - p)."""

    op: ClassVar[str] = "dropout"
    keeps: ClassVar[tuple[str, ...]] = ()
    p: float = 0.5

    def __post_init__(self) -> None:
        make_plain(self)
        if not isinstance(self.p, (int, float)) or isinstance(self.p, bool) or not 0 <= self.p < 1:
            raise ArgumentError(f"Dropout: p must be a number in [0, 1); got {self.p!r}")

    @property
    def random(self) -> bool:
        return self.p > 0

    def flops(self, *shapes: Shape) -> int:
        return 0

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        if not mode.training or self.p == 0:
            return inputs[0]
        if mode.keys is None:
            raise ArgumentError("Dropout: training needs keys=, one uint64 a picture, so that its mask is reproducible")
        return F.dropout(inputs[0], self.p, mode.keys, stream)
