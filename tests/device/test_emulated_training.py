"""A small VGG trained through the GPU's kernels gives the losses of the CPU's, within the kernels' derived bounds.

At every step, whatever the weights have come to be, loss and gradients lie within what error_walk.py derives of the
exact ones for these weights, and the update within its bound: nothing on the way is off by more than rounding.
"""

import contextlib
import itertools
from functools import cache

import numpy as np
import pytest

from minitl import functional as F
from minitl import kernels, nn, optim

from . import error_walk as walk

RNG = np.random.default_rng(4)
X = RNG.standard_normal((4, 3, 8, 8)).astype(np.float32)
LABELS = [0, 2, 1, 2]
RATE, STEPS = 0.05, 4
CHOOSING = ("relu1", "relu2", "pool1", "relu3", "pool2")  # nodes at which numbers are chosen among


def small_vgg():
    """Two blocks of 3 x 3 convolutions, each halved by max pooling, and a dense layer."""
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3),
        input_shape=(3, 8, 8), seed=1,
    )  # fmt: skip


def exact(arrays):
    """What error_walk finds for these weights."""
    w1, b1, w2, b2, w3, b3, w4, b4 = arrays
    layers = [
        walk.Convolution(w1, b1), walk.ReLU(), walk.Convolution(w2, b2), walk.ReLU(), walk.MaxPool(),
        walk.Convolution(w3, b3), walk.ReLU(), walk.MaxPool(), walk.Dense(w4, b4),
    ]  # fmt: skip
    return walk.evaluated(layers, X, LABELS)


def routes(net):
    """What ReLU and max pooling choose now."""
    found = []
    for name in CHOOSING:
        if name.startswith("relu"):
            found.append(net.run(X, upto=name).numpy() > 0)
        else:
            value = net.run(X, upto=net.graph[name].inputs[0])
            indices = F.max_pool2d(value, 2, return_indices=True)[1]
            found.append(indices if isinstance(indices, np.ndarray) else indices.get())
    return found


HOMES = {
    "cpu": lambda: (small_vgg(), contextlib.nullcontext()),
    "emulator": lambda: (small_vgg(), kernels.using("emulator")),
    "device": lambda: (small_vgg().to("cuda"), contextlib.nullcontext()),
}


@cache
def steps(name):
    """(weights before, routes, loss, gradients, weights after, `exact` of the weights before) of each step."""
    net, chosen = HOMES[name]()
    found = []
    with chosen:
        optimizer = optim.SGD(net.parameters(), lr=RATE)
        for _ in range(STEPS):
            before, taken = [p.numpy() for p in net.parameters()], routes(net)
            loss = F.cross_entropy(net(X, training=True), LABELS)
            loss.backward()
            grads = [p.grad if isinstance(p.grad, np.ndarray) else p.grad.get() for p in net.parameters()]
            optimizer.step()
            optimizer.zero_grad()
            found.append((before, taken, loss.item(), grads, [p.numpy() for p in net.parameters()]))
    return [(*step, exact(step[0])) for step in found]


@pytest.mark.parametrize("name", HOMES)
def test_every_step_is_exact_but_for_rounding(name):
    for before, taken, loss, grads, weights, (truth, error, slopes, chosen) in steps(name):
        assert all(np.array_equal(mine, other) for mine, other in zip(taken, chosen, strict=True))
        assert abs(loss - truth) <= error
        for grad, slope in zip(grads, slopes, strict=True):
            assert np.all(np.abs(grad - slope.x) <= slope.e)
        for p, grad, new in zip(before, grads, weights, strict=True):
            wanted = walk.descended(p, grad, RATE)
            assert np.all(np.abs(new - wanted.x) <= wanted.e)


@pytest.mark.parametrize("name", ["emulator", "device"])
def test_the_losses_are_those_of_the_cpu(name):
    losses = []
    for mine, other in zip(steps(name), steps("cpu"), strict=True):
        error = mine[-1][1] + other[-1][1]
        assert abs(mine[2] - other[2]) <= error
        losses.append(mine[2])
    assert error < min(a - b for a, b in itertools.pairwise(losses)) / 10  # enough to tell steps apart
