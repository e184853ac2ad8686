"""The same task in PyTorch by somebody who knows it well: each picture once through the frozen layers, a process of
its own.

Pictures are decoded in threads while the network runs; the head then trains on the features kept in memory, by the
tutorial's recipe without augmentation, is judged after every epoch, and the best is written. Prints one JSON line:
{"right", "of", "stages": seconds}.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import torch
from torch import nn

from on_photographs.network import backbone
from on_photographs.pictures import SIDE, Labelled, centred, listing, opened, tensor

EPOCHS, BATCH, RATE, MOMENTUM, EVERY, FACTOR = 25, 4, 1e-3, 0.9, 7, 0.1
ENGINES = ("eager", "frozen", "compiled")


def engine(kind: str, network: nn.Module, batch: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """The network as it is run: channels-last as it stands; traced, frozen and fused by oneDNN; or by Inductor."""
    if kind == "frozen":
        example = torch.zeros(batch, 3, SIDE, SIDE)
        return torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(network, example)))
    network = network.to(memory_format=torch.channels_last)
    if kind == "compiled":
        from torch._inductor import config

        config.freezing = True
        return torch.compile(network)
    return network


def decoded(items: Labelled, threads: int, ahead: int) -> Iterator[torch.Tensor]:
    """The pictures in order, made in threads, `ahead` of them at most before they are asked for."""
    with ThreadPoolExecutor(threads) as pool:
        source = iter(items)
        waiting: deque[Future[torch.Tensor]] = deque()
        while True:
            for path, _ in islice(source, ahead - len(waiting)):
                waiting.append(pool.submit(lambda path=path: tensor(centred(opened(path)))))  # type: ignore[misc]
            if not waiting:
                return
            yield waiting.popleft().result()


def features(items: Labelled, run: Callable[[torch.Tensor], torch.Tensor], batch: int, threads: int) -> torch.Tensor:
    """(N, features). The last batch is filled up, so that one shape is enough."""
    found = []
    pictures = decoded(items, threads, 2 * batch)
    while held := list(islice(pictures, batch)):
        x = torch.stack(held + [torch.zeros_like(held[0])] * (batch - len(held)))
        found.append(run(x.contiguous(memory_format=torch.channels_last))[: len(held)].clone())
    return torch.cat(found)


def head(x: torch.Tensor, labels: torch.Tensor, held: torch.Tensor, truth: torch.Tensor, epochs: int) -> tuple:
    """(the best epoch's right answers, its head), trained by the tutorial's recipe."""
    model = nn.Linear(x.shape[1], int(labels.max()) + 1)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=EVERY, gamma=FACTOR)
    best, kept = -1, {}
    for _ in range(epochs):
        for index in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            criterion(model(x[index]), labels[index]).backward()
            optimizer.step()
        scheduler.step()
        with torch.inference_mode():
            right = int((model(held).argmax(1) == truth).sum())
        if right > best:
            best, kept = right, {name: value.clone() for name, value in model.state_dict().items()}
    return best, kept


def main() -> None:
    """Computes the features, trains the head, writes the weights."""
    began = time.perf_counter()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--engine", choices=ENGINES, default="eager")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    _, train, val = listing(options.photos)
    network, _ = backbone(options.weights)
    # no_grad where inference_mode is refused: a compiled graph keeps its tensors
    with torch.no_grad() if options.engine == "compiled" else torch.inference_mode():
        run = engine(options.engine, network.eval(), options.batch)
        ready = time.perf_counter()
        values = features(train + val, run, options.batch, options.threads)
    seen = time.perf_counter()
    values = values.clone()  # an ordinary tensor, that a head can train on
    torch.set_num_threads(1)  # the head's products are too small to share: threads would only wait for each other
    labels = torch.tensor([label for _, label in train + val])
    n = len(train)
    right, kept = head(values[:n], labels[:n], values[n:], labels[n:], options.epochs)
    trained = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        torch.save({"backbone": network.state_dict(), "head": kept}, Path(scratch) / "classifier.pt")
    stages = {"loading": ready - began, "features": seen - ready, "head": trained - seen}
    print(json.dumps({"right": right, "of": len(val), "stages": stages | {"writing": time.perf_counter() - trained}}))


if __name__ == "__main__":
    main()
