"""The rows of the results: candidates checked, timed in turn, and compared with the best of the others."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from minitl.cli import ceilings
from minitl.cli.clock import interleaved

from . import agree
from .disturbance import Busy
from .setting import Row, Setting

Kind = tuple[Callable[[Any, Any], float], float, Callable[[Any], Any]]

SCORES: Kind = (agree.of_scores, agree.SCORES, np.array)
GRADIENTS: Kind = (agree.of_sets, agree.GRADIENTS, lambda found: {k: np.array(v) for k, v in found.items()})


def compared(
    facts: Mapping[str, Any],
    candidates: Mapping[str, Callable[[], Any]],
    kind: Kind,
    setting: Setting,
    work: tuple[int, int] | None = None,
) -> list[Row]:
    """A row for each candidate that computes the same, with `facts` in it. work: (operations, bytes) of one call."""
    what = " ".join(str(value) for value in facts.values())
    difference = agree.checked(what, candidates, kind[0], kind[1], setting, kind[2])
    return timed(facts, {name: candidates[name] for name in difference}, difference, setting, work)


def timed(
    facts: Mapping[str, Any],
    candidates: Mapping[str, Callable[[], Any]],
    difference: Mapping[str, float],
    setting: Setting,
    work: tuple[int, int] | None = None,
) -> list[Row]:
    """The same for candidates that have been checked already."""
    busy = Busy()
    timings = interleaved(candidates, setting.rounds, setting.seconds)
    others_busy = busy.others()
    gc.collect()
    others = [timing for name, timing in timings.items() if name != "minitl"]
    rows = []
    for name, timing in timings.items():
        row = {**facts, "threads": setting.threads, "candidate": name, "difference": difference[name]}
        row["others_busy"] = others_busy
        row |= timing.to_json()
        if work is not None:
            row["flops"], row["bytes"] = work
        if others and name == "minitl":
            row["ratio"] = timing.median / min(other.median for other in others)
            row["ratio_of_minima"] = min(timing.samples) / min(min(other.samples) for other in others)
        rows.append(row)
    return rows


def add_shares(rows: Iterable[Row], measured: Mapping[str, float], threads: int) -> None:
    """Adds the shares of the measured ceilings to the rows that were timed on so many threads."""
    for row in rows:
        if "flops" in row and row["threads"] == threads:
            row["of_peak"] = row["flops"] / row["seconds"] / ceilings.peak(measured)
            row["of_bandwidth"] = row["bytes"] / row["seconds"] / measured["copy"]
