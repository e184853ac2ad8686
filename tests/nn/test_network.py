"""Network: running, freezing, rates, the plan, the cut, copies, and what is kept in memory."""

import copy
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from minitl import models, nn, no_grad, tensor
from minitl.errors import ArgumentError, GraphError, ShapeError
from minitl.nn.layers import Layer

KEYS = np.arange(5, dtype=np.uint64)


def frozen(net):
    return [name for name, p in net.named_parameters().items() if p.frozen]


def layers(names):
    return list(dict.fromkeys(name.rpartition(".")[0] for name in names))


# Running


def test_a_run_may_begin_and_end_anywhere(net, x):
    middle = net.run(x, upto="pool1")
    assert middle.shape == (5, 8, 6, 6)
    assert np.array_equal(net.run(middle, after="pool1").data, net(x).data)
    assert net.run(middle, after="pool1", upto="pool1") is middle
    with pytest.raises(GraphError, match="'fc' cannot be computed from 'left' alone"):
        net.run(middle, after="left")


def test_a_run_from_the_middle_draws_the_same_dropout(net, x):
    whole = net(x, training=True, keys=KEYS)
    cut = net.run(net.run(x, upto="pool2"), after="pool2", training=True, keys=KEYS)
    assert np.array_equal(whole.data, cut.data)


def test_a_wrong_shape_is_named_with_its_layer(net, x):
    with pytest.raises(ShapeError, match=r"forked: takes \(N, 3, 12, 12\).*got \(5, 12, 12\)"):
        net(x[:, 0])
    with pytest.raises(ShapeError, match="layer 'fc'"):
        net.run(np.zeros((2, 7), np.float32), after="drop")


def test_arrays_of_any_kind_take_the_networks_dtype(net, x):
    assert net(x.astype(np.float64)).dtype == np.float32
    assert net.astype("float64")(x).dtype == np.float64


def test_parameters_by_name(net):
    assert net["fc.weight"] is net.parameters()[-2]
    assert net["fc.weight"].name == "fc.weight"
    with pytest.raises(GraphError, match=r"no parameter 'fc\.gain'; there are conv1\.weight"):
        net["fc.gain"]


def test_sequential_names_by_kind_and_position():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3), ("last", nn.Flatten()))
    assert net.graph.names == ["conv1", "relu1", "conv2", "last"]
    assert repr(net) == "Network('network', 4 nodes, 58 parameters)"


# Freezing


def test_freeze_by_glob_by_alias_by_parameter_and_back(net):
    assert layers(frozen(net.freeze("conv*", "left"))) == ["conv1", "left"]
    assert layers(frozen(net.unfreeze("l*"))) == ["conv1"]
    assert frozen(net.unfreeze().freeze("*.bias")) == ["conv1.bias", "left.bias", "right.bias", "fc.bias"]
    assert len(frozen(net.freeze())) == 8
    assert not frozen(net.unfreeze())
    squeezenet = models.squeezenet1_0_caffe(2, seed=None).freeze("features.0", "fire9/expand*")
    assert layers(frozen(squeezenet)) == ["conv1", "fire9.expand1x1", "fire9.expand3x3"]


def test_freeze_upto_is_inclusive_and_takes_all_branches(net):
    assert layers(frozen(net.freeze(upto="join"))) == ["conv1", "left", "right"]
    net.unfreeze()
    assert layers(frozen(net.freeze(upto="left"))) == ["conv1", "left"]
    squeezenet = models.squeezenet1_0_caffe(2, seed=None).freeze(upto="fire3")
    assert layers(frozen(squeezenet))[-1] == "fire3.expand3x3"
    assert len(layers(frozen(squeezenet))) == 7


@pytest.mark.parametrize("act", ["freeze", "unfreeze"])
def test_a_pattern_that_matches_nothing_raises_and_changes_nothing(net, act):
    with pytest.raises(GraphError, match=r"'conv9_\*' matches no layer with parameters; there are conv1, left"):
        getattr(net, act)("conv1", "conv9_*")
    with pytest.raises(GraphError, match="'relu1' matches no layer with parameters"):
        getattr(net, act)("relu1")
    with pytest.raises(GraphError, match="no layer 'pool7'"):
        getattr(net, act)(upto="pool7")
    assert not frozen(net)


def test_freeze_upto_a_node_below_all_parameters_raises():
    net = nn.Sequential(nn.ReLU(), nn.Conv2d(1, 1, 1))
    with pytest.raises(GraphError, match="nothing up to 'relu1' has parameters"):
        net.freeze(upto="relu1")


