"""Adapts the small network that comes with minitl to other handwritten digits, from a handful of examples, three ways.

The network knows MNIST. The digits are scikit-learn's: 8x8 pixels, another scanner, other people. Each seed draws its
own examples to train on, and as many to choose the best epoch by; 1,000 others, always the same, are the test.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

import minitl as tl

from ..train import History, evaluate
from . import common, curves

EXAMPLE = "minitl demo --out minitl-demo --seeds 5 --shots 5"
WEIGHTS = "small_vgg_mnist"
TEST = 1000
EPOCHS = 30
BATCH = 10
RATES = {"from scratch": 0.01, "frozen": 0.03, "fine-tuned": 0.03}  # chosen by hand, each among a few
CLASSES = [str(digit) for digit in range(10)]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--out", type=Path, default=Path("minitl-demo"), metavar="FOLDER", help="default: minitl-demo")
    parser.add_argument("--seeds", type=common.at_least(1, most=20), default=5, help="repetitions (default: 5)")
    parser.add_argument("--shots", type=common.at_least(1, most=30), default=5, help="examples a class (default: 5)")
    common.add_threads(parser)
    parser.add_argument("--no-progress", action="store_true", help="show no progress bar")


def from_scratch(seed: int) -> tl.Network:
    """The same architecture, freshly drawn: what the examples alone can teach."""
    return tl.models.small_vgg(10, classes=CLASSES, in_channels=1, size=28, seed=seed)


def frozen(seed: int) -> tl.Network:
    """The pretrained layers as they are, and a new head."""
    return tl.load(WEIGHTS, classes=CLASSES, seed=seed).freeze_backbone()


def fine_tuned(seed: int) -> tl.Network:
    """The first block frozen, the others adapting slowly, a new head at the full rate."""
    net = tl.load(WEIGHTS, classes=CLASSES, seed=seed).freeze(upto="pool1")
    return net.set_lr({"conv2_*": 0.1, "conv3_*": 0.3})  # times the base rate, which the head has


WAYS: dict[str, Callable[[int], tl.Network]] = {
    "from scratch": from_scratch,
    "frozen": frozen,
    "fine-tuned": fine_tuned,
}


@dataclass
class Outcome:
    """What one way came to. accuracies: on the test pictures, one a seed. seconds: of all seeds."""

    histories: list[History]
    accuracies: list[float]
    seconds: float
    net: tl.Network


def run(args: argparse.Namespace) -> int:
    """Trains every way with every seed; shows the table, draws the curves, writes the adapted weights."""
    common.check_can_make(args.out)
    x, y = digits()
    test = tl.data.arrays(x[:TEST], y[:TEST], classes=CLASSES, val=1.0)
    print(
        f"{WEIGHTS}, trained on MNIST, meets scikit-learn's digits: {args.shots} examples a class to train on, as many "
        f"to choose the epoch by,\n{TEST:,} others to test on; {args.seeds} seeds. The first run compiles kernels."
    )
    untrained = evaluate(tl.load(WEIGHTS), test)["accuracy"]
    with tqdm(total=len(WAYS) * args.seeds, unit="run", disable=_quiet(args), leave=False) as bar:
        outcomes = {name: _outcome(name, args, x[TEST:], y[TEST:], test, bar) for name in WAYS}
    args.out.mkdir(parents=True, exist_ok=True)
    outcomes["fine-tuned"].net.save(args.out / "digits.h5")  # before anything else can fail
    print(f"\n{_table(outcomes, untrained)}\n")
    picture = curves.plot(
        {name: outcome.histories for name, outcome in outcomes.items()},
        {name: outcome.accuracies for name, outcome in outcomes.items()},
        untrained,
        f"Handwritten digits from {args.shots} examples a class; {args.seeds} seeds, bands from lowest to highest",
    )
    common.write_bytes(args.out / "curves.png", picture)
    print(f"learning curves: {args.out / 'curves.png'}")
    print(f"weights, fine-tuned, first seed: {args.out / 'digits.h5'}")
    print(f"next: minitl inspect {args.out / 'digits.h5'}")
    print("or, with photographs of your own in one folder a class: minitl train --help")
    return 0


def _quiet(args: argparse.Namespace) -> bool:
    return args.no_progress or not sys.stderr.isatty()


def digits() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's 1,797 digits as (N, 28, 28) uint8, set as MNIST's are (20x20 in a frame), in one fixed order."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    framed = np.zeros((len(bunch.images), 28, 28), np.uint8)
    for frame, image in zip(framed, bunch.images, strict=True):
        small = Image.fromarray((image * 255 / 16).astype(np.uint8))  # 17 grey levels
        frame[4:24, 4:24] = np.asarray(small.resize((20, 20), Image.Resampling.BICUBIC))
    order = np.random.default_rng(0).permutation(len(framed))
    return framed[order], bunch.target[order]


def handful(y: np.ndarray, shots: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of `shots` examples of each class to train on, and of as many others to validate on."""
    rng = np.random.default_rng([seed, shots])
    drawn = np.array([rng.permutation(np.flatnonzero(y == label))[: 2 * shots] for label in range(len(CLASSES))])
    return drawn[:, :shots].ravel(), drawn[:, shots:].ravel()


def _outcome(
    way: str,
    args: argparse.Namespace,
    x: np.ndarray,
    y: np.ndarray,
    test: tl.data.Dataset,
    bar: tqdm,
) -> Outcome:
    histories, accuracies, nets = [], [], []
    began = time.perf_counter()
    for seed in range(args.seeds):
        train, val = handful(y, args.shots, seed)
        data = tl.data.arrays(x[train], y[train], classes=CLASSES, val=(x[val], y[val]))
        net = WAYS[way](seed)
        trainer = tl.Trainer(net, data, lr=RATES[way], batch_size=BATCH, seed=seed, progress=False)
        histories.append(trainer.fit(EPOCHS))
        if histories[-1].interrupted:  # a comparison of trainings that were cut short says nothing
            raise KeyboardInterrupt
        accuracies.append(evaluate(net, test)["accuracy"])
        nets.append(net)
        bar.update()
    return Outcome(histories, accuracies, time.perf_counter() - began, nets[0])


def _table(outcomes: dict[str, Outcome], untrained: float) -> str:
    rows = [("as it comes", "0", "", f"{untrained:.1%}", "", "", "")]
    for name, outcome in outcomes.items():
        trained = f"{outcome.net.plan().trained:,}"
        rows.append((name, trained, f"{RATES[name]:g}", *_spread(outcome.accuracies), f"{outcome.seconds:.1f} s"))
    header = ("way", "numbers trained", "base rate", f"right of {TEST:,}: mean", "least", "most", "time")
    return common.table(rows, header, right=range(1, 7))


def _spread(accuracies: Sequence[float]) -> tuple[str, str, str]:
    return f"{np.mean(accuracies):.1%}", f"{min(accuracies):.1%}", f"{max(accuracies):.1%}"
