"""Checks on the GPU, each a process of its own: the tests that are marked for it, and compute-sanitizer's tools."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .timing import Budget

ROOT = Path(__file__).parents[2]
TOOLS = ("memcheck", "racecheck", "initcheck", "synccheck")
SHOWN = 3000  # characters of a failed check's output


def run_tests(budget: Budget, selection: Sequence[str] = ("-m", "gpu", "tests")) -> dict[str, Any]:
    """The tests marked `gpu`. Passed only if at least one was run and none failed: skipped tests prove nothing."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--tb=short", *selection]
    if importlib.util.find_spec("xdist"):
        command += ["-n", str(min(8, os.cpu_count() or 1))]  # they wait for the oracles' loops, not for the GPU
    found = _run("tests", command, budget)
    count = re.search(r"(\d+) passed", found["output"])
    if found["passed"] and not count:
        found["passed"], found["summary"] = False, f"no test ran: {found['summary']}"
    return found


def sanitize(budget: Budget, calls: int = 3) -> list[dict[str, Any]]:
    """Every kernel under each tool of compute-sanitizer, all at once; says so where it is not installed."""
    program = shutil.which("compute-sanitizer") or _beside_nvcc()
    if program is None:
        return [{"name": "compute-sanitizer", "passed": None, "seconds": 0.0, "summary": "not installed", "output": ""}]
    script = [sys.executable, str(Path(__file__).with_name("every_kernel.py")), "--calls", str(calls)]
    commands = {tool: [program, "--tool", tool, "--error-exitcode", "9", *script] for tool in TOOLS}
    with ThreadPoolExecutor(len(TOOLS)) as threads:
        return list(threads.map(lambda tool: _run(tool, commands[tool], budget), TOOLS))


def _beside_nvcc() -> str | None:
    places = [Path(os.environ[name]) for name in ("CUDA_HOME", "CUDA_PATH") if name in os.environ]
    for folder in (*places, Path("/usr/local/cuda")):
        if (folder / "bin" / "compute-sanitizer").is_file():
            return str(folder / "bin" / "compute-sanitizer")
    return None


def _run(name: str, command: list[str], budget: Budget) -> dict[str, Any]:
    """passed, seconds, summary (the last line that says something), output (its end)."""
    began = time.monotonic()
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=max(budget.left, 1),
            check=False,
        )
        status, output = done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        status, output = None, late.stdout or b""
    text = output.decode("utf-8", "replace")
    said = [line for line in text.splitlines() if line.strip()]
    summary = "was stopped: no time was left" if status is None else _summary(said) or f"exit status {status}"
    seconds = time.monotonic() - began
    return {"name": name, "passed": status == 0, "seconds": seconds, "summary": summary, "output": text[-SHOWN:]}


def _summary(lines: list[str]) -> str:
    """The sanitizer's own count of errors, else the last line."""
    counts = [line.strip("= ") for line in lines if "SUMMARY" in line]
    return (counts or [line.strip() for line in lines] or [""])[-1][:200]
