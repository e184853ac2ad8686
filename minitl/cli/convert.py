"""Turns a weight file of another framework into minitl's: layers under canonical names, preprocessing, class names.

The format is recognised by what the file holds. What was recognised and what was left out is printed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import transfer
from ..weights import convert
from . import common

EXAMPLE = "minitl convert squeezenet_v1.0_deepcompressed.h5 --classes synset_words.txt --out squeezenet.h5"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("source", metavar="SOURCE", type=Path, help="the foreign weight file")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the minitl weight file to write (.h5)")
    parser.add_argument(
        "--classes", type=Path, metavar="FILE", help="names of the outputs, one a line ('n01440764 tench' serves too)"
    )
    parser.add_argument("--float16", action="store_true", help="store half precision: half the size, 3 digits")
    parser.add_argument("--force", action="store_true", help="write over an existing file")


def run(args: argparse.Namespace) -> int:
    """Converts, writes, and reports."""
    common.check_file("--out", args.out, args.force, [args.source, *([args.classes] if args.classes else [])])
    classes = None if args.classes is None else convert.read_class_names(args.classes)
    foreign = convert.read(args.source, classes)
    net = transfer.from_foreign(foreign)
    net.save(args.out, dtype="float16" if args.float16 else "float32")
    arrays = sum(len(roles) for roles in foreign.layers.values())
    facts = [
        ("recognised", f"{foreign.architecture}, {foreign.origin}"),
        ("licence", foreign.license),
        ("loaded", f"{arrays} arrays in {len(foreign.layers)} layers"),
        ("left out", ", ".join(foreign.ignored) or "nothing"),
        ("classes", _classes(net.classes, foreign.outputs)),
        ("written", f"{args.out} ({args.out.stat().st_size / 1e6:.1f} MB)"),
    ]
    print(common.table(facts))
    return 0


def _classes(names: list[str] | None, outputs: tuple[str, int] | None) -> str:
    if outputs is None:
        return "the file ends before a classifier: it gives features, or takes a new head (minitl train)"
    return f"{len(names)} names" if names else f"{outputs[1]} outputs without names; give --classes to name them"
