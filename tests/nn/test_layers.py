"""Each layer: its stated shape is that of its value, its attributes survive JSON, and nonsense is refused."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from typing import ClassVar

import numpy as np
import pytest

from minitl import functional as F
from minitl import nn, tensor
from minitl.errors import ArgumentError, GraphError, ShapeError
from minitl.nn.layers import INFERENCE, Layer

LAYERS = [
    (nn.Conv2d(4, 6, 3, stride=2, padding="same", groups=2), (4, 9, 7)),
    (nn.Conv2d(4, 2, (1, 3), padding=((0, 1), (2, 0)), bias=False, padding_mode="replicate"), (4, 5, 5)),
    (nn.Conv2d(4, 2, 3, dilation=2, initializer="glorot_normal"), (4, 8, 9)),
    (nn.Linear(12, 5), (12,)),
    (nn.Linear(12, 5, bias=False, initializer="zeros"), (12,)),
    (nn.MaxPool2d(3, 2, ceil_mode=True), (4, 8, 6)),
    (nn.MaxPool2d(2, padding=1), (2, 6, 7)),
    (nn.MaxPool2d(2, dilation=3), (2, 9, 7)),
    (nn.AdaptiveAvgPool2d((2, 3)), (4, 7, 5)),
    (nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), (4, 8, 6)),
    (nn.AvgPool2d((2, 1), divisor_override=3), (2, 6, 7)),
    (nn.Pad2d(((1, 0), (2, 3))), (4, 3, 5)),
    (nn.Pad2d((2, 1), mode="reflect"), (4, 3, 5)),
    (nn.Pad2d(1, value=-2.5), (4, 3, 5)),
    (nn.BatchNorm2d(4), (4, 3, 5)),
    (nn.BatchNorm2d(4, eps=1e-3, momentum=None, affine=False), (4,)),
    (nn.LocalResponseNorm(3, alpha=0.1, beta=0.5, k=2), (7, 3, 5)),
    (nn.ReLU(), (4, 3, 3)),
    (nn.LeakyReLU(0.2), (4, 3, 3)),
    (nn.LeakyReLU(-1), (4, 3, 3)),
    (nn.Sigmoid(), (4, 3, 3)),
    (nn.Tanh(), (4,)),
    (nn.GELU(), (4, 3, 3)),
    (nn.GELU("tanh"), (4,)),
    (nn.Softmax(), (4,)),
    (nn.LogSoftmax(), (4,)),
    (nn.Dropout(0.3), (4, 3, 3)),
    (nn.Flatten(), (4, 3, 2)),
    (nn.Concat(), (4, 3, 2)),
    (nn.Add(), (4, 3, 2)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=lambda v: getattr(v, "op", None))
def test_the_stated_shape_is_the_shape_of_the_value(layer, shape):
    net = nn.Network([nn.Node("only", layer, ("input",))], input_shape=shape)
    x = np.random.default_rng(0).standard_normal((2, *shape), dtype=np.float32)
    assert net(x).shape == (2, *layer.output_shape(shape))
    assert net(x[:0]).shape == (0, *layer.output_shape(shape))


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=lambda v: getattr(v, "op", None))
def test_attributes_survive_json(layer, shape):
    again = Layer.from_attributes(layer.op, json.loads(json.dumps(layer.attributes())), "here")
    assert again == layer
    assert hash(again) == hash(layer)


@pytest.mark.parametrize(
    ("layer", "function"),
    [
        (nn.AvgPool2d, F.avg_pool2d),
        (nn.BatchNorm2d, F.batch_norm),
        (nn.Conv2d, F.conv2d),
        (nn.GELU, F.gelu),
        (nn.LeakyReLU, F.leaky_relu),
        (nn.LocalResponseNorm, F.local_response_norm),
        (nn.MaxPool2d, F.max_pool2d),
        (nn.Pad2d, F.pad),
    ],
)
def test_what_is_left_out_is_as_in_functional(layer, function):
    def options(of):
        return {p.name: p.default for p in signature(of).parameters.values() if p.default is not p.empty}

    ours, theirs = options(layer), options(function)
    shared = (ours.keys() & theirs.keys()) - {"bias"}  # a flag here, an array there
    assert shared
    assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Conv2d(3, 4, 3, groups=2),
        lambda: nn.Conv2d(0, 4, 3),
        lambda: nn.Conv2d(3, 4, 3, initializer="magic"),
        lambda: nn.Conv2d(3, 4, 3, initializer=["magic"]),
        lambda: nn.Linear(3, True),
        lambda: nn.Linear(3, 2.5),
        lambda: nn.Dropout(1.0),
        lambda: nn.Dropout(-0.1),
        lambda: nn.Dropout(float("nan")),
        lambda: nn.Dropout("half"),
        lambda: nn.AvgPool2d(2, divisor_override=0),
        lambda: nn.AvgPool2d(2, divisor_override=1.5),
        lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"),
        lambda: nn.Pad2d(1, mode="zeros"),
        lambda: nn.Pad2d(1, value=float("nan")),
        lambda: nn.Pad2d(1, value=float("inf")),
        lambda: nn.Pad2d(1, value=-float("inf")),
        lambda: nn.Pad2d(1, mode=["reflect"]),
        lambda: nn.BatchNorm2d(0),
        lambda: nn.LocalResponseNorm(0),
        lambda: nn.LocalResponseNorm(5, alpha=-1.0),
        lambda: nn.LocalResponseNorm(5, k="2"),
        lambda: nn.LeakyReLU("0.1"),
        lambda: nn.LeakyReLU(float("nan")),
        lambda: nn.GELU("sigmoid"),
        lambda: nn.GELU(True),
    ],
)
def test_nonsense_is_refused(make):
    with pytest.raises(ArgumentError):
        make()


def test_a_number_outside_its_domain_is_told_the_domain():
    with pytest.raises(ArgumentError, match=r"Pad2d: value must be a finite number; got inf"):
        nn.Pad2d(1, value=float("inf"))
    with pytest.raises(ArgumentError, match=r"momentum must be a finite number of at least 0 and at most 1; got 2"):
        nn.BatchNorm2d(3, momentum=2)
    with pytest.raises(ArgumentError, match=r"alpha must be a finite number of at least 0; got -1"):
        nn.LocalResponseNorm(5, alpha=-1)


def test_concat_names_the_axes_that_differ():
    with pytest.raises(ShapeError, match=r"concat: inputs must agree.*\(1, 2, 2\).*\(1, 3, 2\)"):
        nn.Concat().output_shape((1, 2, 2), (1, 3, 2))


def test_add_names_the_shapes_that_differ():
    with pytest.raises(ShapeError, match=r"add: inputs must have one shape.*\(1, 2, 2\).*\(3, 2, 2\)"):
        nn.Add().output_shape((1, 2, 2), (3, 2, 2))


def test_add_sums_all_its_inputs():
    nodes = [nn.Node("twice", nn.Add(), ("input", "input")), nn.Node("sum", nn.Add(), ("input", "twice", "twice"))]
    net = nn.Network(nodes, input_shape=(2,))
    assert net(np.float32([[1, -2]])).data.tolist() == [[5, -10]]
    x = tensor(np.ones((1, 2), np.float32), requires_grad=True)
    net(x).sum().backward()
    assert x.grad.tolist() == [[5, 5]]


@pytest.mark.parametrize(
    "layer", [nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1), nn.LocalResponseNorm(5), nn.Pad2d(1), nn.BatchNorm2d(3)]
)
def test_layers_of_pictures_refuse_what_is_none(layer):
    with pytest.raises(ShapeError):
        layer.output_shape((3, 4))


def test_dropout_does_nothing_in_inference_and_needs_keys_in_training():
    net = nn.Sequential(nn.Dropout(0.5))
    x = np.ones((2, 50), np.float32)
    assert np.array_equal(net(x).data, x)
    with pytest.raises(ArgumentError, match="keys="):
        net(x, training=True)


def test_a_pictures_mask_follows_its_key_and_not_its_place():
    net = nn.Sequential(nn.Dropout(0.5))
    x = np.ones((3, 64), np.float32)
    keys = np.array([7, 8, 9], np.uint64)
    a = net(x, training=True, keys=keys).data
    b = net(x[:2], training=True, keys=keys[[2, 0]]).data
    assert np.array_equal(a[[2, 0]], b)
    assert not np.array_equal(a[0], a[1])
    assert set(np.unique(a)) == {0, 2}


def test_two_dropouts_draw_different_masks():
    net = nn.Sequential(("drop1", nn.Dropout(0.5)), ("drop2", nn.Dropout(0.5)))
    key = np.array([1], np.uint64)
    x = np.ones((1, 1000), np.float32)
    kept = np.count_nonzero(net(x, training=True, keys=key).data)
    assert 150 < kept < 350  # a quarter; half if the masks were the same


@dataclass(frozen=True)
class Scale(Layer):
    """A layer of a user's own: y = weight x, a number a channel."""

    op: ClassVar[str] = "test_scale"
    channels: int

    def parameter_shapes(self):
        return {"weight": (self.channels, 1, 1)}

    def initializers(self):
        return {"weight": "zeros"}

    def output_shape(self, *shapes):
        return shapes[0]

    def forward(self, *inputs, parameters: Mapping, mode, stream):
        return inputs[0] * parameters["weight"]


