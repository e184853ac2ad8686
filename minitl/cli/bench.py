"""Times the CPU versions of an op beside each other, or a network beside PyTorch, on this machine.

WHAT is an op, its gradients included, such as conv2d, or one of them, such as conv2d.grad_weight; or the name of an
architecture, such as vgg16; or a weight file. What disagrees is not timed. Candidates take turns, after a pause in
which all threads come to rest; figures are medians, with half the range between the quartiles. "of peak" is the share
of the largest measured rate: of float32 products or, for an op that needs longer for that, of copying. Winograd's
convolutions may exceed 100 %, for they do fewer operations than the formula. Shapes come before options. On a machine
that others use too, threads that wait by spinning hold each other up: set OMP_WAIT_POLICY=passive there. Versions for a
GPU: benchmarks/gpu.py.
"""

from __future__ import annotations

import argparse
import difflib
import importlib.util
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from tqdm import tqdm

import minitl as tl

from ..errors import ArgumentError, BackendUnavailable, WeightError
from ..kernels import KernelSpec, backends, specs
from . import calls, ceilings, clock, common

EXAMPLE = "minitl bench conv2d x_shape=8,256,28,28 w_shape=512,256,3,3 padding=1"

AGREE = 1e-4  # of the largest number: float32's rounding is a hundredth of it, a wrong kernel far above
EXPLAINED = ("emulator", "interpreter")  # which imitate a GPU, to verify kernels, not to be quick


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("what", metavar="WHAT", nargs="?", default="alexnet", help="default: alexnet")
    parser.add_argument("shapes", metavar="KEY=VALUE", nargs="*", help="of an op: its shapes and attributes")
    several = "of a network: pictures at a time, may be several, after WHAT (default: 1 8)"
    parser.add_argument("--batch", type=common.at_least(1), nargs="+", metavar="N", help=several)
    common.add_threads(parser)
    parser.add_argument("--rounds", type=common.at_least(1), default=7, metavar="N", help="samples each (default: 7)")
    parser.add_argument(
        "--seconds", type=common.at_least(0, float), default=20.0, help="after which no round begins (default: 20)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Times, and shows the table; 1 if something disagreed or failed."""
    chosen = [spec for spec in specs().values() if args.what in (spec.name, spec.name.partition(".")[0])]
    if not chosen and args.shapes:
        raise ArgumentError(f"{args.shapes[0]}: shapes go with an op; {args.what} is none (minitl kernels lists them)")
    if chosen and args.batch:
        raise ArgumentError("--batch goes with a network; give an op x_shape=N,C,H,W")
    net = None if chosen else _network(args.what)
    measured = ceilings.measure(tl.get_num_threads())
    notes: list[str] = []
    rows = _ops(chosen, args, measured, notes) if net is None else _batches(net, args, measured, notes)
    if args.json:
        common.print_json({"threads": tl.get_num_threads(), "ceilings": measured, "rows": rows, "notes": notes})
    else:
        _tell(rows, measured, notes, net is None)
    return 1 if notes or not rows else 0


def _network(what: str) -> tl.Network:
    if what in tl.models.ARCHITECTURES:
        return tl.models.build(what)
    try:
        return tl.load(what)
    except (WeightError, OSError) as error:
        if os.path.exists(what):
            raise
        near = difflib.get_close_matches(what, [*specs(), *tl.models.ARCHITECTURES], 1)
        hint = f"did you mean {near[0]!r}?" if near else "minitl kernels lists the ops"
        raise ArgumentError(f"{what!r} is no op, no architecture such as vgg16, and no weight file; {hint}") from error


def _ops(chosen: list[KernelSpec], args: argparse.Namespace, measured: Any, notes: list[str]) -> list[dict[str, Any]]:
    """A row for each version of each op."""
    asked, rows = calls.parsed(args.shapes), []
    for spec in tqdm(chosen, "timing", unit="op", disable=not sys.stderr.isatty(), leave=False):
        try:
            call = calls.call(spec, asked)
        except ArgumentError:
            if len(chosen) == 1 or spec is chosen[0]:
                raise
            continue  # a gradient that is asked for by other names, such as conv2d.grad_bias
        cost = spec.cost(**call)
        least = ceilings.floor(cost.flops, cost.bytes, measured)
        for name, timing in _timed(_versions(spec, call, notes), spec.name, args, notes).items():
            facts = {"op": spec.name, "version": name, "shapes": _shapes(call), "asked": _asked(spec, asked)}
            rows.append({**facts, **timing.to_json(), "flops": cost.flops, "bytes": cost.bytes})
            rows[-1]["of_peak"] = least / timing.median
    return rows


def _versions(spec: KernelSpec, call: dict[str, Any], notes: list[str]) -> dict[str, Callable[[], Any]]:
    """The versions on NumPy's arrays that serve the call."""
    found: dict[str, Callable[[], Any]] = {}
    for version in spec.versions:
        if backends.BACKENDS[version.backend].home == "NumPy" and version.backend not in EXPLAINED:
            reason = spec.reason_against(version, call)
            if reason is None:
                found[version.name] = partial(spec.run, version, call)
    if not found:
        raise BackendUnavailable(f"{spec.name}: no version for a CPU takes this call; see tl.kernels.why")
    return found


def _batches(net: tl.Network, args: argparse.Namespace, measured: Any, notes: list[str]) -> list[dict[str, Any]]:
    """A row for each candidate and batch size."""
    if net.input_shape is None:
        raise ArgumentError(f"{net.name}: states no size of its pictures, so none can be made for it")
    flops, rows = net.summary().flops, []
    batches = args.batch or [1, 8]
    for batch in tqdm(batches, "timing", unit="batch", disable=not sys.stderr.isatty(), leave=False):
        x = np.random.default_rng(0).standard_normal((batch, *net.input_shape), dtype=np.float32)

        def ours(x: np.ndarray = x) -> np.ndarray:
            with tl.no_grad():
                return net(x).data

        candidates = {"minitl": ours, **_pytorch(net, x)}
        for name, timing in _timed(candidates, f"{net.name}, batch {batch}", args, notes).items():
            facts = {"network": net.name, "batch": batch, "candidate": name}
            rows.append({**facts, **timing.to_json(), "flops": batch * flops})
            rows[-1]["of_peak"] = batch * flops / timing.median / ceilings.peak(measured)
    return rows


def _pytorch(net: tl.Network, x: np.ndarray) -> dict[str, Callable[[], np.ndarray]]:
    """The network in PyTorch, in both layouts; nothing where it is not installed or lacks one of the layers."""
    if importlib.util.find_spec("torch") is None:
        return {}
    import torch

    from . import torch_peer

    torch.set_num_threads(tl.get_num_threads())
    layouts = {"PyTorch": torch.contiguous_format, "PyTorch channels-last": torch.channels_last}
    made: dict[str, Callable[[], np.ndarray]] = {}
    for name, layout in layouts.items():
        try:
            network = torch_peer.network(net, layout)
        except KeyError:
            return {}
        given = torch.from_numpy(x).contiguous(memory_format=layout)
        made[name] = partial(_as_array, network, given)
    return made


def _as_array(network: Callable[[Any], Any], given: Any) -> np.ndarray:
    return network(given).numpy()


def _timed(
    candidates: dict[str, Callable[[], Any]], what: str, args: argparse.Namespace, notes: list[str]
) -> dict[str, clock.Timing]:
    """The timings of the candidates that compute what the last one does: NumPy's reference, or PyTorch."""
    truth: Any = None
    agreeing: dict[str, Callable[[], Any]] = {}
    for name in reversed(candidates):
        got = _arrays(candidates[name]())
        truth = got if truth is None else truth
        difference = max((_difference(a, b) for a, b in zip(got, truth, strict=True)), default=0.0)
        if difference < AGREE:  # NaN is not
            agreeing[name] = candidates[name]
        else:
            notes.append(f"{what}: {name} differs by {difference:.1e} of the largest number; not timed")
    kept = {name: candidates[name] for name in candidates if name in agreeing}
    return clock.interleaved(kept, args.rounds, args.seconds, min(args.rounds, clock.LEAST_ROUNDS))


def _arrays(result: Any) -> list[np.ndarray]:
    every = result if isinstance(result, (tuple, list)) else [result]
    return [np.array(a) for a in every if a is not None]


def _difference(got: np.ndarray, truth: np.ndarray) -> float:
    if not truth.size:
        return 0.0
    scale = float(np.abs(truth).max())
    return float(np.abs(got.astype("float64") - truth).max()) / (scale or 1.0)


def _asked(spec: KernelSpec, asked: dict[str, Any]) -> str:
    """The shapes and attributes as one asks for them."""
    chosen = asked or calls.usual(spec.name)
    return " ".join(
        f"{key}={value}".replace(" ", "").replace("(", "").replace(")", "") for key, value in chosen.items()
    )


def _shapes(call: dict[str, Any]) -> dict[str, list[int]]:
    return {name: list(value.shape) for name, value in call.items() if isinstance(value, np.ndarray)}


def _tell(rows: list[dict[str, Any]], measured: Any, notes: list[str], of_op: bool) -> None:
    lines = []
    for asked in dict.fromkeys(row["asked"] for row in rows if of_op):
        print(asked)
    for row in rows:
        first, third = row["quartiles"]
        count = row.get("batch", 1)
        rate = f"{row['flops'] / row['seconds'] / 1e9:.1f}"
        facts = (row["op"], row["version"]) if of_op else (row["network"], str(count), row["candidate"])
        figures = (f"{1e3 * t / count:.3f}" for t in (row["seconds"], (third - first) / 2))
        lines.append((*facts, *figures, rate, f"{row['of_peak']:.0%}"))
    header = ("op", "version", "ms") if of_op else ("network", "batch", "", "ms a picture")
    print(common.table(lines, (*header, "±", "GFLOP/s", "of peak"), right=range(len(header) - 1, len(header) + 3)))
    print(
        f"\n{tl.get_num_threads()} threads; measured: products {ceilings.peak(measured) / 1e9:.0f} GFLOP/s (our tile "
        f"{measured['our tile'] / 1e9:.0f}, BLAS {measured['BLAS'] / 1e9:.0f}), copy {measured['copy'] / 1e9:.0f} GB/s"
    )
    for note in notes:
        print(f"minitl: {note}", file=sys.stderr)
