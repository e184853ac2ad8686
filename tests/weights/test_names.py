"""The tables of names agree with each other and with what the other libraries print."""

import re

import pytest

from minitl.weights import names
from minitl.weights.schema import NAME


@pytest.mark.parametrize("network", names.TABLES)
def test_tables(network):
    known, others = list(names.TABLES[network]), names.aliases(network)
    assert len(set(known)) == len(known)
    assert all(NAME.fullmatch(name) for name in known)
    assert set(others.values()) <= set(known)
    assert not set(others) & set(known)
    count = sum(len(row) for row in names.TABLES[network].values())
    assert len(others) == count, "an alias stands for two layers"


@pytest.mark.parametrize("network", ["alexnet", *(f"vgg{n}{bn}" for n in (11, 13, 16, 19) for bn in ("", "_bn"))])
def test_torchvisions_positions_run_without_a_gap(network):
    for part in ("features", "classifier"):
        positions = [int(a.split(".")[1]) for a in names.aliases(network) if a.startswith(part)]
        assert positions == list(range(len(positions)))


@pytest.mark.parametrize("network", ["squeezenet1_0", "squeezenet1_0_caffe", "squeezenet1_1", "squeezenet1_1_caffe"])
def test_squeezenets_positions_run_without_a_gap(network):
    found = [re.match(r"features\.(\d+)", a) for a in names.aliases(network)]
    assert sorted({int(m[1]) for m in found if m}) == list(range(13))


def test_well_known_names():
    vgg, alexnet, squeezenet = (names.aliases(n) for n in ("vgg16", "alexnet", "squeezenet1_0_caffe"))
    assert vgg["features.28"] == vgg["block5_conv3"] == "conv5_3"
    assert vgg["predictions"] == vgg["classifier.6"] == "fc8"
    assert vgg["block4_pool"] == vgg["features.23"] == "pool4"
    assert alexnet["classifier.1"] == "fc6"
    assert alexnet["features.12"] == "pool5"
    assert squeezenet["fire2/squeeze1x1"] == squeezenet["features.3.squeeze"] == "fire2.squeeze1x1"
    assert squeezenet["fire9"] == squeezenet["features.12"] == "fire9.concat"
    newer = names.aliases("squeezenet1_1")
    assert newer["features.6.squeeze"] == newer["fire4/squeeze1x1"] == "fire4.squeeze1x1"
    assert newer["features.5"] == "pool3"
    assert names.aliases("vgg19")["block5_conv4"] == names.aliases("vgg19")["features.34"] == "conv5_4"
    assert names.aliases("lenet5")["C3"] == "conv3"


def test_torchvisions_batch_norms():
    """From the keys of its vgg11_bn and vgg16_bn state dicts."""
    assert [names.aliases("vgg11_bn")[f"features.{i}"] for i in (0, 1, 3, 4)] == [
        "conv1_1",
        "bn1_1",
        "pool1",
        "conv2_1",
    ]
    assert names.aliases("vgg16_bn")["features.41"] == "bn5_3"


def test_the_names_of_stages_and_blocks_mean_their_outputs():
    small, large = names.aliases("resnet18"), names.aliases("resnet50")
    assert small["layer3"] == small["layer3.1"] == "layer3.1.relu2"
    assert small["layer3.0"] == "layer3.0.relu2"
    assert large["layer3"] == large["layer3.5"] == "layer3.5.relu3"
    assert [m for m in small if m.endswith("downsample.0")] == [f"layer{i}.0.downsample.0" for i in (2, 3, 4)]
    assert large["layer1.0.downsample.1"] == "layer1.0.downsample.bn"


def test_an_unknown_network_has_no_aliases():
    assert names.aliases("mine") == {}
