"""Everything there is to run on a GPU, in one command and under 8 minutes: checks, then timings beside PyTorch.

python benchmarks/gpu.py [--seconds 450] [--only tests sanitizer ops networks] [--json FILE]

Tests: those marked `gpu`, the same suite that runs elsewhere without one. Sanitizer: compute-sanitizer's memcheck,
racecheck, initcheck and synccheck on every kernel, at small sizes. Ops: each version of each op at VGG-16's and
AlexNet's shapes. Networks: inference and training of both. PyTorch computes in the same precision, channels-last, with
cudnn.benchmark, eager and compiled. Where a part fails, that is reported and the rest goes on. Exits with 1 where there
is no GPU, or something failed.

Install beforehand, without a network if need be: pip install --no-deps --no-build-isolation -e .
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from machine import describe
from on_gpu import checks
from on_gpu.report import tables
from on_gpu.timing import Budget

from minitl.kernels.cuda import device, inventory

# Seconds that each part may take of the whole; what one leaves over goes to the next.
SHARES = {"tests": 130.0, "sanitizer": 80.0, "ops": 120.0, "networks": 80.0}
PACKAGES = ("minitl", "numpy", "numba", "numba-cuda", "cupy-cuda13x", "cupy-cuda12x", "torch", "triton")


def guarded(name: str, part: Callable[[], Any], failures: list[str]) -> Any:
    """What the part returns, or None; its failure is kept, and the rest goes on."""
    try:
        return part()
    except Exception:  # whatever it is, the other parts have figures to give
        failures.append(f"{name}: {traceback.format_exc()}")
        return None


def run(parts: list[str], budget: Budget) -> dict[str, Any]:
    """The results of these parts, and "failures", in words."""
    result: dict[str, Any] = {"device": describe_device(), "machine": describe(*installed())}
    failures: list[str] = []
    notes: list[str] = []

    def compile_all() -> None:
        inventory.compiled(
            inventory.everything(), [device.architecture()], disassembled=False
        )  # on all cores, before anything is timed

    guarded("compiling", compile_all, failures)
    if "tests" in parts:
        print("running the tests …", flush=True)
        result["tests"] = guarded("tests", lambda: checks.run_tests(budget.part(SHARES["tests"])), failures)
    if "sanitizer" in parts:
        print("running compute-sanitizer …", flush=True)
        result["sanitizer"] = guarded("sanitizer", lambda: checks.sanitize(budget.part(SHARES["sanitizer"])), failures)
    if {"ops", "networks"} & set(parts):
        guarded("timings", lambda: _timings(parts, budget, result, notes, failures), failures)
    checked = [check for check in (result.get("tests"), *(result.get("sanitizer") or ())) if check]
    failures += [f"{c['name']}: {c['summary']}\n{c['output']}" for c in checked if c["passed"] is False]
    return result | {"notes": notes, "failures": failures}


def _timings(parts: list[str], budget: Budget, result: dict[str, Any], notes: list[str], failures: list[str]) -> None:
    from on_gpu import ceilings, networks, ops
    from on_gpu.home import GPU
    from on_gpu.timing import Events

    home, clock = GPU(), Events()
    with contextlib.suppress(ImportError):
        import torch

        torch.backends.cudnn.benchmark = True
    print("timing …", flush=True)
    measured = guarded("ceilings", lambda: ceilings.measure(clock, budget.part(20)), failures) or {}
    result["ceilings"] = measured
    home.release()
    if "ops" in parts:
        backends = ("cuda", "numba_cuda")
        found = guarded(
            "ops",
            lambda: ops.time_cases(ops.cases(), backends, home, clock, measured, budget.part(SHARES["ops"])),
            failures,
        )
        result["ops"], more = found or ([], [])
        notes += more
    if "networks" in parts:
        found = guarded(
            "networks", lambda: networks.time_networks(home, clock, budget.part(SHARES["networks"])), failures
        )
        result["networks"], more = found or ([], [])
        notes += more


def installed() -> list[str]:
    """Which of the packages that matter are here."""
    return [name for name in PACKAGES if _has(name)]


def _has(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def describe_device() -> dict[str, Any]:
    """The GPU, its driver, and the CUDA versions involved."""
    from cupy.cuda import runtime

    properties = runtime.getDeviceProperties(runtime.getDevice())
    return {
        "name": properties["name"].decode(),
        "multiprocessors": properties["multiProcessorCount"],
        "memory": properties["totalGlobalMem"],
        "L2": properties["l2CacheSize"],
        "architecture": device.architecture(),
        "driver": runtime.driverGetVersion(),
        "runtime": runtime.runtimeGetVersion(),
    }


def main() -> int:
    """Runs, writes the figures, prints the tables last."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=450, help="what may be spent in all")
    parser.add_argument("--only", nargs="+", choices=tuple(SHARES), default=list(SHARES), help="some parts alone")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()
    reason = device.unavailable()
    if reason:
        print(f"gpu.py: no GPU can be used here: {reason}", file=sys.stderr)
        return 1
    result = run(options.only, Budget(options.seconds))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(tables(result))
    return 1 if result["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
