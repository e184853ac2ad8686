"""History: what each epoch of a training came to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


class History(list):
    """One dict an epoch: "epoch" (from 1), "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "seconds".

    "lr" is the base rate of the epoch's last step. start: {"val_loss", "val_accuracy"} before training, or {} without
    validation pictures. best: the epoch whose weights the network ended with (0: those it started from). interrupted:
    whether Ctrl-C ended it early. stopped_early: whether it ended because no epoch was better for too long.
    diverged: whether it ended because the loss was no number any more.
    """

    def __init__(self) -> None:
        super().__init__()
        self.start: dict[str, float] = {}
        self.best = 0
        self.interrupted = False
        self.stopped_early = False
        self.diverged = False

    def to_json(self) -> dict[str, Any]:
        """As a checkpoint holds it: exact, and plain JSON (which knows no NaN or Inf: their names take their place)."""
        return {
            "rows": [plain_row(row) for row in self],
            "start": plain_row(self.start),
            "best": self.best,
            "stopped_early": self.stopped_early,
        }

    def take(self, stored: Mapping[str, Any]) -> None:
        """Becomes the history that `to_json` gave."""
        self[:] = [row_of(row) for row in stored["rows"]]
        self.start = row_of(stored["start"])
        self.best, self.stopped_early, self.interrupted = stored["best"], stored["stopped_early"], False
        self.diverged = False


def plain_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with numbers that JSON does not know as text ("nan", "inf")."""
    return {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }


def row_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `plain_row`."""
    return {name: float(value) if isinstance(value, str) else value for name, value in row.items()}
