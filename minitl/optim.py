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

ROWS_OF = 1 << 18  # numbers that an update works on at a time: they stay in the cache from one operation to the next


def _number(where: str, name: str, value: Any, least: float = 0.0) -> float:
    real = isinstance(value, (int, float, np.number)) and not isinstance(value, (bool, complex, np.complexfloating))
    if not real or not np.isfinite(value) or value < least:
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
                self._move(p, p.grad)

    def _move(self, p: Parameter, grad: np.ndarray) -> None:
        """One step, a few rows at a time: a dense layer of 10^8 numbers needs one new array, not one an operation."""
        if grad.shape != p.shape:
            raise ShapeError(f"SGD: the gradient of {p.name!r} must have shape {p.shape}; got {grad.shape}")
        number = p.dtype.type
        rate, momentum, decay = number(self.lr * p.lr_mult), number(self.momentum), number(self.weight_decay)
        old, new = np.atleast_1d(p.data), np.empty_like(np.atleast_1d(p.data))
        grad = np.atleast_1d(grad)
        velocity = None
        if momentum:
            velocity = self.velocity.setdefault(p.name, np.zeros_like(old))
        rows = max(1, ROWS_OF * len(old) // max(old.size, 1))
        for start in range(0, len(old), rows):
            part = slice(start, start + rows)
            direction = grad[part] + decay * old[part] if decay else grad[part]
            if velocity is not None:
                velocity[part] *= momentum
                velocity[part] += direction
                direction = velocity[part]
            np.subtract(old[part], rate * direction, out=new[part])
        p.assign(new.reshape(p.shape))


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
