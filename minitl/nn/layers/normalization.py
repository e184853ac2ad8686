"""Normalization: over the batch, and over neighbouring channels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ... import functional as F
from ...errors import ShapeError
from ...tensor import Buffer, Tensor
from .base import Elementwise, Layer, Mode, Shape, check_flag, check_number, check_positive, make_plain


@dataclass(frozen=True)
class BatchNorm2d(Layer):
    """Normalizes each channel, then scales and shifts it (Ioffe & Szegedy 2015), for (C, H, W) or flat (C,) inputs.

    In training by the mean and variance of the batch, which also move the running ones: running = (1 - momentum) *
    running + momentum * batch, with the unbiased variance, as in PyTorch; momentum=None averages all batches alike.
    In inference, and wherever the layer is frozen, by the running ones, which then stay as they are, bit for bit.
    affine: whether it scales and shifts.
    """

    op: ClassVar[str] = "batch_norm"
    keeps: ClassVar[tuple[str, ...]] = ("inputs",)
    num_features: int
    eps: float = 1e-5
    momentum: float | None = 0.1
    affine: bool = True

    def __post_init__(self) -> None:
        make_plain(self)
        check_positive(self, "num_features")
        check_flag(self, "affine")
        check_number(self, "eps", 0, np.inf)
        if self.momentum is not None:
            check_number(self, "momentum", 0, 1)

    def parameter_shapes(self) -> dict[str, Shape]:
        return {"weight": (self.num_features,), "bias": (self.num_features,)} if self.affine else {}

    def buffer_shapes(self) -> dict[str, Shape]:
        shapes: dict[str, Shape] = {"running_mean": (self.num_features,), "running_var": (self.num_features,)}
        return shapes if self.momentum is not None else {**shapes, "batches": (1,)}

    def flops(self, *shapes: Shape) -> int:
        return 2 * math.prod(shapes[0])  # one product and one addition: the rest is worked out once a channel

    def initializers(self) -> dict[str, str]:
        ones = ("weight", "running_var")
        return {role: "ones" if role in ones else "zeros" for role in self.array_shapes()}

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(shapes[0]) not in (1, 3) or shapes[0][0] != self.num_features:
            raise ShapeError(
                f"batch_norm: expects {self.num_features} channels, (C, H, W) or (C,); its input has shape {shapes[0]}"
            )
        return shapes[0]

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        x, weight, bias = inputs[0], parameters.get("weight"), parameters.get("bias")
        running = {role: array for role, array in parameters.items() if isinstance(array, Buffer)}
        mean, var = running["running_mean"], running["running_var"]
        if not mode.training or any(buffer.frozen for buffer in running.values()):
            return F.batch_norm(x, weight, bias, mean, var, training=False, eps=self.eps)
        y, batch_mean, batch_var = F.batch_norm(x, weight, bias, training=True, eps=self.eps)
        count = x.size // self.num_features
        share = self._share(running)
        mean.assign((1 - share) * mean.data + share * batch_mean)
        var.assign((1 - share) * var.data + share * (batch_var * (count / (count - 1))))
        return y

    def _share(self, running: Mapping[str, Buffer]) -> float:
        """How much this batch counts in the running statistics."""
        if self.momentum is not None:
            return self.momentum
        batches = running["batches"]
        batches.assign(batches.data + 1)
        return 1 / float(batches.data[0])


@dataclass(frozen=True)
class LocalResponseNorm(Elementwise):
    """x / (k + alpha / size * sum of squares over `size` neighbouring channels) ** beta (Krizhevsky et al. 2012)."""

    op: ClassVar[str] = "local_response_norm"
    keeps: ClassVar[tuple[str, ...]] = ("inputs",)
    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def __post_init__(self) -> None:
        make_plain(self)
        check_positive(self, "size")
        for name in ("alpha", "beta", "k"):
            check_number(self, name, 0, np.inf)

    def flops(self, *shapes: Shape) -> int:
        return (2 * self.size + 4) * math.prod(shapes[0])  # a square and an addition a neighbour; a power counts as one

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(shapes[0]) != 3:
            raise ShapeError(f"local_response_norm: needs an input (C, H, W); got {shapes[0]}")
        return shapes[0]

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        return F.local_response_norm(inputs[0], self.size, self.alpha, self.beta, self.k)
