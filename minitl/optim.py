"""Optimizers and schedules. One base rate; every parameter's own rate is that times its multiplier.

Frozen parameters are passed over entirely: no decay, no momentum, no state. Freezing takes effect at the
next step, whether it came before or after the optimizer was made.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .errors import ArgumentError, ShapeError
from .tensor import Parameter


def _number(where: str, name: str, value: Any, least: float = 0.0) -> float:
    if not np.isscalar(value) or not np.isfinite(value) or value < least:
        raise ArgumentError(f"{where}: {name} must be a finite number of at least {least:g}; got {value!r}")
    return float(value)


class SGD:
    """Stochastic gradient descent with momentum and L2 weight decay, in PyTorch's form.

        g = grad + weight_decay * p;  v = momentum * v + g;  p = p - lr * p.lr_mult * v

    parameters: of a network. lr: the base rate, which schedules change. Raises ArgumentError on a
    negative or non-finite setting. Source: Sutskever et al. 2013, with the rate outside the velocity.
    """

    def __init__(
        self, parameters: Iterable[Parameter], lr: float, momentum: float = 0.0, weight_decay: float = 0.0
    ) -> None:
        self.parameters = list(parameters)
        self.lr = _number("SGD", "lr", lr)
        self.momentum = _number("SGD", "momentum", momentum)
        self.weight_decay = _number("SGD", "weight_decay", weight_decay)
        self.velocity: dict[str, np.ndarray] = {}
        named = {p.name for p in self.parameters}
        if len(named) != len(self.parameters):
            raise ArgumentError("SGD: parameters must have distinct names, by which their state is kept")

    def zero_grad(self) -> None:
        """Forgets all gradients."""
        for p in self.parameters:
            p.grad = None

    def step(self) -> None:
        """Moves every parameter that is not frozen and has a gradient."""
        for p in self.parameters:
            if p.frozen:
                self.velocity.pop(p.name, None)  # thawed later, it starts from rest
            elif p.grad is not None:
                p.assign(p.data - self._rate(p) * self._direction(p))

    def _rate(self, p: Parameter) -> np.floating:
        return p.dtype.type(self.lr * p.lr_mult)

    def _direction(self, p: Parameter) -> np.ndarray:
        g = p.grad
        if g.shape != p.shape:
            raise ShapeError(f"SGD: the gradient of {p.name!r} must have shape {p.shape}; got {g.shape}")
        if self.weight_decay:
            g = g + p.dtype.type(self.weight_decay) * p.data
        if not self.momentum:
            return g
        v = self.velocity.get(p.name)
        v = np.array(g) if v is None else p.dtype.type(self.momentum) * v + g
        self.velocity[p.name] = v
        return v


class StepSchedule:
    """Multiplies the base rate by `factor` after every `every` epochs."""

    def __init__(self, every: int, factor: float = 0.1) -> None:
        if not isinstance(every, int) or every < 1:
            raise ArgumentError(f"StepSchedule: every must be a positive number of epochs; got {every!r}")
        self.every = every
        self.factor = _number("StepSchedule", "factor", factor)

    def rate(self, base: float, epoch: int) -> float:
        """The base rate in `epoch`, counted from 0."""
        return base * self.factor ** (epoch // self.every)


class ConstantSchedule:
    """Leaves the base rate as it is."""

    def rate(self, base: float, epoch: int) -> float:
        """The base rate, whatever the epoch."""
        return base
