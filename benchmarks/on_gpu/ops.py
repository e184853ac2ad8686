"""Every version of every op at the shapes of VGG-16's and AlexNet's layers, checked, then timed beside PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from minitl import kernels
from minitl.kernels import KernelSpec, precision

from .home import Host
from .timing import Budget, Clock, floor, interleaved, medians

L2 = 60 * 2**20  # bytes, an H200's; input sets together are three times as large
MOST_SETS = 8
ROUNDS = 7
# How far results may be from each other, as a share of the largest: a sum of 25088 products that a faulty kernel gets
# wrong is off by far more. The tests hold every version to its derived bound.
AGREE = {"float32": 1e-3, "tf32x3": 1e-3, "tf32": 2e-2, "bfloat16": 1e-1}


@dataclass(frozen=True)
class Case:
    """One call. layer: what it is called in its network. shapes: what `KernelSpec.example` takes."""

    op: str
    layer: str
    shapes: Mapping[str, Any]


def cases(vgg_batch: int = 32, alexnet_batch: int = 128) -> list[Case]:
    """The distinct layers of both networks, and of what else they hold; the largest share of time first."""
    found = []
    for name, x, w, options in _convolutions(vgg_batch, alexnet_batch):
        shapes = {"x_shape": x, "w_shape": w, **options}
        found += [Case(op, name, shapes) for op in ("conv2d", "conv2d.grad_input", "conv2d.grad_weight")]
    for name, batch, features, outputs in (
        ("vgg16 fc6", vgg_batch, 25088, 4096),
        ("vgg16 fc7", vgg_batch, 4096, 4096),
        ("alexnet fc6", alexnet_batch, 9216, 4096),
    ):
        shapes = {"x_shape": (batch, features), "w_shape": (outputs, features)}
        found += [Case(op, name, shapes) for op in ("linear", "linear.grad_input", "linear.grad_weight")]
    for name, x, options in (
        ("vgg16 pool1", (vgg_batch, 64, 224, 224), {"kernel_size": 2, "stride": 2}),
        ("alexnet pool1", (alexnet_batch, 96, 55, 55), {"kernel_size": 3, "stride": 2}),
    ):
        found += [
            Case(op, name, {"x_shape": x, **options}) for op in ("max_pool2d", "max_pool2d.grad_input", "avg_pool2d")
        ]
    large, norm, scores = (vgg_batch, 64, 224, 224), (alexnet_batch, 96, 27, 27), (1024, 1000)
    found += [
        Case(op, "vgg16 conv1_1", {"x_shape": large}) for op in ("relu", "relu.grad_input", "batch_norm", "dropout")
    ]
    lrn = {"x_shape": norm, "size": 5, "alpha": 1e-4, "beta": 0.75, "k": 1.0}
    found += [Case(op, "alexnet norm1", lrn) for op in ("local_response_norm", "local_response_norm.grad_input")]
    found += [Case(op, "1000 scores", {"x_shape": scores}) for op in ("softmax", "log_softmax", "cross_entropy")]
    return found


def _convolutions(vgg: int, alexnet: int) -> Iterator[tuple[str, tuple, tuple, dict[str, Any]]]:
    size = 224
    for block, (channels, filters) in enumerate(((3, 64), (64, 128), (128, 256), (256, 512), (512, 512)), start=1):
        same = {"padding": 1}
        yield f"vgg16 conv{block}_1", (vgg, channels, size, size), (filters, channels, 3, 3), same
        if channels != filters:
            yield f"vgg16 conv{block}_2", (vgg, filters, size, size), (filters, filters, 3, 3), same
        size //= 2
    yield "alexnet conv1", (alexnet, 3, 227, 227), (96, 3, 11, 11), {"stride": 4}
    yield "alexnet conv2", (alexnet, 96, 27, 27), (256, 48, 5, 5), {"padding": 2, "groups": 2}
    yield "alexnet conv3", (alexnet, 256, 13, 13), (384, 256, 3, 3), {"padding": 1}
    yield "alexnet conv4", (alexnet, 384, 13, 13), (384, 192, 3, 3), {"padding": 1, "groups": 2}
    yield "alexnet conv5", (alexnet, 384, 13, 13), (256, 192, 3, 3), {"padding": 1, "groups": 2}


def arguments(spec: KernelSpec, case: Case, seed: int, home: Host) -> dict[str, Any]:
    """The call with random numbers, channels-last where there are four axes."""
    given = dict(spec.example(np.dtype("float32"), **case.shapes))
    for number, (name, value) in enumerate(given.items()):
        if isinstance(value, np.ndarray):
            given[name] = _drawn(case, name, value, 100 * seed + number, home)
    return given


def _drawn(case: Case, name: str, like: np.ndarray, seed: int, home: Host) -> Any:
    if name == "indices":  # of the maxima: those of random pictures
        pool = kernels.spec("max_pool2d")
        geometry = pool.example(np.dtype("float32"), **case.shapes)["geometry"]
        return pool(_channels_last(case.shapes["x_shape"], seed, home), geometry)[1]
    if like.dtype.kind in "iu":
        below = case.shapes["x_shape"][-1] if name == "labels" else 2**31
        return home.integers(below, like.shape, like.dtype, seed)
    if like.ndim == 4:
        return _channels_last(like.shape, seed, home)
    drawn = home.normal(like.shape, seed)
    return abs(drawn) + np.float32(0.1) if name == "var" else drawn


def _channels_last(shape: tuple[int, ...], seed: int, home: Host) -> Any:
    n, c, h, w = shape
    return home.normal((n, h, w, c), seed).transpose(0, 3, 1, 2)


def time_cases(
    chosen: list[Case],
    backends: tuple[str, ...],
    home: Host,
    clock: Clock,
    ceilings: Mapping[str, float],
    budget: Budget,
) -> tuple[list[dict[str, Any]], list[str]]:
    """A row for every version of every case that the budget had time for, and what was left out or went wrong.

    backends: whose versions are timed.
    """
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    for case in chosen:
        if not budget.left:
            notes.append(f"no time was left for {case.op} of {case.layer}")
            continue
        try:
            rows += _time_case(case, backends, home, clock, ceilings, budget, notes)
        except Exception as error:  # the other cases go on
            notes.append(f"{case.op} of {case.layer}: {type(error).__name__}: {' '.join(str(error).split())[:200]}")
        home.release()
    return rows, notes


def _time_case(
    case: Case,
    backends: tuple[str, ...],
    home: Host,
    clock: Clock,
    ceilings: Mapping[str, float],
    budget: Budget,
    notes: list[str],
) -> list[dict[str, Any]]:
    spec = kernels.spec(case.op)
    first = arguments(spec, case, 0, home)
    cost = spec.cost(**first)
    count = max(1, min(MOST_SETS, -(-3 * L2 // max(cost.bytes, 1))))
    sets = [first, *(arguments(spec, case, seed, home) for seed in range(1, count))]
    with precision.permitted("bfloat16"):
        serving = [
            version
            for version in spec.versions
            if version.backend in backends and spec.reason_against(version, first) is None
        ]
    candidates: dict[str, Callable[[int], Any]] = {}
    for version in serving:

        def run(i: int, version: kernels.Version = version) -> Any:
            with precision.permitted("bfloat16"):
                return spec.run(version, sets[i])

        candidates[version.name] = run
    peers = _peers(case.op, {version.precision for version in serving}, sets)
    _refuse_wrong(case, serving, candidates, peers, home, notes)
    seconds, failed = interleaved({**candidates, **peers}, count, ROUNDS, clock, budget)
    notes += [f"{case.op} of {case.layer}: {name}: {why}" for name, why in failed.items()]
    found = medians(seconds)
    rows = []
    of = {version.name: version.precision for version in serving}
    for name, median in found.items():
        kind = of.get(name, name.partition(" ")[2])
        peer = found.get(f"PyTorch {_equal(kind)}")
        rows.append(
            {
                "op": case.op,
                "layer": case.layer,
                "version": name,
                "precision": kind,
                "seconds": median,
                "samples": seconds[name],
                "flops": cost.flops,
                "bytes": cost.bytes,
                "share": floor(cost.flops, cost.bytes, ceilings, kind) / median,
                "times_pytorch": median / peer if peer and name in of else None,
            }
        )
    return rows


def _equal(kind: str) -> str:
    return "float32" if kind == "tf32x3" else kind


def _peers(op: str, kinds: set[str], sets: list[dict[str, Any]]) -> dict[str, Callable[[int], Any]]:
    """PyTorch in each precision that a version computes in; none where it is not installed."""
    try:
        from . import torch_peers
    except ImportError:
        return {}
    wanted = sorted({_equal(kind) for kind in kinds})
    made = {f"PyTorch {kind}": torch_peers.candidate(op, kind, sets) for kind in wanted}
    return {name: peer for name, peer in made.items() if peer is not None}


def _refuse_wrong(
    case: Case,
    serving: list[kernels.Version],
    candidates: dict[str, Callable[[int], Any]],
    peers: Mapping[str, Callable[[int], Any]],
    home: Host,
    notes: list[str],
) -> None:
    """Takes out the versions that fail, or whose result is not PyTorch's (without it, the first version's)."""
    if case.op.partition(".")[0] == "dropout":
        return  # what is dropped is keyed here, not there
    truth = peers["PyTorch float32"](0) if "PyTorch float32" in peers else None
    for version in serving:
        try:
            got = candidates[version.name](0)
            truth = got if truth is None else truth
            error = home.difference(got, truth)
            wrong = None if error < AGREE[version.precision] else f"is wrong by {error:.1e} of the largest; not timed"
        except Exception as failure:  # the other versions go on
            wrong = f"{type(failure).__name__}: {' '.join(str(failure).split())[:200]}"
        if wrong:
            notes.append(f"{case.op} of {case.layer}: {version.name}: {wrong}")
            del candidates[version.name]