def test_the_backbone_is_all_but_the_head(make):
    assert layers(frozen(make().freeze_backbone())) == ["conv1", "left", "right"]
    assert layers(frozen(make(head=["right", "fc"]).freeze_backbone())) == ["conv1", "left"]
    assert layers(frozen(make(head=["right", "fc"]).freeze("head"))) == ["right", "fc"]


def test_without_parameters_there_is_no_backbone():
    with pytest.raises(GraphError, match="no layer with parameters"):
        nn.Sequential(nn.ReLU()).freeze_backbone()


def test_frozen_parameters_get_no_gradient(net, x):
    net.freeze("left", "fc.bias")
    net(x).sum().backward()
    for name, p in net.named_parameters().items():
        assert (p.grad is None) == p.frozen, name


# Rates and plan


def test_rates_multiply_the_base_and_later_patterns_win(net):
    net.freeze("left").set_lr({"*": 0.5, "conv*": 0.1, "fc.bias": 0})
    rows = {row.name: row for row in net.plan(lr=0.01)}
    assert rows["conv1.weight"].rate == pytest.approx(0.001)
    assert rows["right.weight"].rate == pytest.approx(0.005)
    assert rows["fc.bias"].rate == 0
    assert rows["left.weight"].rate is None
    assert rows["left.weight"].source == "frozen"
    assert rows["conv1.weight"].source == "conv* x 0.1"
    plan = net.plan()
    assert plan.frozen == 36
    assert plan.trained + plan.frozen == sum(p.size for p in net.parameters())
    text = str(net.plan(lr=0.01))
    assert "conv1.weight" in text
    assert "36 are frozen" in text


@pytest.mark.parametrize("rate", [-1, float("nan"), float("inf"), "0.1", None])
def test_a_rate_that_is_none_is_refused(net, rate):
    with pytest.raises(ArgumentError, match=r"set_lr: the multiplier of 'fc'"):
        net.set_lr({"fc": rate})


def test_a_rate_for_nothing_is_refused_and_changes_nothing(net):
    with pytest.raises(GraphError, match="'head' matches no layer"):
        net.set_lr({"conv1": 0.1, "head": 10})
    assert all(p.lr_mult == 1 for p in net.parameters())


# The cut


def test_the_cut_is_the_last_value_that_never_changes(net):
    assert net.cut() == "input"
    assert net.freeze("conv1").cut() == "pool1"
    assert net.freeze("left").cut() == "pool1"  # the other branch trains
    assert net.freeze("right").cut() == "flatten"  # before the dropout
    assert net.freeze().cut() == "flatten"
    assert net.unfreeze("conv1.bias").cut() == "input"


def test_a_dropout_that_drops_nothing_does_not_cut():
    net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Dropout(0.0), nn.Conv2d(1, 1, 1))
    assert net.freeze("conv1").cut() == "dropout1"


# Copies


@pytest.mark.parametrize("duplicate", [lambda net: net.copy(), copy.deepcopy, lambda net: net.astype("float32")])
def test_a_copy_is_independent_and_equal(net, x, duplicate):
    net.freeze("left").set_lr({"fc": 3.0})
    other = duplicate(net)
    assert np.array_equal(other(x).data, net(x).data)
    assert frozen(other) == frozen(net)
    assert other.plan(1).rows == net.plan(1).rows
    before = net["fc.bias"].numpy()
    other["fc.bias"].assign(before + 1)
    other.freeze()
    other.classes.append("more")
    assert np.array_equal(net["fc.bias"].data, before)
    assert frozen(net) == ["left.weight", "left.bias"]
    assert len(net.classes) == 3


def test_astype_keeps_the_numbers(net):
    double = net.freeze("fc").astype(np.float64)
    assert double.dtype == np.float64
    assert frozen(double) == ["fc.weight", "fc.bias"]
    assert all(np.array_equal(p.data, net[name].data) for name, p in double.named_parameters().items())


# Memory


@dataclass(frozen=True)
class Spy(Layer):
    """Passes its input on as a new array and counts how many values of spies are alive."""

    op: ClassVar[str] = "test_spy"
    seen: ClassVar[list[weakref.ref]] = []
    most: ClassVar[list[int]] = []

    def output_shape(self, *shapes):
        return shapes[0]

    def forward(self, *inputs, parameters: Mapping, mode, stream):
        value = tensor(inputs[0].numpy())
        Spy.seen.append(weakref.ref(value))
        Spy.most.append(sum(ref() is not None for ref in Spy.seen))
        return value


def test_activations_go_as_soon_as_they_are_used():
    Spy.seen.clear()
    Spy.most.clear()
    net = nn.Sequential(*[Spy() for _ in range(6)])
    with no_grad():
        net(np.zeros((1, 4), np.float32))
    assert len(Spy.most) == 6
    assert max(Spy.most) == 2  # a layer's input and its output


