"""Pictures stay channels-last from the first convolution to the last: what is laid out anew between is counted."""

import numpy as np
import pytest

from minitl import nn, no_grad
from minitl.kernels.registry import KernelSpec
from minitl.nn import Graph, Network, Node

pytest.importorskip("numba", reason="the cpu versions need Numba, which is not installed")


def network():
    """Every layer between a convolutional network's pictures and its classifier."""
    nodes = [
        Node("conv1", nn.Conv2d(3, 16, 7, stride=2), ("input",)),  # direct, and few channels
        Node("relu1", nn.ReLU(), ("conv1",)),
        Node("norm1", nn.LocalResponseNorm(5), ("relu1",)),
        Node("pool1", nn.MaxPool2d(3, 2, ceil_mode=True), ("norm1",)),
        Node("left", nn.Conv2d(16, 24, 1), ("pool1",)),
        Node("right", nn.Conv2d(16, 40, 3, padding=1), ("pool1",)),  # Winograd's
        Node("relu_left", nn.ReLU(), ("left",)),
        Node("relu_right", nn.ReLU(), ("right",)),
        Node("join", nn.Concat(), ("relu_left", "relu_right")),
        Node("conv2", nn.Conv2d(64, 32, 5, padding=2, groups=2, bias=False), ("join",)),
        Node("norm2", nn.BatchNorm2d(32), ("conv2",)),
        Node("relu2", nn.ReLU(), ("norm2",)),
        Node("conv3", nn.Conv2d(32, 32, 3, padding=1, groups=32), ("relu2",)),  # each channel alone
        Node("sum", nn.Add(), ("conv3", "relu2")),
        Node("pool2", nn.AvgPool2d(2), ("sum",)),
        Node("flatten", nn.Flatten(), ("pool2",)),
        Node("fc", nn.Linear(32 * 6 * 6, 4), ("flatten",)),
    ]
    return Network(Graph(nodes), name="layers", input_shape=(3, 56, 56))


def pictures(value):
    """The batches of pictures in an argument or a result, but for the network's own input."""
    parts = value if isinstance(value, tuple) else (value,)
    return [part for part in parts if getattr(part, "ndim", 0) == 4 and part.shape[1:] != (3, 56, 56)]


def lies_by_pixels(array):
    return array.shape[1] == 1 or array.strides[1] == array.itemsize


@pytest.fixture
def seen(monkeypatch):
    """What kernels are given and give, and what NumPy copies for them: (what, shape) of each array laid out anew."""
    found = []
    run = KernelSpec.run

    def watched(spec, version, arguments, *hints):
        result = run(spec, version, arguments, *hints)
        given = [arguments[name] for name in ("x", "xs", "y", "grad", "indices") if name in arguments]
        for value in given if spec.name.endswith("grad_weight") else [*given, result]:
            found.extend((spec.name, array.shape) for array in pictures(value) if not lies_by_pixels(array))
        return result

    monkeypatch.setattr(KernelSpec, "run", watched)
    for name in ("ascontiguousarray", "require"):
        function = getattr(np, name)

        def counted(array, *arguments, function=function, name=name, **named):
            result = function(array, *arguments, **named)
            if np.size(array) > 1000 and not np.shares_memory(result, array):
                found.append((f"np.{name}", np.shape(array)))
            return result

        monkeypatch.setattr(np, name, counted)
    return found


def test_the_check_sees_a_copy(seen):
    net = network()
    net.run(np.zeros((2, 16, 13, 13), np.float32), after="pool1", upto="left")  # by planes, as no layer gives it
    assert {what for what, _ in seen} == {"conv2d"}


def test_nothing_is_laid_out_anew_in_inference(seen):
    net, x = network(), np.zeros((2, 3, 56, 56), np.float32)
    with no_grad():
        net(x)
    assert seen == []


def test_nothing_is_laid_out_anew_in_training(seen):
    net, x = network(), np.random.default_rng(0).standard_normal((2, 3, 56, 56)).astype(np.float32)
    net(x, training=True, keys=np.arange(2, dtype=np.uint64)).sum().backward()
    assert net["conv1.weight"].grad is not None
    # A flattened picture counts channel after channel, as everywhere, so its gradient comes by planes: one copy.
    copied = (2, 32, 6, 6)
    assert seen == [
        ("flatten.grad_input", copied),
        ("np.ascontiguousarray", (2, 6, 6, 32)),
        ("avg_pool2d.grad_input", copied),
    ]
