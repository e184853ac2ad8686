"""The results as pictures: how much of the best other's time minitl takes, and how times grow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from minitl.report.canvas import Axes, Figure, png

from .setting import Row
from .tables import CANDIDATES

INK, FAINT, GRID = "#22303c", "#66757f", "#e3e8ec"
QUICKER, SLOWER = "#1565a7", "#d9822b"
COLOURS = dict(
    zip(CANDIDATES, ("#1565a7", "#c9b28f", "#d9822b", "#b5482a", "#7b9e5b", "#7d5ba6", "#b79ed1"), strict=True)
)


def write(result: dict[str, Any], path: Path) -> list[Path]:
    """Writes the plots that there are results for beside `path`, named after it; returns where."""
    written = []
    for name, draw in (("ratios", ratios), ("scaling", scaling), ("layers", layers)):
        figure = draw(result)
        if figure is not None:
            file = path.with_name(f"{path.stem}-{name}.png")
            file.write_bytes(png(figure))
            written.append(file)
    return written


def ratios(result: dict[str, Any]) -> Figure | None:
    """A bar for each comparison of whole networks: minitl's time as a share of the best other's."""
    bars: list[tuple[str, float, float, float, str]] = []
    wanted = {"inference": "batch {batch}", "training": "step, batch {batch}", "transfer": "{task}"}
    for section, words in wanted.items():
        rows = [row for row in result["rows"] if row["section"] == section]
        for row in rows:
            if row.get("ratio") is not None:
                best = row["seconds"] / row["ratio"]
                low, high = (quartile / best for quartile in row["quartiles"])
                bars.append((f"{row['network']}, {words.format(**row)}", row["ratio"], low, high, section))
    return _bars(result, bars, "minitl's time, the best other's = 1") if bars else None


def layers(result: dict[str, Any]) -> Figure | None:
    """A bar for each layer: minitl's time as a share of the best other's, forwards."""
    rows = [r for r in result["rows"] if r["section"] == "layers" and r["task"] == "forward"]
    bars = []
    for row in rows:
        if row.get("ratio") is not None:
            best = row["seconds"] / row["ratio"]
            low, high = (quartile / best for quartile in row["quartiles"])
            bars.append((row["layer"], row["ratio"], low, high, row["network"]))
    return _bars(result, bars, "minitl's time, the best other's = 1, layer by layer") if bars else None


def _bars(result: dict[str, Any], bars: list[tuple[str, float, float, float, str]], title: str) -> Figure:
    """Bars from the top, those of one group together; at their ends the figure, over them the quartiles."""
    groups = list(dict.fromkeys(group for *_, group in bars))
    figure = Figure(figsize=(8.4, 0.9 + 0.27 * len(bars) + 0.3 * len(groups)), layout="constrained")
    axes = figure.subplots()
    place, places, labels = 0.0, [], []
    shown = min(3.0, max(1.25, *(1.12 * high for *_, high, _ in bars)))
    for group in groups:
        axes.text(0, place - 0.05, f" {group}", color=INK, fontweight="bold", fontsize=9, va="center")
        place += 0.95
        for label, ratio, low, high, of in bars:
            if of != group:
                continue
            colour = QUICKER if ratio <= 1 else SLOWER
            axes.barh(place, min(ratio, shown), height=0.72, color=colour, alpha=0.9, zorder=2)
            axes.plot([min(low, shown), min(high, shown)], [place] * 2, color=INK, lw=1.2, zorder=3)
            weight = "bold" if ratio <= 1 else "normal"
            axes.text(1.015 * shown, place, f"{ratio:.2f}", va="center", fontsize=9, color=colour, fontweight=weight)
            places.append(place)
            labels.append(label)
            place += 1
        place += 0.25
    axes.set_yticks(places, labels, fontsize=8, color=INK)
    axes.set_ylim(place - 0.4, -0.6)
    axes.set_xlim(0, shown)
    axes.axvline(1, color=INK, lw=1, zorder=1)
    _style(axes, "x")
    axes.set_title(title, loc="left", color=INK, fontsize=11, fontweight="bold")
    axes.set_xlabel(_where(result), color=FAINT, fontsize=8, loc="left")
    return figure


def scaling(result: dict[str, Any]) -> Figure | None:
    """Milliseconds a picture against batch, side and threads; a row of pictures for each network."""
    rows = result["rows"]
    here = [row for row in rows if row["section"] == "inference"]
    by_threads = [row for row in rows if row["section"] == "threads"]
    by_threads += [r for r in here if by_threads and r["batch"] == by_threads[0]["batch"]]
    every: dict[str, tuple[str, list[Row]]] = {
        "batch": ("pictures a batch", here),
        "size": ("side of a picture, without the classifier", [r for r in rows if r["section"] == "sizes"]),
        "threads": ("threads", by_threads),
    }
    drawn = {key: what for key, what in every.items() if len({row[key] for row in what[1]}) > 1}
    networks = list(dict.fromkeys(row["network"] for _, found in drawn.values() for row in found))
    if not drawn:
        return None
    figure = Figure(figsize=(0.9 + 3.3 * len(drawn), 0.9 + 2.5 * len(networks)), layout="constrained")
    grid = figure.subplots(len(networks), len(drawn), squeeze=False)
    handles: dict[str, Any] = {}
    for line, network in zip(grid, networks, strict=True):
        for axes, (key, (label, found)) in zip(line, drawn.items(), strict=True):
            own = [row for row in found if row["network"] == network]
            _lines(axes, own, lambda row, key=key: row[key], handles)
            _style(axes, "both")
            axes.set_xlabel(label, color=FAINT, fontsize=8)
        line[0].set_ylabel(f"{network}\nms a picture", color=INK, fontsize=9)
    shown = [name for name in CANDIDATES if name in handles]
    figure.legend(
        [handles[name] for name in shown],
        shown,
        loc="outside upper center",
        ncols=2 * len(drawn),
        fontsize=8,
        frameon=False,
        labelcolor=INK,
    )
    figure.supxlabel(_where(result), color=FAINT, fontsize=8)
    return figure


def _lines(axes: Axes, rows: list[Row], x: Callable[[Row], float], handles: dict[str, Any]) -> None:
    """A line for each candidate, minitl's above the others; the band between the quartiles."""
    for name in reversed(CANDIDATES):
        points = sorted(
            (x(r), *(1e3 * t / r["batch"] for t in (r["seconds"], *r["quartiles"])))
            for r in rows
            if r["candidate"] == name
        )
        if not points:
            continue
        at, median, low, high = zip(*points, strict=True)
        own = name == "minitl"
        (handle,) = axes.plot(
            at,
            median,
            color=COLOURS[name],
            lw=2.4 if own else 1.3,
            marker="o",
            ms=4 if own else 3,
            zorder=4 if own else 3,
        )
        axes.fill_between(at, low, high, color=COLOURS[name], alpha=0.15, lw=0)
        handles[name] = handle
    ticks = sorted({x(row) for row in rows})
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [str(t) for t in ticks], fontsize=8)
    axes.minorticks_off()
    axes.set_ylim(bottom=0)


def _style(axes: Axes, grid: str) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GRID)
    axes.tick_params(colors=FAINT, labelsize=8, length=0)
    axes.grid(axis=grid, color=GRID, lw=0.8)  # type: ignore[arg-type]
    axes.set_axisbelow(True)


def _where(result: dict[str, Any]) -> str:
    machine = result["machine"]
    return f"{machine['processor']}, {result['threads']} threads each, float32, {machine['date']}"
