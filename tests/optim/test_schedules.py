"""Schedules against PyTorch's over 100 steps, at fractions of epochs, and settings that contradict each other."""

import itertools
import json
import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minitl.errors import ArgumentError
from minitl.optim import (
    SCHEDULES,
    ConstantSchedule,
    CosineSchedule,
    OneCycleSchedule,
    Schedule,
    StepSchedule,
    WarmUp,
    make_schedule,
)

STEPS = 100
# PyTorch goes from rate to rate, rounding a few times a step in numbers of at most the largest rate; its factors
# (1 + cos a) / (1 + cos b) are rounded in proportion to numbers that the rate itself has shrunk by, so they add alike.
BOUND = 16 * STEPS * np.finfo(np.float64).eps

bases = st.floats(1e-4, 10)
anneals = st.sampled_from(["cos", "linear"])


def theirs(base, make, steps=STEPS):
    """The rates of PyTorch's scheduler over so many steps."""
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], base)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of schedulers that are stepped without the optimizer
        scheduler, found = make(torch.optim.lr_scheduler, optimizer), []
        for i in range(steps):
            found.append(optimizer.param_groups[0]["lr"])
            if i < steps - 1:
                scheduler.step()
    return found


def check(schedule, base, expected, steps_an_epoch=1):
    ours = [schedule.rate(base, i / steps_an_epoch) for i in range(len(expected))]
    assert np.max(np.abs(np.subtract(ours, expected))) <= BOUND * np.max(expected)


@given(base=bases, every=st.integers(1, 120), factor=st.floats(0.1, 1))
def test_step_as_pytorch(base, every, factor):
    check(StepSchedule(every, factor), base, theirs(base, lambda s, o: s.StepLR(o, every, factor)))


@given(base=bases, share=st.floats(0, 1), per=st.sampled_from([1, 3, 7]))
def test_cosine_as_pytorch(base, share, per):
    """Counted in epochs, or in steps of which there are several an epoch."""
    least = share * base
    expected = theirs(base, lambda s, o: s.CosineAnnealingLR(o, STEPS, least), STEPS + 1)
    check(CosineSchedule(least=least).over(STEPS / per), base, expected, per)


@given(
    base=bases,
    total=st.integers(2, STEPS),
    warm=st.floats(0.01, 0.99),
    start=st.floats(0.01, 1),
    final=st.floats(1e-5, 1),
    anneal=anneals,
    per=st.sampled_from([1, 2, 5]),
)
def test_one_cycle_as_pytorch(base, total, warm, start, final, anneal, per):
    """With the number of steps an epoch known, its peak and end fall on the steps that PyTorch's do."""
    assume(abs(warm * total - 1) > 1e-9)  # the peak at the first step: PyTorch divides by zero

    def make(s, o):
        options = {"pct_start": warm, "anneal_strategy": anneal, "cycle_momentum": False}
        return s.OneCycleLR(o, base, total, div_factor=1 / start, final_div_factor=1 / final, **options)

    schedule = OneCycleSchedule(warm=warm, start=start, final=final, anneal=anneal).over(total / per, steps=per)
    check(schedule, base, theirs(base, make, total), per)


@given(
    base=bases,
    rise=st.integers(1, 30),
    start=st.floats(0.01, 1),
    per=st.sampled_from([1, 4]),
    then=st.sampled_from(["constant", "step", "cosine"]),
)
def test_warm_up_as_pytorch(base, rise, start, per, then):
    """LinearLR before another schedule in a SequentialLR; the rise takes fractions of an epoch too."""

    def make(s, o):
        first = s.LinearLR(o, start, 1.0, rise)
        second = {
            "constant": lambda: s.ConstantLR(o, 1.0, 1),
            "step": lambda: s.StepLR(o, 10 * per, 0.5),
            "cosine": lambda: s.CosineAnnealingLR(o, STEPS - rise),
        }[then]()
        return s.SequentialLR(o, [first, second], [rise])

    second = {"constant": None, "step": StepSchedule(10, 0.5), "cosine": CosineSchedule()}[then]
    schedule = WarmUp(rise / per, second, start).over(STEPS / per)
    check(schedule, base, theirs(base, make), per)


