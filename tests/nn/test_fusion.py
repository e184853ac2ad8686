"""Nodes that one kernel computes together: the same bits as one after the other."""

import itertools

import numpy as np
import pytest

from minitl import functional as F
from minitl import nn, no_grad, tensor
from minitl.errors import ShapeError
from minitl.kernels import spec, using, version
from minitl.nn.layers import INFERENCE

FUSED = {
    "rectified": [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.ReLU()],
    "pooled": [nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(4, 5, 2, padding=2), nn.MaxPool2d(2, 1)],
    "both": [nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), nn.Conv2d(4, 5, 1), nn.ReLU()],
    "windows that overlap": [nn.Conv2d(3, 16, 3), nn.ReLU(), nn.MaxPool2d(3, 1, padding=1), nn.MaxPool2d(2)],
    "rectified last": [nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.ReLU(), nn.ReLU()],
}


@pytest.mark.parametrize("layers", FUSED.values(), ids=FUSED)
@pytest.mark.parametrize("frozen", [(), ("conv1",)], ids=["trained", "frozen"])
def test_fusion_changes_no_bit_of_any_node_or_gradient(layers, frozen):
    shape = nn.Sequential(*layers).graph.shapes((3, 8, 8))
    net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(int(np.prod(list(shape.values())[-1])), 2), seed=1)
    net.freeze(*frozen) if frozen else None
    data = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)
    together, apart = tensor(data, requires_grad=True), tensor(data, requires_grad=True)
    net(together).sum().backward()
    fused = [p.grad for p in net.parameters()]
    values = [net.run(together, upto=node.name) for node in net.graph]
    value, alone = apart, []
    for node in net.graph:  # one node at a time: nothing to fuse
        value = net.run(value, after=node.inputs[0], upto=node.name)
        alone.append(value)
    for p in net.parameters():
        p.grad = None
    value.sum().backward()
    assert np.array_equal(together.grad, apart.grad)
    assert together.grad.any()
    for one, other in zip(values, alone, strict=True):
        assert np.array_equal(one.data, other.data)
    for one, p in zip(fused, net.parameters(), strict=True):
        assert np.array_equal(one, p.grad) if not p.frozen else one is p.grad is None


def test_gradients_of_a_value_with_many_readers_are_added_in_the_same_order():
    """Three sums of floats have other bits in another order."""
    nodes = [nn.Node("base", nn.Conv2d(3, 4, 3), ("input",))]
    nodes += [nn.Node(name, nn.Conv2d(4, 4, 3, padding=1), ("base",)) for name in "abc"]
    nodes += [
        nn.Node("relu", nn.ReLU(), ("a",)),
        nn.Node("sum", nn.Add(), ("b", "c")),
        nn.Node("end", nn.Add(), ("sum", "relu")),
    ]
    net = nn.Network(nodes, seed=1)
    x = [tensor(np.random.default_rng(0).standard_normal((2, 3, 20, 20)).astype(np.float32), True) for _ in range(2)]
    net(x[0]).sum().backward()
    values = {"input": x[1]}
    for node in net.graph:  # one node at a time, as they stand
        arrays = {role: net[name] for role, name in node.arrays}
        inputs = [values[name] for name in node.inputs]
        values[node.name] = node.layer.forward(*inputs, parameters=arrays, mode=INFERENCE, stream=0)
    values["end"].sum().backward()
    assert np.array_equal(x[0].grad, x[1].grad)


def test_what_is_pooled_is_not_kept_for_the_gradients():
    net = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), input_shape=(3, 64, 64))
    x = np.ones((1, 3, 64, 64), np.float32)
    kept = [array for array in net(x).node.context.saved if array is not None]
    assert [array.shape for array in kept] == [(1, 3, 64, 64), (1, 64, 32, 32), (1, 64, 32, 32)]


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


def small():
    """A node of each kind in which convolutions are computed."""
    nodes = [
        nn.Node("conv", nn.Conv2d(3, 16, 3, padding=1), ("input",)),
        nn.Node("relu", nn.ReLU(), ("conv",)),
        nn.Node("left", nn.Conv2d(16, 8, 1), ("relu",)),
        nn.Node("right", nn.Conv2d(16, 8, 3, padding=1), ("relu",)),
        nn.Node("join", nn.Concat(), ("left", "right")),
        nn.Node("last", nn.Conv2d(16, 8, 3), ("join",)),
        nn.Node("pool", nn.MaxPool2d(2), ("last",)),
    ]
    return nn.Network(nodes, seed=1)


def recorded(net, x):
    """The value as it is with gradients, which no plan is made for."""
    return net(x).data


def test_what_was_planned_once_follows_every_change():
    net, x = small(), np.random.default_rng(0).standard_normal((2, 3, 12, 12)).astype(np.float32)
    chosen = []

    def mine(x, w, b, geometry, relu):
        chosen.append(geometry)
        return np.zeros(geometry.y_shape, x.dtype)

    with no_grad():
        first = net(x).data
        assert np.array_equal(net(x).data, first)
        with using(conv2d="reference.im2col"):
            plain = net(x).data
            assert np.allclose(plain, first, atol=1e-4)
        version("conv2d", "reference.mine")(mine)
        try:
            with using(conv2d="reference.mine"):
                assert not net(x).data.any()
                assert len(chosen) == 4
                with using(conv2d="reference.im2col"):
                    assert np.array_equal(net(x).data, plain)
            assert np.array_equal(net(x).data, first)
        finally:
            spec("conv2d").remove("reference.mine")
        assert len(chosen) == 4
        net["conv.weight"].assign(2 * net["conv.weight"].data)
        changed = net(x).data
    assert not np.array_equal(changed, first)
    assert np.array_equal(changed, recorded(net, x))


def test_every_size_and_dtype_has_a_plan_of_its_own():
    """More sizes than are remembered, twice over; of two networks that share a graph."""
    net = small()
    twin = net.astype(np.float64)
    assert twin.graph is net.graph
    for _ in range(2):
        for n, side in itertools.product((1, 3), range(4, 4 + F.Convolutions.MOST)):
            x = np.random.default_rng(side).standard_normal((n, 3, side, side + 1)).astype(np.float32)
            for each in (net, twin):
                with no_grad():
                    value = each(x).data
                assert value.dtype == each.dtype
                assert np.array_equal(value, recorded(each, x))
    with no_grad(), pytest.raises(ShapeError, match="all float32 or all float64"):
        twin(tensor(np.zeros((1, 3, 4, 5), np.float32)))


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
