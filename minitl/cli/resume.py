"""Goes on with a training that was interrupted or killed, to the same result as if nothing had happened.

RUN is the folder that 'minitl train --out' was given. Its pictures and weight file are looked for where they were; the
files of pictures that came later are not used. A training that is finished is not trained again, unless --epochs asks
for more than it had; its report is written anew.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ..train import reopen
from . import common, train

EXAMPLE = "minitl resume run/"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("run", metavar="RUN", type=Path, help="folder of the run")
    parser.add_argument("--epochs", type=common.at_least(1), metavar="N", help="train on to so many in all")
    parser.add_argument("--weights", metavar="FILE", help="the weight file that it began with, if it has moved")
    parser.add_argument("--photos", type=Path, metavar="PATH", help="its pictures (folder or file), if they have moved")
    common.add_device(parser, None, "where it began")
    common.add_threads(parser)
    parser.add_argument("--json", action="store_true", help="print the evaluation and the settings as JSON")
    parser.add_argument("--no-progress", action="store_true", help="no progress bars, no talk while working")


def run(args: argparse.Namespace) -> int:
    """Resumes, evaluates, and writes the report."""
    trainer = reopen(args.run, args.weights, args.photos, progress=not args.no_progress, device=args.device)
    return train.carry_out(trainer, args.run, args.json, lambda: trainer.resume(args.epochs))
