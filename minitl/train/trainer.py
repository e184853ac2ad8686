"""Trainer: fits a network's free layers to a dataset, keeps the best epoch, evaluates, and resumes what was killed."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import functional as F
from .. import optim
from ..data import Dataset, FrozenValues, Item, record
from ..data.dataset import key
from ..data.features import scores_node
from ..errors import ArgumentError, DataError, MinitlError
from ..nn.inference import positive
from ..terminal import Unfailing
from . import identity, messages
from .best import Best
from .checkpoint import Checkpoint
from .conclusion import conclude
from .description import changed_versions, command, describe, now
from .evaluation import check_classes, summary
from .history import History
from .loop import Loop, validate
from .preparation import fill, prepare
from .runfolder import CHECKPOINT, FEATURES, PICTURES, RunFolder
from .settings import Optimizers, Settings, count, is_number
from .state import Progress, Training

if TYPE_CHECKING:
    from ..nn import Network


class Trainer:
    """Trains what is not frozen on the mean cross-entropy.

    The defaults are a recipe for small sets: SGD with momentum 0.9, weight decay 5e-4, 16 pictures a step, and, with
    lr=None, a rate that is measured on the network and pictures themselves (see `measured_rate`), so that it suits
    features of any scale. Same seed, same bits: cached or not, whatever the number of workers, resumed or not.

    optimizer: "sgd", "adam", "adamw", "rmsprop" (lr=None means 1e-3 for the last three, and momentum is refused by
    Adam), or a callable (parameters, lr) -> optim.Optimizer. batch_size: pictures that go through the network at a
    time; accumulate: how many times that make a step, which follows the mean over all of their pictures. clip_norm:
    the longest gradient of a step (optim.clip_grad_norm). schedule: an object with rate(base, epoch), such as
    optim.CosineSchedule; asked before each step, with the fraction of the epoch that is done. class_weight: one number
    a class, or "auto": inversely to how often it occurs. sampling: "shuffle", or "balanced": each class as often.
    augmentation: an images.Augmentation or the name of a preset; variants: how many of each picture to keep and reuse
    (0: a new one each epoch, nothing kept). ema: decay of an exponential moving average of the weights, which is then
    what is evaluated and kept. early_stopping: stop after so many epochs of which none was the best.

    cache: keep the frozen layers' values in memory (cache_limit bytes at most; default half of what is free). workers:
    threads that decode pictures. device: where to train, "cpu", "cuda" or "auto", to which the network is moved; None
    leaves it where it is. progress: say on stderr what happens. folder: where to keep the run, so that `resume`
    goes on after anything to the same bits; checkpoints are written there after every epoch, and checkpoint_seconds
    after the last one between steps (0: after every step). provenance: what run.json says of where the run came from,
    {"command": [words], "weights": None or `description.weights_json`}; may be set before fit.

    Raises GraphError, DataError or ArgumentError for a network, data or settings that do not fit together.
    """

    def __init__(
        self,
        net: Network,
        data: Dataset,
        *,
        lr: float | None = None,
        optimizer: Optimizers = "sgd",
        momentum: float | None = None,
        weight_decay: float = 5e-4,
        batch_size: int = 16,
        accumulate: int = 1,
        clip_norm: float | None = None,
        schedule: Any = None,
        class_weight: str | Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        sampling: str = "shuffle",
        augmentation: Any = None,
        variants: int = 0,
        ema: float | None = None,
        early_stopping: int | None = None,
        seed: int = 0,
        cache: bool = True,
        cache_limit: int | None = None,
        workers: int = 2,
        device: str | None = None,
        progress: bool = True,
        folder: str | os.PathLike[str] | None = None,
        checkpoint_seconds: float = 30.0,
    ) -> None:
        if not isinstance(data, Dataset):
            raise DataError(
                f"Trainer: data must be a Dataset (tl.data.folder, tl.data.arrays); got {type(data).__name__}"
            )
        self._settings = Settings.checked(
            data,
            lr=lr,
            optimizer=optimizer,
            momentum=momentum,
            weight_decay=weight_decay,
            batch_size=batch_size,
            accumulate=accumulate,
            clip_norm=clip_norm,
            schedule=schedule,
            class_weight=class_weight,
            label_smoothing=label_smoothing,
            sampling=sampling,
            augmentation=augmentation,
            variants=variants,
            ema=ema,
            early_stopping=early_stopping,
            seed=seed,
        )
        if not is_number(checkpoint_seconds) or not checkpoint_seconds >= 0:
            raise ArgumentError(f"Trainer: checkpoint_seconds must be at least 0; got {checkpoint_seconds!r}")
        workers = count("workers", workers)
        cache_limit = None if cache_limit is None else count("cache_limit", cache_limit)
        check_classes(net, data)
        if device is not None:
            net.to(device)
        self.net, self.data, self.progress = net, data, progress
        self.lr = self._settings.lr
        self.options = {
            "cache": cache,
            "cache_limit": cache_limit,
            "workers": workers,
            "device": net.device,
            "checkpoint_seconds": checkpoint_seconds,
        }
        self.values = FrozenValues(
            net,
            keep=cache,
            limit=cache_limit,
            workers=workers,
            augmentation=self._settings.augmentation,
            variants=self._settings.variants,
            seed=self._settings.seed,
        )
        self.history = History()
        self.run = None if folder is None else RunFolder(folder, checkpoint_seconds)
        self.provenance: dict[str, Any] = {"command": command(), "weights": None}

    @property
    def settings(self) -> dict[str, Any]:
        """What a report states of this training. lr: the rate used, measured or given; None before the first fit."""
        return self._settings.to_json(self.lr)

    @property
    def asked(self) -> dict[str, Any]:
        """The settings as they were given: lr is None where it is to be measured."""
        return self._settings.to_json(self._settings.lr)

    @property
    def class_weight(self) -> np.ndarray | None:
        """(K,) as the loss has them; None where all classes weigh the same."""
        return self._settings.class_weight

    # Fitting

    def fit(self, epochs: int = 20) -> History:
        """Trains for `epochs` epochs and returns the history.

        Says first what it will do and about how long it will take. The network ends with the weights of the best
        epoch: the highest validation accuracy, then the lowest validation loss, the state before training included;
        without validation pictures those of the last. Called again it goes on from there, with momentum at rest.
        After Ctrl-C during the epochs the best so far is kept and the history returned, marked interrupted; with a
        folder `resume` then goes on from the step at which it came.
        Raises GraphError where nothing can be trained, ArgumentError when the loss is no number any more or the folder
        holds another training, DataError where the folder cannot be written or another process trains in it.
        """
        epochs = positive("fit: epochs", epochs)
        if not self.data.train:
            raise DataError("fit: the data has no pictures to train on; load it with val below 1")
        messages.require_trainable(self.net)
        last = len(self.history) + epochs
        schedule = self._settings.schedule_over(last, len(self.data.train))
        with self._locked() as run:
            if run is not None:
                run.refuse_new(self.history)
            try:
                training = self._begin(epochs, schedule)
            except MinitlError:
                if run is not None and not run.underway:  # nothing has come of it that could be gone on with
                    run.discard()
                raise
            try:
                return self._train(training)
            except ArgumentError:
                if run is not None and self.history.diverged and not self.history.best:
                    run.discard()
                raise

    def resume(self, epochs: int | None = None) -> History:
        """Goes on with the fit that the folder's checkpoint belongs to, to the same bits as if nothing had happened.

        epochs: train on to so many in all, more than were asked for at first; a schedule as long as the training is
        stretched to the new length, from where it is. A training that is finished is not
        trained: the network gets its weights, and the history is returned. Where the fit was killed before its first
        checkpoint it starts anew. Raises ArgumentError, DataError or WeightError, naming the first difference, where
        network, data or settings are not those of the run, and for a checkpoint that is damaged.
        """
        run = self._required_run()
        begun = run.read_run()
        if not run.underway:
            identity.check_start(run.path, begun["arrays"], self.net)
            self.history.clear()
            return self.fit(begun["epochs"] if epochs is None else epochs)
        stored = self._checked(run.latest())
        if not self._is_left(stored, epochs):
            training = self._restored(stored)
            training.best.restore()
            return self.history
        with self._locked():
            stored = self._checked(run.latest())  # another process may have gone on with it in between
            for warning in messages.since_then(changed_versions(begun["versions"]), self._changed_pictures()):
                warnings.warn(f"{run}: {warning}", stacklevel=2)
            training = self._restored(stored)
            progress = training.progress
            if epochs is not None and (progress.finished or epochs != progress.last):
                progress.extend(epochs)
                training.schedule = self._settings.schedule_over(epochs, len(self.data.train))
                self.history.stopped_early = False
            self._say(
                f"resuming {run.path}: epoch {progress.epoch} of {progress.last}, after {progress.position} of its "
                f"{len(self.data.train)} pictures"
            )
            self.values.restore(run / FEATURES)
            fill(self.values, self.data, 0, self.progress, self._say)
            return self._train(training)

    def _changed_pictures(self) -> list[str]:
        """Names of the pictures that are not what they were when the run began; not of those that are gone."""
        changed = set(record.changed(self._required_run() / PICTURES, self.data))
        return [item.name for item in (*self.data.train, *self.data.val) if item.name in changed and item.stamp()]

    def _required_run(self) -> RunFolder:
        if self.run is None:
            raise ArgumentError("resume: needs the folder of a run; give Trainer(folder=…) the one that fit was given")
        return self.run

    def _checked(self, stored: Checkpoint) -> Checkpoint:
        path = self._required_run() / CHECKPOINT
        identity.check(path, {**stored.training, **stored.base}, self._identity())
        return stored

    def _is_left(self, stored: Checkpoint, epochs: int | None) -> bool:
        """Whether there is something to train; ArgumentError for fewer epochs than there are."""
        progress, done = Progress(**stored.training["progress"]), len(stored.training["history"]["rows"])
        if epochs is not None:
            epochs = positive("resume: epochs", epochs)
            least = done if progress.finished else progress.last
            if epochs < least:
                state = "has trained" if progress.finished else "was begun for"
                raise ArgumentError(
                    f"resume: epochs={epochs}, but {self.run} {state} {least} already; give more, or leave epochs out"
                )
            return not progress.finished or epochs > done
        return not progress.finished

    def _locked(self) -> contextlib.AbstractContextManager[RunFolder | None]:
        return contextlib.nullcontext() if self.run is None else self.run.locked()

    def _begin(self, epochs: int, schedule: Any) -> Training:
        """Everything before the first step of a new fit."""
        settings, history = self._settings, self.history
        self._say(messages.intention(self.net, self.data, self.values.cut, epochs, settings.batch_size, self.lr))
        begun = now()
        if self.run is not None:
            self.run.write_pictures(self.data)
        self._describe(epochs, begun)
        self.lr = prepare(self.values, self.data, settings, self.lr, epochs, self._loss, self.progress, self._say)
        if self.net.classes is None:
            self.net.classes = list(self.data.classes)
        self._describe(epochs, begun)
        history.interrupted = history.stopped_early = history.diverged = False
        first = len(history) + 1
        progress = Progress(first, first + epochs - 1, self.lr, first, patience_from=first - 1)
        training = self._training(progress, schedule, *validate(self.values, self.data))
        if not history:
            history.start = training.best.row
        return training

    def _training(self, progress: Progress, schedule: Any, row: dict[str, float], found: np.ndarray) -> Training:
        settings, net = self._settings, self.net
        optimizer = settings.make_optimizer(net.parameters(), progress.lr)
        ema = None if settings.ema is None else optim.EMA(net, settings.ema)
        best = Best(net, row, found)
        return Training(net, progress, optimizer, ema, schedule, self.history, best, self.values.skipped)

    def _restored(self, stored: Checkpoint) -> Training:
        """The training as the checkpoint has it."""
        progress = Progress(**stored.training["progress"])
        self.lr = progress.lr
        if self.net.classes is None:
            self.net.classes = list(self.data.classes)
        schedule = self._settings.schedule_over(progress.last, len(self.data.train))
        training = self._training(progress, schedule, {}, np.empty(0, int))
        training.take(stored.training, stored.arrays)
        return training

    def _train(self, training: Training) -> History:
        """Carries the training to its end and says what came of it."""
        training_json: dict[str, Any] = {}
        base: dict[str, Any] = {"weights": self.provenance["weights"]}
        if self.run is not None:
            for name, value in self._identity().items():
                (base if name in identity.BASE else training_json)[name] = value
        loop = Loop(
            training, self.data, self.values, self._settings, self._loss, self.run, (training_json, base), self.progress
        )
        loop.run()
        self._say(conclude(self.history, training.best, self.data))
        return self.history

    def _identity(self) -> dict[str, Any]:
        """What a checkpoint belongs to; see `identity.check`."""
        return {
            "classes": list(self.data.classes),
            "network": identity.network_json(self.net),
            "plan": identity.plan_json(self.net),
            "frozen": identity.hashes(self.net, frozen_only=True),
            "data": identity.listing_sha256(self.data),
            "settings": self.asked,
        }

    def _describe(self, epochs: int, begun: str) -> None:
        """Writes run.json, if there is a folder for it."""
        if self.run is not None:
            self.run.write_run(describe(self, epochs, begun))

    def _loss(self, items: list[Item], values: np.ndarray, epoch: int) -> tuple[Any, Any]:
        """(loss, logits) of one batch in training mode; random draws are keyed by (seed, epoch, picture).

        The logits are an array on the network's device: reading them here would wait for it.
        """
        settings = self._settings
        keys = np.array([key(settings.seed, epoch, item.name) for item in items], np.uint64)
        logits = self.net.run(values, after=self.values.cut, upto=scores_node(self.net), training=True, keys=keys)
        labels = np.array([item.label for item in items])
        loss = F.cross_entropy(logits, labels, settings.class_weight, settings.label_smoothing)
        return loss, logits.data

    def _say(self, text: str) -> None:
        if self.progress:
            print(text, file=Unfailing(sys.stderr), flush=True)

    # Evaluating

    def evaluate(self, split: str = "val") -> dict[str, Any]:
        """How well the network answers on a split; see `train.evaluate`. Values kept in memory are used again."""
        return summary(self.values, self.data, split)
