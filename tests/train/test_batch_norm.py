"""Fine-tuning all of VGG-16 with batch normalization: what is frozen stays, bit for bit, and what is not moves."""

from dataclasses import replace

import numpy as np
import pytest

from minitl import Trainer, data, models, transfer

CLASSES = ("dark", "bright")
SIDE = 32


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    labels = np.arange(8) % 2
    x = rng.integers(0, 128, (8, SIDE, SIDE, 3)) + 100 * labels[:, None, None, None]
    return data.arrays(x.astype(np.uint8), labels, CLASSES, val=0)


def moved(pictures, freeze):
    """Names of the arrays that a fit moved, in VGG-16 with a pooled head, after freeze(net)."""
    net = models.vgg16_bn(None, seed=0)
    net.preprocessing = replace(net.preprocessing, size=SIDE, crop=(SIDE, SIDE))
    net = transfer.replace_head(net, CLASSES, head="gap")
    freeze(net)
    before = {name: array.numpy() for name, array in net.named_arrays().items()}
    Trainer(net, pictures, lr=0.01, batch_size=4, progress=False).fit(2)
    return {name for name, array in net.named_arrays().items() if not np.array_equal(array.data, before[name])}


def statistics(names):
    return {name for name in names if ".running_" in name}


def test_free_statistics_follow_the_batches(pictures):
    found = moved(pictures, lambda net: net.unfreeze())
    assert len(statistics(found)) == 2 * 13
    assert {"conv1_1.weight", "bn5_3.weight", "head.weight"} <= found


def test_frozen_normalization_stays_while_convolutions_learn(pictures):
    found = moved(pictures, lambda net: net.freeze("bn*"))
    assert not any(name.startswith("bn") for name in found)
    assert {"conv1_1.weight", "conv5_3.weight", "head.weight"} <= found


def test_a_frozen_backbone_does_not_move_at_all(pictures):
    assert moved(pictures, lambda net: net.freeze_backbone()) == {"head.weight", "head.bias"}


def test_statistics_above_a_frozen_part_still_move(pictures):
    found = moved(pictures, lambda net: net.freeze(upto="pool3"))
    assert not any(name.startswith(("conv1", "conv2", "conv3", "bn1", "bn2", "bn3")) for name in found)
    assert len(statistics(found)) == 2 * 6
