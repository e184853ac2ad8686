"""The tables of benchmarks/gpu.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def tables(result: dict[str, Any]) -> str:
    """All results as text: what went wrong first, then the figures, a summary last."""
    blocks = [
        *_failures(result),
        _checks(result),
        _ops(result.get("ops") or []),
        _networks(result.get("networks") or []),
    ]
    return "\n\n".join(block for block in [*blocks, _summary(result)] if block)


def _failures(result: dict[str, Any]) -> list[str]:
    said = [f"FAILED {failure.rstrip()}" for failure in result["failures"]]
    return said + [f"note: {note}" for note in result["notes"]]


def _checks(result: dict[str, Any]) -> str:
    rows = []
    for check in (result.get("tests"), *(result.get("sanitizer") or ())):
        if check:
            verdict = {True: "passed", False: "FAILED", None: "left out"}[check["passed"]]
            rows.append((check["name"], verdict, f"{check['seconds']:.0f} s", check["summary"]))
    return _aligned(("check", "", "", ""), rows) if rows else ""


def _ops(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    lines = [
        (
            row["op"],
            row["layer"],
            row["version"],
            row["precision"],
            f"{row['seconds'] * 1e3:.3f}",
            f"{row['flops'] / row['seconds'] / 1e12:.2f}",
            f"{row['bytes'] / row['seconds'] / 1e9:.0f}",
            f"{row['share']:.0%}",
            "" if row["times_pytorch"] is None else f"{row['times_pytorch']:.2f}",
        )
        for row in rows
    ]
    return _aligned(
        ("op", "layer", "version", "precision", "ms", "TFLOP/s", "GB/s", "of ceiling", "PyTorch = 1"), lines, 4
    )


def _networks(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    lines = [
        (
            row["network"],
            row["task"],
            row["precision"],
            row["candidate"],
            f"{row['seconds'] * 1e3:.2f}",
            f"{row['pictures_per_second']:.0f}",
            "" if row["times_pytorch"] is None else f"{row['times_pytorch']:.2f}",
        )
        for row in rows
    ]
    return _aligned(("network", "task", "precision", "", "ms a batch", "pictures/s", "best PyTorch = 1"), lines, 4)


def _summary(result: dict[str, Any]) -> str:
    """The device, its measured ceilings, and for each op whether its best version beats its naive one."""
    device, ceilings = result["device"], result.get("ceilings") or {}
    lines = [f"{device['name']}, {device['architecture']}, driver for CUDA {device['driver'] / 1000:.1f}"]
    if ceilings:
        rates = ", ".join(f"{k} {v / 1e12:.0f} TFLOP/s" for k, v in ceilings.items() if k != "copy")
        lines.append(f"measured: copy {ceilings['copy'] / 1e12:.2f} TB/s, products {rates}")
    slow = slower_than_naive(result.get("ops") or [])
    if slow:
        lines.append("not faster than naive: " + "; ".join(slow))
    lines.append(f"{len(result['failures'])} failures, {len(result['notes'])} notes")
    return "\n".join(lines)


def slower_than_naive(rows: list[dict[str, Any]]) -> list[str]:
    """The ops and layers at which cuda.naive is as fast as the best version in CUDA C++, if there are others."""
    found = []
    for op, layer in dict.fromkeys((row["op"], row["layer"]) for row in rows):
        here = {r["version"]: r["seconds"] for r in rows if (r["op"], r["layer"]) == (op, layer)}
        others = [t for version, t in here.items() if version.startswith("cuda.") and version != "cuda.naive"]
        if others and here.get("cuda.naive", float("inf")) <= min(others):
            found.append(f"{op} of {layer}")
    return found


def _aligned(header: Sequence[str], rows: Sequence[Sequence[str]], numbers_from: int = 99) -> str:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i >= numbers_from else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (header, *rows)
    )
