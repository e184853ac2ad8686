"""Measures a classifier on labelled pictures: accuracy, precision, recall and F1 a class, confusion.

PHOTOS holds one folder a class, all of which are evaluated, or train/ and val/, of which val/ is (see --split). Or it
is a CSV table of picture files and labels, or an .npz or HDF5 file of arrays x and y. To evaluate only what
`minitl train` held out of the same PHOTOS, give the --val and --seed that it was given.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import minitl as tl

from ..data.dataset import SPLITS
from ..train import evaluate
from . import common

EXAMPLE = "minitl evaluate run/weights.h5 photos/ --val 0.2 --seed 0"
MOST = 12  # classes whose confusion fits on a screen


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("weights", metavar="WEIGHTS", help="a weight file with a classifier")
    parser.add_argument("photos", metavar="PHOTOS", type=Path, help="folder, table or file of labelled pictures")
    parser.add_argument("--split", choices=SPLITS, default="val", help="which part to evaluate (default: val)")
    parser.add_argument(
        "--val", type=common.at_least(0, float, 1), default=1.0, help="share that is the val part (default: 1, all)"
    )
    parser.add_argument("--seed", type=common.at_least(0), default=0, help="which pictures those are (default: 0)")
    common.add_device(parser)
    common.add_threads(parser)
    parser.add_argument("--no-progress", action="store_true", help="show no progress bar")
    parser.add_argument("--json", action="store_true", help="print JSON, with the answer to every picture")


def run(args: argparse.Namespace) -> int:
    """Evaluates and shows the result."""
    net = tl.load(args.weights).to(args.device)
    data = tl.data.read(args.photos, val=args.val, seed=args.seed, classes=net.classes)
    result = evaluate(net, data, args.split, progress=not args.no_progress)
    if args.json:
        common.print_json(result | {"set_aside": [list(pair) for pair in data.skipped]})
    else:
        print(summary(result))
    common.report_failed((Path(name), reason) for name, reason in [*data.skipped, *result["skipped"]])
    return 0


def summary(result: dict[str, Any]) -> str:
    """What `train.evaluate` returns, for people to read."""
    right = sum(row[i] for i, row in enumerate(result["confusion"]))
    names = list(result["per_class"])
    parts = [
        f"{result['split']}: {right} of {result['pictures']} right ({result['accuracy']:.1%}); "
        f"always answering the most frequent class would be right for {result['majority_baseline']:.1%}",
        common.table(
            [
                (name, f"{row['precision']:.3f}", f"{row['recall']:.3f}", f"{row['f1']:.3f}", row["support"])
                for name, row in result["per_class"].items()
            ],
            ("class", "precision", "recall", "F1", "pictures"),
            right=range(1, 5),
        ),
    ]
    if len(names) <= MOST:
        rows = [(name, *counts) for name, counts in zip(names, result["confusion"], strict=True)]
        parts.append(common.table(rows, ("true \\ answered", *names), right=range(1, len(names) + 1)))
    return "\n\n".join(parts)
