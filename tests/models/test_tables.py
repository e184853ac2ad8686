"""The tables: counts, names and order as published, other input sizes, and what is refused."""

import numpy as np
import pytest

from minitl import models
from minitl.errors import ArgumentError, ShapeError
from minitl.weights import names

# torchvision's documentation (num_params of the weights), the SqueezeNet repository and Caffe's model zoo for Caffe's,
# and the sum of the paper's layers for LeNet-5
PUBLISHED = {
    "alexnet": 61_100_840,
    "alexnet_caffe": 60_965_224,
    "caffenet": 60_965_224,
    "lenet5": 61_706,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "squeezenet1_0": 1_248_424,
    "squeezenet1_0_caffe": 1_248_424,
    "squeezenet1_1": 1_235_496,
    "squeezenet1_1_caffe": 1_235_496,
    "vgg11": 132_863_336,
    "vgg11_bn": 132_868_840,
    "vgg13": 133_047_848,
    "vgg13_bn": 133_053_736,
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
    "vgg19": 143_667_240,
    "vgg19_bn": 143_678_248,
}
FEATURES = {
    "alexnet": (2_469_696, (256, 6, 6)),
    "alexnet_caffe": (2_334_080, (256, 6, 6)),
    "caffenet": (2_334_080, (256, 6, 6)),
    "lenet5": (50_692, (120, 1, 1)),
    "resnet18": (11_176_512, (512, 7, 7)),
    "resnet34": (21_284_672, (512, 7, 7)),
    "resnet50": (23_508_032, (2048, 7, 7)),
    "small_vgg": (72_080, (64, 1, 1)),
    "squeezenet1_0": (735_424, (512, 13, 13)),
    "squeezenet1_0_caffe": (735_424, (512, 13, 13)),
    "squeezenet1_1": (722_496, (512, 13, 13)),
    "squeezenet1_1_caffe": (722_496, (512, 14, 14)),
    "vgg11": (9_220_480, (512, 7, 7)),
    "vgg11_bn": (9_225_984, (512, 7, 7)),
    "vgg13": (9_404_992, (512, 7, 7)),
    "vgg13_bn": (9_410_880, (512, 7, 7)),
    "vgg16": (14_714_688, (512, 7, 7)),
    "vgg16_bn": (14_723_136, (512, 7, 7)),
    "vgg19": (20_024_384, (512, 7, 7)),
    "vgg19_bn": (20_035_392, (512, 7, 7)),
}
CAFFE = ("alexnet_caffe", "caffenet", "squeezenet1_0_caffe", "squeezenet1_1_caffe")


def count(net):
    return sum(p.size for p in net.parameters())


@pytest.mark.parametrize("name", PUBLISHED)
def test_as_many_parameters_as_published(name):
    net = models.build(name, seed=None)
    assert count(net) == PUBLISHED[name]
    assert net.graph.shapes(net.input_shape)[net.graph.output] == ((10,) if name == "lenet5" else (1000,))


def test_every_architecture_is_counted():
    assert set(FEATURES) == set(models.ARCHITECTURES) == {*PUBLISHED, "small_vgg"} == {*names.TABLES, "small_vgg"}


@pytest.mark.parametrize("name", FEATURES)
def test_without_classes_the_network_ends_at_its_features(name):
    net = models.build(name, num_classes=None, seed=None)
    assert (count(net), net.graph.shapes(net.input_shape)[net.graph.output]) == FEATURES[name]


@pytest.mark.parametrize("name", PUBLISHED)
def test_nodes_have_canonical_names(name):
    assert models.build(name, num_classes=2, seed=None).graph.names == list(names.TABLES[name])


@pytest.mark.parametrize("name", FEATURES)
def test_pictures_become_what_the_network_takes(name):
    net = models.build(name, num_classes=None, seed=None)
    picture = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    assert net.preprocessing(picture).shape == net.input_shape
    channels = "L" if name == "lenet5" else "BGR" if name in CAFFE else "RGB"
    assert net.preprocessing.channels == channels


def test_caffes_networks_normalize_and_pool_in_opposite_orders():
    assert models.alexnet_caffe(2, seed=None).graph.names[:5] == ["conv1", "relu1", "norm1", "pool1", "conv2"]
    assert models.caffenet(2, seed=None).graph.names[:5] == ["conv1", "relu1", "pool1", "norm1", "conv2"]
    norm = models.caffenet(None, seed=None).graph["norm2"].layer
    assert (norm.size, norm.alpha, norm.beta, norm.k) == (5, 1e-4, 0.75, 1.0)


def test_a_bottleneck_steps_at_its_middle_convolution():
    graph = models.resnet50(2, seed=None).graph
    assert [graph[f"layer3.0.conv{i}"].layer.stride for i in (1, 2, 3)] == [1, 2, 1]


def test_a_digit_stands_in_a_black_border():
    digit = np.full((1, 28, 28, 3), 255, np.uint8)
    (prepared,) = models.lenet5().preprocessing(digit[0])
    assert (prepared[2:30, 2:30] > 0).all()
    assert (prepared[[0, 1, 30, 31]] < 0).all()


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
    for name in ("vgg19_bn", "alexnet_caffe"):
        made = models.build(name, num_classes=2, seed=None).graph.names
        assert made[-8:] == ["flatten", "fc6", "relu6", "drop6", "fc7", "relu7", "drop7", "fc8"]


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
    assert models.resnet18(4)(x).shape == (1, 4)
    with pytest.raises(ShapeError, match=r"layer 'fc6'.*1536.*9216"):  # Caffe's has no means to make up for the size
        models.caffenet(4, seed=None)(x)


def test_a_picture_too_small_is_refused_with_the_layer_named():
    with pytest.raises(ShapeError, match=r"'pool5'.*does not fit"):
        models.alexnet(None)(np.zeros((1, 3, 40, 40), np.float32))


def test_wrong_channels_are_refused():
    with pytest.raises(ShapeError, match=r"takes \(N, 3, 32, 32\).*got \(2, 1, 32, 32\)"):
        models.small_vgg()(np.zeros((2, 1, 32, 32), np.float32))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: models.build("resnet9"), "no architecture 'resnet9'.*vgg16"),
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
