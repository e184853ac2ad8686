"""Turns a folder of pictures and a weight file into a classifier, and writes a report with its weights.

PHOTOS holds one folder a class, or train/ and val/ with one folder a class each; or it is a table (.csv, UTF-8) with
the columns file and class, and split if need be; or a file of arrays x and y (.npz, .h5). The classifier of the weight
file is replaced by a new head for these classes; all else is frozen unless --freeze, --freeze-upto or --unfreeze say
otherwise. Patterns are layer names with * for any characters, such as 'conv5_*'.

The run is kept in the folder --out while it trains: whatever ends it early, 'minitl resume' goes on with it to the
same result.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import minitl as tl

from .. import device, images
from ..data.read import read
from ..data.sampling import SAMPLINGS
from ..errors import ArgumentError, DataError, MinitlError
from ..optim import OPTIMIZERS, Schedule, make_schedule
from ..train import History
from ..train.description import weights_json
from ..train.runfolder import RunFolder
from ..transfer import HEADS
from . import INTERRUPTED, common, evaluate

SCHEDULES = {"constant": "constant", "step": "step", "cosine": "cosine", "onecycle": "one_cycle"}
EXAMPLE = "minitl train photos/ --weights vgg16.h5 --out run/ --unfreeze 'conv5_*' --lr-mult 'conv5_*=0.1'"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("photos", metavar="PHOTOS", type=Path, help="labelled pictures: a folder, or a file")
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
    _add_recipe(parser)
    _add_pictures(parser)
    rest = parser.add_argument_group("besides")
    common.add_device(rest)
    common.add_threads(rest)
    rest.add_argument("--seed", type=common.at_least(0), default=0, help="same seed, same result (default: 0)")
    rest.add_argument("--json", action="store_true", help="print the evaluation and the settings as JSON")
    rest.add_argument("--no-progress", action="store_true", help="no progress bars, no talk while working")


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    how = parser.add_argument_group("steps")
    how.add_argument("--epochs", type=common.at_least(1), default=20, help="default: 20")
    how.add_argument("--batch-size", type=common.at_least(1), default=16, help="pictures at a time (default: 16)")
    how.add_argument(
        "--accumulate", type=common.at_least(1), default=1, metavar="N", help="batches that make a step (default: 1)"
    )
    how.add_argument("--optimizer", choices=OPTIMIZERS, default="sgd", help="default: sgd")
    how.add_argument("--momentum", type=common.at_least(0, float, 1), help="default: 0.9 with sgd")
    how.add_argument("--weight-decay", type=common.at_least(0, float), default=5e-4, help="default: 0.0005")
    how.add_argument(
        "--clip-norm", type=common.at_least(0, float), metavar="X", help="shorten longer gradients to this length"
    )
    how.add_argument(
        "--ema", type=common.at_least(0, float, 1), metavar="DECAY", help="keep the moving average of the weights"
    )
    how.add_argument(
        "--early-stopping",
        type=common.at_least(1),
        metavar="EPOCHS",
        help="stop after so many without a better one (higher accuracy, or the same and a lower loss)",
    )
    rate = parser.add_argument_group("schedule of the learning rate")
    rate.add_argument("--schedule", choices=SCHEDULES, help="default: constant")
    rate.add_argument("--step-every", type=common.at_least(1), metavar="EPOCHS", help="lower the rate this often")
    rate.add_argument("--step-factor", type=common.at_least(0, float), metavar="X", help="to X times (default: 0.1)")
    rate.add_argument("--warm-up", type=common.at_least(0, float), metavar="EPOCHS", help="rise to the rate first")


def _add_pictures(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("pictures")
    what.add_argument(
        "--val", type=common.at_least(0, float, 1), default=0.2, help="share to validate on (default: 0.2)"
    )
    what.add_argument(
        "--augment", metavar="PRESET", choices=sorted(images.PRESETS), help=f"one of {', '.join(images.PRESETS)}"
    )
    what.add_argument(
        "--variants",
        type=common.at_least(0),
        default=0,
        metavar="N",
        help="augmented versions of each picture to keep and reuse (default: 0, a new one each epoch)",
    )
    what.add_argument("--class-weight", choices=["auto"], help="auto: rare classes weigh as much as frequent ones")
    what.add_argument(
        "--sampling", choices=SAMPLINGS, default="shuffle", help="balanced: each class as often (default: shuffle)"
    )


def run(args: argparse.Namespace) -> int:
    """Trains, evaluates, and writes the report."""
    where = device.resolve(args.device)
    old = RunFolder(args.out)
    if old.begun and not args.force:
        old.refuse_new([])
    if not old.barely_begun:  # otherwise it may simply begin again
        common.check_fresh(args.out, args.force)
    photos, out = args.photos.resolve(), args.out.resolve()
    if photos.is_dir() and photos in (out, *out.parents):
        raise ArgumentError(f"--out {args.out}: lies in the folder of pictures {args.photos}; give one outside of it")
    common.check_can_make(args.out)
    planned = schedule(args)
    data = read(args.photos, val=args.val, seed=args.seed)
    if args.no_progress:  # otherwise fit says so
        common.report_failed((Path(name), f"set aside: {reason}") for name, reason in data.skipped)
    net = tl.load(args.weights, classes=data.classes, head=args.head, seed=args.seed)
    choose(net, args)
    trainer = tl.Trainer(
        net,
        data,
        lr=args.lr,
        optimizer=args.optimizer,
        momentum=args.momentum,
        weight_decay=args.weight_decay,
        batch_size=args.batch_size,
        accumulate=args.accumulate,
        clip_norm=args.clip_norm,
        schedule=planned,
        class_weight=args.class_weight,
        sampling=args.sampling,
        augmentation=args.augment,
        variants=args.variants,
        ema=args.ema,
        early_stopping=args.early_stopping,
        seed=args.seed,
        device=where,
        progress=not args.no_progress,
        folder=args.out,
    )
    weights = weights_json(args.weights, common.weight_file(args.weights))
    trainer.provenance = {"command": ["minitl", *args.words], "weights": weights}
    if args.force:
        old.clear()
    return carry_out(trainer, args.out, args.json, lambda: trainer.fit(epochs=args.epochs))


def carry_out(trainer: tl.Trainer, out: Path, as_json: bool, training: Callable[[], History]) -> int:
    """Trains, evaluates, writes the report into `out`; gives the exit status."""
    try:
        history = training()
    except ArgumentError as error:
        if not trainer.history.diverged:
            raise
        if not trainer.history.best:
            raise MinitlError(str(error)) from error  # the command line was in order, so no misuse
        trainer.net.save(out / "weights.h5")
        raise MinitlError(f"{error}, and they are in {out / 'weights.h5'}") from error
    try:
        tl.write_report(trainer, out)  # the weights first of all, before anything else can fail
    except DataError as error:
        raise DataError(f"{error}; 'minitl resume {out}' then goes on from the latest checkpoint") from error
    result = trainer.evaluate("val") if trainer.data.val else None
    if as_json:
        settings = trainer.settings | {"best_epoch": history.best, "epochs": len(history), "out": str(out)}
        common.print_json({"evaluation": result, "settings": settings})
        return INTERRUPTED if history.interrupted else 0
    print(trainer.net.plan(trainer.lr))
    if result is not None:
        print(evaluate.summary(result))
        print("The epoch was chosen on these pictures, so expect a little less on new ones.")
    print(f"report: {out / 'report.html'}")
    print(f"weights: {out / 'weights.h5'}; try: minitl predict {out / 'weights.h5'} PICTURES")
    if history.interrupted:
        print(f"interrupted; to go on: minitl resume {out}")
    return INTERRUPTED if history.interrupted else 0


def schedule(args: argparse.Namespace) -> Schedule | None:
    """The schedule that the options ask for; ArgumentError where they contradict each other or it is too long."""
    kind = args.schedule or ("constant" if args.step_every is None else "step")
    if args.step_every is not None and kind != "step":
        raise ArgumentError(f"--step-every {args.step_every}: belongs to --schedule step, not {kind}; leave one out")
    if args.step_every is None and kind == "step":
        raise ArgumentError("--schedule step: needs --step-every EPOCHS, how often to lower the rate")
    if args.step_factor is not None and kind != "step":
        raise ArgumentError(
            f"--step-factor {args.step_factor:g}: needs --step-every EPOCHS, how often to lower the rate"
        )
    factor = 0.1 if args.step_factor is None else args.step_factor
    settings = {"schedule": SCHEDULES[kind]} | ({"every": args.step_every, "factor": factor} if kind == "step" else {})
    if args.warm_up:
        settings = {"schedule": "warm_up", "epochs": args.warm_up, "then": settings}
    made = make_schedule(settings)
    made.over(args.epochs)  # refuses one that is longer than the training
    return made


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