def test_half_an_epoch_of_warm_up():
    schedule = WarmUp(0.5, CosineSchedule(), start=0.5).over(2.5)
    assert [schedule.rate(8.0, e) for e in (0, 0.125, 0.25, 0.5, 1.5, 2.5)] == [4, 5, 6, 8, pytest.approx(4), 0]


def test_constant_and_step_at_fractions():
    assert ConstantSchedule().rate(8.0, 100.5) == 8
    epochs = [0, 1, 1.99, 2, 3.5, 4, 5.999]
    assert [StepSchedule(2, 0.5).rate(8.0, e) for e in epochs] == [8, 8, 8, 4, 4, 2, 2]


@given(
    base=bases, epochs=st.floats(2, 50), warm=st.floats(0.05, 0.95), anneal=anneals, steps=st.sampled_from([None, 40])
)
def test_one_cycle_rises_to_its_peak_and_falls(base, epochs, warm, anneal, steps):
    schedule = OneCycleSchedule(warm=warm, anneal=anneal).over(epochs, steps)
    step = 0 if steps is None else 1 / steps
    peak = warm * epochs - step
    near = 8 * np.finfo(float).eps * base
    assert abs(schedule.rate(base, 0) - base / 25) <= near
    assert abs(schedule.rate(base, peak) - base) <= near
    assert abs(schedule.rate(base, epochs - step) - base / 25 * 1e-4) <= near
    assert abs(schedule.rate(base, 2 * epochs) - base / 25 * 1e-4) <= near
    up = [schedule.rate(base, e) for e in np.linspace(0, peak, 20)]
    down = [schedule.rate(base, e) for e in np.linspace(peak, epochs, 20)]
    assert all(a <= b + near for a, b in itertools.pairwise(up))
    assert all(a + near >= b for a, b in itertools.pairwise(down))


def test_what_ends_early_stays_at_its_last_rate():
    assert CosineSchedule(4, least=0.5).over(10).rate(1.0, 9.5) == 0.5
    assert OneCycleSchedule(4).over(10).rate(1.0, 9.5) == pytest.approx(1e-4 / 25)


# Lengths


@pytest.mark.parametrize(
    ("schedule", "length"),
    [
        (ConstantSchedule(), None),
        (StepSchedule(30), None),
        (CosineSchedule(), None),
        (CosineSchedule(8), 8),
        (OneCycleSchedule(), None),
        (OneCycleSchedule(2.5), 2.5),
        (WarmUp(0.5), 0.5),
        (WarmUp(2, StepSchedule(30)), 2),
        (WarmUp(2, CosineSchedule()), 2),
        (WarmUp(2, CosineSchedule(8)), 10),
    ],
)
def test_length(schedule, length):
    assert schedule.length == length
    assert schedule.over(10) is not None
    if length is not None:
        with pytest.raises(
            ArgumentError, match=rf"takes {length:g} epochs, longer than the training of {length / 2:g}"
        ):
            schedule.over(length / 2)


def test_the_one_that_was_given_stays_unbound():
    """So that a second fit binds it to the longer training."""
    for schedule in (CosineSchedule(), OneCycleSchedule(), WarmUp(1, CosineSchedule())):
        before = schedule.settings
        short, long = schedule.over(4), schedule.over(8)
        assert schedule.settings == before
        assert short.length == 4
        assert long.length == 8
        assert long.over(9).length == 8


def test_fractions_that_add_up_to_the_training_fit_it():
    """0.1 + 0.2 is more than 0.3, in its last bit."""
    assert 0.1 + 0.2 > 0.3
    WarmUp(0.1, CosineSchedule(0.2)).over(0.3)


@pytest.mark.parametrize("schedule", [CosineSchedule(), OneCycleSchedule(), WarmUp(1, CosineSchedule())])
def test_without_a_length_there_is_no_rate(schedule):
    with pytest.raises(ArgumentError, match=r"has no length yet; give epochs=, or call over\(epochs\) first"):
        schedule.rate(1.0, 2)


@pytest.mark.parametrize("epochs", [0, -1, float("nan"), None, "3"])
@pytest.mark.parametrize("kind", [ConstantSchedule, CosineSchedule])
def test_trainings_of_no_length_are_refused(kind, epochs):
    with pytest.raises(ArgumentError, match=f"{kind.__name__}.over: epochs must be"):
        kind().over(epochs)


# Settings


