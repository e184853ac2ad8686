"""PyTorch's transfer-learning tutorial, "ConvNet as fixed feature extractor", on a CPU: a process of its own.

Prints one JSON line: {"right", "of", "seconds" of the epochs, "sampled"}. With --sample N, so many training steps and
half as many evaluations are run, in turn, and the epochs are reckoned from their means.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from on_photographs.network import backbone
from on_photographs.pictures import Labelled, centred, drawn, listing, opened, tensor

EPOCHS, BATCH, WORKERS, RATE, MOMENTUM, EVERY, FACTOR = 25, 4, 4, 1e-3, 0.9, 7, 0.1
ROUNDS = 5  # in which the sampled steps are taken


class Pictures(Dataset):
    """Transformed pictures and labels; each worker draws from a generator that PyTorch seeds for it."""

    def __init__(self, items: Labelled, training: bool) -> None:
        self.items, self.training = items, training

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        path, label = self.items[index]
        picture = opened(path)
        # torch seeds the module random in a worker, so every epoch has other crops
        return tensor(drawn(picture, random) if self.training else centred(picture)), label  # type: ignore[arg-type]


class Run:
    """Model, optimizer and loaders as the tutorial makes them."""

    def __init__(self, folder: Path, weights: Path) -> None:
        classes, train, val = listing(folder)
        features, count = backbone(weights)
        self.model = nn.Sequential(features, nn.Linear(count, len(classes)))
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model[1].parameters(), lr=RATE, momentum=MOMENTUM)
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, step_size=EVERY, gamma=FACTOR)
        self.loaders = {
            name: DataLoader(Pictures(items, name == "train"), BATCH, shuffle=True, num_workers=WORKERS)
            for name, items in (("train", train), ("val", val))
        }

    def batches(self, phase: str) -> Iterator[int]:
        """The batches of an epoch's phase, each worked on: gives how many answers were right."""
        self.model.train(phase == "train")
        for inputs, labels in self.loaders[phase]:
            self.optimizer.zero_grad()
            with torch.set_grad_enabled(phase == "train"):
                outputs = self.model(inputs)
                loss = self.criterion(outputs, labels)
                if phase == "train":
                    loss.backward()
                    self.optimizer.step()
            yield int((outputs.argmax(1) == labels).sum())

    def whole(self, epochs: int) -> int:
        """The tutorial's train_model; the best epoch's count of right answers on the validation pictures."""
        best = -1
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "best_model_params.pt"
            for _ in range(epochs):
                sum(self.batches("train"))
                self.scheduler.step()
                right = sum(self.batches("val"))
                if right > best:
                    best = right
                    torch.save(self.model.state_dict(), path)
            self.model.load_state_dict(torch.load(path))
        return best

    def sampled(self, steps: int, epochs: int) -> tuple[float, dict[str, float]]:
        """(seconds that `epochs` epochs would take, the figures that they are reckoned from).

        A phase is left early, so that its workers read ahead as they do in the middle of a whole one.
        """
        first: dict[str, list[float]] = {"train": [], "val": []}
        later: dict[str, list[float]] = {"train": [], "val": []}
        for _ in range(ROUNDS):
            for phase, count in (("train", steps), ("val", steps // 2)):
                times = [time.perf_counter()]
                batches = self.batches(phase)
                for _ in range(min(1 + -(-count // ROUNDS), len(self.loaders[phase]))):
                    next(batches)
                    times.append(time.perf_counter())
                batches.close()
                first[phase].append(times[1] - times[0])
                later[phase] += [b - a for a, b in pairwise(times[1:])]
        found: dict[str, float] = {}
        seconds = 0.0
        for phase, loader in self.loaders.items():
            steady = statistics.mean(later[phase]) if later[phase] else 0.0
            found |= {f"{phase} steps taken": len(later[phase]), f"{phase} step": steady}
            found |= {f"{phase} start and first step": statistics.mean(first[phase])}
            seconds += epochs * (statistics.mean(first[phase]) + (len(loader) - 1) * steady)
        return seconds, found


def main() -> None:
    """Runs the recipe, whole or sampled."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sample", type=int, metavar="STEPS", help="reckon the epochs from so many training steps")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    run = Run(options.photos, options.weights)
    count = len(run.loaders["val"].dataset)  # type: ignore[arg-type]
    began = time.perf_counter()
    if options.sample is None:
        right = run.whole(options.epochs)
        seconds, found = time.perf_counter() - began, None
        print(json.dumps({"right": right, "of": count, "seconds": seconds, "sampled": None}))
        return
    seconds, found = run.sampled(options.sample, options.epochs)
    found["seconds of sampling"] = time.perf_counter() - began
    print(json.dumps({"right": None, "of": count, "seconds": seconds, "sampled": found}))


if __name__ == "__main__":
    main()