def test_a_layer_of_ones_own_trains_saves_and_loads(tmp_path):
    net = nn.Sequential(("scale", Scale(3)), ("flatten", nn.Flatten()), name="own", input_shape=(3, 2, 2))
    net["scale.weight"].assign(np.float32([2, 3, 4]).reshape(3, 1, 1))
    x = np.ones((1, 3, 2, 2), np.float32)
    y = net(x)
    assert y.data.tolist() == [[2] * 4 + [3] * 4 + [4] * 4]
    y.sum().backward()
    assert net["scale.weight"].grad.ravel().tolist() == [4, 4, 4]
    net.save(tmp_path / "own.h5")
    from minitl import load

    assert np.array_equal(load(tmp_path / "own.h5")(x).data, y.data)


def test_an_unknown_layer_says_what_is_known():
    with pytest.raises(GraphError, match=r"no layer has op 'lstm'; known are .*conv2d"):
        Layer.from_attributes("lstm", {}, "node 'a'")


def test_a_layer_that_defines_nothing_says_so():
    class Empty(Layer):
        pass

    with pytest.raises(TypeError, match="Empty must define forward"):
        Empty().forward(tensor([1.0]), parameters={}, mode=INFERENCE, stream=0)
    with pytest.raises(TypeError, match="Empty must define output_shape"):
        Empty().output_shape((1,))


