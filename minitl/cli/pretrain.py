"""Trains the small network that comes with minitl, from the files of MNIST's test set, and measures it.

Nine tenths of the pictures are trained on, the last epoch is kept, and the held-out tenth is looked at once, at the
end, with the file as written. The same files and seed give the same weights on the same machine.
"""

from __future__ import annotations

import argparse
import gzip
import zlib
from pathlib import Path

import numpy as np

import minitl as tl

from ..errors import DataError
from ..optim import StepSchedule
from ..train import evaluate
from . import common

EXAMPLE = "minitl pretrain t10k-images-idx3-ubyte.gz t10k-labels-idx1-ubyte.gz --out small_vgg_mnist.h5"
ORIGIN = "small_vgg trained by `minitl pretrain` on {train:,} of MNIST's {all:,} test pictures (LeCun, Cortes & Burges)"
LICENSE = "Apache-2.0 (weights); MNIST is usually stated to be CC BY-SA 3.0"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("images", metavar="IMAGES", type=Path, help="pictures in IDX form, gzipped or not")
    parser.add_argument("labels", metavar="LABELS", type=Path, help="their labels in IDX form")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the weight file to write (.h5)")
    parser.add_argument("--epochs", type=common.at_least(1), default=10, help="default: 10")
    parser.add_argument("--seed", type=common.at_least(0), default=0, help="default: 0")
    parser.add_argument("--no-progress", action="store_true", help="show no progress bar")


def run(args: argparse.Namespace) -> int:
    """Trains, writes, and measures what was written."""
    common.check_file("--out", args.out, force=True, reads=[args.images, args.labels])
    x, y = read_idx(args.images, 3), read_idx(args.labels, 1).astype(np.int64)
    if len(x) != len(y) or len(x) < 20:
        raise DataError(
            f"{args.images} holds {len(x)} pictures and {args.labels} {len(y)} labels; give a pair of files"
        )
    order = np.random.default_rng(args.seed).permutation(len(x))
    held, train = np.split(order, [len(x) // 10])
    classes = [str(digit) for digit in range(int(y.max()) + 1)]
    net = tl.models.small_vgg(len(classes), classes=classes, in_channels=1, size=28, seed=args.seed)
    net.origin, net.license = ORIGIN.format(train=len(train), all=len(x)), LICENSE
    trainer = tl.Trainer(
        net,
        tl.data.arrays(x[train], y[train], classes=classes, val=0),
        lr=0.05,
        batch_size=64,
        schedule=StepSchedule(every=4, factor=0.2),
        seed=args.seed,
        progress=not args.no_progress,
    )
    if trainer.fit(args.epochs).interrupted:
        raise KeyboardInterrupt
    net.save(args.out, dtype="float16")
    result = evaluate(tl.load(args.out), tl.data.arrays(x[held], y[held], classes=classes, val=1.0))
    right = round(result["accuracy"] * result["pictures"])
    print(f"held out: {right} of {result['pictures']} right ({result['accuracy']:.1%})")
    print(f"written: {args.out} ({args.out.stat().st_size / 1e3:.0f} kB)")
    return 0


def read_idx(path: Path, axes: int) -> np.ndarray:
    """The uint8 array of a file in IDX form: two zero bytes, type 8, number of axes, lengths, then the bytes.

    Source: LeCun, Cortes & Burges, "The MNIST database", file formats. Raises DataError naming what is wrong.
    """
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path}: the gzip file is damaged ({error}); get it again") from None
    head = 4 + 4 * axes
    if content[:4] != bytes([0, 0, 8, axes]) or len(content) < head:
        raise DataError(f"{path}: is no IDX file of bytes with {axes} axes; give MNIST's images, then its labels")
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", axes, 4))
    if len(content) - head != np.prod(shape, dtype=object):
        raise DataError(f"{path}: states the shape {shape} but holds {len(content) - head} bytes; get it again")
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)
