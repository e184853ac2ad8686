"""A training in a process of its own, to be killed: python child.py FOLDER VARIANT [fsync|replace|replaced N].

Begins a run in FOLDER or, where there is one, resumes it; at the end writes weights.h5 and outcome.json there. With
a last pair of arguments it kills itself at the N-th file that is forced to the disk (whole, but beside its place), that
is about to be renamed, or that has just been renamed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from minitl import nn, optim
from minitl.data import Dataset, Item
from minitl.images import Augmentation, Preprocessing
from minitl.train import Trainer
from minitl.train.loop import Loop

CLASSES = ("dark", "bright")
EPOCHS = 5
COUNT, SIDE = 44, 12


def pictures(folder: Path) -> Dataset:
    """Dark and bright noise as files, written once; they stay in the dataset whatever becomes of them."""
    rng = np.random.default_rng(0)
    labels = np.arange(COUNT) % 3 == 0
    x = (
        rng.normal(
            90 + 8 * labels[:, None, None, None] + rng.normal(0, 20, (COUNT, 1, 1, 1)), 60, (COUNT, SIDE, SIDE, 3)
        )
        .clip(0, 255)
        .astype(np.uint8)
    )
    items = [Item(f"{i:02d}.png", int(label), folder / f"{i:02d}.png") for i, label in enumerate(labels)]
    if not folder.exists():
        beside = folder.with_name(f"{folder.name}.{os.getpid()}")
        beside.mkdir(parents=True)
        for item, array in zip(items, x, strict=True):
            Image.fromarray(array).save(beside / item.name)
        beside.rename(folder)
    return Dataset(CLASSES, tuple(items[:32]), tuple(items[32:]))


def network() -> nn.Network:
    """Convolutions with batch normalization and dropout."""
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 5, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(80, 2),
        input_shape=(3, SIDE, SIDE),
        preprocessing=Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3),
    )


def settings(variant: str) -> dict:
    """What a variant trains with."""
    if variant == "momentum":
        return {
            "schedule": optim.StepSchedule(2, 0.5),
            "augmentation": Augmentation(flip=0.5, rotate=10, brightness=0.2),
            "class_weight": "auto",
            "early_stopping": 3,
        }
    if variant == "adam":
        return {
            "optimizer": "adam",
            "lr": 0.01,
            "schedule": optim.OneCycleSchedule(),
            "ema": 0.9,
            "accumulate": 2,
            "clip_norm": 1.0,
            "sampling": "balanced",
            "augmentation": Augmentation(flip=0.5, crop=(0.6, 1.0)),
            "variants": 2,
        }
    return {"cached": {}, "unreadable": {"cache": False, "weight_decay": 0.01}}[variant]


def spoil(variant: str, folder: Path) -> None:
    """From epoch 3 on, a picture is gone: kept values outlive that, and what is read anew is left out."""
    whole = Loop._epoch

    def spoiled(self, epoch, *others):
        if epoch >= 3:
            (folder / "05.png").unlink(missing_ok=True)
            if variant == "unreadable":
                (folder / "07.png").write_bytes(b"no picture")
        return whole(self, epoch, *others)

    Loop._epoch = spoiled


class Events:
    """Counts the files that reach the disk, and kills this process at the number-th `event`; 0: never."""

    def __init__(self, event: str, number: int) -> None:
        self.renamed = 0
        for name in ("fsync", "replace"):
            setattr(os, name, self._counted(getattr(os, name), name, event, number))

    def _counted(self, plain, name: str, event: str, number: int):
        seen = 0

        def counted(*arguments):
            nonlocal seen
            seen += 1
            if event == name and seen == number:
                os.kill(os.getpid(), signal.SIGKILL)
            plain(*arguments)
            self.renamed += name == "replace"
            if event == f"{name}d" and seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

        return counted


def main(folder: Path, variant: str, *event: str) -> None:
    """See above."""
    name, number = event or ("replace", "0")
    events = Events(name, int(number))
    warnings.simplefilter("ignore")
    data = pictures(folder / "pictures")
    if variant in ("cached", "unreadable"):
        spoil(variant, folder / "pictures")
    net = network()
    if variant == "cached":
        net.freeze(upto="pool1")
    run = folder / "run"
    trainer = Trainer(
        net,
        data,
        **{"lr": 0.02, "batch_size": 4, **settings(variant)},
        progress=False,
        folder=run,
        checkpoint_seconds=0,
    )
    history = trainer.resume() if trainer.run.begun else trainer.fit(EPOCHS)
    rows = [{name: value for name, value in row.items() if name != "seconds"} for row in history]
    outcome = {"rows": rows, "start": history.start, "best": history.best, "skipped": sorted(trainer.values.skipped)}
    outcome["files"] = events.renamed
    (folder / "outcome.json").write_text(json.dumps(outcome))
    net.save(folder / "weights.h5")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
