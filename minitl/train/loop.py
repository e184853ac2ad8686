"""The epochs of a fit: steps, validation, checkpoints, and when to stop."""

from __future__ import annotations

import contextlib
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from tqdm import tqdm

from .. import device, optim
from ..data import Dataset, FrozenValues, Item
from ..data.features import scores_node
from ..data.sampling import order
from ..errors import DataError, WeightError
from ..terminal import Unfailing
from ..uploads import ahead
from . import messages, trouble
from .checkpoint import Checkpoint
from .evaluation import accuracy_and_loss
from .interrupts import Interrupts
from .runfolder import FEATURES, RunFolder
from .settings import Settings
from .state import Training

FLAT_EPOCHS = 5  # without a fall of the loss by FLAT_SHARE, at the majority baseline: training does not move
FLAT_SHARE = 0.01
MOST_LOST = (10, 0.1)  # pictures, and their share: as long as no more go missing, training goes on without them

Batch = tuple[list[Item], Any]  # values: an array, or a Tensor on a GPU
Loss = Callable[[list[Item], Any, int], tuple[Any, Any]]


class Loop:
    """Carries a Training to its end.

    loss: (loss, logits (n, K)) of items, their values at the cut, and the epoch. run: the folder to keep it in, or
    None. keep: what a checkpoint says besides the training itself ("training" and "base"). progress: show a bar.
    """

    def __init__(
        self,
        training: Training,
        data: Dataset,
        values: FrozenValues,
        settings: Settings,
        loss: Loss,
        run: RunFolder | None,
        keep: tuple[dict[str, Any], dict[str, Any]],
        progress: bool,
    ) -> None:
        self.training, self.data, self.values, self.settings = training, data, values, settings
        self._loss, self._run, self._keep = loss, run, keep
        self._labels = np.array([item.label for item in data.train])
        self.steps = settings.steps(len(data.train))  # of an epoch in which every picture can be read
        self._lost = len(values.skipped)
        self._whole = True  # whether all is as between two steps, and so can be gone on from
        self._norm: Any = None  # of the last step's gradient; on a device, a number there
        self._written = 0
        self._shown = progress

    def run(self) -> None:
        """Trains to the end or to an interruption; the network then has the best weights so far."""
        training, progress = self.training, self.training.progress
        done = (progress.epoch - progress.first) * self.steps + progress.steps
        with tqdm(
            total=(progress.last - progress.first + 1) * self.steps,
            initial=done,
            desc="training",
            unit="step",
            disable=not self._shown,
            file=Unfailing(sys.stderr),
        ) as bar:
            try:
                with Interrupts() as interrupts:
                    self._keep_values()
                    self.checkpoint()
                    while not progress.finished:
                        self._epoch(progress.epoch, interrupts, bar)
            except KeyboardInterrupt:
                training.history.interrupted = not progress.finished
                if self._whole:
                    self.checkpoint()
            finally:
                training.optimizer.zero_grad()
                training.best.restore()

    def _epoch(self, epoch: int, interrupts: Interrupts, bar: tqdm) -> None:
        """Trains on the rest of the epoch's pictures, in an order keyed by (seed, epoch); then judges it."""
        training, progress = self.training, self.training.progress
        began = time.perf_counter() - progress.seconds
        items = [self.data.train[i] for i in order(self._labels, self.settings.seed, epoch, self.settings.sampling)]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # a loss that is no number is reported
            batches = self.values.batches(items[progress.position :], self.settings.batch_size, epoch=epoch)
            batches = ahead(batches, training.net.device, training.net.dtype)
            for group in grouped(batches, self.settings.accumulate):
                self._refuse_losses()
                with interrupts.held():
                    self._whole = False
                    self._step(group, epoch)
                    progress.position = after(items, progress.position, [i for batch, _ in group for i in batch])
                    progress.seconds = time.perf_counter() - began
                    self._whole = True
                    bar.update()
                    if self._run is not None and self._run.due():
                        self.checkpoint()
        self._refuse_losses()
        progress.position = len(items)
        if not progress.count:
            raise DataError("fit: none of the training pictures can be read any more; check the folder")
        self._judge(epoch, began, interrupts)
        bar.set_postfix_str(_line(training.history[-1]))

    def _refuse_losses(self) -> None:
        """DataError where so many pictures went missing that something else than a picture must have broken."""
        lost, every = len(self.values.skipped) - self._lost, len(self.data.train) + len(self.data.val)
        if lost > max(MOST_LOST[0], MOST_LOST[1] * every):
            raise messages.most_are_lost(lost, every, list(self.values.skipped.values())[-1])

    def _rate(self, steps: int) -> float:
        """The base rate after so many steps of this epoch."""
        progress = self.training.progress
        return self.training.schedule.rate(progress.lr, progress.epoch - 1 + steps / self.steps)

    def _step(self, group: list[Batch], epoch: int) -> None:
        """One update, by the mean gradient over the pictures of the group.

        What the passes gave is read once all of them are queued: reading it waits for the device, which would then lie
        idle while the host works out what comes next. It is read before the update, though, which overwrites the
        weights: those that made a loss no number are still there to be looked through.
        """
        training, progress = self.training, self.training.progress
        optimizer = training.optimizer
        optimizer.lr = self._rate(progress.steps)
        weight, queued = 0.0, []
        for items, values in group:
            loss, logits = self._loss(items, values, epoch)
            if self.settings.accumulate == 1:
                loss.backward()
            else:  # the loss is a mean over the batch: weighted by what it was divided by, the sums add up
                share = self._weight(items)
                loss.backward(np.full(loss.shape, share, loss.dtype))
                weight += share
            queued.append((loss.detach(), logits))
        for (items, values), (loss, logits) in zip(group, queued, strict=True):
            value = loss.item()
            if not np.isfinite(value):
                raise self._diverged(epoch, progress.steps + 1, value, (items, values))
            progress.loss += value * len(items)
            progress.right += int((device.to_host(logits).argmax(1) == [item.label for item in items]).sum())
            progress.count += len(items)
        parameters = [p for p in training.net.parameters() if p.grad is not None]
        if weight:
            for p in parameters:
                p.grad = p.grad / p.dtype.type(weight)
        if self.settings.clip_norm is None:
            self._norm = trouble.gradient_norm(parameters)
        else:
            self._norm = optim.clip_grad_norm(parameters, self.settings.clip_norm)
        optimizer.step()
        optimizer.zero_grad()  # gradients need not live through the next forward pass
        if training.ema is not None:
            training.ema.update()
        progress.steps += 1

    def _weight(self, items: list[Item]) -> float:
        weights = self.settings.class_weight
        return float(len(items) if weights is None else sum(weights[item.label] for item in items))

    def _diverged(self, epoch: int, step: int | None, loss: float, batch: Batch | None = None) -> Exception:
        training = self.training
        training.history.diverged = True
        where = ""
        if batch is not None:
            where = trouble.origin(training.net, *batch, self.values.cut, scores_node(training.net))
        kept = training.best.epoch or training.history.best
        norm = None if self._norm is None else float(self._norm)
        return messages.diverged(epoch, step, training.optimizer.lr, loss, norm, where, kept)

    # Between two epochs

    def _judge(self, epoch: int, began: float, interrupts: Interrupts) -> None:
        """Validates, keeps what is best, writes the history and the checkpoint, and goes to the next epoch."""
        training, progress, history = self.training, self.training.progress, self.training.history
        row = {
            "epoch": epoch,
            "lr": self._rate(progress.steps - 1),
            "train_loss": progress.loss / progress.count,
            "train_accuracy": progress.right / progress.count,
        }
        self._whole = training.ema is None
        with self._averages():
            validated, found = validate(self.values, self.data)
        self._refuse_losses()
        if validated and not np.isfinite(validated["val_loss"]):
            raise self._diverged(epoch, None, validated["val_loss"])
        with interrupts.held():
            self._whole = False
            with self._averages():
                training.best.offer(epoch, validated, found)
            history.append({**row, **validated, "seconds": time.perf_counter() - began})
            history.best = training.best.epoch or history.best
            stale = epoch - max(training.best.epoch, progress.patience_from)
            history.stopped_early = self.settings.early_stopping is not None and stale >= self.settings.early_stopping
            progress.finished = epoch == progress.last or history.stopped_early
            progress.next_epoch()
            self._whole = True
            self._keep_values()
            if progress.finished or (self._run is not None and self._run.due(between_epochs=True)):
                self.checkpoint()
        self._warn_if_flat()

    def _averages(self) -> contextlib.AbstractContextManager[Any]:
        """A context in which the network has the averaged weights, where they are asked for."""
        return contextlib.nullcontext() if self.training.ema is None else self.training.ema.applied()

    def _warn_if_flat(self) -> None:
        rows = self.training.history[self.training.progress.first - 1 :]
        if len(rows) != FLAT_EPOCHS:
            return
        counts = self.data.counts("train").values()
        loss = min(row["train_loss"] for row in rows)
        stuck = rows[-1]["train_accuracy"] <= max(counts) / sum(counts)
        if stuck and loss > (1 - FLAT_SHARE) * rows[0]["train_loss"]:
            warnings.warn(messages.flat(FLAT_EPOCHS, loss, rows[-1]["lr"]), stacklevel=7)

    # What is written

    def checkpoint(self) -> None:
        """Writes where the training stands, if there is a folder for it."""
        if self._run is not None:
            training, base = self._keep
            self._run.keep(Checkpoint({**training, **self.training.to_json()}, base, self.training.arrays()))

    def _keep_values(self) -> None:
        """Writes what the frozen layers made of the pictures, where that is kept and has grown since."""
        if self._run is None or not self.values.keep or self.values.memory == self._written:
            return
        try:
            self.values.save(self._run / FEATURES)
            self._written = self.values.memory
        except WeightError as error:
            warnings.warn(f"{error}. Training goes on; resumed, it computes these values anew", stacklevel=5)
            self._written = self.values.memory  # they do not grow smaller: once said is enough


def validate(values: FrozenValues, data: Dataset) -> tuple[dict[str, float], np.ndarray]:
    """({"val_loss", "val_accuracy"}, answer of each picture); empty without validation pictures."""
    if not data.val:
        return {}, np.empty(0, int)
    with np.errstate(over="ignore", invalid="ignore"):
        accuracy, loss, found = accuracy_and_loss(values, data, "val")
    return {"val_loss": loss, "val_accuracy": accuracy}, found


def grouped(batches: Iterable[Batch], size: int) -> Iterator[list[Batch]]:
    """`size` batches at a time; the last group may have fewer."""
    held: list[Batch] = []
    for batch in batches:
        held.append(batch)
        if len(held) == size:
            yield held
            held = []
    if held:
        yield held


def after(items: list[Item], position: int, seen: list[Item]) -> int:
    """The position in `items` after the last of those `seen`, which follow from `position` on, some left out."""
    for item in seen:
        while items[position].name != item.name:
            position += 1
        position += 1
    return position


def _line(row: dict[str, Any]) -> str:
    text = f"epoch {row['epoch']}: loss {row['train_loss']:.3g}"
    return text + (f", validation {row['val_accuracy']:.1%}" if "val_accuracy" in row else "")
