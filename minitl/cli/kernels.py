"""Lists every version of every op, in order of preference, and whether it can run here; below, why one cannot.

With --compiled: compiles every CUDA C++ kernel, which needs no GPU, and lists what it takes of one: registers a thread,
bytes of shared memory a block, bytes spilled to slow local memory, instructions of tensor cores and of local memory.
Ends with 1 if a kernel keeps numbers in local memory.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import TYPE_CHECKING

from tqdm import tqdm

from ..errors import ArgumentError
from ..kernels import backends, specs
from . import common

if TYPE_CHECKING:
    from ..kernels.cuda import Source
    from ..kernels.cuda.inventory import Compiled

EXAMPLE = "minitl kernels --compiled --architecture sm_90"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--compiled", action="store_true", help="compile the CUDA C++ kernels and tell what they take")
    parser.add_argument(
        "--architecture",
        action="append",
        metavar="NAME",
        help="with --compiled: of which GPUs, such as sm_80; may be repeated (default: sm_80, sm_90 and sm_90a)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--no-progress", action="store_true", help="show no progress bar")


def run(args: argparse.Namespace) -> int:
    """Shows the table."""
    if args.compiled:
        return _compiled(args)
    if args.architecture:
        raise ArgumentError("--architecture goes with --compiled")
    rows = [
        {"op": spec.name, "version": version.name, "why_not": backends.BACKENDS[version.backend].unavailable()}
        for spec in specs().values()
        for version in spec.versions
    ]
    if args.json:
        common.print_json([{"available": row["why_not"] is None, **row} for row in rows])
    else:
        lines = [(row["op"], row["version"], "no" if row["why_not"] else "yes") for row in rows]
        print(common.table(lines, ("op", "version", "runs here")))
        for name, backend in backends.BACKENDS.items():
            reason = backend.unavailable()
            if reason:
                print(f"{name}: not here: {reason}")
    return 0


def _compiled(args: argparse.Namespace) -> int:
    rows = [
        {
            "file": row.file,
            "kernel": row.kernel,
            "real": row.real,
            "architecture": row.architecture,
            "registers": row.usage.registers,
            "shared": row.usage.shared,
            "spilled": row.usage.spill_stores + row.usage.spill_loads,
            "stack": row.usage.stack,
            "tensor": row.tensor,
            "local": row.local,
        }
        for row in _every(args.architecture, args.no_progress or not sys.stderr.isatty())
    ]
    if args.json:
        common.print_json(rows)
    else:
        lines = [tuple("" if value is None else str(value) for value in list(row.values())[1:]) for row in rows]
        print(common.table(lines, tuple(list(rows[0])[1:]) if rows else ("kernel",)))
    slow = [row for row in rows if row["spilled"] or row["stack"] or row["local"]]
    for row in slow:
        what = "{file}: {kernel} ({real}, {architecture}) keeps numbers in slow local memory".format_map(row)
        print(f"minitl: {what}; give its threads less to hold", file=sys.stderr)
    return 1 if slow else 0


def _every(architectures: list[str] | None, quiet: bool) -> list[Compiled]:
    """Every kernel, compiled on all cores for each architecture; with a bar, since it takes minutes the first time."""
    from ..kernels.cuda import inventory, nvrtc

    wanted = architectures or inventory.ARCHITECTURES
    for name in wanted:
        nvrtc.check_architecture(name)  # before any of the work
    jobs = list(product(inventory.everything(), wanted))
    with (
        ThreadPoolExecutor() as threads,
        tqdm(total=len(jobs), desc="compiling", unit="file", disable=quiet, leave=False) as bar,
    ):

        def compile_one(job: tuple[tuple[Source, str], str]) -> list[Compiled]:
            rows = inventory.compiled([job[0]], [job[1]])
            bar.update()
            return rows

        return [row for rows in threads.map(compile_one, jobs) for row in rows]