def recorded(y):
    """Every node of the autograd graph under y."""
    found, queue = {}, [y.node]
    while queue:
        node = queue.pop()
        if node is not None and hasattr(node, "context") and id(node) not in found:
            found[id(node)] = node
            queue += node.parents
    return list(found.values())


def kept_bytes(y):
    return sum(a.nbytes for node in recorded(y) for a in node.context.saved or () if isinstance(a, np.ndarray))


def test_nothing_is_kept_below_the_last_trainable_layer(net, x):
    net.freeze_backbone()
    y = net(x, training=True, keys=KEYS)
    assert len(recorded(y)) == 1
    assert kept_bytes(y) <= 5 * 40 * 4 + net["fc.weight"].data.nbytes
    net.freeze()
    assert net(x).node is None


def test_nothing_is_kept_under_no_grad(net, x):
    with no_grad():
        assert net(x).node is None


def test_backward_frees_what_was_kept(net, x):
    y = net(x).sum()
    nodes = recorded(y)
    assert kept_bytes(y)
    y.backward()
    assert all(node.context.saved is None for node in nodes)


def test_what_to_run_is_worked_out_once(net, x, monkeypatch):
    whole, part = net(x).data, net.run(x, upto="conv1").data
    monkeypatch.setattr(nn.Graph, "segment", None)
    assert np.array_equal(net(x).data, whole)
    assert np.array_equal(net.run(x, upto="conv1").data, part)  # not what the fused one would give
    assert (part < 0).any()


@pytest.mark.parametrize("seed", [-1, 1.5, "a", True, False, 0.0])
def test_seeds_are_whole_numbers_from_zero(seed):
    with pytest.raises(ArgumentError, match="seed must be"):
        nn.Sequential(nn.Linear(2, 2), seed=seed)
    with pytest.raises(ArgumentError, match="seed must be"):
        models.small_vgg(seed=seed)


@pytest.mark.parametrize("keys", [[-1, 2], [1.7, 2.0]])
def test_dropout_keys_that_are_no_keys(keys):
    net = nn.Sequential(nn.Dropout(0.5), nn.Linear(2, 2))
    with pytest.raises(ShapeError, match="keys must be integers"):
        net(np.ones((2, 2), np.float32), training=True, keys=keys)


def test_the_name_of_a_module_means_its_layers():
    nodes = [
        nn.Node("fire2.squeeze", nn.Conv2d(1, 2, 1), ("input",)),
        nn.Node("fire2.expand", nn.Conv2d(2, 2, 1), ("fire2.squeeze",)),
        nn.Node("conv3", nn.Conv2d(2, 2, 1), ("fire2.expand",)),
    ]
    net = nn.Network(nodes).freeze("fire2")
    assert [p.name for p in net.parameters() if not p.frozen] == ["conv3.weight", "conv3.bias"]
    with pytest.raises(GraphError, match="matches no layer"):
        net.freeze("")
    squeezenet = models.squeezenet1_0_caffe(2, seed=None)
    assert layers(frozen(squeezenet.freeze("fire2"))) == [
        f"fire2.{n}" for n in ("squeeze1x1", "expand1x1", "expand3x3")
    ]
    assert len(layers(frozen(squeezenet.unfreeze().freeze("fire[23]")))) == 6


def test_modules_within_modules():
    names = ("stage1.a.conv", "stage1.b", "stage10.conv")
    net = nn.Sequential(*[(name, nn.Conv2d(1, 1, 1)) for name in names])
    assert layers(frozen(net.freeze("stage1"))) == ["stage1.a.conv", "stage1.b"]
    assert layers(frozen(net.unfreeze().freeze("stage1.a"))) == ["stage1.a.conv"]


@pytest.mark.parametrize("pattern", [3, None, ["conv1"]])
def test_a_pattern_that_is_no_text(net, pattern):
    with pytest.raises(GraphError, match="a pattern of layer names must be text"):
        net.freeze(pattern)
    with pytest.raises(GraphError, match="a pattern of layer names must be text"):
        net.match(pattern)


@pytest.mark.parametrize("shape", [3, "abc", (3.0, 8, 8), (None, 8, 8)])
def test_an_input_shape_that_is_no_shape(net, shape):
    with pytest.raises(ShapeError, match="input_shape must be whole numbers"):
        net.summary(input_shape=shape)
    with pytest.raises(ShapeError, match="input_shape must be whole numbers"):
        nn.Sequential(nn.ReLU(), input_shape=shape)
