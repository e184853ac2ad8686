"""A loss that is no number is explained: epoch, step, rate, gradient, and what broke first."""

from __future__ import annotations

import numpy as np
import pytest

from minitl import data
from minitl.errors import ArgumentError
from minitl.train import trouble
from minitl.train.loop import Loop

pytestmark = pytest.mark.filterwarnings("ignore:every validation picture")


@pytest.fixture
def batch():
    return [data.Item(name, 0, np.zeros((8, 8, 3), np.uint8)) for name in "ab"], np.ones((2, 3, 8, 8), np.float32)


def test_nothing_broken_is_nothing_found(small, batch):
    assert trouble.origin(small.network(), *batch, "input", "fc1") == ""


def test_a_picture_whose_value_is_no_number(small, batch):
    items, values = batch
    values[1, 0, 0, 0] = np.nan
    assert trouble.origin(small.network(), items, values, "input", "fc1") == "the value of the picture 'b' at 'input'"


def test_a_parameter_that_is_no_number(small, batch):
    net = small.network()
    net["conv2.bias"].assign(np.array([0, np.inf, 0, 0, 0]))
    assert trouble.origin(net, *batch, "input", "fc1") == "the numbers of conv2.bias"


def test_a_layer_that_overflows(small, batch):
    net = small.network()
    net["conv1.weight"].assign(np.full(net["conv1.weight"].shape, 1e30))
    net["conv2.weight"].assign(np.full(net["conv2.weight"].shape, 1e30))
    assert trouble.origin(net, *batch, "input", "fc1") == "the output of layer 'conv2'"
    assert trouble.origin(net, batch[0], np.ones((2, 4, 4, 4), np.float32), "pool1", "fc1") == ""


def test_the_gradient_norm(small):
    net = small.network()
    for p in net.parameters():
        p.grad = np.ones(p.shape, p.dtype)
    net["fc1.bias"].grad = None
    assert trouble.gradient_norm(net.parameters()) == pytest.approx(sum(p.size for p in net.parameters()[:-1]) ** 0.5)


def test_the_error_says_where_and_what(small, monkeypatch):
    plain = Loop._step

    def step(self, group, epoch):
        if (epoch, self.training.progress.steps) == (2, 1):
            weight = self.training.net["fc1.weight"]
            weight.assign(np.full(weight.shape, np.inf))
        plain(self, group, epoch)

    monkeypatch.setattr(Loop, "_step", step)
    found = (
        r"became (nan|inf) in epoch 2; lower lr \(it was 0.02, try 0.002\).*clip_norm \(at step 2; .*norm at the step "
    )
    with pytest.raises(
        ArgumentError, match=found + r"before was \d.*first to be no number: the numbers of fc1.weight\)"
    ):
        small.trainer().fit(3)


def test_the_weights_that_made_the_loss_no_number_are_looked_through(small, monkeypatch):
    """An update by a gradient that is no number would leave nothing but parameters that are none."""
    plain = Loop._step

    def step(self, group, epoch):
        weight = self.training.net["fc1.weight"]
        weight.assign(np.full(weight.shape, 3e38))
        plain(self, group, epoch)

    monkeypatch.setattr(Loop, "_step", step)
    with pytest.raises(ArgumentError, match=r"first to be no number: the output of layer 'fc1'"):
        small.trainer().fit(1)
