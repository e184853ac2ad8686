"""Names what pictures show: the likeliest classes of each, with their probabilities.

PICTURES are files or folders. A picture that cannot be read is named, the rest goes on, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from pathlib import Path
from typing import Any

import minitl as tl

from ..nn import inference
from . import common

EXAMPLE = "minitl predict run/weights.h5 holiday/ --topk 3 --csv answers.csv"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("weights", metavar="WEIGHTS", help="a weight file with a classifier, or a known name")
    parser.add_argument("pictures", metavar="PICTURES", nargs="+", type=Path, help="picture files, or folders of them")
    parser.add_argument("--topk", type=common.at_least(1), default=1, help="answers a picture (default: 1)")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print JSON")
    output.add_argument("--csv", type=Path, metavar="FILE", help="write a CSV file instead of printing a table")
    parser.add_argument("--force", action="store_true", help="write over an existing CSV file")
    common.add_device(parser)
    common.add_threads(parser)
    parser.add_argument("--no-progress", action="store_true", help="show no progress bar")


def run(args: argparse.Namespace) -> int:
    """Predicts, and shows or writes the answers."""
    files = common.pictures(args.pictures)
    if args.csv:
        common.check_file("--csv", args.csv, args.force, [common.weight_file(args.weights), *files])
    net = tl.load(args.weights).to(args.device)
    inference.require_classifier(net)
    read, scores, failed = common.values(net, files, None, args.no_progress)
    answers = list(zip(read, inference.answers(net, scores, args.topk) if read else [], strict=True))
    if args.json:
        common.print_json({"answers": [_as_json(*answer) for answer in answers], "failed": _failures(failed)})
    elif args.csv:
        common.write_text(args.csv, _as_csv(answers))
        told = sys.stdout if args.csv.is_file() else sys.stderr  # the file may be standard output itself
        print(f"{len(answers)} pictures -> {args.csv}", file=told)
    elif answers:
        print(_as_table(answers))
    common.report_failed(failed)
    return int(bool(failed))


def _failures(failed: list[tuple[Path, str]]) -> list[dict[str, str]]:
    return [{"file": str(file), "reason": reason} for file, reason in failed]


def _as_json(file: Path, predictions: Any) -> dict[str, Any]:
    return {"file": str(file), "predictions": [p._asdict() for p in predictions]}


def _as_csv(answers: list[tuple[Path, Any]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["file", "rank", "index", "class", "probability"])
    for file, predictions in answers:
        for rank, p in enumerate(predictions, 1):
            writer.writerow([file, rank, p.index, p.name, f"{p.probability:.6f}"])
    return text.getvalue()


def _as_table(answers: list[tuple[Path, Any]]) -> str:
    rows = [
        (str(file) if rank == 0 else "", f"{p.probability:.1%}", p.name or f"class {p.index}")
        for file, predictions in answers
        for rank, p in enumerate(predictions)
    ]
    return common.table(rows, ("picture", "", "class"), right=[1])
