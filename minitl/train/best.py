"""The best weights of a training so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import device
from .history import plain_row, row_of
from .state import changing

if TYPE_CHECKING:
    from ..nn import Network


class Best:
    """The best weights so far: one copy of the arrays that change in training, and of no other.

    epoch: 0 for those at the start. row: its {"val_loss", "val_accuracy"}. found: its answers.
    """

    def __init__(self, net: Network, row: dict[str, float], found: np.ndarray) -> None:
        self._owners = changing(net)
        self.arrays = {name: owner.numpy() for name, owner in self._owners.items()}
        self.epoch, self.row, self.found = 0, row, np.unique(found)

    @staticmethod
    def _rank(row: dict[str, float]) -> tuple[float, float]:
        finite = bool(row) and np.isfinite(row["val_loss"])
        return (row["val_accuracy"], -row["val_loss"]) if finite else (-np.inf, -np.inf)

    def offer(self, epoch: int, row: dict[str, float], found: np.ndarray) -> None:
        """Takes the network's weights if this epoch is the best, or if there is no validation to tell."""
        if not row or self._rank(row) > self._rank(self.row):
            self.epoch, self.row, self.found = epoch, row, np.unique(found)
            for name, array in self.arrays.items():
                np.copyto(array, device.to_host(self._owners[name].data))

    def restore(self) -> None:
        """Gives the network the best weights."""
        for name, array in self.arrays.items():
            if not np.array_equal(device.to_host(self._owners[name].data), array):
                self._owners[name].assign(array)

    def to_json(self) -> dict[str, Any]:
        """All but the arrays, as a checkpoint holds it."""
        return {"epoch": self.epoch, "row": plain_row(self.row), "found": [int(label) for label in self.found]}

    def take(self, stored: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Becomes what `to_json` and `arrays` gave."""
        self.epoch, self.row = stored["epoch"], row_of(stored["row"])
        self.found = np.array(stored["found"], int)
        for name, array in self.arrays.items():
            np.copyto(array, arrays[name])
