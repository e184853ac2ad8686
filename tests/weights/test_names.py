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


@pytest.mark.parametrize("network", ["alexnet", "vgg16"])
def test_torchvisions_positions_run_without_a_gap(network):
    for part in ("features", "classifier"):
        positions = [int(a.split(".")[1]) for a in names.aliases(network) if a.startswith(part)]
        assert positions == list(range(len(positions)))


def test_squeezenets_positions_run_without_a_gap():
    found = [re.match(r"features\.(\d+)", a) for a in names.aliases("squeezenet1_0_caffe")]
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


def test_an_unknown_network_has_no_aliases():
    assert names.aliases("mine") == {}
