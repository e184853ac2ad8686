"""Stochastic gradient descent with momentum, Nesterov's too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from ..errors import ArgumentError
from ..tensor import Parameter
from .base import Optimizer
from .checks import flag, number


class SGD(Optimizer):
    """Stochastic gradient descent with momentum and L2 weight decay, in PyTorch's form.

        g = grad + weight_decay * p;  v = momentum * v + g;  p = p - lr * p.lr_mult * v

    With nesterov, p moves along g + momentum * v instead of v. Keeps "velocity" (v), where there is momentum.

    parameters: of a network. lr: the base rate, which schedules change. Raises ArgumentError on a
    negative or non-finite setting, and on nesterov without momentum. Sources: Sutskever et al. 2013, "On the
    importance of initialization and momentum in deep learning", with the rate outside the velocity; Nesterov 1983, "A
    method of solving a convex programming problem with convergence rate O(1/k^2)".
    """

    name: ClassVar[str] = "sgd"
    kernel: ClassVar[str] = "sgd_step"

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(parameters, lr)
        self.momentum = number("SGD", "momentum", momentum)
        self.weight_decay = number("SGD", "weight_decay", weight_decay)
        self.nesterov = flag("SGD", "nesterov", nesterov)
        if self.nesterov and not self.momentum:
            raise ArgumentError("SGD: nesterov=True needs a momentum above 0, such as 0.9; got 0")

    @property
    def settings(self) -> dict[str, Any]:
        return super().settings | {
            "momentum": self.momentum,
            "weight_decay": self.weight_decay,
            "nesterov": self.nesterov,
        }

    @property
    def roles(self) -> tuple[str, ...]:
        return ("velocity",) if self.momentum else ()

    def operands(self, kept: Mapping[str, Any], rate: float, step: int) -> dict[str, Any]:
        settings = {"momentum": self.momentum, "weight_decay": self.weight_decay, "nesterov": self.nesterov}
        return {"velocity": kept.get("velocity"), "rate": rate, **settings}

    def change(
        self, old: np.ndarray, grad: np.ndarray, kept: Mapping[str, np.ndarray], rate: float, step: int
    ) -> np.ndarray:
        direction = grad + self.weight_decay * old if self.weight_decay else grad
        if self.momentum:
            velocity = kept["velocity"]
            velocity *= self.momentum
            velocity += direction
            direction = direction + self.momentum * velocity if self.nesterov else velocity
        return rate * direction
