"""Relations that many ops have, stated as data: in which inputs an op is linear, and which axes may be permuted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...agreement import Call, largest
from ..ask import Ask, same
from ..calls import changed, order

Array = np.ndarray
Answer = float | None
Relation = Callable[[Ask, Call], Answer]


@dataclass(frozen=True)
class Linear:
    """An op is linear in each of `inputs` alone, with the settings given: f(a + 2 b) = f(a) + 2 f(b).

    answers: how many of its answers are.
    """

    inputs: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    answers: int = 1

    def __call__(self, ask: Ask, call: Call) -> Answer:
        """Holds every input to it."""
        fixed = {**call, **self.settings}
        return largest(self._in(ask, fixed, name) for name in self.inputs)

    def _in(self, ask: Ask, call: Call, name: str) -> Answer:
        first = changed(call, _halved, [name]) if not ask.exact else call
        second = changed(first, _rolled, [name])
        both = {**first, name: _combined(first[name], second[name])}
        a, b, sum_ = ask(first), ask(second), ask(both)
        wanted = [x.astype(np.float64) + 2 * y.astype(np.float64) for x, y in zip(a, b, strict=True)]
        allowed = [
            x + 2 * y + z for x, y, z in zip(ask.allowed(first), ask.allowed(second), ask.allowed(both), strict=True)
        ]
        n = self.answers
        return same(sum_[:n], wanted[:n], allowed[:n])


def _rolled(x: Array) -> Array:
    """The same numbers at other places, signs changed."""
    return -np.roll(x.ravel(), 1).reshape(x.shape)


def _halved(x: Array) -> Array:
    """With half the digits, so that sums of two are exact."""
    return np.clip(x, -1e4, 1e4).astype(np.float16).astype(x.dtype)


def _combined(a: Any, b: Any) -> Any:
    return tuple(x + 2 * y for x, y in zip(a, b, strict=True)) if isinstance(a, tuple) else a + 2 * b


@dataclass(frozen=True)
class Permuted:
    """Permuting an axis of some inputs permutes the axis of each answer that is named, or changes nothing (None).

    inputs: the axis of each. same_size: inputs whose axis must be as long for the relation to make sense; what is None
    in the call stays so.
    """

    inputs: Mapping[str, int]
    answers: tuple[int | None, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    ungrouped: bool = False

    def __call__(self, ask: Ask, call: Call) -> Answer:
        """Holds the op to it."""
        if self.ungrouped and call["geometry"].groups > 1:
            return None
        call = {**call, **self.settings}
        given = {name: axis for name, axis in self.inputs.items() if call.get(name) is not None}
        first, axis = next(iter(given.items()))
        if call[first].ndim <= axis or call[first].shape[axis] < 2:
            return None
        to = order(call[first].shape[axis])
        moved = {**call, **{name: np.take(call[name], to, axis) for name, axis in given.items()}}
        answers = ask(call)
        plain, wanted = [], []
        for answer, allowed, at in zip(answers, ask.allowed(call), (*self.answers, *self.answers), strict=False):
            wanted.append(answer if at is None else np.take(answer, to, at))
            spread = np.broadcast_to(allowed, answer.shape)
            plain.append(2 * (spread if at is None else np.take(spread, to, at)))
        return same(ask(moved), wanted, plain)


@dataclass(frozen=True)
class Doubled:
    """Twice the inputs give `factors` times the answers, to the bit: a power of two changes no rounding.

    Numbers are kept far from the ends of the dtype's range, where it would.
    """

    inputs: tuple[str, ...]
    factors: tuple[int, ...] = (2,)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, ask: Ask, call: Call) -> Answer:
        """Holds the op to it."""
        call = changed({**call, **self.settings}, lambda x: np.where(np.abs(x) < 1e-3, 1, x), list(self.inputs))
        twice = changed(call, lambda x: 2 * x, list(self.inputs))
        wanted = [factor * answer.astype(np.float64) for factor, answer in zip(self.factors, ask(call), strict=True)]
        return same(ask(twice), wanted, (0.0,) * len(wanted))
