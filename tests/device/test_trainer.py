"""Trainer on a device: everything that it does on the CPU, and a run that goes on where the other device left it."""

import numpy as np
import pytest

import minitl as tl
from minitl import data, nn
from minitl.errors import ArgumentError
from minitl.images import Preprocessing
from minitl.tensor import Tensor
from minitl.train import Trainer, evaluate
from minitl.train.loop import Loop

from . import stand_in

pytestmark = pytest.mark.filterwarnings("ignore:every validation picture")  # two epochs are few

SETTINGS = {"lr": 0.02, "batch_size": 4, "progress": False, "seed": 3}


def pictures(count=20):
    """Dark and bright pictures, some hard to tell."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 2
    x = rng.normal(100 + 60 * labels[:, None, None, None], 60, (count, 8, 8, 3))
    return data.arrays(x.clip(0, 255).astype(np.uint8), labels, classes=["dark", "bright"], val=0.3)


def network(**options):
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(16, 2), input_shape=(3, 8, 8), seed=2,
        preprocessing=Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3), **options,
    )  # fmt: skip


def fitted(where, epochs=2, net=None, **settings):
    trainer = Trainer(net or network(), pictures(), device=where, **{**SETTINGS, **settings})
    trainer.fit(epochs)
    return trainer


def bits(trainer):
    return {name: p.numpy().tobytes() for name, p in trainer.net.named_arrays().items()}


def near(here, there):
    """Histories and arrays of two trainings are the same but for the last bits, which steps make more of."""
    for mine, other in zip(here.history, there.history, strict=True):
        for name in ("train_loss", "val_loss"):
            assert abs(mine[name] - other[name]) <= 1e-3 * abs(mine[name])
    for mine, other in zip(here.net.named_arrays().values(), there.net.named_arrays().values(), strict=True):
        assert np.abs(mine.numpy() - other.numpy()).max() <= 1e-3


CASES = {
    "plain": {},
    "adam": {"optimizer": "adam", "lr": 1e-3},
    "measured rate": {"lr": None},
    "all at once": {
        "accumulate": 2, "clip_norm": 0.5, "ema": 0.9, "class_weight": [1, 2], "label_smoothing": 0.1,
        "sampling": "balanced", "augmentation": tl.images.Augmentation(flip=0.5),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_fit_comes_to_what_it_does_on_the_cpu(name):
    here, there = (fitted(where, **CASES[name]) for where in ("cpu", "cuda"))
    assert there.net.device == "cuda:0"
    assert there.options["device"] == "cuda:0"
    near(here, there)


def test_frozen_layers_are_computed_once_with_the_same_bits_cached_or_not():
    found = [fitted("cuda", net=network().freeze(upto="pool1"), cache=cache) for cache in (True, False)]
    assert found[0].values.cut == "pool1"
    assert found[0].values.memory > 0
    assert bits(found[0]) == bits(found[1])
    assert bits(found[0])["conv1.weight"] == network()["conv1.weight"].numpy().tobytes()
    near(fitted("cpu", net=network().freeze(upto="pool1")), found[0])


def test_the_pipeline_changes_no_bit(monkeypatch):
    piped = bits(fitted("cuda"))
    monkeypatch.setattr("minitl.train.loop.ahead", lambda batches, where, dtype: batches)
    assert bits(fitted("cuda")) == piped


def test_evaluate_predict_and_features(tmp_path):
    trainer = fitted("cuda")
    trainer.net.save(tmp_path / "net.h5")
    here, there = tl.load(tmp_path / "net.h5"), tl.load(tmp_path / "net.h5").to("cuda")
    data = pictures()
    mine, other = evaluate(here, data), evaluate(there, data)
    assert mine["confusion"] == other["confusion"] == trainer.evaluate()["confusion"]
    assert abs(mine["loss"] - other["loss"]) <= 1e-5 * mine["loss"]
    raw = np.random.default_rng(1).integers(0, 256, (11, 8, 8, 3)).astype(np.uint8)
    answers = zip(here.predict(raw), there.predict(raw), strict=True)
    assert all([p.index for p in a] == [p.index for p in b] for a, b in answers)
    rows = there.features(raw, layer="conv2")
    assert isinstance(rows, np.ndarray)
    assert rows.shape == (11, 16)
    assert np.allclose(here.features(raw, layer="conv2"), rows, rtol=1e-5, atol=1e-5)
    assert there.features(raw[:3], layer="conv2").tobytes() == rows[:3].tobytes()  # whoever else was asked for


def interrupted(monkeypatch, folder, where, at):
    """A run killed before step `at`."""
    true, count = Loop._step, iter(range(1000))

    def step(self, *arguments):
        if next(count) == at:
            raise KeyboardInterrupt
        return true(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "_step", step)
        trainer = Trainer(network(), pictures(), device=where, folder=folder, checkpoint_seconds=0, ema=0.8, **SETTINGS)
        assert trainer.fit(2).interrupted


def resumed(folder, where):
    trainer = Trainer(network(), pictures(), device=where, folder=folder, checkpoint_seconds=0, ema=0.8, **SETTINGS)
    trainer.resume()
    return trainer


def test_resumed_on_the_device_to_the_same_bits(tmp_path, monkeypatch):
    interrupted(monkeypatch, tmp_path / "run", "cuda", at=3)
    assert bits(resumed(tmp_path / "run", "cuda")) == bits(fitted("cuda", ema=0.8))


@pytest.mark.parametrize(("first", "then"), [("cuda", "cpu"), ("cpu", "cuda")])
def test_resumed_on_the_other_device(tmp_path, monkeypatch, first, then):
    interrupted(monkeypatch, tmp_path / "run", first, at=5)
    trainer = resumed(tmp_path / "run", then)
    assert trainer.net.device.startswith(then)
    near(fitted("cpu", ema=0.8), trainer)


def test_a_loss_that_is_no_number_is_traced_to_its_layer():
    net = network()
    net["conv1.bias"].assign(np.full(4, np.nan))
    with pytest.raises(ArgumentError, match=r"conv1\.bias|conv1"):
        fitted("cuda", net=net)


def test_where_a_network_lies_is_where_it_trains():
    assert fitted(None, epochs=1, net=network().to("cuda")).net.device == "cuda:0"
    assert fitted("auto", epochs=1).net.device == "cuda:0"
    assert fitted("cpu", epochs=1, net=network().to("cuda")).net.device == "cpu"


def test_a_step_waits_for_the_device_once_all_of_it_is_queued(pretended_gpu, monkeypatch):
    """Loss and logits are read behind the last backward pass, never between the two passes, nor a number at a time."""
    told, within = [], [False]
    plain = Loop._step

    def step(self, *arguments):
        within[0] = True
        told.append([])
        plain(self, *arguments)
        within[0] = False

    def telling(word, function):
        def told_of(self, *arguments, **options):
            if within[0]:
                told[-1].append(word)
            return function(self, *arguments, **options)

        return told_of

    monkeypatch.setattr(Loop, "_step", step)
    monkeypatch.setattr(Tensor, "backward", telling("backward", Tensor.backward))
    for reads in ("__bool__", "__float__", "__int__", "item", "get"):
        monkeypatch.setattr(stand_in.ndarray, reads, telling("wait", getattr(stand_in.ndarray, reads)))
    fitted("cuda", epochs=1, accumulate=2, class_weight=[1, 2], label_smoothing=0.1)
    assert told[0] == ["backward", "backward", *["wait"] * 4]  # a loss and the logits, of two batches
    assert len(told) > 1
