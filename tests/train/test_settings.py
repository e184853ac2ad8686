"""Settings: contradictions are refused in words, and each does to the steps what it says."""

from __future__ import annotations

import json

import numpy as np
import pytest

from minitl import data, optim
from minitl.errors import ArgumentError
from minitl.images import Augmentation
from minitl.train.loop import Loop

pytestmark = [
    pytest.mark.filterwarnings("ignore:every validation picture"),
    pytest.mark.filterwarnings("ignore:the last epoch was the best"),
]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"variants": 3}, r"variants=3 needs augmentation="),
        ({"sampling": "balanced", "class_weight": "auto"}, r"correct the same imbalance twice; give one"),
        ({"optimizer": "adam", "momentum": 0.9}, r"momentum=0.9 means nothing to an optimizer 'adam'; leave it out"),
        ({"optimizer": optim.SGD, "momentum": 0.9}, r"momentum=0.9 means nothing to an optimizer of your own"),
        ({"optimizer": optim.SGD, "lr": None}, r"an optimizer of your own needs lr="),
        ({"optimizer": lambda p, lr: optim.SGD(p, lr, nesterov=True)}, r"nesterov=True needs a momentum"),
        ({"optimizer": lambda p, lr: None}, r"optimizer must return an optim.Optimizer; got None"),
        ({"optimizer": "adagrad"}, r"one of sgd, adam, adamw, rmsprop, or a callable"),
        ({"accumulate": 0}, r"accumulate must be a positive int; got 0"),
        ({"clip_norm": 0}, r"clip_norm must be above 0, or None; got 0"),
        ({"ema": 1.0}, r"ema must be between 0 and 1, or None; got 1.0"),
        ({"early_stopping": 0}, r"early_stopping must be a positive int"),
        ({"sampling": "random"}, r"sampling must be one of shuffle, balanced; got 'random'"),
        ({"augmentation": "photo"}, r"photos"),
        ({"augmentation": 3}, r"an images.Augmentation, the name of a preset or None; got 3"),
        ({"variants": -1, "augmentation": "photos"}, r"variants must be a whole number"),
    ],
    ids=lambda value: None if isinstance(value, str) else "-".join(value),
)
def test_contradictions_are_refused(small, settings, words):
    with pytest.raises(ArgumentError, match=words):
        small.trainer(**settings)


def test_early_stopping_needs_pictures_to_judge_by(small):
    with pytest.raises(ArgumentError, match=r"early_stopping=3 needs pictures to validate on"):
        small.trainer(found=small.pictures(val=0), early_stopping=3)


@pytest.mark.parametrize("schedule", [optim.CosineSchedule(9), optim.WarmUp(9), optim.OneCycleSchedule(5)])
def test_a_schedule_longer_than_the_training_is_refused(small, tmp_path, schedule):
    trainer = small.trainer(schedule=schedule, folder=tmp_path / "run")
    with pytest.raises(ArgumentError, match=r"[59] epochs, longer than the training of 4; train"):
        trainer.fit(4)
    assert not (tmp_path / "run").exists()
    assert len(trainer.fit(9)) == 9


def test_the_settings_are_plain_and_told(small, tmp_path):
    trainer = small.trainer(
        augmentation="photos", variants=2, schedule=optim.WarmUp(1, optim.CosineSchedule()), ema=0.9
    )
    told = json.loads(json.dumps(trainer.settings))
    assert told["augmentation"] == json.loads(json.dumps(Augmentation.preset("photos").to_dict()))
    assert told["schedule"]["then"]["schedule"] == "cosine"
    assert (told["optimizer"], told["momentum"], told["ema"], told["variants"]) == ("sgd", 0.9, 0.9, 2)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop"])
def test_the_usual_rate_of_other_optimizers_is_said(small, capfd, optimizer):
    trainer = small.trainer(optimizer=optimizer, lr=None, progress=True)
    trainer.fit(1)
    assert trainer.lr == 1e-3
    assert not trainer.settings["lr_measured"]
    assert f"base rate: 0.001, the usual one of {optimizer}" in capfd.readouterr().err


def test_an_optimizer_of_ones_own(small):
    own = small.trainer(optimizer=lambda p, lr: optim.SGD(p, lr, 0.9, 5e-4))
    own.fit(2)
    named = small.trainer()
    named.fit(2)
    assert small.arrays(own.net) == small.arrays(named.net)
    assert own.settings["optimizer"]["momentum"] == 0.9


# Steps


@pytest.fixture
def steps(monkeypatch):
    """(rate, pictures, gradients by name) of every step, as the optimizer meets them."""
    seen = []
    plain, whole = optim.SGD.step, Loop._step

    def step(self):
        if len(self.parameters) > 1:  # that of the network, not one that is timed
            seen.append([self.lr, None, {p.name: p.grad.copy() for p in self.parameters if p.grad is not None}])
        plain(self)

    def group_step(self, group, epoch):
        whole(self, group, epoch)
        seen[-1][1] = [item.name for items, _ in group for item in items]

    monkeypatch.setattr(optim.SGD, "step", step)
    monkeypatch.setattr(Loop, "_step", group_step)
    return seen


