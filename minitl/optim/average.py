"""EMA: an exponential moving average of weights, often a better classifier than the last step's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import device
from ..errors import ArgumentError
from .blocks import blocks
from .checks import flag, number
from .state import STEP, Kept, checked, copied

AVERAGE = "average"


class EMA:
    """An exponential moving average of all that trains: average = decay * average + (1 - decay) * numbers.

    arrays: a network, whose parameters and running statistics are averaged, or named arrays, as a list or a dict (with
    .name, .data and .assign). decay: from 0 (the last numbers) to 1 (the first). An array's first update copies it, as
    in PyTorch's AveragedModel with get_ema_multi_avg_fn(decay). warm_up: the decay is min(decay, (1 + t) / (10 + t)) at
    update t, from 0, so that the first steps do not weigh on a short training (as TensorFlow's
    ExponentialMovingAverage with num_updates).

    Frozen arrays are passed over: they have no average, and thawed they start anew. Raises ArgumentError on settings
    or arrays that make no sense. Source: Polyak & Juditsky 1992, "Acceleration of stochastic approximation by
    averaging".
    """

    def __init__(self, arrays: Any, decay: float, warm_up: bool = False) -> None:
        self.arrays = _named(arrays)
        self.decay = number("EMA", "decay", decay, most=1.0)
        self.warm_up = flag("EMA", "warm_up", warm_up)
        self._kept: Kept = {}
        self._lent = False

    @property
    def settings(self) -> dict[str, Any]:
        """What it was made with, as plain JSON values."""
        return {"decay": self.decay, "warm_up": self.warm_up}

    def update(self) -> None:
        """Takes the present numbers into the averages: to be called after every step of the optimizer.

        Raises ArgumentError inside `applied`, where the present numbers are the averages themselves.
        """
        if self._lent:
            raise ArgumentError("EMA: update inside applied() would average the averages; leave that block first")
        for name, array in self.arrays.items():
            if _frozen(array):
                self._kept.pop(name, None)
            elif name not in self._kept:
                self._kept[name] = {AVERAGE: array.data.copy(), STEP: np.ones((), np.int64)}
            else:
                kept = self._kept[name]
                kept[AVERAGE] = device.beside(kept[AVERAGE], array.data)  # it may have moved, or come from a file
                self._blend(np.atleast_1d(kept[AVERAGE]), np.atleast_1d(array.data), int(kept[STEP]))
                kept[STEP][...] += 1

    def _blend(self, average: np.ndarray, now: np.ndarray, updates: int) -> None:
        decay = min(self.decay, (1 + updates) / (10 + updates)) if self.warm_up else self.decay
        for part in blocks(average):
            # The form that starts from the nearer end, as PyTorch's lerp: exact for a decay of 0 and of 1.
            difference = now[part] - average[part]
            if decay > 0.5:
                average[part] += (1 - decay) * difference
            else:
                np.subtract(now[part], decay * difference, out=average[part])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside this block the arrays hold their averages; after it, errors included, what they held before, exactly.

        Frozen arrays, and those without an update so far, are left as they are. Whatever is assigned inside is lost.
        """
        held: list[tuple[Any, np.ndarray]] = []
        outer = self._lent
        try:
            self._lent = True
            for name, array in self.arrays.items():
                if name in self._kept and not _frozen(array):
                    held.append((array, array.data.copy()))
                    array.assign(self._kept[name][AVERAGE])
            yield
        finally:
            for array, before in held:
                array.assign(before)
            self._lent = outer

    def state(self) -> Kept:
        """Copies of the averages and of their numbers of updates: {name: {"average": array, "step": int64}}."""
        return copied(self._kept, (name for name, array in self.arrays.items() if _frozen(array)))

    def load_state(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        """Takes back what `state` gave, in place of all averages; what it holds for frozen arrays is dropped.

        Raises ArgumentError or ShapeError where it does not fit the arrays; then nothing has changed.
        """
        found = checked("EMA", state, self.arrays, (AVERAGE, STEP))
        self._kept = {name: arrays for name, arrays in found.items() if not _frozen(self.arrays[name])}


def _frozen(array: Any) -> bool:
    return bool(getattr(array, "frozen", False))


def _named(arrays: Any) -> dict[str, Any]:
    """The arrays of a network, a dict or a list, by their own names."""
    if callable(getattr(arrays, "named_arrays", None)):
        arrays = arrays.named_arrays()
    found = arrays.values() if isinstance(arrays, Mapping) else arrays
    found = list(found) if isinstance(found, Iterable) else [found]
    for array in found:
        if not all(hasattr(array, attribute) for attribute in ("name", "data", "assign")):
            raise ArgumentError(f"EMA: needs a network or named arrays, such as net.parameters(); got {array!r:.60}")
    named = {array.name: array for array in found}
    if len(named) != len(found):
        raise ArgumentError("EMA: arrays must have distinct names, by which their averages are kept")
    return named
