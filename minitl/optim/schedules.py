"""Schedules: the base rate as a function of the epoch, fractions of epochs included.

They keep no position, so a resumed training asks the same questions and gets the same answers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from ..errors import ArgumentError
from .checks import number, positive

ROUNDING = 1e-9  # of the training: fractions of an epoch add up to it but for their last bits


def plain(value: Any) -> Any:
    """A setting as JSON can hold it: plain values as they are, all else as its text."""
    return value if value is None or isinstance(value, (bool, int, float, str)) else repr(value)


class Schedule:
    """What all schedules share. One of one's own is a subclass with `rate`.

    By its `settings`, which are its attributes unless it says otherwise, a run that is resumed knows it again.
    """

    name: ClassVar[str] = ""

    def rate(self, base: float, epoch: float) -> float:
        """The rate to train at when `epoch` epochs are done, a float from 0, for a base rate `base`."""
        return base

    @property
    def length(self) -> float | None:
        """The epochs it needs; None where any training will do."""
        return None

    @property
    def settings(self) -> dict[str, Any]:
        """What it was made with, as plain JSON values, for `make_schedule`; "schedule" is its name."""
        made = {name: plain(value) for name, value in vars(self).items() if not name.startswith("_")}
        return {"schedule": self.name or type(self).__name__, **made}

    def over(self, epochs: float, steps: int | None = None) -> Schedule:
        """This schedule for a training of `epochs` epochs in all, of `steps` optimizer steps each, where known.

        One made for as long as the training lasts takes its length from here; any other is returned as it is. Raises
        ArgumentError where it needs more epochs than there are.
        """
        epochs = positive(f"{self._kind}.over", "epochs", epochs)
        if steps is not None:
            steps = _steps(f"{self._kind}.over", steps)
        if self.length is not None and self.length > epochs * (1 + ROUNDING):
            raise ArgumentError(
                f"{self._kind}: takes {self.length:g} epochs, longer than the training of {epochs:g}; train for "
                f"{self.length:g} epochs, or shorten the schedule"
            )
        return self._over(epochs, steps)

    def _over(self, epochs: float, steps: int | None) -> Schedule:
        return self

    @property
    def _kind(self) -> str:
        return type(self).__name__

    def _bound(self, epochs: float | None) -> float:
        if epochs is None:
            raise ArgumentError(f"{self._kind}: has no length yet; give epochs=, or call over(epochs) first")
        return epochs

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.settings.items() if name != "schedule")
        return f"{self._kind}({options})"


class ConstantSchedule(Schedule):
    """Leaves the base rate as it is."""

    name: ClassVar[str] = "constant"


class StepSchedule(Schedule):
    """Multiplies the base rate by `factor` after every `every` epochs, as PyTorch's StepLR, for as long as there are.

    Raises ArgumentError unless every is a positive number of whole epochs and factor at least 0.
    """

    name: ClassVar[str] = "step"

    def __init__(self, every: int, factor: float = 0.1) -> None:
        if not isinstance(every, int) or isinstance(every, bool) or every < 1:
            raise ArgumentError(f"StepSchedule: every must be a positive number of epochs; got {every!r}")
        self.every = every
        self.factor = number("StepSchedule", "factor", factor)

    @property
    def settings(self) -> dict[str, Any]:
        return super().settings | {"every": self.every, "factor": self.factor}

    def rate(self, base: float, epoch: float) -> float:
        return base * self.factor ** int(epoch // self.every)


class CosineSchedule(Schedule):
    """Half a cosine from the base rate down to `least`, as PyTorch's CosineAnnealingLR, which it then stays at.

        least + (base - least) * (1 + cos(pi * epoch / epochs)) / 2

    epochs: its length; None for that of the training. least: a rate, not a factor. Raises ArgumentError where `least`
    is above the base rate. Source: Loshchilov & Hutter 2017, "SGDR: stochastic gradient descent with warm restarts",
    equation 5, without the restarts.
    """

    name: ClassVar[str] = "cosine"

    def __init__(self, epochs: float | None = None, least: float = 0.0) -> None:
        self.epochs = None if epochs is None else positive("CosineSchedule", "epochs", epochs)
        self.least = number("CosineSchedule", "least", least)

    @property
    def length(self) -> float | None:
        return self.epochs

    @property
    def settings(self) -> dict[str, Any]:
        return super().settings | {"epochs": self.epochs, "least": self.least}

    def rate(self, base: float, epoch: float) -> float:
        done = min(epoch / self._bound(self.epochs), 1.0)
        if self.least > base:
            raise ArgumentError(
                f"CosineSchedule: least={self.least:g} is above the base rate of {base:g}, so the rate would rise; "
                "give a smaller least or a larger lr"
            )
        return _cosine(base, self.least, done)

    def _over(self, epochs: float, steps: int | None) -> Schedule:
        return self if self.epochs is not None else CosineSchedule(epochs, self.least)


class OneCycleSchedule(Schedule):
    """Up to the base rate and down again, as PyTorch's OneCycleLR without its cycle of the momentum.

    The rate goes from start * base to the base, its peak, in the first `warm` of the epochs, and from there to
    final * start * base at the end, which it then stays at. epochs: its length; None for that of the training.
    anneal: "cos" or "linear", both ways.

    steps: of the optimizer in an epoch. With it the peak and the end fall on steps, each one step earlier, so that
    the last step has the final rate exactly: OneCycleLR(total_steps=epochs * steps). Without it they lie where the
    epochs end.

    Raises ArgumentError on settings outside their domain: warm must lie between 0 and 1, start and final from 0 to 1.
    Source: Smith & Topin 2019, "Super-convergence: very fast training of neural networks using large learning rates".
    """

    name: ClassVar[str] = "one_cycle"

    def __init__(
        self,
        epochs: float | None = None,
        warm: float = 0.3,
        start: float = 1 / 25,
        final: float = 1e-4,
        anneal: str = "cos",
        steps: int | None = None,
    ) -> None:
        self.epochs = None if epochs is None else positive("OneCycleSchedule", "epochs", epochs)
        self.warm = positive("OneCycleSchedule", "warm", number("OneCycleSchedule", "warm", warm, below=1.0))
        self.start = number("OneCycleSchedule", "start", start, most=1.0)
        self.final = number("OneCycleSchedule", "final", final, most=1.0)
        if anneal not in ("cos", "linear"):
            raise ArgumentError(f"OneCycleSchedule: anneal must be 'cos' or 'linear'; got {anneal!r}")
        self.anneal = anneal
        self.steps = None if steps is None else _steps("OneCycleSchedule", steps)

    @property
    def length(self) -> float | None:
        return self.epochs

    @property
    def settings(self) -> dict[str, Any]:
        return super().settings | {
            "epochs": self.epochs,
            "warm": self.warm,
            "start": self.start,
            "final": self.final,
            "anneal": self.anneal,
            "steps": self.steps,
        }

    def rate(self, base: float, epoch: float) -> float:
        epochs = self._bound(self.epochs)
        step = 0.0 if self.steps is None else 1 / self.steps
        peak = self.warm * epochs - step
        towards = _cosine if self.anneal == "cos" else _straight
        if epoch < peak:
            return towards(self.start * base, base, epoch / peak)
        return towards(base, self.final * self.start * base, min((epoch - peak) / (epochs - step - peak), 1.0))

    def _over(self, epochs: float, steps: int | None) -> Schedule:
        steps = steps if self.steps is None else self.steps
        epochs = epochs if self.epochs is None else self.epochs
        return OneCycleSchedule(epochs, self.warm, self.start, self.final, self.anneal, steps)


class WarmUp(Schedule):
    """A straight rise from start * base to the base over the first `epochs`, half an epoch say; then another schedule.

    then: counts its epochs from the end of the rise, and lasts for what is left of the training; None stays at the
    base. start: a factor from 0 to 1. As PyTorch's LinearLR before another in a SequentialLR. Raises ArgumentError
    for a `then` that begins with a rise of its own. Source: Goyal et al. 2017, "Accurate, large minibatch SGD:
    training ImageNet in 1 hour", section 2.2.
    """

    name: ClassVar[str] = "warm_up"

    def __init__(self, epochs: float, then: Schedule | None = None, start: float = 0.0) -> None:
        self.epochs = positive("WarmUp", "epochs", epochs)
        self.then = ConstantSchedule() if then is None else then
        self.start = number("WarmUp", "start", start, most=1.0)
        if not isinstance(self.then, Schedule):
            raise ArgumentError(f"WarmUp: then must be a Schedule, such as CosineSchedule(); got {then!r}")
        if isinstance(self.then, (OneCycleSchedule, WarmUp)):
            raise ArgumentError(
                f"WarmUp: {type(self.then).__name__} warms up itself, so the rate would rise and fall back to rise "
                "again; use it alone"
            )

    @property
    def length(self) -> float | None:
        return self.epochs + (self.then.length or 0.0)

    @property
    def settings(self) -> dict[str, Any]:
        return super().settings | {"epochs": self.epochs, "then": self.then.settings, "start": self.start}

    def rate(self, base: float, epoch: float) -> float:
        if epoch < self.epochs:
            return _straight(self.start * base, base, epoch / self.epochs)
        return self.then.rate(base, epoch - self.epochs)

    def _over(self, epochs: float, steps: int | None) -> Schedule:
        if isinstance(self.then, ConstantSchedule) or self.then.length is not None:
            return self
        left = epochs - self.epochs
        if left <= ROUNDING * epochs:
            raise ArgumentError(
                f"WarmUp: its {self.epochs:g} epochs leave none of the {epochs:g} for {type(self.then).__name__}; "
                "train for longer, or shorten the warm-up"
            )
        return WarmUp(self.epochs, self.then.over(left, steps), self.start)


def _straight(first: float, last: float, done: float) -> float:
    return first + (last - first) * done


def _cosine(first: float, last: float, done: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * done)) / 2


def _steps(where: str, steps: Any) -> int:
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
        raise ArgumentError(f"{where}: steps must be a positive number of optimizer steps an epoch; got {steps!r}")
    return steps


SCHEDULES: dict[str, type[Schedule]] = {
    kind.name: kind for kind in (ConstantSchedule, StepSchedule, CosineSchedule, OneCycleSchedule, WarmUp)
}


def make_schedule(settings: Mapping[str, Any]) -> Schedule:
    """The schedule that has these settings; ArgumentError where none is so named, or it takes no such thing."""
    if not isinstance(settings, Mapping) or settings.get("schedule") not in list(SCHEDULES):
        raise ArgumentError(
            f"make_schedule: settings must name a schedule, one of {', '.join(SCHEDULES)}; got {settings!r:.80}"
        )
    options = {name: value for name, value in settings.items() if name != "schedule"}
    if options.get("then") is not None:
        options["then"] = make_schedule(options["then"])
    kind = SCHEDULES[settings["schedule"]]
    try:
        return kind(**options)
    except TypeError as error:
        raise ArgumentError(f"make_schedule: {kind.__name__}: {error}") from None
