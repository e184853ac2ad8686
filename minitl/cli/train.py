"""Turns a folder of pictures and a weight file into a classifier, and writes a report with its weights.

PHOTOS holds one folder a class, or train/ and val/ with one folder a class each. The classifier of the weight file
is replaced by a new head for these classes; all else is frozen unless --freeze, --freeze-upto or --unfreeze say
otherwise. Patterns are layer names with * for any characters, such as 'conv5_*'.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import minitl as tl

from ..errors import ArgumentError, MinitlError
from ..optim import StepSchedule
from ..transfer import HEADS
from . import INTERRUPTED, common, evaluate

EXAMPLE = "minitl train photos/ --weights vgg16.h5 --out run/ --unfreeze 'conv5_*' --lr-mult 'conv5_*=0.1'"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("photos", metavar="PHOTOS", type=Path, help="folder of labelled pictures")
    parser.add_argument("--weights", required=True, metavar="FILE", help="a weight file, or small_vgg_mnist")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="for the report and the weights")
    parser.add_argument("--force", action="store_true", help="write into a folder that is not empty")
    parser.add_argument("--head", choices=HEADS, default="auto", help="kind of the new head (default: auto)")
    what = parser.add_argument_group("what is trained, at which rate")
    what.add_argument("--freeze", action="append", metavar="PATTERN", help="freeze these layers and no others")
    what.add_argument("--freeze-upto", metavar="LAYER", help="freeze this layer, all that leads to it, and no others")
    what.add_argument("--unfreeze", action="append", default=[], metavar="PATTERN", help="train these layers too")
    what.add_argument("--lr", type=common.at_least(0, float), help="base learning rate (default: measured)")
    what.add_argument(
        "--lr-mult",
        action="append",
        default=[],
        type=common.key_value,
        metavar="PATTERN=X",
        help="these layers learn at X times the base rate",
    )
    how = parser.add_argument_group("how")
    how.add_argument("--epochs", type=common.at_least(1), default=20, help="default: 20")
    how.add_argument("--batch-size", type=common.at_least(1), default=16, help="pictures a step (default: 16)")
    how.add_argument(
        "--val", type=common.at_least(0, float, 1), default=0.2, help="share to validate on (default: 0.2)"
    )
    how.add_argument("--momentum", type=common.at_least(0, float, 1), default=0.9, help="default: 0.9")
    how.add_argument("--weight-decay", type=common.at_least(0, float), default=5e-4, help="default: 0.0005")
    how.add_argument("--step-every", type=common.at_least(1), metavar="EPOCHS", help="lower the rate this often")
    how.add_argument("--step-factor", type=common.at_least(0, float), default=0.1, metavar="X", help="default: 0.1")
    how.add_argument("--class-weight", choices=["auto"], help="auto: rare classes weigh as much as frequent ones")
    how.add_argument("--seed", type=common.at_least(0), default=0, help="same seed, same result (default: 0)")
    how.add_argument("--json", action="store_true", help="print the evaluation and the settings as JSON")
    how.add_argument("--no-progress", action="store_true", help="no progress bars, no talk while working")


def run(args: argparse.Namespace) -> int:
    """Trains, evaluates, and writes the report."""
    common.check_fresh(args.out, args.force)
    photos, out = args.photos.resolve(), args.out.resolve()
    if photos in (out, *out.parents):
        raise ArgumentError(f"--out {args.out}: lies in the folder of pictures {args.photos}; give one outside of it")
    common.check_can_make(args.out)
    data = tl.data.folder(args.photos, val=args.val, seed=args.seed)
    if args.no_progress:  # otherwise fit says so
        common.report_failed((Path(name), f"set aside: {reason}") for name, reason in data.skipped)
    net = tl.load(args.weights, classes=data.classes, head=args.head, seed=args.seed)
    choose(net, args)
    trainer = tl.Trainer(
        net,
        data,
        lr=args.lr,
        momentum=args.momentum,
        weight_decay=args.weight_decay,
        batch_size=args.batch_size,
        schedule=None if args.step_every is None else StepSchedule(args.step_every, args.step_factor),
        class_weight=args.class_weight,
        seed=args.seed,
        progress=not args.no_progress,
    )
    try:
        history = trainer.fit(epochs=args.epochs)
    except ArgumentError as error:  # such as a loss that is no number: the command line was in order, so no misuse
        raise MinitlError(str(error)) from error
    tl.write_report(trainer, args.out)  # the weights first of all, before anything else can fail
    result = trainer.evaluate("val") if data.val else None
    if args.json:
        settings = trainer.settings | {"best_epoch": history.best, "epochs": len(history), "out": str(args.out)}
        common.print_json({"evaluation": result, "settings": settings})
        return INTERRUPTED if history.interrupted else 0
    print(net.plan(trainer.lr))
    if result is not None:
        print(evaluate.summary(result))
        print("The epoch was chosen on these pictures, so expect a little less on new ones.")
    print(f"report: {args.out / 'report.html'}")
    print(f"weights: {args.out / 'weights.h5'}; try: minitl predict {args.out / 'weights.h5'} PICTURES")
    return INTERRUPTED if history.interrupted else 0


def choose(net: tl.Network, args: argparse.Namespace) -> None:
    """Freezes and sets rates as asked; the backbone is frozen if nothing is said."""
    if args.freeze or args.freeze_upto:
        net.unfreeze()
        net.freeze(*args.freeze or (), upto=args.freeze_upto)
    else:
        net.freeze_backbone()
    if args.unfreeze:
        net.unfreeze(*args.unfreeze)
    for pattern, factor in args.lr_mult:  # one by one: of two that meet in a layer the later one counts
        net.set_lr({pattern: factor})
        if all(p.frozen for p in net.match(pattern)):
            raise ArgumentError(f"--lr-mult {pattern}={factor:g}: {pattern} is frozen; add --unfreeze {pattern!r}")
