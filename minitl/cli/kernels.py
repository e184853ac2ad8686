"""Lists every version of every op, in order of preference, and whether it can run here; if not, why."""

from __future__ import annotations

import argparse

from ..kernels import backends, specs
from . import common

EXAMPLE = "minitl kernels --json"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Shows the table."""
    rows = [
        {"op": spec.name, "version": version.name, "why_not": backends.BACKENDS[version.backend].unavailable()}
        for spec in specs().values()
        for version in spec.versions
    ]
    if args.json:
        common.print_json([{"available": row["why_not"] is None, **row} for row in rows])
    else:
        lines = [(row["op"], row["version"], row["why_not"] or "available") for row in rows]
        print(common.table(lines, ("op", "version", "here")))
    return 0
