"""What each training step does: fresh masks and orders, dropout active, class weights and smoothing felt."""

import numpy as np
import pytest

from minitl import data, nn
from minitl import functional as F
from minitl.images import Preprocessing
from minitl.nn import Network
from minitl.train import Trainer
from minitl.train.best import Best

RNG = np.random.default_rng(0)
SET = data.arrays(
    RNG.integers(0, 256, (20, 6, 6, 3), np.uint8), (np.arange(20) % 3 == 0).astype(int), ["a", "b"], val=0.2
)


def network():
    return nn.Sequential(
        nn.Flatten(), nn.Dropout(0.5), nn.Linear(108, 2),
        input_shape=(3, 6, 6), preprocessing=Preprocessing(),
    )  # fmt: skip


@pytest.fixture
def steps(monkeypatch):
    """(keys, input) of every run in training mode."""
    seen = []
    run = Network.run

    def spy(self, x, **options):
        if options.get("training"):
            seen.append((options["keys"], np.asarray(x).copy()))
        return run(self, x, **options)

    monkeypatch.setattr(Network, "run", spy)
    return seen


def test_masks_and_orders_are_new_every_epoch_and_belong_to_the_picture(steps):
    trainer = Trainer(network(), SET, lr=0.01, batch_size=len(SET.train), progress=False)
    trainer.fit(3)
    assert len(steps) >= 3, "training must run in training mode"
    keys = [frozenset(keys.tolist()) for keys, _ in steps[-3:]]
    assert not keys[0] & keys[1], "a picture's mask must not return in the next epoch"
    assert not keys[1] & keys[2]
    orders = [x for _, x in steps[-3:]]
    assert not np.array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[1], orders[2])
    by_picture = [{x.tobytes(): key for key, x in zip(keys, xs, strict=True)} for keys, xs in steps[-3:]]
    assert set(by_picture[0]) == set(by_picture[1]) == set(by_picture[2]), "every picture once an epoch"

    before = len(steps)
    Trainer(network(), SET, lr=0.01, batch_size=3, progress=False).fit(1)
    epoch = steps[before + 1 :]  # the first run of a fit times a step
    keyed = {x.tobytes(): key for keys, xs in epoch for key, x in zip(keys, xs, strict=True)}
    assert keyed == by_picture[0], "a picture's key must not depend on its batch"


def test_dropout_is_active_in_training():
    net = network()
    trainer = Trainer(net, SET, progress=False)
    items = list(SET.train)
    values = np.stack([value for _, value in trainer.values.stream(items)])
    _, one = trainer._loss(items, values, 1)
    _, two = trainer._loss(items, values, 2)
    assert not np.array_equal(one, two)
    assert not np.array_equal(one, net.run(values, after=trainer.values.cut).data)


@pytest.mark.parametrize(
    "settings", [{}, {"class_weight": "auto"}, {"class_weight": [1.0, 5.0]}, {"label_smoothing": 0.3}]
)
def test_the_loss_is_weighted_and_smoothed_as_asked(settings):
    trainer = Trainer(network(), SET, progress=False, **settings)
    items = list(SET.train)
    values = np.stack([value for _, value in trainer.values.stream(items)])
    loss, logits = trainer._loss(items, values, 1)
    labels = np.array([item.label for item in items])
    counts = np.bincount(labels)
    weight = {"auto": counts.sum() / (2 * counts)}.get(str(settings.get("class_weight")), settings.get("class_weight"))
    weight = np.ones(2) if weight is None else np.asarray(weight)
    log_p = logits.astype(np.float64) - np.log(np.exp(logits.astype(np.float64)).sum(1, keepdims=True))
    smoothing = settings.get("label_smoothing", 0.0)
    target = np.eye(2)[labels] * (1 - smoothing) + smoothing / 2
    wanted = -(target * weight * log_p).sum() / weight[labels].sum()
    assert loss.item() == pytest.approx(wanted, rel=1e-5)
    plain = F.cross_entropy(logits, labels).item()
    assert (abs(plain - wanted) > 1e-3) == bool(settings)


def test_of_two_epochs_equally_right_the_surer_one_is_best():
    net = network()
    best = Best(net, {"val_accuracy": 0.5, "val_loss": 1.0}, np.zeros(1))
    best.offer(1, {"val_accuracy": 0.5, "val_loss": 0.9}, np.zeros(1))
    assert best.epoch == 1
    best.offer(2, {"val_accuracy": 0.5, "val_loss": 0.95}, np.zeros(1))
    assert best.epoch == 1
    best.offer(3, {"val_accuracy": 0.6, "val_loss": 9.0}, np.zeros(1))
    assert best.epoch == 3
