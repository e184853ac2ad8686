"""What comes before the first step: the base rate, an estimate of the duration, and the frozen layers' values."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from tqdm import tqdm

from ..data import Dataset, FrozenValues, Item
from ..data.features import megabytes, scores_node
from ..errors import DataError
from ..nn.inference import BLOCK
from ..tensor import Parameter
from ..terminal import Unfailing
from . import messages
from .rate import PICTURES, measured_rate
from .settings import ADAPTIVE_RATE, Settings
from .state import changing

UPDATE_SAMPLE = 1 << 22  # numbers on which an update is timed

Pairs = list[tuple[Item, np.ndarray]]


def prepare(
    values: FrozenValues,
    data: Dataset,
    settings: Settings,
    lr: float | None,
    epochs: int,
    loss: Callable[[list[Item], np.ndarray, int], tuple[Any, np.ndarray]],
    progress: bool,
    say: Callable[[str], None],
) -> float:
    """Measures a block and a step, settles and returns the base rate, tells the duration, and fills the cache.

    loss: (loss, logits) of items and their values in an epoch. Raises DataError where no picture can be read, or the
    frozen layers make no numbers of them.
    """
    net, train = values.net, data.train
    spread = np.linspace(0, len(train) - 1, min(len(train), 2 * BLOCK)).round().astype(int)
    sample = [train[i] for i in dict.fromkeys(spread.tolist())]
    pairs, times = [], [time.perf_counter()]
    for pair in values.remember(sample):
        pairs.append(pair)
        times.append(time.perf_counter())
    if not pairs:
        raise DataError("fit: none of the training pictures can be read any more; check the folder")
    # The first block may have compiled kernels, so the second is timed where there is one.
    picture = (times[BLOCK + 1] - times[1]) / BLOCK if len(pairs) > BLOCK else (times[-1] - times[0]) / len(pairs)
    rows = np.stack([value for _, value in pairs[:: max(len(pairs) // PICTURES, 1)][:PICTURES]])
    if not np.all(np.isfinite(rows)):
        raise DataError(f"fit: the values at {values.cut!r} are not all numbers; the frozen weights hold NaN or Inf")
    if lr is None and settings.measured:
        momentum = settings.momentum or 0.0
        lr = float(measured_rate(net, rows, values.cut, scores_node(net), momentum, settings.seed))
        say(f"measured base rate: {lr:.3g}")
    elif lr is None:
        lr = ADAPTIVE_RATE
        say(f"base rate: {lr:.3g}, the usual one of {settings.optimizer} (only that of sgd is measured)")
    step, update = _time_step(values, settings, lr, pairs[: settings.batch_size], loss)
    made = _made(values, data, epochs) - len(pairs) * (values.augmentation is None)
    steps = epochs * settings.steps(len(train))
    seconds = picture * made + epochs * step * (len(train) + len(data.val) / 3) + steps * update
    say(f"this will take about {messages.duration(seconds)}")
    fill(values, data, len(pairs), progress, say)
    _require_all_classes(values, data)
    return lr


def _require_all_classes(values: FrozenValues, data: Dataset) -> None:
    """Raises DataError if no training picture of some class could be read when its turn came."""
    labels = {item.label for item in data.train}
    lost = labels - {item.label for item in data.train if item.name not in values.skipped}
    if lost:
        named = ", ".join(repr(data.classes[label]) for label in sorted(lost))
        raise DataError(f"fit: no training picture of class {named} can be read any more; mend them or leave it out")


def fill(values: FrozenValues, data: Dataset, done: int, progress: bool, say: Callable[[str], None]) -> None:
    """Computes what the frozen layers make of the pictures, as far as it is to be kept and is not yet.

    done: pictures of which it is there already, for the progress bar.
    """
    if not values.keep:
        return
    augmented = data.train if values.augmentation is not None else ()
    items = [*data.val] if augmented else [*data.train, *data.val]
    file = Unfailing(sys.stderr)
    with tqdm(total=len(items), desc=f"up to {values.cut}", unit="picture", disable=not progress, file=file) as bar:
        bar.update(0 if augmented else done)
        values.fill(items, bar, augmented)
    if values.keep and items:
        say(f"kept in memory: {megabytes(values.memory)}")


def _made(values: FrozenValues, data: Dataset, epochs: int) -> int:
    """How many values at the cut are to be computed in a training of so many epochs."""
    train, val = len(data.train), len(data.val)
    if values.augmentation is None:
        return train + val if values.keep else epochs * (train + val)
    times = min(values.variants, epochs) if values.variants and values.keep else epochs
    return times * train + (val if values.keep else epochs * val)


def _time_step(
    values: FrozenValues, settings: Settings, lr: float, pairs: Pairs, loss: Callable[..., Any]
) -> tuple[float, float]:
    """Seconds of (forward and backward a picture, one update of all that trains); changes nothing."""
    net = values.net
    before = {name: buffer.numpy() for name, buffer in net.named_buffers().items() if not buffer.frozen}
    began = time.perf_counter()
    value, _ = loss([item for item, _ in pairs], np.stack([value for _, value in pairs]), 0)
    value.backward()
    value.item()  # waits for what a device has been given to do
    step = (time.perf_counter() - began) / len(pairs)
    for name, array in before.items():
        net.named_buffers()[name].assign(array)
    for p in net.parameters():
        p.grad = None
    count = sum(owner.size for owner in changing(net).values())
    part = Parameter(np.zeros(min(count, UPDATE_SAMPLE), np.float32), "sample")
    part.grad = part.numpy()
    optimizer = settings.make_optimizer([part], lr)
    optimizer.step()
    began = time.perf_counter()
    optimizer.step()
    return step, (time.perf_counter() - began) * count / part.size
