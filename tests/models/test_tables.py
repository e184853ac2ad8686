"""The tables: counts, names and order as published, other input sizes, and what is refused."""

import numpy as np
import pytest

from minitl import models
from minitl.errors import ArgumentError, ShapeError
from minitl.weights import names

# torchvision's documentation (num_params of the weights), and the SqueezeNet repository for Caffe's
PUBLISHED = {"alexnet": 61_100_840, "vgg16": 138_357_544, "squeezenet1_0_caffe": 1_248_424}
FEATURES = {
    "alexnet": (2_469_696, (256, 6, 6)),
    "vgg16": (14_714_688, (512, 7, 7)),
    "squeezenet1_0_caffe": (735_424, (512, 13, 13)),
    "small_vgg": (72_080, (64, 1, 1)),
}


def count(net):
    return sum(p.size for p in net.parameters())


@pytest.mark.parametrize("name", PUBLISHED)
def test_as_many_parameters_as_published(name):
    net = models.build(name, seed=None)
    assert count(net) == PUBLISHED[name]
    assert net.graph.shapes(net.input_shape)[net.graph.output] == (1000,)


@pytest.mark.parametrize("name", FEATURES)
def test_without_classes_the_network_ends_at_its_features(name):
    net = models.build(name, num_classes=None)
    assert (count(net), net.graph.shapes(net.input_shape)[net.graph.output]) == FEATURES[name]


@pytest.mark.parametrize("name", PUBLISHED)
def test_nodes_have_canonical_names(name):
    made = [n for n in models.build(name, num_classes=2, seed=None).graph.names if n != "flatten"]
    assert made == [n for n in names.TABLES[name] if n != "flatten"]


def test_parameters_come_in_layer_order_weight_then_bias():
    net = models.squeezenet1_0_caffe(num_classes=3)
    listed = [p.name for p in net.parameters()]
    order = [n for n in net.graph.names if net.graph[n].layer.parameter_shapes()]
    assert listed == [f"{layer}.{role}" for layer in order for role in ("weight", "bias")]


def test_dropout_stands_where_torchvision_puts_it():
    alexnet = models.alexnet(2, seed=None).graph.names
    assert alexnet[-8:] == ["flatten", "drop6", "fc6", "relu6", "drop7", "fc7", "relu7", "fc8"]
    drop = models.build("alexnet", num_classes=2, seed=None).graph["drop6"]
    assert drop.layer.p == 0.5


def test_same_seed_same_numbers_and_another_seed_others():
    a, b, c = (models.small_vgg(seed=seed) for seed in (3, 3, 4))
    for p, q, r in zip(a.parameters(), b.parameters(), c.parameters(), strict=True):
        assert np.array_equal(p.data, q.data)
        assert p.name.endswith("bias") or not np.array_equal(p.data, r.data)


def test_the_trunk_does_not_depend_on_the_classifier():
    a, b = models.small_vgg(10, seed=1), models.small_vgg(None, seed=1)
    for name, p in b.named_parameters().items():
        assert np.array_equal(p.data, a[name].data)


def test_he_initialization_has_its_variance():
    w = models.alexnet(None)["conv3.weight"].data
    fan_in = w[0].size
    assert w.dtype == np.float32
    assert np.var(w, dtype=np.float64) == pytest.approx(2 / fan_in, rel=0.01)


@pytest.mark.parametrize(("size", "channels"), [(28, 1), (64, 3), (45, 1)])
def test_small_vgg_takes_small_pictures(size, channels):
    net = models.small_vgg(5, in_channels=channels, size=size, classes=list("abcde"))
    assert count(net) < 200_000
    assert net(np.zeros((2, channels, size, size), np.float32)).shape == (2, 5)
    picture = np.zeros((1, 90, 50, 3), np.uint8)
    assert net.features(picture).shape == (1, 64)
    assert net.graph["fc"].op == "linear"


def test_other_input_sizes_work_where_the_mathematics_allows():
    x = np.zeros((1, 3, 95, 130), np.float32)
    assert models.alexnet(4)(x).shape == (1, 4)
    assert models.squeezenet1_0_caffe(4)(x).shape == (1, 4)
    assert models.vgg16(None, seed=None)(x[:, :, :40, :33]).shape == (1, 512, 1, 1)


def test_a_picture_too_small_is_refused_with_the_layer_named():
    with pytest.raises(ShapeError, match=r"'pool5'.*does not fit"):
        models.alexnet(None)(np.zeros((1, 3, 40, 40), np.float32))


def test_wrong_channels_are_refused():
    with pytest.raises(ShapeError, match=r"takes \(N, 3, 32, 32\).*got \(2, 1, 32, 32\)"):
        models.small_vgg()(np.zeros((2, 1, 32, 32), np.float32))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: models.build("resnet50"), "no architecture 'resnet50'.*vgg16"),
        (lambda: models.alexnet(0), "num_classes"),
        (lambda: models.alexnet(True), "num_classes"),
        (lambda: models.alexnet(3, classes=["a"]), "1 names in classes for num_classes=3"),
        (lambda: models.alexnet(None, classes=["a"]), "classes must be left out"),
        (lambda: models.small_vgg(in_channels=2), "in_channels must be 1"),
        (lambda: models.small_vgg(size=20), "size must be 28 to 64"),
    ],
)
def test_nonsense_is_refused(make, words):
    with pytest.raises(ArgumentError, match=words):
        make()
