"""Trainer: fits a network's free layers to a dataset, keeps the best epoch, evaluates."""

from __future__ import annotations

import operator
import sys
import time
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from .. import functional as F
from ..data import Dataset, FrozenValues, Item
from ..data.dataset import check_seed, key
from ..data.features import megabytes, scores_node
from ..errors import ArgumentError, DataError
from ..nn.inference import BLOCK, positive
from ..optim import SGD, ConstantSchedule
from ..tensor import Parameter
from ..terminal import Unfailing
from . import messages
from .evaluation import accuracy_and_loss, check_classes, summary
from .rate import PICTURES, measured_rate

if TYPE_CHECKING:
    from ..nn import Network

FLAT_EPOCHS = 5  # without a fall of the loss by FLAT_SHARE, at the majority baseline: training does not move
FLAT_SHARE = 0.01
UPDATE_SAMPLE = 1 << 22  # numbers on which an update is timed


class History(list):
    """One dict an epoch: "epoch" (from 1), "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "seconds".

    start: {"val_loss", "val_accuracy"} before training, or {} without validation pictures. best: the epoch whose
    weights the network ended with (0: those it started from). interrupted: whether Ctrl-C ended it early.
    """

    def __init__(self) -> None:
        super().__init__()
        self.start: dict[str, float] = {}
        self.best = 0
        self.interrupted = False


