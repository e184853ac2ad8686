"""Times a whole network's inference against PyTorch, interleaved in one process.

python benchmarks/cpu.py [vgg16|alexnet|squeezenet1_0_caffe] [--batch 8] [--rounds 7] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from machine import describe
from peers import torch_network

import minitl as tl


def candidates(net: tl.Network, x: np.ndarray) -> dict:
    """Name -> a function of no arguments that returns the scores as an array."""

    def minitl() -> np.ndarray:
        with tl.no_grad():
            return net(x).data

    layouts = {"PyTorch": torch.contiguous_format, "PyTorch channels-last": torch.channels_last}
    made = {"minitl": minitl}
    for name, layout in layouts.items():
        run, given = torch_network(net, layout), torch.from_numpy(x).contiguous(memory_format=layout)
        made[name] = lambda run=run, given=given: run(given).numpy()
    return made


def interleaved(functions: dict, rounds: int) -> dict[str, list[float]]:
    """Seconds of each function, round by round, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for i in range(rounds + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if i:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def main() -> None:
    """Checks, times, prints a table, and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", nargs="?", default="vgg16", choices=("vgg16", "alexnet", "squeezenet1_0_caffe"))
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()

    net = tl.models.build(options.model)
    x = np.random.default_rng(0).standard_normal((options.batch, *net.input_shape)).astype(np.float32)
    functions = candidates(net, x)
    truth = functions["PyTorch"]()
    for name, function in functions.items():
        difference = np.abs(function() - truth).max() / np.abs(truth).max()
        print(f"{name}: differs from PyTorch by {difference:.1e} of the largest score")
        if not difference < 1e-4:
            raise SystemExit(f"{name} computes something else; no timing")

    seconds = interleaved(functions, options.rounds)
    medians = {name: statistics.median(s) for name, s in seconds.items()}
    best_peer = min(m for name, m in medians.items() if name != "minitl")
    machine = describe("minitl", "numpy", "numba", "scipy", "torch")
    print(f"\n{options.model}, batch {options.batch}, {torch.get_num_threads()} threads, {machine['processor']}")
    print(f"{'':24}{'s/image':>10}{'min':>10}{'max':>10}{'ratio':>8}")
    for name, s in seconds.items():
        figures = "".join(f"{t / options.batch:10.4f}" for t in (medians[name], min(s), max(s)))
        print(f"{name:24}{figures}{medians[name] / best_peer:8.2f}")
    if options.json:
        result = {"model": options.model, "batch": options.batch, "threads": torch.get_num_threads()}
        result |= {"seconds": seconds, "ratio": medians["minitl"] / best_peer, "machine": machine}
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
