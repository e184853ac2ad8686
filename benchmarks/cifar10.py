"""Trains the small VGG from scratch on a part of CIFAR-10, here and in PyTorch, by one recipe, and compares accuracies.

python benchmarks/cifar10.py FOLDER_OR_ZIP [--epochs 30] [--seeds 3] [--json FILE]

The folder holds train/<class>/ and test/<class>/ (a zip of it will do). Both begin with the same weights and see the
same pictures, augmented alike, in the same order, at the same rates; only the arithmetic differs. The accuracy is that
of the last epoch on the test pictures, which choose nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import torch
from machine import describe

import minitl as tl
from minitl import images, optim
from minitl.data import FrozenValues, order

RATE, MOMENTUM, DECAY, BATCH, AUGMENTATION = 0.02, 0.9, 5e-4, 64, "small"


def recipe() -> optim.OneCycleSchedule:
    """The rates: up and down once (Smith & Topin 2019)."""
    return optim.OneCycleSchedule()


def ours(data: tl.data.Dataset, seed: int, epochs: int) -> list[float]:
    """Test accuracy after each epoch, trained by minitl."""
    net = tl.models.small_vgg(len(data.classes), classes=data.classes, seed=seed)
    trainer = tl.Trainer(
        net,
        data,
        lr=RATE,
        momentum=MOMENTUM,
        weight_decay=DECAY,
        batch_size=BATCH,
        schedule=recipe(),
        augmentation=AUGMENTATION,
        seed=seed,
    )
    return [row["val_accuracy"] for row in trainer.fit(epochs)]


def theirs(data: tl.data.Dataset, seed: int, epochs: int) -> list[float]:
    """The same by PyTorch."""
    net = tl.models.small_vgg(len(data.classes), classes=data.classes, seed=seed)
    model = torch_model(net)
    optimizer = torch.optim.SGD(model.parameters(), RATE, MOMENTUM, weight_decay=DECAY)
    values = FrozenValues(net, augmentation=images.Augmentation.preset(AUGMENTATION), seed=seed)
    labels = [item.label for item in data.train]
    steps = -(-len(labels) // BATCH)
    schedule = recipe().over(epochs, steps)
    test = [(items, torch.from_numpy(x)) for items, x in values.batches(data.val, 250)]
    found = []
    for epoch in range(1, epochs + 1):
        model.train()
        items = [data.train[i] for i in order(labels, seed, epoch)]
        for step, (batch, x) in enumerate(values.batches(items, BATCH, epoch=epoch)):
            for group in optimizer.param_groups:
                group["lr"] = schedule.rate(RATE, epoch - 1 + step / steps)
            optimizer.zero_grad()
            truth = torch.tensor([item.label for item in batch])
            torch.nn.functional.cross_entropy(model(torch.from_numpy(x)), truth).backward()
            optimizer.step()
        model.eval()
        with torch.inference_mode():
            right = sum(
                int((model(x).argmax(1) == torch.tensor([item.label for item in batch])).sum()) for batch, x in test
            )
        found.append(right / len(data.val))
    return found


def torch_model(net: tl.Network) -> torch.nn.Sequential:
    """The network's layers in PyTorch, with its numbers."""
    made: list[torch.nn.Module] = []
    for node in net.graph:
        a = node.layer.attributes()
        if node.op == "conv2d":
            made.append(torch.nn.Conv2d(a["in_channels"], a["out_channels"], a["kernel_size"], padding=a["padding"]))
        elif node.op == "linear":
            made.append(torch.nn.Linear(a["in_features"], a["out_features"]))
        else:
            others = {"relu": torch.nn.ReLU, "flatten": torch.nn.Flatten}
            pools = {"max_pool2d": torch.nn.MaxPool2d, "adaptive_avg_pool2d": torch.nn.AdaptiveAvgPool2d}
            made.append(others[node.op]() if node.op in others else pools[node.op](next(iter(a.values()))))
        if node.op in ("conv2d", "linear"):
            with torch.no_grad():
                made[-1].weight.copy_(torch.from_numpy(net[f"{node.name}.weight"].numpy()))
                made[-1].bias.copy_(torch.from_numpy(net[f"{node.name}.bias"].numpy()))
    return torch.nn.Sequential(*made)


def pictures(path: Path, scratch: str) -> tl.data.Dataset:
    """The pictures in memory: train/ to learn from, test/ to be tested on."""
    if path.is_file():
        with zipfile.ZipFile(path) as archive:
            archive.extractall(scratch)
        path = Path(scratch)
        path = path if (path / "train").is_dir() else next(p for p in path.iterdir() if (p / "train").is_dir())
    arrays, classes = {}, sorted(p.name for p in (path / "train").iterdir() if p.is_dir())
    for split in ("train", "test"):
        files = [(i, f) for i, name in enumerate(classes) for f in sorted((path / split / name).iterdir())]
        arrays[split] = np.stack([images.decode(f) for _, f in files]), np.array([i for i, _ in files])
    return tl.data.arrays(*arrays["train"], classes=classes, val=arrays["test"])


def main() -> None:
    """Trains both for every seed, prints a table, and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="folder or zip with train/<class>/ and test/<class>/")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as scratch:
        data = pictures(options.data, scratch)
    print(data)
    curves: dict[str, list[list[float]]] = {"minitl": [], "PyTorch": []}
    seconds: dict[str, list[float]] = {"minitl": [], "PyTorch": []}
    for seed in range(options.seeds):
        for name, train in (("minitl", ours), ("PyTorch", theirs)):
            began = time.perf_counter()
            curves[name].append(train(data, seed, options.epochs))
            seconds[name].append(time.perf_counter() - began)
            print(f"seed {seed}, {name}: {curves[name][-1][-1]:.1%} in {seconds[name][-1]:.0f} s", flush=True)
    last = {name: [curve[-1] for curve in found] for name, found in curves.items()}
    medians = {name: statistics.median(found) for name, found in last.items()}
    print(f"\n{len(data.train)} pictures, {options.epochs} epochs, accuracy on {len(data.val)} others, last epoch")
    for name, found in last.items():
        every = ", ".join(f"{a:.1%}" for a in found)
        print(f"{name:8} median {medians[name]:.1%} ({every}); {statistics.median(seconds[name]):.0f} s a run")
    if options.json:
        result = {
            "recipe": {
                "rate": RATE,
                "momentum": MOMENTUM,
                "weight_decay": DECAY,
                "batch_size": BATCH,
                "augmentation": AUGMENTATION,
                "schedule": "onecycle",
                "epochs": options.epochs,
            },
            "accuracy": curves,
            "medians": medians,
            "seconds": seconds,
            "threads": torch.get_num_threads(),
            "machine": describe("minitl", "numpy", "numba", "scipy", "pillow", "torch"),
        }
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