def calm(small):
    """Nothing random, nothing that looks at its neighbours in the batch."""
    from minitl import nn
    from minitl.images import Preprocessing

    return nn.Sequential(nn.Flatten(), nn.Linear(192, 2), input_shape=(3, 8, 8), preprocessing=Preprocessing())


@pytest.mark.parametrize("weights", [None, [1.0, 5.0]])
def test_accumulated_gradients_are_the_mean_over_all_pictures(small, steps, weights):
    found = small.pictures(38)  # 22 to train on: groups of 9, 9 and 4
    small.trainer(calm(small), found, batch_size=9, class_weight=weights).fit(1)
    at_once = list(steps)
    steps.clear()
    small.trainer(calm(small), found, batch_size=3, accumulate=3, class_weight=weights).fit(1)
    assert [names for _, names, _ in steps] == [names for _, names, _ in at_once]
    assert [len(names) for _, names, _ in steps] == [9, 9, 4]
    for (_, _, grads), (_, _, whole) in zip(steps, at_once, strict=True):
        for name, grad in grads.items():
            assert np.abs(grad - whole[name]).max() <= 1e-5 * np.abs(whole[name]).max()


def test_the_schedule_is_asked_before_every_step(small, steps):
    class Rising:
        def rate(self, base, epoch):
            return base * (1 + epoch)

    history = small.trainer(schedule=Rising(), lr=0.001).fit(2)  # 16 pictures, 4 a step
    assert [rate for rate, _, _ in steps] == [0.001 * (1 + i / 4) for i in range(8)]
    assert [row["lr"] for row in history] == [0.001 * 1.75, 0.001 * 2.75]


def test_long_gradients_are_shortened(small, steps):
    def norm(grads):
        return np.sqrt(sum(float((g.astype(float) ** 2).sum()) for g in grads.values()))

    small.trainer(calm(small)).fit(1)
    longest = norm(steps[0][2])
    steps.clear()
    small.trainer(calm(small), clip_norm=longest / 4).fit(1)
    assert norm(steps[0][2]) == pytest.approx(longest / 4, rel=1e-5)
    assert all(norm(grads) <= longest / 4 * 1.00001 for _, _, grads in steps)


def test_the_average_is_what_is_judged_and_kept(small, monkeypatch):
    moved = []
    plain = optim.SGD.step

    def step(self):
        plain(self)
        if len(self.parameters) > 1:
            moved.append({p.name: p.numpy() for p in self.parameters})

    monkeypatch.setattr(optim.SGD, "step", step)
    found = small.pictures(val=0)
    net = calm(small)
    small.trainer(net, found, ema=0.5).fit(2)
    average = moved[0]["fc1.weight"]
    for numbers in moved[1:]:
        average = average + 0.5 * (numbers["fc1.weight"] - average)
    assert np.abs(net["fc1.weight"].data - average).max() <= 1e-5 * np.abs(average).max()
    trainer = small.trainer(ema=0.5)
    history = trainer.fit(3)
    judged = [history.start, *history][history.best]
    assert trainer.evaluate()["loss"] == judged["val_loss"]


def test_balanced_sampling_shows_each_class_as_often(small, steps):
    rng = np.random.default_rng(0)
    found = data.arrays(rng.integers(0, 256, (30, 8, 8, 3), np.uint8), [0] * 24 + [1] * 6, ["a", "b"], val=0.2)
    labels = {item.name: item.label for item in found.train}
    small.trainer(calm(small), found, sampling="balanced").fit(2)
    shown = [labels[name] for _, names, _ in steps for name in names]
    assert shown.count(0) == shown.count(1)


# When to stop


def test_early_stopping(small, monkeypatch, tmp_path):
    from minitl.train import loop

    losses = iter([0.5, 0.4, 0.45, 0.41, 0.3, 0.6, 0.6, 0.7, 0.2, 0.2, 0.2, 0.3])

    def validated(values, found):
        return {"val_loss": next(losses), "val_accuracy": 0.5}, np.arange(2)

    monkeypatch.setattr(loop, "validate", validated)
    trainer = small.trainer(early_stopping=3, folder=tmp_path)
    history = trainer.fit(20)
    assert (len(history), history.best, history.stopped_early) == (8, 5, True)
    again = small.trainer(early_stopping=3, folder=tmp_path)
    assert again.resume() == history
    assert again.history.stopped_early
    history = again.resume(epochs=20)  # patience begins anew
    assert (len(history), history.best, history.stopped_early) == (12, 9, True)


def test_training_that_ended_too_soon_is_told(small, monkeypatch):
    from minitl.train import loop

    losses = iter([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.35])
    monkeypatch.setattr(
        loop, "validate", lambda values, found: ({"val_loss": next(losses), "val_accuracy": 0.9}, np.arange(2))
    )
    with pytest.warns(UserWarning, match=r"still fell \(0.6 to 0.5\): train for more epochs"):
        small.trainer().fit(5)
