"""RMSprop: gradients over the root of their recent mean square."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from ..tensor import Parameter
from .adam import LEAST_EPS
from .base import Optimizer
from .checks import flag, number


class RMSprop(Optimizer):
    """Gradients divided by the root of their running mean square, in PyTorch's form.

        g = grad + weight_decay * p;  s = alpha * s + (1 - alpha) * g^2;  u = g / (sqrt(s) + eps)
        v = momentum * v + u;  p = p - lr * p.lr_mult * v

    centered: the square of the running mean gradient is taken from s, which leaves the variance; where rounding makes
    that negative it is 0. Keeps "mean_square" (s), "mean_gradient" where centered, "velocity" (v) where there is
    momentum. alpha: in [0, 1). Raises ArgumentError on settings outside their domain.

    Sources: Tieleman & Hinton 2012, "Lecture 6.5: RMSProp", COURSERA: Neural Networks for Machine Learning; Graves
    2013, "Generating sequences with recurrent neural networks", for the centered form.
    """

    name: ClassVar[str] = "rmsprop"
    kernel: ClassVar[str] = "rmsprop_step"

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ) -> None:
        super().__init__(parameters, lr)
        self.alpha = number("RMSprop", "alpha", alpha, below=1.0)
        self.eps = number("RMSprop", "eps", eps, least=LEAST_EPS)
        self.weight_decay = number("RMSprop", "weight_decay", weight_decay)
        self.momentum = number("RMSprop", "momentum", momentum)
        self.centered = flag("RMSprop", "centered", centered)

    @property
    def settings(self) -> dict[str, Any]:
        return super().settings | {
            "alpha": self.alpha,
            "eps": self.eps,
            "weight_decay": self.weight_decay,
            "momentum": self.momentum,
            "centered": self.centered,
        }

    @property
    def roles(self) -> tuple[str, ...]:
        centered = ("mean_gradient",) if self.centered else ()
        return ("mean_square", *centered, *(("velocity",) if self.momentum else ()))

    def operands(self, kept: Mapping[str, Any], rate: float, step: int) -> dict[str, Any]:
        state = {role: kept.get(role) for role in ("mean_square", "mean_gradient", "velocity")}
        settings = {"alpha": self.alpha, "eps": self.eps, "weight_decay": self.weight_decay, "momentum": self.momentum}
        return {**state, "rate": rate, **settings}

    def change(
        self, old: np.ndarray, grad: np.ndarray, kept: Mapping[str, np.ndarray], rate: float, step: int
    ) -> np.ndarray:
        slope = grad + self.weight_decay * old if self.weight_decay else grad
        square = kept["mean_square"]
        square *= self.alpha
        square += (1 - self.alpha) * slope * slope
        if self.centered:
            mean = kept["mean_gradient"]
            mean += (1 - self.alpha) * (slope - mean)
            square = np.maximum(square - mean * mean, 0)
        direction = slope / (np.sqrt(square) + self.eps)
        if self.momentum:
            velocity = kept["velocity"]
            velocity *= self.momentum
            velocity += direction
            direction = velocity
        return rate * direction
