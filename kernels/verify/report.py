"""The suite's report: rows as JSON, and as one HTML page that needs nothing else."""

from __future__ import annotations

import html
import json
import platform
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import machine_code
from .suite import Row

COLUMNS = ("op", "version", "property", "cases", "worst share of bound", "outcome")
NAMED = 3  # versions that fail for one reason and are named
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; width: 100%; font-size: 13px }
th, td { text-align: left; padding: .2rem .6rem; border-bottom: 1px solid #ddd; vertical-align: top }
td.number { text-align: right; font-variant-numeric: tabular-nums }
.passed { color: #176b2c } .failed { color: #fff; background: #b3261e } .served { color: #777 }
pre { white-space: pre-wrap; background: #fbeceb; padding: .6rem 1rem; border-left: 4px solid #b3261e }
"""


def counts(rows: Sequence[Row]) -> dict[str, int]:
    """How many rows have each outcome."""
    found = Counter(row.outcome for row in rows)
    return {outcome: found[outcome] for outcome in ("passed", "failed", "not served")}


def summary(rows: Sequence[Row]) -> str:
    """The outcomes in a line."""
    return ", ".join(f"{count} {outcome}" for outcome, count in counts(rows).items())


def share(worst: float | None) -> str:
    """A share as reports show it."""
    return "" if worst is None else f"{worst:.3g}"


def missing(rows: Sequence[Row]) -> list[str]:
    """A line for each backend that cannot run here: of how many versions, and why not."""
    away = [(row.version.partition(".")[0], row.why) for row in rows if row.property == "all"]
    return [
        f"{backend}: {count} version{'s' * (count > 1)} not verified here: {why}"
        for (backend, why), count in Counter(away).items()
    ]


def compilations(rows: Sequence[Row]) -> list[str]:
    """What NVRTC made of kernels from outside, or why it was not asked."""
    found = [row for row in rows if row.property == machine_code.PROPERTY and row.outcome != "failed"]
    return [f"{'not ' * (row.outcome != 'passed')}{machine_code.PROPERTY}: {row.why}" for row in found]


def failures(rows: Sequence[Row]) -> list[str]:
    """What failed, one text a reason: the versions and their properties that fail for it, the first one's story, and
    the command that repeats it.
    """
    reasons: dict[str, list[Row]] = {}
    for row in rows:
        if row.outcome == "failed":
            reasons.setdefault(row.case.get("reason") or row.why, []).append(row)
    return [_story(alike) for alike in reasons.values()]


def _story(alike: list[Row]) -> str:
    """Of rows that fail for one reason."""
    versions: dict[tuple[str, str], list[str]] = {}
    for row in alike:
        versions.setdefault((row.op, row.version), []).append(row.property)
    heads = [f"{op} {version}: {', '.join(names)}" for (op, version), names in versions.items()]
    if len(heads) > NAMED:
        heads[NAMED:] = [f"and {len(heads) - NAMED} more versions"]
    repeat = alike[0].case.get("repeat")
    return f"{'; '.join(heads)}: {alike[0].why}" + (f"\nrepeat: {repeat}" if repeat else "")


def as_json(rows: Sequence[Row], cases: int) -> str:
    """A JSON document: outcomes, what it ran on, and every row; a share that is infinite is the text "inf"."""
    document: dict[str, Any] = {
        "cases": cases,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "outcomes": counts(rows),
        "rows": [_record(row) for row in rows],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _record(row: Row) -> dict[str, Any]:
    worst = row.worst if row.worst is None or np.isfinite(row.worst) else share(row.worst)
    found = {**vars(row), "worst": worst}
    return {name: value for name, value in found.items() if value not in ("", {})}


def as_html(rows: Sequence[Row]) -> str:
    """The page: outcomes, failures with their smallest cases, and the table."""
    parts = [f"<h1>Kernels, verified</h1><p>{summary(rows)}</p>"]
    told = failures(rows)
    if told:
        parts.append("<h2>Failures</h2>" + "".join(f"<pre>{html.escape(text)}</pre>" for text in told))
    away = [f"<li>{html.escape(line)}</li>" for line in missing(rows)]
    away += [f"<li>{html.escape(line)}</li>" for line in compilations(rows) if line.startswith("not ")]
    if away:
        parts.append(f"<h2>Not at hand</h2><ul>{''.join(away)}</ul>")
    head = "".join(f"<th>{name}</th>" for name in COLUMNS)
    lines = "".join(_line(row) for row in rows if row.property != "all")
    parts.append(f"<h2>Every property</h2><table><tr>{head}</tr>{lines}</table>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Kernels, verified</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _line(row: Row) -> str:
    cells = [f"<td>{html.escape(text)}</td>" for text in (row.op, row.version, row.property)]
    cells += [f'<td class="number">{text}</td>' for text in (row.cases, share(row.worst))]
    title = f' title="{html.escape(row.why)}"' if row.why else ""
    cells.append(f'<td class="{row.outcome.rpartition(" ")[2]}"{title}>{row.outcome}</td>')
    return f"<tr>{''.join(cells)}</tr>"
