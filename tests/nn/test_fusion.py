"""Nodes that one kernel computes together: the same bits as one after the other."""

import numpy as np
import pytest

from minitl import functional as F
from minitl import nn, no_grad
from minitl.errors import ShapeError
from minitl.kernels import spec, using, version


def test_a_fused_relu_changes_no_bit_of_any_node_or_gradient():
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 36, 2),
        input_shape=(3, 8, 8),
    )  # fmt: skip
    x = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)
    net(x).sum().backward()
    fused = [p.grad for p in net.parameters()]
    values = [net.run(x, upto=node.name) for node in net.graph]
    value, apart = x, []
    for node in net.graph:  # one node at a time: nothing to fuse
        value = net.run(value, after=node.inputs[0], upto=node.name)
        apart.append(value)
    for p in net.parameters():
        p.grad = None
    apart[-1].sum().backward()
    for one, other in zip(values, apart, strict=True):
        assert np.array_equal(one.data, other.data)
    for one, p in zip(fused, net.parameters(), strict=True):
        assert np.array_equal(one, p.grad)


def siblings(*kinds, joined=("a", "b"), input_shape=(3, 9, 10)):
    """input -> base -> (a | b) -> join -> end; `kinds`: the two convolutions."""
    nodes = [nn.Node("base", nn.Conv2d(3, 16, 3, padding=1), ("input",))]
    for name, layer in zip("ab", kinds, strict=True):
        nodes += [nn.Node(f"conv_{name}", layer, ("base",)), nn.Node(name, nn.ReLU(), (f"conv_{name}",))]
    nodes += [
        nn.Node("join", nn.Concat(), joined),
        nn.Node("end", nn.Conv2d(sum(k.out_channels for k in kinds), 3, 1), ("join",)),
    ]
    return nn.Network(nn.Graph(nodes), name="siblings", input_shape=input_shape)


SIBLINGS = {
    "1x1 and squares": (nn.Conv2d(16, 8, 1), nn.Conv2d(16, 24, 3, padding=1)),
    "neither of whole registers": (nn.Conv2d(16, 5, 1, bias=False), nn.Conv2d(16, 9, 3, padding=1)),
    "one with a border that is bent": (nn.Conv2d(16, 8, 1), nn.Conv2d(16, 8, 3, padding=1, padding_mode="reflect")),
}


@pytest.mark.parametrize("kinds", SIBLINGS.values(), ids=SIBLINGS)
def test_a_concat_of_convolutions_is_written_in_place_and_changes_no_bit(kinds, monkeypatch):
    net = siblings(*kinds)
    x = np.random.default_rng(0).standard_normal((2, 3, 9, 10)).astype(np.float32)
    recorded = {name: net.run(x, upto=name).data for name in ("join", "end")}
    bent = any(kind.padding_mode == "reflect" for kind in kinds)
    if not bent:
        monkeypatch.setattr(F, "concat", None)  # nothing is left for it to do
    with no_grad():
        for name, value in recorded.items():
            assert np.array_equal(net.run(x, upto=name).data, value)
        assert np.array_equal(net.run(x, upto="a").data, net.run(x, upto="conv_a").data.clip(0))


@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("window", [{"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "ceil_mode": True}])
def test_a_pooled_convolution_is_never_written_whole_and_changes_no_bit(rectified, window, monkeypatch):
    layers = [nn.Conv2d(3, 16, 3, padding=1), *[nn.ReLU()] * rectified, nn.MaxPool2d(**window), nn.Conv2d(16, 4, 1)]
    net = nn.Sequential(*layers, input_shape=(3, 13, 14))
    x = np.random.default_rng(0).standard_normal((2, 3, 13, 14)).astype(np.float32)
    recorded = {node.name: net.run(x, upto=node.name).data for node in net.graph}
    with no_grad():
        for name, value in recorded.items():
            assert np.array_equal(net.run(x, upto=name).data, value)
        monkeypatch.setattr(F, "max_pool2d", None)  # nothing is left for it to do
        assert np.array_equal(net(x).data, value)


def test_a_concat_that_was_asked_for_joins_convolutions():
    net = siblings(*SIBLINGS["1x1 and squares"])
    x = np.random.default_rng(0).standard_normal((2, 3, 9, 10)).astype(np.float32)
    calls = []

    @version("concat", "reference.mine")
    def mine(xs, axis):
        calls.append(axis)
        return np.concatenate(xs, axis)

    try:
        with no_grad():
            value = net(x).data
            assert not calls
            with using(concat="reference.mine"):
                assert np.array_equal(net(x).data, value)
    finally:
        spec("concat").remove("reference.mine")
    assert calls == [1]


def test_a_convolution_that_stands_twice_in_a_concat_is_not_written_in_place():
    net = siblings(nn.Conv2d(16, 8, 1), nn.Conv2d(16, 8, 1), joined=("a", "a"))
    x = np.random.default_rng(0).standard_normal((1, 3, 9, 10)).astype(np.float32)
    with no_grad():
        value = net.run(x, upto="join").data
    assert np.array_equal(value[:, :8], value[:, 8:])


def test_a_concat_of_convolutions_that_do_not_fit_names_them():
    net = siblings(nn.Conv2d(16, 8, 1), nn.Conv2d(16, 8, 3), input_shape=None)
    with no_grad(), pytest.raises(ShapeError, match=r"layers 'conv_a', 'conv_b', 'join': concat: shapes must agree"):
        net.run(np.zeros((1, 3, 9, 10), np.float32), upto="join")


def test_a_convolution_that_others_read_too_is_not_rectified_for_them():
    nodes = [
        nn.Node("conv", nn.Conv2d(1, 2, 1), ("input",)),
        nn.Node("relu", nn.ReLU(), ("conv",)),
        nn.Node("both", nn.Concat(), ("conv", "relu")),
    ]
    net = nn.Network(nodes, input_shape=(1, 2, 2))
    x = np.array([-1.0, 1.0, -2.0, 2.0], np.float32).reshape(1, 1, 2, 2)
    both, plain = net(x).data, net.run(x, upto="conv").data
    assert (plain < 0).any()
    assert np.array_equal(both, np.concatenate([plain, np.maximum(plain, 0)], axis=1))


@pytest.mark.parametrize("layers", [[nn.Dropout(0.5)], [nn.Flatten()], [nn.ReLU()], [nn.Dropout(0.5), nn.Flatten()]])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_an_array_is_read_in_place_and_never_handed_back(layers, dtype):
    net = nn.Sequential(*layers, input_shape=(3, 4, 5))
    x = np.ones((2, 3, 4, 5), dtype)
    with no_grad():
        values = [net(x), net.run(x, after=net.graph.names[-1], upto=net.graph.names[-1])]
    x[...] = 7
    for value in values:
        assert (value.data == 1).all()
        assert value.dtype == net.dtype