def test_numpy_numbers_are_stored_as_plain_ones():
    layer = nn.Conv2d(np.int64(4), np.int32(4), 3, groups=np.int64(2))
    assert json.dumps(layer.attributes())
    assert layer == nn.Conv2d(4, 4, 3, groups=2)


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (lambda: nn.Conv2d(4, 4, np.int64(3), [2, np.int64(1)]), nn.Conv2d(4, 4, 3, (2, 1))),
        (lambda: nn.Conv2d(4, 4, [3, 3], padding=np.array([1, 0])), nn.Conv2d(4, 4, (3, 3), padding=(1, 0))),
        (lambda: nn.Conv2d(4, 4, 3, padding=np.eye(2, dtype=int)), nn.Conv2d(4, 4, 3, padding=((1, 0), (0, 1)))),
        (lambda: nn.MaxPool2d(np.int64(2), ceil_mode=np.True_), nn.MaxPool2d(2, ceil_mode=True)),
        (lambda: nn.AdaptiveAvgPool2d(np.array([1, 2])), nn.AdaptiveAvgPool2d((1, 2))),
        (lambda: nn.Dropout(np.float32(0.5)), nn.Dropout(0.5)),
        (lambda: nn.AvgPool2d([2, 2], divisor_override=np.int64(3)), nn.AvgPool2d((2, 2), divisor_override=3)),
        (lambda: nn.Pad2d([[1, 0], [2, 3]], value=1), nn.Pad2d(((1, 0), (2, 3)), value=1.0)),
        (lambda: nn.BatchNorm2d(np.int64(4), momentum=np.float64(0.5)), nn.BatchNorm2d(4, momentum=0.5)),
        (lambda: nn.LocalResponseNorm(np.int32(5), k=np.int64(2)), nn.LocalResponseNorm(5, k=2.0)),
        (lambda: nn.LeakyReLU(np.float32(0.5)), nn.LeakyReLU(0.5)),
    ],
)
def test_settings_in_any_form_are_stored_in_one(given, plain):
    assert given() == plain
    assert hash(given()) == hash(plain)
    assert json.dumps(given().attributes()) == json.dumps(plain.attributes())


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Conv2d(4, 4, 3, groups=True),
        lambda: nn.Conv2d(4, 4, 3, bias="no"),
        lambda: nn.Linear(4, 4, bias=0),
        lambda: nn.MaxPool2d(2, ceil_mode="False"),
        lambda: nn.Dropout(False),
        lambda: nn.AvgPool2d(2, ceil_mode=1),
        lambda: nn.AvgPool2d(2, count_include_pad=None),
        lambda: nn.AvgPool2d(2, divisor_override=True),
        lambda: nn.BatchNorm2d(3, affine="yes"),
        lambda: nn.BatchNorm2d(3, momentum=True),
        lambda: nn.LocalResponseNorm(True),
        lambda: nn.LeakyReLU(False),
    ],
)
def test_flags_and_counts_are_what_they_say(make):
    with pytest.raises(ArgumentError, match="must be"):
        make()
