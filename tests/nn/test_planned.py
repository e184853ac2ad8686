"""What a node's convolutions plan once in inference: which changes undo it, and what it keeps."""

import numpy as np
import pytest

from minitl import functional as F
from minitl import nn, no_grad, set_precision, tensor
from minitl.errors import ShapeError
from minitl.kernels import spec, version
from minitl.kernels.cpu import threads
from minitl.tensor import Parameter


def normal(*shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@pytest.fixture
def chosen(monkeypatch):
    """How often a version of conv2d was chosen."""
    calls, choose = [], type(spec("conv2d")).choose

    def counted(kernel, arguments):
        if kernel.name == "conv2d":
            calls.append(kernel)
        return choose(kernel, arguments)

    monkeypatch.setattr(type(spec("conv2d")), "choose", counted)
    return calls


UNSETTLING = {
    "a version": lambda monkeypatch: version("conv2d", "reference.planned")(None),
    "a precision": lambda monkeypatch: set_precision("tf32"),
    "a fork": lambda monkeypatch: monkeypatch.setattr(threads, "_forked", True),
}


@pytest.mark.parametrize("change", UNSETTLING.values(), ids=UNSETTLING)
def test_a_plan_is_made_once_and_anew_after_a_change(change, chosen, monkeypatch):
    planned = F.Convolutions([(True, {"padding": 1})])
    x, w = tensor(normal(2, 3, 8, 8)), Parameter(normal(4, 3, 3, 3), "w")
    planned((x, w, None))
    planned((x, w, None))
    assert len(chosen) == 1
    try:
        change(monkeypatch)
        planned((x, w, None))
        planned((x, w, None))
    finally:
        set_precision("float32")
        if any(known.name == "reference.planned" for known in spec("conv2d").versions):
            spec("conv2d").remove("reference.planned")
    assert len(chosen) == 2


def test_a_change_in_the_midst_of_planning_is_noticed(chosen):
    planned, x, w = F.Convolutions([(False, {})]), tensor(normal(1, 3, 8, 8)), Parameter(normal(4, 3, 3, 3), "w")
    settled = []

    def serves(**_):
        if not settled:
            settled.append(True)
            version("conv2d", "reference.late")(None)
        return "it only watches"

    version("conv2d", "cpu.watching", serves=serves, first=True)(None)
    try:
        planned((x, w, None))
        planned((x, w, None))
        assert len(chosen) == 2
    finally:
        spec("conv2d").remove("cpu.watching")
        spec("conv2d").remove("reference.late")


def test_no_more_plans_are_kept_than_are_worth_it():
    planned, w = F.Convolutions([(False, {})]), Parameter(normal(4, 3, 3, 3), "w")
    for side in range(3, 3 + 2 * planned.MOST + 1):
        planned((tensor(normal(1, 3, side, side)), w, None))
        assert len(planned._plans) <= planned.MOST


def test_other_weights_and_biases_are_checked_too():
    planned, x = F.Convolutions([(False, {})]), tensor(normal(1, 16, 12, 12))
    planned((x, tensor(normal(16, 16, 3, 3)), tensor(normal(16))))
    for w, b in ((normal(4, 16, 1, 1), None), (normal(8, 16, 3, 3), normal(8)), (normal(16, 16, 3, 3), None)):
        wanted = F.conv2d(x, tensor(w), None if b is None else tensor(b)).data
        assert np.array_equal(planned((x, tensor(w), None if b is None else tensor(b))).data, wanted)
    for b in (normal(9), normal(16, dtype=np.float64)):
        with pytest.raises(ShapeError):
            planned((x, tensor(normal(16, 16, 3, 3)), tensor(b)))
    joined = F.Convolutions([(False, {}), (False, {})])
    one, other = ((tensor(normal(1, 3, 5, 5, dtype=d)), tensor(normal(4, 3, 3, 3, dtype=d)), None) for d in "fd")
    with pytest.raises(ShapeError, match="all float32 or all float64"):
        joined(one, other)


@pytest.mark.parametrize("count", [1, 2])
def test_packed_filters_are_kept_with_the_weights(count):
    pytest.importorskip("numba", reason="only the cpu versions pack filters, and Numba is not installed")
    weights = [Parameter(normal(16, 16, 3, 3, seed=i), f"w{i}") for i in range(count)]
    planned = F.Convolutions([(False, {"padding": 1})] * count)
    planned(*((tensor(normal(1, 16, 12, 12)), w, None) for w in weights))
    assert all(len(w.forms) == 1 for w in weights)


class Doubled(nn.Conv2d):
    """A convolution of one's own, that only looks like the usual one."""

    op = ""

    def forward(self, *inputs, **named):
        return super().forward(*inputs, **named) * 2


class Leaky(nn.ReLU):
    op = ""

    def forward(self, *inputs, **named):
        return inputs[0] * 0.5


@pytest.mark.parametrize(("convolution", "activation"), [(Doubled(3, 4, 3), nn.ReLU()), (nn.Conv2d(3, 4, 3), Leaky())])
def test_a_layer_of_ones_own_keeps_its_own_forward_pass(convolution, activation):
    net = nn.Sequential(("conv", convolution), ("act", activation), ("pool", nn.MaxPool2d(2)))
    x = tensor(normal(1, 3, 8, 8))
    value = F.conv2d(x, net["conv.weight"], net["conv.bias"])
    wanted = F.max_pool2d(F.relu(value * 2) if isinstance(convolution, Doubled) else value * 0.5, 2).data
    assert np.array_equal(net(x).data, wanted)
    with no_grad():
        assert np.array_equal(net(x).data, wanted)


def test_of_frozen_layers_nothing_is_kept_for_gradients(monkeypatch):
    net = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 2, 1)).freeze("conv1")
    run, asked = type(spec("max_pool2d")).run, []

    def watched(kernel, version, arguments, *hints):
        if kernel.name == "max_pool2d" and (not hints or hints[0].get("where") is not False):
            asked.append(version)
        return run(kernel, version, arguments, *hints)

    monkeypatch.setattr(type(spec("max_pool2d")), "run", watched)
    net(normal(1, 3, 9, 9)).sum().backward()
    assert net["conv2.weight"].grad is not None
    assert not asked
    net.unfreeze()
    net(normal(1, 3, 9, 9)).sum().backward()
    assert len(asked) == 1
