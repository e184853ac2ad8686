"""What needs a process of its own: peak memory, and another number of threads."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from minitl.weights import schema

from . import networks
from .setting import Row, Setting, environment

FOLDER = Path(__file__).parents[1]
LONGEST = 600  # seconds of one process


def memory(name: str, batch: int, setting: Setting) -> list[Row]:
    """Peak memory of inference and training by each candidate, beyond what it holds before the network is loaded."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        weights, model = Path(folder, f"{name}.h5"), Path(folder, f"{name}.onnx")
        net = networks.without_dropout(networks.whole(name))
        schema.write(weights, net.to_file(), compress=False)
        job = {"weights": str(weights), "model": str(model), "shape": net.input_shape, "batch": batch}
        if {"onnxruntime", "openvino"} & setting.peers:
            from .onnx_graph import write

            write(net, batch, model)
        del net
        for task in ("inference", "training"):
            for candidate in _candidates(task, setting):
                setting.say(f"{name}, memory, {task}, {candidate}")
                found = _memory({**job, "task": task, "candidate": candidate, "threads": setting.threads}, setting)
                if found is not None:
                    facts = {"section": "memory", "network": name, "task": task, "batch": batch}
                    rows.append({**facts, "threads": setting.threads, "candidate": candidate, **found})
    for row in rows:
        others = [r["running"] for r in rows if r["task"] == row["task"] and r["candidate"] != "minitl"]
        row["ratio"] = row["running"] / min(others) if others and row["candidate"] == "minitl" else None
    return rows


def _candidates(task: str, setting: Setting) -> list[str]:
    found = ["minitl"]
    if "pytorch" in setting.peers:
        found += ["PyTorch", "PyTorch channels-last"]
    if task == "inference":
        found += ["ONNX Runtime"] if "onnxruntime" in setting.peers else []
        found += ["OpenVINO"] if "openvino" in setting.peers else []
    return found


def _memory(job: dict[str, Any], setting: Setting) -> dict[str, int] | None:
    command = [sys.executable, "-m", "on_cpu.alone", json.dumps(job)]
    output = _run(command, f"memory of {job['candidate']}, {job['task']}", setting)
    return None if output is None else json.loads(output.splitlines()[-1])


def threads(models: Iterable[str], batch: int, counts: Iterable[int], passed: list[str], setting: Setting) -> list[Row]:
    """Inference by other numbers of threads: this command again, in processes of their own."""
    rows: list[Row] = []
    for count in counts:
        setting.say(f"{count} threads")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "threads.json")
            command = [sys.executable, str(FOLDER / "cpu.py"), *models, "--sections", "inference", "--json", str(file)]
            command += ["--threads", str(count), "--batch", str(batch), "--no-plots", *passed]
            if _run(command, f"{count} threads", setting, count) is not None:
                found = json.loads(file.read_text())
                rows += [{**row, "section": "threads"} for row in found["rows"]]
                setting.notes += [note for note in found["notes"] if note not in setting.notes]
                setting.wrong += found["wrong"]
    return rows


def _run(command: list[str], what: str, setting: Setting, count: int | None = None) -> str | None:
    """What the command printed; None, and a note, if it failed."""
    environ = environment(count or setting.threads)
    try:
        done = subprocess.run(
            command, cwd=FOLDER, env=environ, capture_output=True, text=True, timeout=LONGEST, check=False
        )
    except subprocess.TimeoutExpired:
        setting.note(f"{what}: was stopped after {LONGEST} s")
        return None
    if done.returncode:
        setting.note(f"{what}: ended with {done.returncode}: {' '.join(done.stderr.split())[-300:]}")
        return None
    return done.stdout
