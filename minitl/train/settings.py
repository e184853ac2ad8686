"""The settings of a training: checked when given, and as the plain values that a report and a checkpoint state."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import images, optim
from ..data import Dataset
from ..data.dataset import check_seed
from ..data.sampling import SAMPLINGS
from ..errors import ArgumentError
from ..nn.inference import positive
from ..tensor import Parameter

MOMENTUM = 0.9
ADAPTIVE_RATE = (
    1e-3  # of Adam (Kingma & Ba 2015, algorithm 1) and its kin, whose steps do not follow the gradient's size
)

Optimizers = str | Callable[[Iterable[Parameter], float], Any]


@dataclass(frozen=True)
class Settings:
    """What a Trainer was asked to do; its fields are described there. Made by `Settings.checked`.

    momentum: None for an optimizer that has none. class_weight: (K,) or None, "auto" already worked out.
    """

    lr: float | None
    optimizer: Optimizers
    momentum: float | None
    weight_decay: float
    batch_size: int
    accumulate: int
    clip_norm: float | None
    schedule: Any
    class_weight: np.ndarray | None
    label_smoothing: float
    sampling: str
    augmentation: Any
    variants: int
    ema: float | None
    early_stopping: int | None
    seed: int

    @classmethod
    def checked(cls, data: Dataset, **given: Any) -> Settings:
        """The settings, with defaults worked out; ArgumentError naming what makes no sense, alone or together."""
        rate = given["lr"]
        if rate is not None:
            _number("lr", rate, 0.0)
        given["momentum"] = _momentum(given["optimizer"], given["momentum"])
        for name in ("batch_size", "accumulate"):
            given[name] = positive(f"Trainer: {name}", given[name])
        if given["early_stopping"] is not None:
            given["early_stopping"] = positive("Trainer: early_stopping", given["early_stopping"])
        if given["clip_norm"] is not None:
            given["clip_norm"] = _number("clip_norm", given["clip_norm"], 0.0)
        if given["ema"] is not None:
            given["ema"] = _number("ema", given["ema"], 0.0, 1.0)
        schedule = given["schedule"]
        given["schedule"] = optim.ConstantSchedule() if schedule is None else schedule
        if not callable(getattr(given["schedule"], "rate", None)):
            raise ArgumentError(
                "Trainer: schedule must be an object with rate(base, epoch), such as optim.StepSchedule; "
                f"got {schedule!r}"
            )
        smoothing = given["label_smoothing"]
        if not is_number(smoothing) or not 0 <= smoothing <= 1:
            raise ArgumentError(f"Trainer: label_smoothing must be from 0 to 1; got {smoothing!r}")
        if given["sampling"] not in SAMPLINGS:
            raise ArgumentError(f"Trainer: sampling must be one of {', '.join(SAMPLINGS)}; got {given['sampling']!r}")
        given["variants"] = count("variants", given["variants"])
        given["augmentation"] = _augmentation(given["augmentation"])
        given["seed"] = check_seed(given["seed"])
        _refuse_contradictions(data, given)
        given["class_weight"] = _class_weights(given["class_weight"], data)
        settings = cls(**given)
        settings.make_optimizer([], 1.0 if rate is None else rate)  # raises on settings that make no sense
        return settings

    @property
    def measured(self) -> bool:
        """Whether the base rate is to be measured: none was given, and the optimizer's steps follow the gradient."""
        return self.lr is None and self.optimizer == "sgd"

    def steps(self, pictures: int) -> int:
        """Steps of an epoch in which so many pictures can be read."""
        return -(-pictures // (self.batch_size * self.accumulate))

    def schedule_over(self, epochs: int, pictures: int) -> Any:
        """The schedule bound to a training of so many epochs; ArgumentError where it is longer."""
        if isinstance(self.schedule, optim.Schedule):
            return self.schedule.over(epochs, self.steps(pictures))
        return self.schedule

    def make_optimizer(self, parameters: Sequence[Parameter], lr: float) -> Any:
        """The optimizer of these parameters at base rate `lr`."""
        if callable(self.optimizer):
            made = self.optimizer(parameters, lr)
            if not isinstance(made, optim.Optimizer):
                raise ArgumentError(f"Trainer: optimizer must return an optim.Optimizer; got {made!r:.60}")
            return made
        options: dict[str, Any] = {"lr": lr, "weight_decay": self.weight_decay}
        if self.momentum is not None:
            options["momentum"] = self.momentum
        return optim.OPTIMIZERS[self.optimizer](parameters, **options)

    def to_json(self, lr: float | None) -> dict[str, Any]:
        """What a report states. lr: the base rate used, None before it is known."""
        named: dict[str, Any] = {
            "optimizer": self.optimizer,
            "momentum": self.momentum,
            "weight_decay": self.weight_decay,
        }
        if callable(self.optimizer):
            named = {"optimizer": {**self.make_optimizer([], 1.0).settings, "lr": None}}
        weights = None if self.class_weight is None else [float(w) for w in self.class_weight]
        augmentation = None if self.augmentation is None else self.augmentation.to_dict()
        return {
            "lr": lr,
            "lr_measured": self.measured,
            **named,
            "batch_size": self.batch_size,
            "accumulate": self.accumulate,
            "clip_norm": self.clip_norm,
            "schedule": schedule_json(self.schedule),
            "class_weight": weights,
            "label_smoothing": float(self.label_smoothing),
            "sampling": self.sampling,
            "augmentation": augmentation,
            "variants": self.variants,
            "ema": self.ema,
            "early_stopping": self.early_stopping,
            "seed": self.seed,
        }


def schedule_json(schedule: Any) -> dict[str, Any]:
    """The settings of a schedule; of one that states none, the name of its class and what it was made with."""
    stated = getattr(schedule, "settings", None)
    if stated is None:
        made = {name: optim.plain(value) for name, value in getattr(schedule, "__dict__", {}).items()}
        stated = {"schedule": type(schedule).__name__, **made}
    return dict(stated)


def count(name: str, value: Any) -> int:
    """A whole number of at least 0; ArgumentError otherwise."""
    try:
        number = -1 if isinstance(value, (bool, np.bool_)) else operator.index(value)
    except TypeError:
        number = -1
    if number < 0:
        raise ArgumentError(f"Trainer: {name} must be a whole number of at least 0; got {value!r}")
    return number


def is_number(value: Any) -> bool:
    """Whether it is a real number, Python's or NumPy's."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _number(name: str, value: Any, above: float, below: float = np.inf) -> float:
    if not is_number(value) or not above < value < below:
        between = f"above {above:g}" if below == np.inf else f"between {above:g} and {below:g}"
        none = ", or None to have it measured" if name == "lr" else ", or None"
        raise ArgumentError(f"Trainer: {name} must be {between}{none}; got {value!r}")
    return float(value)


def _momentum(optimizer: Any, momentum: Any) -> float | None:
    """The momentum to use: SGD's default, RMSprop's none; refused for optimizers that have no such thing."""
    if not callable(optimizer) and optimizer not in optim.OPTIMIZERS:
        known = ", ".join(optim.OPTIMIZERS)
        raise ArgumentError(
            f"Trainer: optimizer must be one of {known}, or a callable (parameters, lr) -> Optimizer; got {optimizer!r}"
        )
    if callable(optimizer) or optimizer not in ("sgd", "rmsprop"):
        if momentum is not None:
            kind = "of your own" if callable(optimizer) else repr(optimizer)
            raise ArgumentError(
                f"Trainer: momentum={momentum!r} means nothing to an optimizer {kind}; leave it out, or use "
                "optimizer='sgd'"
            )
        return None
    if momentum is None:
        return MOMENTUM if optimizer == "sgd" else 0.0
    if not is_number(momentum) or not momentum < 1:
        raise ArgumentError(f"Trainer: momentum must be below 1; got {momentum!r}")
    return float(momentum)


def _augmentation(given: Any) -> Any:
    """An images.Augmentation, made from the name of a preset if need be; or None."""
    if given is None or isinstance(given, images.Augmentation):
        return given
    if isinstance(given, str):
        return images.Augmentation.preset(given)
    raise ArgumentError(
        f"Trainer: augmentation must be an images.Augmentation, the name of a preset or None; got {given!r:.60}"
    )


def _refuse_contradictions(data: Dataset, given: dict[str, Any]) -> None:
    if callable(given["optimizer"]) and given["lr"] is None:
        raise ArgumentError("Trainer: an optimizer of your own needs lr=; only that of 'sgd' can be measured")
    if given["variants"] and given["augmentation"] is None:
        raise ArgumentError(
            f"Trainer: variants={given['variants']} needs augmentation=, by which the variants of a picture differ"
        )
    if given["early_stopping"] is not None and not data.val:
        raise ArgumentError(
            f"Trainer: early_stopping={given['early_stopping']} needs pictures to validate on, to tell when to stop; "
            "load the data with val above 0"
        )
    if given["sampling"] == "balanced" and isinstance(given["class_weight"], str):
        raise ArgumentError(
            "Trainer: sampling='balanced' and class_weight='auto' correct the same imbalance twice; give one of them"
        )


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
