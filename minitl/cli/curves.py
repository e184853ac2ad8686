"""The demo's picture: learning curves of several ways of training, and where each ended on the test pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..report.canvas import Axes, Figure, MaxNLocator, PercentFormatter, png
from ..report.plots import FAINT, GRID, INK
from ..train import History

COLOURS = ("#8a97a3", "#d9822b", "#1565a7", "#4f8a5b")  # as many ways as can be told apart at a glance


def plot(
    histories: Mapping[str, Sequence[History]], tests: Mapping[str, Sequence[float]], untrained: float, title: str
) -> bytes:
    """PNG: left, validation accuracy by epoch, mean and range over the seeds; right, the test result of each seed.

    histories, tests: by way of training, in the order of COLOURS. untrained: the test
    result before any training. title: what was done, in a line.
    """
    figure = Figure(figsize=(9.6, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2.1, 1))
    colours = dict(zip(histories, COLOURS, strict=False))
    for name, runs in histories.items():
        epochs, values = _by_epoch(runs)
        left.fill_between(epochs, values.min(0), values.max(0), color=colours[name], alpha=0.16, lw=0)
        left.plot(epochs, values.mean(0), color=colours[name], lw=2.4, solid_capstyle="round", label=name)
    for i, (name, accuracies) in enumerate(tests.items()):
        spread = np.linspace(-0.14, 0.14, len(accuracies)) if len(accuracies) > 1 else np.zeros(1)
        right.scatter(i + spread, accuracies, s=30, color=colours[name], alpha=0.55, lw=0, zorder=3, clip_on=False)
        mean = float(np.mean(accuracies))
        right.plot([i - 0.3, i + 0.3], [mean, mean], color=colours[name], lw=2.8, solid_capstyle="round", zorder=4)
        below = min(accuracies) - 0.035
        if abs(below - 0.03 - untrained) < 0.05:
            below = untrained - 0.02  # clear of the dotted line
        right.text(i, below, f"{mean:.1%}", ha="center", va="top", color=INK, fontsize=10.5)
    right.axhline(untrained, color=FAINT, lw=1.3, ls=(0, (2, 3)), zorder=2)
    right.text(-0.55, untrained + 0.012, f"as it comes: {untrained:.1%}", color=FAINT, fontsize=9, va="bottom")
    left.set_ylim(0.0, 1.0)
    left.set_xlim(0, max(len(run) for runs in histories.values() for run in runs))
    left.set_xlabel("epoch", color=INK)
    left.set_ylabel("pictures answered rightly", color=INK)
    left.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.legend(loc="center right", bbox_to_anchor=(1, 0.66), frameon=False, labelcolor=INK, fontsize=10.5)
    right.set_xticks(range(len(tests)), list(tests), color=INK, fontsize=10.5)
    right.set_xlim(-0.6, len(tests) - 0.4)
    for axes, text in ((left, "while training: validation pictures"), (right, "in the end: test pictures")):
        _style(axes, text)
    right.tick_params(axis="x", colors=INK)
    figure.suptitle(title, x=0.012, ha="left", color=INK, fontsize=12.5, fontweight="bold")
    return png(figure)


def _by_epoch(runs: Sequence[History]) -> tuple[np.ndarray, np.ndarray]:
    """(epochs from 0, validation accuracies (runs, epochs)), the state before training first."""
    values = [[run.start["val_accuracy"], *(row["val_accuracy"] for row in run)] for run in runs]
    return np.arange(len(values[0])), np.array(values)


def _style(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", color=FAINT, fontsize=10.5)
    axes.grid(axis="y", color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.tick_params(colors=FAINT, labelsize=9.5, length=0)