class Trainer:
    """Trains what is not frozen with SGD on the mean cross-entropy.

    The defaults are a recipe for small sets: momentum 0.9, weight decay 5e-4, 16 pictures a step, and, with lr=None, a
    rate that is measured on the network and pictures themselves (see `measured_rate`), so that it suits features of
    any scale. schedule: an object with rate(base, epoch), such as optim.StepSchedule. class_weight: one number a
    class, or "auto": inversely to how often it occurs. cache: keep the frozen layers' values in memory (cache_limit
    bytes at most; default half of what is free). workers: threads that decode pictures. progress: say on stderr what
    happens. Same seed, same bits: cached or not, whatever the number of workers.

    Raises GraphError, DataError or ArgumentError for a network, data or settings that do not fit together.
    """

    def __init__(
        self,
        net: Network,
        data: Dataset,
        *,
        lr: float | None = None,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        batch_size: int = 16,
        schedule: Any = None,
        class_weight: str | Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        seed: int = 0,
        cache: bool = True,
        cache_limit: int | None = None,
        workers: int = 2,
        progress: bool = True,
    ) -> None:
        if not isinstance(data, Dataset):
            raise DataError(
                f"Trainer: data must be a Dataset (tl.data.folder, tl.data.arrays); got {type(data).__name__}"
            )
        SGD([], 1.0 if lr is None else lr, momentum, weight_decay)  # raises on settings that make no sense
        if lr == 0:
            raise ArgumentError("Trainer: lr must be above 0, or None to have it measured; got 0")
        if momentum >= 1:
            raise ArgumentError(f"Trainer: momentum must be below 1; got {momentum!r}")
        batch_size = positive("Trainer: batch_size", batch_size)
        if schedule is not None and not callable(getattr(schedule, "rate", None)):
            raise ArgumentError(
                f"Trainer: schedule must be an object with rate(base, epoch), such as optim.StepSchedule; "
                f"got {schedule!r}"
            )
        workers = _count("workers", workers)
        cache_limit = None if cache_limit is None else _count("cache_limit", cache_limit)
        if not isinstance(label_smoothing, (int, float, np.integer, np.floating)) or not 0 <= label_smoothing <= 1:
            raise ArgumentError(f"Trainer: label_smoothing must be from 0 to 1; got {label_smoothing!r}")
        check_classes(net, data)
        self.net, self.data = net, data
        self.lr, self.lr_measured = lr, lr is None
        self.momentum, self.weight_decay, self.batch_size = momentum, weight_decay, batch_size
        self.schedule = ConstantSchedule() if schedule is None else schedule
        self.class_weight = _class_weights(class_weight, data)
        self.label_smoothing, self.seed, self.progress = label_smoothing, check_seed(seed), progress
        self.values = FrozenValues(net, keep=cache, limit=cache_limit, workers=workers)
        self.history = History()

    @property
    def settings(self) -> dict[str, Any]:
        """What a report states of this training. lr: the rate used, measured or given; None before the first fit."""
        weights = None if self.class_weight is None else [float(w) for w in self.class_weight]
        return {
            "lr": self.lr,
            "lr_measured": self.lr_measured,
            "momentum": self.momentum,
            "weight_decay": self.weight_decay,
            "batch_size": self.batch_size,
            "schedule": type(self.schedule).__name__,
            "class_weight": weights,
            "label_smoothing": self.label_smoothing,
            "seed": self.seed,
        }

    # Fitting

    def fit(self, epochs: int = 20) -> History:
        """Trains for `epochs` epochs and returns the history.

        Says first what it will do and about how long it will take. The network ends with the weights of the best
        epoch: the highest validation accuracy, then the lowest validation loss, the state before training included;
        without validation pictures those of the last. Called again it goes on from there, with momentum at rest.
        After Ctrl-C during the epochs the best so far is kept and the history returned, marked interrupted.
        Raises GraphError where nothing can be trained, ArgumentError when the loss is no number any more.
        """
        epochs = positive("fit: epochs", epochs)
        if not self.data.train:
            raise DataError("fit: the data has no pictures to train on; load it with val below 1")
        messages.require_trainable(self.net)
        self._say(messages.intention(self.net, self.data, self.values.cut, epochs, self.batch_size, self.lr))
        base = self._prepare(epochs)
        if self.net.classes is None:
            self.net.classes = list(self.data.classes)
        history, optimizer = self.history, self._optimizer(base)
        history.interrupted = False
        best = _Best(self.net, *self._validate())
        if not history:
            history.start = best.row
        first = len(history) + 1
        steps = -(-len(self.data.train) // self.batch_size) * epochs
        bar = tqdm(total=steps, desc="training", unit="step", disable=not self.progress, file=Unfailing(sys.stderr))
        try:
            for epoch in range(first, first + epochs):
                began = time.perf_counter()
                optimizer.lr = self.schedule.rate(base, epoch - 1)
                loss, accuracy = self._epoch(epoch, optimizer, bar)
                row = {"epoch": epoch, "lr": optimizer.lr, "train_loss": loss, "train_accuracy": accuracy}
                validated, found = self._validate()
                row |= validated
                losses = [value for name, value in row.items() if name.endswith("_loss")]
                if not np.all(np.isfinite(losses)):
                    raise messages.diverged(epoch, optimizer.lr, losses[-1], best.epoch or history.best)
                history.append(row | {"seconds": time.perf_counter() - began})
                best.offer(epoch, validated, found)
                bar.set_postfix_str(_line(row))
                self._warn_if_flat(first, epoch)
        except KeyboardInterrupt:
            history.interrupted = True
        finally:
            bar.close()
            optimizer.zero_grad()
            best.restore()
        if best.epoch:
            history.best = best.epoch
        self._conclude(best)
        return history

    def _optimizer(self, lr: float) -> SGD:
        return SGD(self.net.parameters(), lr, self.momentum, self.weight_decay)

    def _say(self, text: str) -> None:
        if self.progress:
            print(text, file=Unfailing(sys.stderr), flush=True)

    def _prepare(self, epochs: int) -> float:
        """Measures a block and a step, settles and returns the rate, tells the duration, fills the cache."""
        train, val, values = self.data.train, self.data.val, self.values
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
            raise DataError(
                f"fit: the values at {values.cut!r} are not all numbers; the frozen weights hold NaN or Inf"
            )
        if self.lr is None:
            rate = measured_rate(self.net, rows, values.cut, scores_node(self.net), self.momentum, self.seed)
            self.lr = float(rate)
            self._say(f"measured base rate: {self.lr:.3g}")
        step, update = self._time_step(pairs[: self.batch_size])
        every = len(train) + len(val)
        steps = epochs * -(-len(train) // self.batch_size)
        seconds = picture * (every - len(pairs) if values.keep else every * epochs)
        seconds += epochs * step * (len(train) + len(val) / 3) + steps * update
        self._say(f"this will take about {messages.duration(seconds)}")
        if values.keep:
            bar = tqdm(
                total=every,
                desc=f"up to {values.cut}",
                unit="picture",
                disable=not self.progress,
                file=Unfailing(sys.stderr),
            )
            bar.update(len(pairs))
            with bar:
                values.fill([*train, *val], bar)
            if values.keep:
                self._say(f"kept in memory: {megabytes(values.memory)}")
        return self.lr

    def _time_step(self, pairs: list[tuple[Item, np.ndarray]]) -> tuple[float, float]:
        """Seconds of (forward and backward a picture, one update of all that trains); changes nothing."""
        began = time.perf_counter()
        loss, _ = self._loss([item for item, _ in pairs], np.stack([value for _, value in pairs]), 0)
        loss.backward()
        step = (time.perf_counter() - began) / len(pairs)
        for p in self.net.parameters():
            p.grad = None
        count = sum(p.size for p in self.net.parameters() if not p.frozen)
        part = Parameter(np.zeros(min(count, UPDATE_SAMPLE), np.float32), "sample")
        part.grad = part.numpy()
        optimizer = SGD([part], 0.0, self.momentum, self.weight_decay)
        optimizer.step()
        began = time.perf_counter()
        optimizer.step()
        return step, (time.perf_counter() - began) * count / part.size

    def _loss(self, items: list[Item], values: np.ndarray, epoch: int) -> tuple[Any, np.ndarray]:
        """(loss, logits) of one batch in training mode; random draws are keyed by (seed, epoch, picture)."""
        keys = np.array([key(self.seed, epoch, item.name) for item in items], np.uint64)
        logits = self.net.run(values, after=self.values.cut, upto=scores_node(self.net), training=True, keys=keys)
        labels = np.array([item.label for item in items])
        return F.cross_entropy(logits, labels, self.class_weight, self.label_smoothing), logits.data

    def _epoch(self, epoch: int, optimizer: SGD, bar: tqdm) -> tuple[float, float]:
        """Trains on every picture once, in an order keyed by (seed, epoch); returns (mean loss, accuracy)."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.data.train))
        total, right, count = 0.0, 0, 0
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # fit reports it
            for items, values in self.values.batches((self.data.train[i] for i in order), self.batch_size):
                loss, logits = self._loss(items, values, epoch)
                value = loss.item()
                if not np.isfinite(value):
                    return value, 0.0
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()  # gradients need not live through the next forward pass
                total += value * len(items)
                right += sum(int(a) == item.label for a, item in zip(logits.argmax(1), items, strict=True))
                count += len(items)
                bar.update()
        if not count:
            raise DataError("fit: none of the training pictures can be read any more; check the folder")
        return total / count, right / count

    def _validate(self) -> tuple[dict[str, float], np.ndarray]:
        """({"val_loss", "val_accuracy"}, answer of each picture); empty without validation pictures."""
        if not self.data.val:
            return {}, np.empty(0, int)
        with np.errstate(over="ignore", invalid="ignore"):
            accuracy, loss, found = accuracy_and_loss(self.values, self.data, "val")
        return {"val_loss": loss, "val_accuracy": accuracy}, found

    def _warn_if_flat(self, first: int, epoch: int) -> None:
        rows = self.history[first - 1 :]
        if len(rows) != FLAT_EPOCHS:
            return
        counts = self.data.counts("train").values()
        loss = min(row["train_loss"] for row in rows)
        stuck = rows[-1]["train_accuracy"] <= max(counts) / sum(counts)
        if stuck and loss > (1 - FLAT_SHARE) * rows[0]["train_loss"]:
            warnings.warn(messages.flat(epoch - first + 1, loss, rows[-1]["lr"]), stacklevel=3)

    def _conclude(self, best: _Best) -> None:
        history = self.history
        text = f"{'interrupted; ' * history.interrupted}kept the weights of epoch {history.best}"
        if best.row:
            text += f": validation accuracy {best.row['val_accuracy']:.1%}, loss {best.row['val_loss']:.3g}"
            counts = list(self.data.counts("val").values())
            if len(set(best.found.tolist())) == 1 and max(counts) < sum(counts):
                name = self.data.classes[int(best.found[0])]
                warnings.warn(messages.one_class(name, max(counts) / sum(counts)), stacklevel=3)
        self._say(text)

    # Evaluating

    def evaluate(self, split: str = "val") -> dict[str, Any]:
        """How well the network answers on a split; see `train.evaluate`. Values kept in memory are used again."""
        return summary(self.values, self.data, split)


class _Best:
    """The best weights so far: one copy of the arrays that train, and of no other.

    epoch: 0 for those at the start. row: its {"val_loss", "val_accuracy"}. found: its answers.
    """

    def __init__(self, net: Network, row: dict[str, float], found: np.ndarray) -> None:
        self._arrays = [(p, p.numpy()) for p in net.parameters() if not p.frozen]
        self.epoch, self.row, self.found = 0, row, found

    @staticmethod
    def _rank(row: dict[str, float]) -> tuple[float, float]:
        finite = bool(row) and np.isfinite(row["val_loss"])
        return (row["val_accuracy"], -row["val_loss"]) if finite else (-np.inf, -np.inf)

    def offer(self, epoch: int, row: dict[str, float], found: np.ndarray) -> None:
        """Takes the network's weights if this epoch is the best, or if there is no validation to tell."""
        if not row or self._rank(row) > self._rank(self.row):
            self.epoch, self.row, self.found = epoch, row, found
            for p, array in self._arrays:
                np.copyto(array, p.data)

    def restore(self) -> None:
        """Gives the network the best weights."""
        for p, array in self._arrays:
            if not np.array_equal(p.data, array):
                p.assign(array)


def _count(name: str, value: Any) -> int:
    """A whole number of at least 0; ArgumentError otherwise."""
    try:
        number = -1 if isinstance(value, (bool, np.bool_)) else operator.index(value)
    except TypeError:
        number = -1
    if number < 0:
        raise ArgumentError(f"Trainer: {name} must be a whole number of at least 0; got {value!r}")
    return number


def _class_weights(given: Any, data: Dataset) -> np.ndarray | None:
    """Weights (K,) or None. "auto": pictures / (classes * pictures of the class), 1 where all are alike."""
    if given is None:
        return None
    counts = np.array(list(data.counts("train").values()), np.float64)
    if isinstance(given, str):
        if given != "auto":
            raise ArgumentError(f"Trainer: class_weight must be None, 'auto' or one number a class; got {given!r}")
        return counts.sum() / (len(counts) * np.maximum(counts, 1))
    try:
        weights = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        weights = np.empty(0)
    if weights.shape != counts.shape or not np.all(np.isfinite(weights)) or np.any(weights <= 0):
        raise ArgumentError(f"Trainer: class_weight must be {len(counts)} positive numbers, one a class; got {given!r}")
    return weights


def _line(row: dict[str, Any]) -> str:
    text = f"epoch {row['epoch']}: loss {row['train_loss']:.3g}"
    return text + (f", validation {row['val_accuracy']:.1%}" if "val_accuracy" in row else "")
