"""Learning curves and confusion matrices as PNG. Figures are made without pyplot, so no global state is touched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import MaxNLocator

from .canvas import Figure, png

INK, FAINT, GRID = "#22303c", "#66757f", "#e3e8ec"
TRAIN, VAL, BEST = "#8a97a3", "#1565a7", "#d9822b"
BLUES = LinearSegmentedColormap.from_list("blues", ["#f7fafc", "#1565a7"])
NUMBERED = 25  # classes up to which each cell of a confusion matrix has its number


def curves_plot(history: Sequence[dict[str, Any]], baseline: float | None = None) -> bytes:
    """Loss and accuracy by epoch, as PNG; `history` as Trainer.fit returns it. baseline: share of the largest class."""
    figure = Figure(figsize=(9.6, 3.8))  # margins are given: to work them out takes as long as to draw
    margins = {"left": 0.075, "right": 0.985, "bottom": 0.135, "top": 0.92, "wspace": 0.16}
    losses, accuracies = figure.subplots(1, 2, gridspec_kw=margins)
    start, best = getattr(history, "start", {}), getattr(history, "best", None)
    for axes, name, scale in ((losses, "loss", 1.0), (accuracies, "accuracy", 100.0)):
        for split, colour, label in (("train", TRAIN, "training"), ("val", VAL, "validation")):
            column = f"{split}_{name}"
            points = [(0, start[column])] if column in start else []
            points += [(row["epoch"], row[column]) for row in history if column in row]
            if points:
                x, y = np.array(points, float).T
                few = "o" if len(x) <= 30 else None
                axes.plot(x, y * scale, color=colour, label=label, lw=2, marker=few, ms=3.5, clip_on=False, zorder=3)
        if best is not None and "val_loss" in start:
            axes.axvline(best, color=BEST, lw=1.4, ls=(0, (4, 2)), label=f"kept: epoch {best}", zorder=2)
        _style(axes)
        axes.set_xlabel("epoch", color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        first = 0 if start else 1
        axes.set_xlim(first, max(len(history), first + 1))
    losses.set_ylabel("cross-entropy (nats)", color=INK)
    losses.set_ylim(bottom=0)
    losses.set_title("Loss", color=INK, loc="left", fontweight="bold")
    accuracies.set_ylabel("accuracy (%)", color=INK)
    accuracies.set_title("Accuracy", color=INK, loc="left", fontweight="bold")
    if baseline is not None:
        accuracies.axhline(
            100 * baseline, color=FAINT, lw=1.2, ls=":", label=f"most frequent class: {baseline:.0%}", zorder=1
        )
    accuracies.set_ylim(top=100)
    for axes, place in ((losses, "upper right"), (accuracies, "lower right")):
        axes.legend(loc=place, labelcolor=INK, fontsize=9, facecolor="white", edgecolor="none", framealpha=0.9)
    return png(figure)


def confusion_plot(confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> bytes:
    """Pictures by true class (rows) and answer (columns), as PNG; shades are shares of the row."""
    counts = np.asarray(confusion)
    count = len(classes)
    names = [name if len(name) <= 24 else name[:23] + "…" for name in classes]
    longest = max(map(len, names))
    cell = 0.85 if count <= 6 else 0.5 if count <= NUMBERED else max(0.12, 12 / count)
    side = max(cell * count, 2.2) + 1.3 + 0.075 * longest
    figure = Figure(figsize=(side + 0.9, side), layout="constrained")
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    image = axes.imshow(100 * shares, cmap=BLUES, vmin=0, vmax=100)
    if count <= NUMBERED:
        for (row, column), number in np.ndenumerate(counts):
            colour = "white" if shares[row, column] > 0.55 else INK if number else "#b8c2cb"
            size = 13 if count <= 6 else 9
            axes.text(column, row, f"{number}", ha="center", va="center", color=colour, fontsize=size)
    step = max(1, -(-count // 50))
    ticks = np.arange(0, count, step)
    tilt = 0 if longest * 0.085 < cell else 90 if count > 12 else 40
    axes.set_xticks(
        ticks,
        [names[i] for i in ticks],
        rotation=tilt,
        ha="right" if tilt == 40 else "center",
        rotation_mode="anchor" if tilt == 40 else "default",
        parse_math=False,
    )
    axes.set_yticks(ticks, [names[i] for i in ticks], parse_math=False)
    axes.set_xticks(np.arange(count + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(count + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", lw=1.5 if count <= NUMBERED else 0)
    axes.tick_params(which="both", length=0, colors=INK, labelsize=10 if step == 1 and count <= NUMBERED else 7)
    axes.spines[:].set_visible(False)
    axes.set_title("Pictures by truth and answer", color=INK, loc="left", fontweight="bold", fontsize=11, pad=10)
    axes.set_xlabel("answer", color=INK)
    axes.set_ylabel("truth", color=INK)
    bar = figure.colorbar(image, ax=axes, shrink=0.75, pad=0.02)
    bar.set_label("share of the true class (%)", color=INK, fontsize=9)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=FAINT, labelsize=8, length=2)
    return png(figure)


def _style(axes: Any) -> None:
    axes.grid(color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)
    axes.tick_params(colors=FAINT, labelsize=9, length=0)
