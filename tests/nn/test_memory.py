"""The walk behind `net.summary().memory`, against numbers counted by hand."""

import numpy as np
import pytest

from minitl import nn
from minitl.nn.memory import _Walk

BATCH = 2
X, CONV, POOL, OUT = 3 * 8 * 8, 16 * 8 * 8, 16 * 4 * 4, 16 * 4 * 4 * 5 + 5  # numbers of a picture's values; of a layer
WEIGHTS = 16 * 3 * 9 + 16


def walk(inference=False, frozen=False):
    """Of conv (3 x 8 x 8 -> 16 x 8 x 8), relu, pool (-> 16 x 4 x 4), flatten, dense (-> 5)."""
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * 4 * 4, 5),
    )  # fmt: skip
    if frozen:
        net.freeze("conv1")
    shapes = net.graph.shapes((3, 8, 8))
    flags = {name: p.frozen for name, p in net.named_arrays().items()}
    return _Walk(net.graph, shapes, flags, BATCH, np.dtype(np.float32), inference)


def test_inference_holds_a_node_and_its_inputs():
    fullest, left = walk(inference=True).forward(kept=False)
    assert fullest == BATCH * 2 * POOL > BATCH * (X + POOL)  # before and after flattening; what is pooled: never whole
    assert left == BATCH * 5


def test_a_convolution_that_cannot_pool_itself_is_written_whole(monkeypatch):
    monkeypatch.setattr("minitl.functional.pooled_at_once", lambda *_, **__: False)
    assert walk(inference=True).forward(kept=False)[0] == BATCH * (X + CONV + POOL)


@pytest.mark.parametrize("frozen", [False, True])
def test_the_forward_pass_of_training(frozen):
    steps = walk(frozen=frozen)
    fullest, left = steps.forward(kept=True)
    if frozen:  # nothing is kept but what the dense layer needs
        assert fullest == BATCH * 2 * POOL
        assert steps.kept == {"fc1": ["flatten1"]}
        assert left == BATCH * (POOL + 5)
    else:  # the maxima, where they were, and the picture
        assert fullest == BATCH * (X + CONV + POOL + POOL)
        assert steps.kept == {"pool1": ["input", "pool1"], "flatten1": [], "fc1": ["flatten1"]}
        assert steps.own["pool1"] == BATCH * POOL
        assert left == BATCH * (X + 3 * POOL + 5)  # and the maxima once more, flattened


def test_the_fullest_moment_of_a_step():
    """When the maxima's gradient goes back through pool and convolution."""
    kept = X + POOL + POOL + 5  # the picture, the maxima, where they were, and the output that the caller holds
    going = POOL + POOL + CONV  # the gradient of the maxima, what the ReLU lets through, and that of the convolution
    gradients = WEIGHTS + OUT
    assert walk().step() == BATCH * (kept + going) + 2 * gradients  # and the velocity
