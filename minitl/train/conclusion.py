"""What is said when a training has ended."""

from __future__ import annotations

import warnings

from ..data import Dataset
from . import messages
from .best import Best
from .history import History

ENOUGH_EPOCHS = 5  # in which training shows whether it would still get better
FALL = 0.01  # of the validation loss in the last epoch: it still gets better


def conclude(history: History, best: Best, data: Dataset) -> str:
    """Which weights were kept, and why training ended. Warns where they always give one answer, or came too soon."""
    early = "stopped early; " if history.stopped_early else ""
    text = f"{'interrupted; ' * history.interrupted}{early}kept the weights of epoch {history.best}"
    if not best.row:
        return text
    counts = list(data.counts("val").values())
    if len(best.found) == 1 and max(counts) < sum(counts):
        name = data.classes[int(best.found[0])]
        warnings.warn(messages.one_class(name, max(counts) / sum(counts)), stacklevel=5)
    losses = [row["val_loss"] for row in history[-2:]]
    falls = len(history) >= ENOUGH_EPOCHS and losses[1] < (1 - FALL) * losses[0]
    if falls and history.best == len(history) and not history.interrupted and best.row["val_accuracy"] < 1:
        warnings.warn(messages.longer(*losses), stacklevel=5)
    return f"{text}: validation accuracy {best.row['val_accuracy']:.1%}, loss {best.row['val_loss']:.3g}"
