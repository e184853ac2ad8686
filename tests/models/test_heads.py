"""Every architecture in use: new heads of each kind, freezing by its own names, a file there and back."""

import numpy as np
import pytest

import minitl as tl
from minitl import models, transfer

CLASSES = ["ant", "bee", "wasp"]
LAST = {
    "lenet5": "fc7",
    **dict.fromkeys(("resnet18", "resnet34", "resnet50", "small_vgg"), "fc"),
    **dict.fromkeys((name for name in models.ARCHITECTURES if name.startswith("squeezenet")), "conv10"),
}


def trained(net):
    """Layers that have an array that is not frozen."""
    return list(dict.fromkeys(name.rpartition(".")[0] for name, a in net.named_arrays().items() if not a.frozen))


@pytest.mark.parametrize("name", models.ARCHITECTURES)
def test_auto_replaces_the_last_layer_of_every_classifier(name):
    old = models.build(name, num_classes=5, seed=None)
    net = transfer.replace_head(old, CLASSES)
    assert net.graph.names == ["head" if n == LAST.get(name, "fc8") else n for n in old.graph.names]
    assert net.graph.shapes(net.input_shape)[net.graph.output] == (3,)
    assert list(net.named_buffers()) == list(old.named_buffers())
    assert trained(net.freeze_backbone()) == ["head"]


@pytest.mark.parametrize("name", [n for n in models.ARCHITECTURES if not n.startswith("vgg")])
def test_the_features_of_a_classifier_take_any_head(name):
    old = models.build(name, num_classes=5, seed=None)
    features = models.build(name, num_classes=None, seed=None)
    end = "relu3_2" if name == "small_vgg" else features.graph.output
    channels = features.graph.shapes(features.input_shape)[features.graph.output][0]
    gap = transfer.replace_head(old, CLASSES, head="gap")
    assert gap.graph.names[-4:] == [end, "head.pool", "head.flatten", "head"]
    assert gap.graph["head"].layer.in_features == channels
    linear = transfer.replace_head(old, CLASSES, head="linear")
    assert linear.graph.names[-3:] == [end, "head.flatten", "head"]


@pytest.mark.parametrize("name", [n for n in models.HIDDEN_LAYERS if n.startswith(("resnet", "squeezenet"))])
def test_a_dense_head_stands_on_the_global_average_where_the_network_has_one(name):
    features = models.build(name, num_classes=None, seed=None)
    channels = features.graph.shapes(features.input_shape)[features.graph.output][0]
    net = transfer.replace_head(features, CLASSES, head="dense")
    assert net.graph["fc6"].layer.in_features == channels
    assert net.head == ("fc6", "fc7", "head")


def test_a_dense_head_is_the_same_for_features_and_for_a_classifier():
    whole = transfer.replace_head(models.resnet18(4, seed=None), CLASSES, head="dense")
    assert whole.graph.names[-9:] == ["avgpool", "flatten", "fc6", "relu6", "drop6", "fc7", "relu7", "drop7", "head"]
    caffe = transfer.replace_head(models.caffenet(4, seed=None), CLASSES, head="dense")
    assert caffe.head == ("head",)
    assert caffe.graph.names[-8:] == ["flatten", "fc6", "relu6", "drop6", "fc7", "relu7", "drop7", "head"]


def test_running_statistics_go_with_the_layers_that_are_kept():
    old = models.resnet18(4)
    for i, b in enumerate(old.named_buffers().values()):
        b.assign(np.full(b.shape, i + 1))
    net = transfer.replace_head(old.freeze("bn1"), CLASSES)
    for name, b in net.named_buffers().items():
        assert np.array_equal(b.data, old[name].data), name
        assert b.frozen == (name.startswith("bn1."))


def test_a_file_keeps_a_residual_network(tmp_path):
    old = models.resnet18(4, classes=list("abcd"), seed=None)
    for b in old.named_buffers().values():
        b.assign(np.linspace(1, 2, b.size))
    old.save(tmp_path / "resnet.h5")
    net = tl.load(tmp_path / "resnet.h5")
    assert net.graph.to_json() == old.graph.to_json()
    for name, array in old.named_arrays().items():
        assert np.array_equal(net[name].data, array.data), name


# Freezing


def test_a_stage_as_upto_means_its_output():
    net = models.resnet18(3, seed=None).freeze(upto="layer3")
    assert {n.split(".")[0] for n in trained(net)} == {"layer4", "fc"}
    assert all(b.frozen == (not name.startswith("layer4")) for name, b in net.named_buffers().items())
    assert net.cut() == "layer3.1.relu2"
    assert trained(models.resnet50(3, seed=None).freeze(upto="layer4.1"))[0] == "layer4.2.conv1"


def test_the_cut_of_a_residual_network_stands_where_its_branches_meet():
    net = models.resnet18(3, seed=None)
    assert net.freeze(upto="layer2.0.bn1").cut() == "layer1.1.relu2"
    assert net.freeze("layer2.0").cut() == "layer2.0.relu2"
    assert net.freeze_backbone().cut() == "flatten"


@pytest.mark.parametrize(
    ("name", "pattern", "layers"),
    [
        ("resnet18", "layer1", [f"layer1.{i}.{n}{k}" for i in (0, 1) for k in (1, 2) for n in ("conv", "bn")]),
        ("resnet18", "*.downsample.*", [f"layer{i}.0.downsample.{n}" for i in (2, 3, 4) for n in ("conv", "bn")]),
        ("resnet50", "layer2.0.downsample.0", ["layer2.0.downsample.conv"]),
        ("vgg11_bn", "features.1", ["bn1_1"]),
        ("vgg11_bn", "bn*", ["bn1_1", "bn2_1", "bn3_1", "bn3_2", "bn4_1", "bn4_2", "bn5_1", "bn5_2"]),
        ("vgg19", "block1_*", ["conv1_1", "conv1_2"]),
        ("squeezenet1_1", "features.3.*", ["fire2.squeeze1x1", "fire2.expand1x1", "fire2.expand3x3"]),
        ("lenet5", "C?", ["conv1", "conv3", "conv5"]),
    ],
)
def test_patterns_of_every_family(name, pattern, layers):
    net = models.build(name, num_classes=None if name.startswith("vgg") else 2, seed=None).freeze()
    assert trained(net.unfreeze(pattern)) == layers


def test_a_state_of_torchvision_loads_under_its_own_names():
    net, other = models.vgg11_bn(None), models.vgg11_bn(None, seed=1)
    state = {}
    for i, layer in enumerate(other.graph.names):
        if layer in other.state():
            state[f"features.{i}"] = other.state()[layer]
    assert net.load_state(state).complete
    for name, array in other.named_arrays().items():
        assert np.array_equal(net[name].data, array.data), name
