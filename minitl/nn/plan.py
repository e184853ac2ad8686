"""The plan: what will train, at which rate, and where that came from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..tensor import Buffer, Parameter


@dataclass(frozen=True)
class PlanRow:
    """One parameter. rate: None if frozen; a multiple of the base rate if no base rate was given."""

    name: str
    shape: tuple[int, ...]
    size: int
    frozen: bool
    rate: float | None
    source: str


@dataclass(frozen=True)
class Plan:
    """Rows in layer order. print(plan) shows a table; iterate for the rows."""

    rows: tuple[PlanRow, ...]
    lr: float | None
    statistics: tuple[tuple[str, bool], ...] = ()  # (name of a running statistic, whether it is frozen)

    @classmethod
    def of(cls, parameters: Iterable[Parameter], lr: float | None, buffers: Iterable[Buffer] = ()) -> Plan:
        """The plan of these parameters at base rate `lr`, and of a network's running statistics."""
        rows = []
        for p in parameters:
            rate = None if p.frozen else p.lr_mult * (1.0 if lr is None else lr)
            source = "frozen" if p.frozen else "base" if p.lr_from == "base" else f"{p.lr_from} x {p.lr_mult:g}"
            rows.append(PlanRow(p.name, p.shape, p.size, p.frozen, rate, source))
        return cls(tuple(rows), lr, tuple((b.name, b.frozen) for b in buffers))

    @property
    def trained(self) -> int:
        """Numbers that will change."""
        return sum(row.size for row in self.rows if not row.frozen)

    @property
    def frozen(self) -> int:
        """Numbers that will not."""
        return sum(row.size for row in self.rows if row.frozen)

    def __iter__(self):
        return iter(self.rows)

    def __str__(self) -> str:
        unit = "rate" if self.lr is not None else "x base"
        table = [("parameter", "shape", "numbers", unit, "from")]
        for row in self.rows:
            shape = "x".join(map(str, row.shape))
            rate = "-" if row.rate is None else f"{row.rate:.3g}"
            table.append((row.name, shape, f"{row.size:,}", rate, row.source))
        widths = [max(len(line[i]) for line in table) for i in range(5)]
        right = (False, False, True, True, False)
        lines = [
            "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True)).rstrip()
            for line in table
        ]
        lines.append(f"{self.trained:,} numbers train, {self.frozen:,} are frozen")
        if self.statistics:
            still = sum(frozen for _, frozen in self.statistics)
            lines.append(f"{len(self.statistics) - still} running statistics follow the batches, {still} are frozen")
        return "\n".join(lines)