@pytest.mark.parametrize(
    "schedule",
    [
        ConstantSchedule(),
        StepSchedule(3, 0.2),
        CosineSchedule(4, 0.1),
        CosineSchedule(),
        OneCycleSchedule(6, 0.2, 0.1, 0.01, "linear", 12),
        WarmUp(0.5, CosineSchedule(3.5), 0.25),
        WarmUp(1),
    ],
)
def test_settings_make_the_same_schedule_again(schedule):
    said = json.loads(json.dumps(schedule.settings))
    again = make_schedule(said)
    assert type(again) is type(schedule)
    assert again.settings == schedule.settings == said
    one, two = schedule.over(10), again.over(10)
    assert [one.rate(1.0, e / 7) for e in range(70)] == [two.rate(1.0, e / 7) for e in range(70)]


def test_every_kind_is_listed():
    assert {kind.name for kind in SCHEDULES.values()} == set(SCHEDULES)
    assert set(SCHEDULES.values()) == set(Schedule.__subclasses__()) - {
        kind for kind in Schedule.__subclasses__() if not kind.__module__.startswith("minitl.")
    }


def test_a_schedule_of_ones_own():
    class Inverse(Schedule):
        def rate(self, base, epoch):
            return base / (1 + epoch)

    schedule = WarmUp(2, Inverse()).over(10)
    assert [schedule.rate(8.0, e) for e in (0, 1, 2, 3, 5)] == [0, 4, 8, 4, 2]
    assert schedule.settings["then"] == {"schedule": "Inverse"}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: StepSchedule(0), "StepSchedule: every must be a positive number of epochs; got 0"),
        (lambda: StepSchedule(1.5), "StepSchedule: every"),
        (lambda: StepSchedule(True), "StepSchedule: every"),
        (lambda: StepSchedule(1, -1.0), "StepSchedule: factor must be"),
        (lambda: StepSchedule(1, float("nan")), "StepSchedule: factor must be"),
        (lambda: CosineSchedule(0), "CosineSchedule: epochs must be above 0"),
        (lambda: CosineSchedule(-1), "CosineSchedule: epochs must be"),
        (lambda: CosineSchedule(2, -0.1), "CosineSchedule: least must be"),
        (lambda: CosineSchedule(2, 0.1).rate(0.01, 0), "least=0.1 is above the base rate of 0.01"),
        (lambda: OneCycleSchedule(warm=0), "OneCycleSchedule: warm must be above 0"),
        (lambda: OneCycleSchedule(warm=1), "OneCycleSchedule: warm must be .* below 1"),
        (lambda: OneCycleSchedule(start=2), "OneCycleSchedule: start must be .* at most 1; got 2"),
        (lambda: OneCycleSchedule(final=1.5), "OneCycleSchedule: final must be .* at most 1"),
        (lambda: OneCycleSchedule(anneal="exp"), "anneal must be 'cos' or 'linear'; got 'exp'"),
        (lambda: OneCycleSchedule(steps=0), "OneCycleSchedule: steps must be a positive number of optimizer steps"),
        (lambda: OneCycleSchedule().over(3, 1.5), "OneCycleSchedule.over: steps"),
        (lambda: WarmUp(0), "WarmUp: epochs must be above 0"),
        (lambda: WarmUp(1, start=1.1), "WarmUp: start must be .* at most 1"),
        (lambda: WarmUp(1, "cosine"), "WarmUp: then must be a Schedule"),
        (lambda: WarmUp(1, OneCycleSchedule()), "OneCycleSchedule warms up itself"),
        (lambda: WarmUp(1, WarmUp(1)), "WarmUp warms up itself"),
        (lambda: WarmUp(3, CosineSchedule()).over(3), "its 3 epochs leave none of the 3 for CosineSchedule"),
        (lambda: make_schedule({}), "one of constant, step, cosine, one_cycle, warm_up; got {}"),
        (lambda: make_schedule("step"), "settings must name a schedule"),
        (lambda: make_schedule({"schedule": []}), "settings must name a schedule"),
        (lambda: make_schedule({"schedule": "step"}), "StepSchedule: .*every"),
        (lambda: make_schedule({"schedule": "cosine", "every": 1}), "CosineSchedule: .*every"),
        (lambda: make_schedule({"schedule": "warm_up", "epochs": 1, "then": 3}), "settings must name a schedule"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(make, said):
    with pytest.raises(ArgumentError, match=said):
        make()
