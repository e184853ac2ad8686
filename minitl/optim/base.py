"""Optimizer: what all update rules share. A rule of one's own says what it keeps and what it subtracts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from .. import device, kernels
from ..errors import ArgumentError, ShapeError
from ..tensor import Parameter
from .blocks import blocks
from .checks import number, trainable
from .state import STEP, Kept, checked, copied


class Optimizer(ABC):
    """Moves the parameters of a network against their gradients: p = p - change, in the parameter's dtype.

    parameters: a list of Parameters with distinct names, by which state is kept. lr: the base rate, which schedules
    set before a step; a parameter's own rate is lr * p.lr_mult. Raises ArgumentError on settings that make no sense.

    A parameter that is frozen is passed over entirely: neither decayed nor moved, and its state is dropped, so that,
    thawed later, it starts from rest. One without a gradient is left as it is, its state too.

    Gradients add up over calls of backward() until zero_grad(). So a step may follow the mean over several batches:
    weigh the mean loss of each by its share of the pictures (1/k for k batches of one size), then step.

    A rule of one's own is a subclass with `name`, `roles` and `change`; `counted` asks for a count of steps, `kernel`
    and `operands` name an op that does all of it in one pass on a GPU.
    """

    name: ClassVar[str] = ""
    counted: ClassVar[bool] = False  # whether a parameter's number of steps is kept, as role "step"
    kernel: ClassVar[str] = ""  # the op of minitl.kernels that takes the whole step in one pass, where there is one

    def __init__(self, parameters: Iterable[Parameter], lr: float) -> None:
        self.parameters = trainable(self._kind, parameters)
        self.lr = lr
        self._kept: Kept = {}
        if len({p.name for p in self.parameters}) != len(self.parameters):
            raise ArgumentError(f"{self._kind}: parameters must have distinct names, by which their state is kept")

    @property
    def _kind(self) -> str:
        return type(self).__name__

    @property
    def lr(self) -> float:
        """The base rate."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr = number(self._kind, "lr", value)

    @property
    def settings(self) -> dict[str, Any]:
        """What it was made with, as plain JSON values; "optimizer" is its name, "lr" the base rate of now."""
        return {"optimizer": self.name, "lr": self.lr}

    # The rule

    @property
    def roles(self) -> tuple[str, ...]:
        """The arrays of the parameter's shape that are kept from step to step; they start as zeros."""
        return ()

    @abstractmethod
    def change(
        self, old: np.ndarray, grad: np.ndarray, kept: Mapping[str, np.ndarray], rate: float, step: int
    ) -> np.ndarray:
        """What to subtract from `old`, some rows of a parameter, all arrays being those rows of one dtype.

        kept: by role; to be brought up to date in place. old and grad must stay as they are. rate: the parameter's
        own. step: how many times it has moved, this time included; 0 where that is not counted. Must work number by
        number, so that the blocks which an array is cut into do not show.
        """

    def operands(self, kept: Mapping[str, Any], rate: float, step: int) -> dict[str, Any]:
        """The arguments of that op besides parameter and grad; it gives back new arrays, then those of `roles`."""
        return {}

    # Stepping

    def zero_grad(self) -> None:
        """Forgets all gradients."""
        for p in self.parameters:
            p.grad = None

    def step(self) -> None:
        """Moves every parameter that is not frozen and has a gradient; ShapeError where that has another shape."""
        moving = []
        for p in self.parameters:
            if p.frozen:
                self._kept.pop(p.name, None)
            elif p.grad is not None:
                if p.grad.shape != p.shape:
                    raise ShapeError(
                        f"{self._kind}: the gradient of {p.name!r} must have shape {p.shape}; got {p.grad.shape}"
                    )
                moving.append(p)
        for p in moving:
            self._move(p)

    def _move(self, p: Parameter) -> None:
        """One step, a few rows at a time: a dense layer of 10^8 numbers needs one new array, not one an operation."""
        kept = self._kept.setdefault(p.name, {})
        for role in self.roles:
            if role not in kept:
                kept[role] = device.library(p.data).zeros(p.shape, p.dtype)
        if self.counted:
            kept.setdefault(STEP, np.zeros((), np.int64))[...] += 1
        step = int(kept[STEP]) if self.counted else 0
        rate = self.lr * float(p.lr_mult)
        for role in self.roles:  # loaded from a file, or the parameter has moved
            kept[role] = device.beside(kept[role], p.data)
        if self._in_one_pass(p):
            slope = device.beside(p.grad, p.data).astype(p.dtype, copy=False)
            operands = self.operands(kept, rate, step)
            new, *arrays = getattr(kernels, self.kernel).forward(parameter=p.data, grad=slope, **operands)
            kept.update(zip(self.roles, arrays, strict=True))
            p.assign(new)
            return
        if self._in_place(p, kept, rate, step):
            return
        rows = {role: np.atleast_1d(kept[role]) for role in self.roles}  # views: what is written there is kept
        old, grad = np.atleast_1d(p.data), np.atleast_1d(device.beside(p.grad, p.data))
        new = np.empty_like(old)
        for part in blocks(old):
            slope = grad[part].astype(p.dtype, copy=False)
            held = {role: array[part] for role, array in rows.items()}
            np.subtract(old[part], self.change(old[part], slope, held, rate, step), out=new[part])
        p.assign(new.reshape(p.shape))

    def _in_place(self, p: Parameter, kept: Mapping[str, Any], rate: float, step: int) -> bool:
        """Whether p has been moved by the kernel that overwrites its numbers, where there is one."""
        module: Any = getattr(kernels, self._kernel, None)
        if not hasattr(module, "in_place"):
            return False
        slope = device.beside(p.grad, p.data).astype(p.dtype, copy=False)
        return p.overwrite(lambda array: module.in_place(array, slope, **self.operands(kept, rate, step)))

    @property
    def _kernel(self) -> str:
        """The op that computes this rule. A subclass with a `change` of its own is not moved by that of its base."""
        ruled_by = next(kind for kind in type(self).__mro__ if "change" in vars(kind))
        return vars(ruled_by).get("kernel") or ""

    def _in_one_pass(self, p: Parameter) -> bool:
        """Whether the op `kernel` moves p: on a GPU, and where `kernels.using` asks for a version of it."""
        if not self._kernel:
            return False
        return device.on_gpu(p.data) or getattr(kernels, self.kernel).forward.forced() is not None

    # Saving

    def state(self) -> Kept:
        """Copies of what is kept: {parameter name: {role: array}}. "step" is one int64; all else is as the parameter.

        With the parameters and the settings it is all that the coming steps depend on. Frozen parameters have none,
        nor have those that never moved.
        """
        return copied(self._kept, (p.name for p in self.parameters if p.frozen))

    def load_state(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        """Takes back what `state` gave, in place of all that is kept; parameters it does not name start from rest.

        What it holds for a parameter that is frozen is dropped. Raises ArgumentError for names of no parameter here
        and for roles of another optimizer, ShapeError for another shape or dtype; then nothing has changed.
        """
        roles = (*self.roles, STEP) if self.counted else self.roles
        found = checked(self._kind, state, {p.name: p for p in self.parameters}, roles)
        frozen = {p.name for p in self.parameters if p.frozen}
        self._kept = {name: arrays for name, arrays in found.items() if name not in frozen}

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value}" for name, value in self.settings.items() if name != "optimizer")
        return f"{self._kind}({len(self.parameters)} parameters, {options})"
