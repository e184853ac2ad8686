"""Whole networks on the GPU, inference and training, beside PyTorch: eager and compiled, in equal precision."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import minitl as tl
from minitl import functional as F
from minitl import kernels, optim

from .home import GPU
from .timing import Budget, Clock, interleaved, medians

NETWORKS = (("vgg16", 32), ("alexnet", 128))  # and pictures a batch
PRECISIONS = ("float32", "tf32")
RATE, MOMENTUM = 1e-3, 0.9
ROUNDS = 5


def time_networks(home: GPU, clock: Clock, budget: Budget) -> tuple[list[dict[str, Any]], list[str]]:
    """A row for each network, task, precision and candidate, and what was left out or went wrong."""
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    for precision, (name, batch), task in product(PRECISIONS, NETWORKS, ("inference", "training")):
        what = f"{task} of {name} in {precision}"
        if not budget.left:
            notes.append(f"no time was left for {what}")
            continue
        try:
            rows += _time(name, batch, task, precision, home, clock, budget, notes)
        except Exception as error:  # the others go on
            notes.append(f"{what}: {type(error).__name__}: {' '.join(str(error).split())[:200]}")
        home.release()
    return rows, notes


def _time(
    name: str, batch: int, task: str, precision: str, home: GPU, clock: Clock, budget: Budget, notes: list[str]
) -> list[dict[str, Any]]:
    candidates = _candidates(name, batch, task, precision, home, notes)
    seconds, failed = interleaved(candidates, 1, ROUNDS, clock, budget)
    notes += [f"{task} of {name} in {precision}: {candidate}: {why}" for candidate, why in failed.items()]
    found = medians(seconds)
    best = min((t for candidate, t in found.items() if candidate != "minitl"), default=None)
    return [
        {
            "network": name,
            "task": task,
            "precision": precision,
            "batch": batch,
            "candidate": candidate,
            "seconds": median,
            "samples": seconds[candidate],
            "pictures_per_second": batch / median,
            "times_pytorch": median / best if best and candidate == "minitl" else None,
        }
        for candidate, median in found.items()
    ]


def _candidates(
    name: str, batch: int, task: str, precision: str, home: GPU, notes: list[str]
) -> dict[str, Callable[[int], Any]]:
    """Name -> a function that does one batch. Dropout is off everywhere: it draws other numbers there than here."""
    net = tl.models.build(name)
    n, (c, h, w) = batch, net.input_shape
    x = home.normal((n, h, w, c), 0).transpose(0, 3, 1, 2)
    labels = home.integers(len(net.classes or range(1000)), (n,), "int64", 1)
    made: dict[str, Callable[[int], Any]] = {}
    try:
        import torch

        from . import torch_networks
    except ImportError:
        notes.append("PyTorch is not installed: nothing to compare with")
    else:
        torch.backends.cudnn.benchmark = True
        made = torch_networks.candidates(net, x, labels, task, precision, RATE, MOMENTUM)
    net.to("cuda")
    optimizer = optim.SGD(net.parameters(), lr=RATE, momentum=MOMENTUM)

    def infer(i: int) -> Any:
        with kernels.precision.permitted(precision), tl.no_grad():
            return net(x)

    def train(i: int) -> Any:
        with kernels.precision.permitted(precision):
            optimizer.zero_grad()
            F.cross_entropy(net(x), labels).backward()
            optimizer.step()

    return {"minitl": infer if task == "inference" else train, **made}
