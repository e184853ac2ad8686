"""The results as tables: aligned text for a terminal, Markdown for a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .setting import Row

# In this order, as far as they are there.
CANDIDATES = (
    "minitl",
    "PyTorch",
    "PyTorch channels-last",
    "PyTorch compiled",
    "ONNX Runtime",
    "OpenVINO",
    "OpenVINO streams",
)
RATIO = "minitl / best other"
DISTURBING = 0.1  # cores that other processes took, on average, from which on figures mislead


@dataclass(frozen=True)
class Table:
    """title: with the unit of the figures. text_columns: how many on the left hold words."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    text_columns: int


def tables(result: dict[str, Any]) -> list[Table]:
    """One for each section that there are results of."""
    by = {name: [row for row in result["rows"] if row["section"] == name] for name in _SECTIONS}
    return [_SECTIONS[name](rows) for name, rows in by.items() if rows]


def _pivot(title: str, rows: list[Row], keys: dict[str, str], cell: Callable[[Row], str], peak: bool = False) -> Table:
    """A line for each value of `keys` (a row's key -> its heading), a column for each candidate, and minitl's ratio."""
    present = [name for name in CANDIDATES if any(row["candidate"] == name for row in rows)]
    groups: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in rows:
        groups.setdefault(tuple(str(row[key]) for key in keys), {})[row["candidate"]] = row
    lines = []
    for values, group in groups.items():
        cells = [cell(group[name]) if name in group else "" for name in present]
        own = group.get("minitl", {})
        cells.append(_ratio(own))
        if peak:
            cells.append(f"{own['of_peak']:.0%}" if "of_peak" in own else "")
        lines.append((*values, *cells))
    header = (*keys.values(), *present, RATIO, *(["of peak"] if peak else []))
    return Table(title, header, lines, len(keys))


def _ratio(row: Row) -> str:
    if row.get("ratio") is None:
        return ""
    return f"{row['ratio']:.2f}" + (f" ({row['ratio_of_minima']:.2f})" if "ratio_of_minima" in row else "")


def _milliseconds(row: Row, per: int = 1) -> str:
    first, third = row["quartiles"]
    return f"{_short(row['seconds'] * 1e3 / per)} ±{_short((third - first) / 2 * 1e3 / per)}"


def _short(number: float) -> str:
    """Three digits or so."""
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def _a_picture(row: Row) -> str:
    return _milliseconds(row, row["batch"])


def _inference(rows: list[Row]) -> Table:
    return _pivot("Inference, ms a picture", rows, {"network": "network", "batch": "batch"}, _a_picture, peak=True)


def _training(rows: list[Row]) -> Table:
    keys = {"network": "network", "batch": "batch"}
    return _pivot("Training step, all layers, ms", rows, keys, _milliseconds)


def _transfer(rows: list[Row]) -> Table:
    keys = {"network": "network", "task": "frozen layers", "batch": "batch"}
    return _pivot("Transfer step, ms", rows, keys, _milliseconds)


def _sizes(rows: list[Row]) -> Table:
    keys = {"network": "network, no classifier", "size": "side"}
    return _pivot("Picture sizes, ms a picture", rows, keys, _a_picture, peak=True)


def _threads(rows: list[Row]) -> Table:
    keys = {"network": "network", "batch": "batch", "threads": "threads"}
    return _pivot("Inference by other numbers of threads, ms a picture", rows, keys, _a_picture)


def _memory(rows: list[Row]) -> Table:
    keys = {"network": "network", "task": "", "batch": "batch"}
    title = "Peak memory while running (and with loading), MB"
    return _pivot(title, rows, keys, lambda row: f"{row['running'] / 1e6:.0f} ({row['peak'] / 1e6:.0f})")


def _layers(rows: list[Row]) -> Table:
    keys = ("network", "layer", "shape", "task")
    groups: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), {})[row["candidate"]] = row
    lines = []
    for values, group in groups.items():
        own = group.get("minitl")
        others = {name: row for name, row in group.items() if name != "minitl"}
        best = min(others, key=lambda name: others[name]["seconds"], default=None)
        cells = (
            _milliseconds(own) if own else "",
            _milliseconds(others[best]) if best else "",
            best or "",
            _ratio(own or {}),
            f"{own['of_peak']:.0%}" if own and own.get("of_peak") else "",
            f"{own['of_bandwidth']:.0%}" if own and own.get("of_bandwidth") else "",
        )
        lines.append((*values, *cells))
    header = (*keys, "minitl", "best other", "which", RATIO, "of peak", "of bandwidth")
    return Table("Layers, ms a batch", header, lines, len(keys))


_SECTIONS: dict[str, Callable[[list[Row]], Table]] = {
    "layers": _layers,
    "sizes": _sizes,
    "threads": _threads,
    "memory": _memory,
    "transfer": _transfer,
    "training": _training,
    "inference": _inference,
}


def about(result: dict[str, Any]) -> list[str]:
    """The machine, what it can do at most, and how calm it was, in sentences."""
    machine, ceilings = result["machine"], result["ceilings"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    peak = max(ceilings["our tile"], ceilings["BLAS"]) / 1e9
    peaks = [max(m["our tile"], m["BLAS"]) / 1e9 for m in result["ceilings_measured"]]
    return [
        f"{machine['date']}, {machine['processor']}, {machine['cores']} cores, {result['threads']} threads each; "
        f"Python {machine['python']}, {versions}.",
        f"Measured peak of float32 products {peak:.0f} GFLOP/s (our tile {ceilings['our tile'] / 1e9:.0f}, BLAS "
        f"{ceilings['BLAS'] / 1e9:.0f}; before the run {peaks[0]:.0f}, after it {peaks[-1]:.0f}), "
        f"copy {ceilings['copy'] / 1e9:.0f} GB/s. "
        f"Other processes took {result['others']:.2f} cores meanwhile{_warning(result['others'])}. "
        f"{result['minutes']:.1f} minutes.",
    ]


def _warning(others: float) -> str:
    return "" if others < DISTURBING else ", too much for these figures to be trusted"


def text(result: dict[str, Any]) -> str:
    """Everything for a terminal; the tables that matter most come last."""
    blocks = [f"{table.title}\n{_aligned(table)}" for table in tables(result)]
    said = [f"note: {note}" for note in result["notes"]]
    return "\n\n".join([*blocks, "\n".join([*said, *about(result)])])


def markdown(result: dict[str, Any], leave_out: Sequence[str] = ()) -> str:
    """The tables for a page, the most telling first. leave_out: names of sections."""
    kept = {**result, "rows": [row for row in result["rows"] if row["section"] not in leave_out]}
    blocks = [" ".join(about(result))]
    for table in reversed(tables(kept)):
        rule = ["---"] * table.text_columns + ["--:"] * (len(table.header) - table.text_columns)
        lines = [_line(table.header), _line(rule), *(_line(row) for row in table.rows)]
        blocks.append(f"**{table.title}**\n\n" + "\n".join(lines))
    return "\n\n".join(blocks)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _aligned(table: Table) -> str:
    widths = [max(map(len, column)) for column in zip(table.header, *table.rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < table.text_columns else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (table.header, *table.rows)
    )
