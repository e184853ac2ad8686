"""One candidate alone in a process, for its peak memory: python -m on_cpu.alone JOB, in the folder benchmarks.

JOB is JSON: task ("inference" or "training"), candidate, weights (.h5), model (.onnx), shape of a picture, batch,
threads. Prints JSON, in bytes: what the process held before the network was loaded, and at most beyond that.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minitl.weights import schema

from . import networks

CALLS = 3
CLASSES = 1000


def resident(field: str) -> int:
    """Bytes: "VmRSS", held now, or "VmHWM", held at most so far (elsewhere than on Linux that for both)."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def forget_peak() -> None:
    """Lets VmHWM begin anew; where the system does not allow it, it goes on."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def loader(job: dict[str, Any]) -> Callable[[], Callable[[], Any]]:
    """Imports all that is needed; returns a function that loads the network and gives another, which does a batch."""
    kind = {"minitl": _minitl, "ONNX Runtime": _runtime, "OpenVINO": _runtime}.get(job["candidate"], _pytorch)
    return kind(job)


def _batch(job: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).standard_normal((job["batch"], *job["shape"]), dtype=np.float32)
    return x, np.random.default_rng(1).integers(0, CLASSES, job["batch"])


def _begin(inference: Callable[..., Any], step: Callable[..., Any]) -> None:
    """Does a batch with a small network, forwards and backwards."""
    import minitl as tl

    net = tl.models.small_vgg(10)
    x = np.zeros((1, *net.input_shape), np.float32)
    inference(net, x)()
    step(networks.without_dropout(net), x, np.zeros(1, np.int64))()


def _minitl(job: dict[str, Any]) -> Callable[[], Callable[[], Any]]:
    import minitl as tl

    from . import ours

    _begin(ours.inference, ours.Step)  # imports and compiles what is there to be: that is not what a network takes

    def load() -> Callable[[], Any]:
        net, (x, truth) = tl.load(job["weights"]), _batch(job)
        return ours.inference(net, x) if job["task"] == "inference" else ours.Step(net, x, truth)

    return load


def _runtime(job: dict[str, Any]) -> Callable[[], Callable[[], Any]]:
    from . import runtimes

    if job["candidate"] == "OpenVINO":
        import openvino  # noqa: F401  (its code is not what the network takes)

        return lambda: runtimes.openvino(Path(job["model"]), _batch(job)[0], job["threads"])
    import onnxruntime  # noqa: F401

    return lambda: runtimes.onnx_runtime(Path(job["model"]), _batch(job)[0], job["threads"])


def _pytorch(job: dict[str, Any]) -> Callable[[], Callable[[], Any]]:
    import torch

    from minitl.nn import Graph

    from . import pytorch

    torch.set_num_threads(job["threads"])
    layout = pytorch.LAYOUTS[job["candidate"]]
    _begin(
        lambda net, x: pytorch.inferring(pytorch.Model.of(net, layout), x),
        lambda net, x, truth: pytorch.Step(pytorch.Model.of(net, layout), x, truth, compiled=False),
    )

    def load() -> Callable[[], Any]:
        file = schema.read(job["weights"])
        arrays = {f"{layer}.{role}": a for layer, roles in file.layers.items() for role, a in roles.items()}
        model = pytorch.Model(Graph.from_json(file.network["nodes"]), arrays, layout)
        x, truth = _batch(job)
        if job["task"] == "inference":
            return pytorch.inferring(model, x)
        return pytorch.Step(model, x, truth, compiled=False)

    return load


def main() -> None:
    """Measures, and prints."""
    load = loader(json.loads(sys.argv[1]))
    before = resident("VmRSS")
    forget_peak()
    run = load()
    run()
    whole = resident("VmHWM")
    forget_peak()
    for _ in range(CALLS):
        run()
    running = resident("VmHWM")
    print(json.dumps({"before": before, "peak": max(whole, running) - before, "running": running - before}))


if __name__ == "__main__":
    main()
