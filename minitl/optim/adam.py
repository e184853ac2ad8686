"""Adam and AdamW: steps of a size that the gradient's scale does not change."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ..errors import ArgumentError
from ..tensor import Parameter
from .base import Optimizer
from .checks import flag, number

LEAST_EPS = float(np.finfo(np.float32).tiny)  # below, eps would be 0 in float32 and 0/0 where no gradient ever came


class Adam(Optimizer):
    """Adaptive moment estimation, with L2 weight decay, in PyTorch's form.

        g = grad + weight_decay * p
        m = b1 * m + (1 - b1) * g;  v = b2 * v + (1 - b2) * g^2
        p = p - lr * p.lr_mult * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)

    t counts the parameter's own steps, from 1. With amsgrad the largest v so far takes the place of v in the last line.
    Keeps "first_moment" (m), "second_moment" (v), "largest_second_moment" with amsgrad, and "step" (t).

    betas: (b1, b2), each in [0, 1). Raises ArgumentError on settings outside their domain. Sources: Kingma & Ba 2015,
    "Adam: a method for stochastic optimization"; Reddi et al. 2018, "On the convergence of Adam and beyond", for
    amsgrad, whose maximum is taken of v without the correction, as PyTorch does.
    """

    name: ClassVar[str] = "adam"
    kernel: ClassVar[str] = "adam_step"
    decoupled: ClassVar[bool] = False  # whether the moments never see the decay
    counted: ClassVar[bool] = True

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float = 1e-3,
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(parameters, lr)
        if not isinstance(betas, Sequence) or isinstance(betas, str) or len(betas) != 2:
            raise ArgumentError(f"{self._kind}: betas must be two numbers, such as (0.9, 0.999); got {betas!r}")
        self.betas = (
            number(self._kind, "betas[0]", betas[0], below=1.0),
            number(self._kind, "betas[1]", betas[1], below=1.0),
        )
        self.eps = number(self._kind, "eps", eps, least=LEAST_EPS)
        self.weight_decay = number(self._kind, "weight_decay", weight_decay)
        self.amsgrad = flag(self._kind, "amsgrad", amsgrad)

    @property
    def settings(self) -> dict[str, Any]:
        return super().settings | {
            "betas": list(self.betas),
            "eps": self.eps,
            "weight_decay": self.weight_decay,
            "amsgrad": self.amsgrad,
        }

    @property
    def roles(self) -> tuple[str, ...]:
        return ("first_moment", "second_moment", *(("largest_second_moment",) if self.amsgrad else ()))

    def operands(self, kept: Mapping[str, Any], rate: float, step: int) -> dict[str, Any]:
        state = {role: kept.get(role) for role in ("first_moment", "second_moment", "largest_second_moment")}
        settings = {"betas": self.betas, "eps": self.eps, "weight_decay": self.weight_decay}
        return {**state, "step": step, "rate": rate, **settings, "decoupled": self.decoupled}

    def change(
        self, old: np.ndarray, grad: np.ndarray, kept: Mapping[str, np.ndarray], rate: float, step: int
    ) -> np.ndarray:
        return self._adapted(grad + self.weight_decay * old if self.weight_decay else grad, kept, rate, step)

    def _adapted(self, grad: np.ndarray, kept: Mapping[str, np.ndarray], rate: float, step: int) -> np.ndarray:
        """rate * (corrected first moment) / (root of the corrected second moment + eps)."""
        b1, b2 = self.betas
        first, second = kept["first_moment"], kept["second_moment"]
        first += (1 - b1) * (grad - first)
        second *= b2
        second += (1 - b2) * grad * grad
        if self.amsgrad:
            second = np.maximum(kept["largest_second_moment"], second, out=kept["largest_second_moment"])
        root = np.sqrt(second)
        root /= math.sqrt(1 - b2**step)
        root += self.eps
        return rate / (1 - b1**step) * first / root


class AdamW(Adam):
    """Adam with decoupled weight decay: p shrinks by lr * p.lr_mult * weight_decay * p, which the moments never see.

    All else is as in Adam. Source: Loshchilov & Hutter 2019, "Decoupled weight decay regularization", in PyTorch's
    form, where the rate multiplies the decay too.
    """

    name: ClassVar[str] = "adamw"
    kernel: ClassVar[str] = "adam_step"
    decoupled: ClassVar[bool] = True

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float = 1e-3,
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay, amsgrad)

    def change(
        self, old: np.ndarray, grad: np.ndarray, kept: Mapping[str, np.ndarray], rate: float, step: int
    ) -> np.ndarray:
        moved = self._adapted(grad, kept, rate, step)
        return moved + rate * self.weight_decay * old if self.weight_decay else moved
