"""Values of frozen layers: the same bits kept or not, alone or in company; refused aloud where they do not fit."""

import os

import numpy as np
import pytest
from PIL import Image

from minitl import data, nn
from minitl.errors import DataError
from minitl.images import Preprocessing

RNG = np.random.default_rng(1)
PICTURES = RNG.integers(0, 256, (21, 12, 12, 3), np.uint8)
SET = data.arrays(PICTURES, np.arange(21) % 2)
ITEMS = SET.train + SET.val


def network(**options):
    net = nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(5, 6, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 2),
        input_shape=(3, 12, 12),
        preprocessing=Preprocessing(),
        **options,
    )
    return net.freeze("conv1")


def collect(values, items):
    return {item.name: value for item, value in values.stream(items)}


def test_the_same_bits_kept_or_computed_in_any_company():
    net = network()
    kept = data.FrozenValues(net)
    kept.fill(ITEMS)
    assert kept.memory == len(ITEMS) * 5 * 6 * 6 * 4
    one = collect(kept, ITEMS)
    two = collect(data.FrozenValues(net, keep=False, workers=0), ITEMS[::-1])
    three = collect(data.FrozenValues(net, keep=False), ITEMS[3:6])
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert all(np.array_equal(one[name], three[name]) for name in three)
    direct = net.run(net.preprocessing(ITEMS[4].picture())[None], upto=kept.cut)
    assert direct.shape[1:] == one[ITEMS[4].name].shape


def test_batches_keep_the_order_and_the_last_partial_one():
    values = data.FrozenValues(network())
    sizes, names = [], []
    for items, array in values.batches(ITEMS, 8):
        assert len(items) == len(array)
        sizes.append(len(items))
        names += [item.name for item in items]
    assert sizes == [8, 8, 5]
    assert names == [item.name for item in ITEMS]


def test_a_network_without_frozen_layers_keeps_the_pictures():
    values = data.FrozenValues(network().unfreeze())
    values.fill(ITEMS)
    assert values.cut == "input"
    assert values.memory == len(ITEMS) * 3 * 12 * 12 * 4


def test_what_does_not_fit_is_said_and_computed_anew():
    net = network()
    small = data.FrozenValues(net, limit=3000)
    with pytest.warns(UserWarning, match=r"'pool1' of 21 pictures would take 0.0 MB, more than .* raise cache_limit"):
        small.fill(ITEMS)
    assert not small.keep
    assert small.memory == 0
    reference = collect(data.FrozenValues(net), ITEMS)
    assert all(np.array_equal(value, reference[name]) for name, value in collect(small, ITEMS).items())


@pytest.mark.parametrize("change", ["weights", "cut", "preprocessing"])
def test_a_change_below_the_cut_empties_the_memory(change):
    net = network()
    values = data.FrozenValues(net)
    values.fill(ITEMS)
    if change == "weights":
        net["conv1.weight"].assign(net["conv1.weight"].numpy() * 2)
    elif change == "cut":
        net.freeze("conv2")
    else:
        net.preprocessing = Preprocessing(scale=1.0)
    fresh = collect(data.FrozenValues(net, keep=False), ITEMS)
    assert all(np.array_equal(value, fresh[name]) for name, value in collect(values, ITEMS).items())


def test_a_change_above_the_cut_does_not(monkeypatch):
    net = network()
    values = data.FrozenValues(net)
    values.fill(ITEMS)
    net["conv2.weight"].assign(net["conv2.weight"].numpy() * 2)
    monkeypatch.setattr(values, "_computed", None)  # would fail if called
    assert len(collect(values, ITEMS)) == len(ITEMS)


def test_a_picture_that_went_missing_is_left_out_and_warned_of_once(tmp_path):
    from PIL import Image

    paths = [tmp_path / f"{i}.png" for i in range(4)]
    for path, picture in zip(paths, PICTURES, strict=False):
        Image.fromarray(picture).save(path)
    items = [data.Item(path.name, 0, path) for path in paths]
    paths[2].unlink()
    values = data.FrozenValues(network(), keep=False)
    with pytest.warns(UserWarning, match=r"2\.png") as caught:
        first, second = collect(values, items), collect(values, items)
    assert len(caught) == 1
    assert list(first) == list(second) == ["0.png", "1.png", "3.png"]
    assert "2.png" in values.skipped


def test_a_picture_that_changed_is_computed_anew(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(PICTURES[0]).save(path)
    items = (data.Item("a.png", 0, path), data.Item("array", 1, PICTURES[1].copy()))
    values = data.FrozenValues(network())
    values.fill(items)
    before = collect(values, items)
    Image.fromarray(PICTURES[2]).save(path)
    os.utime(path, ns=(1, 1))  # a clock may be too coarse to tell two writes apart
    items[1].source[:] = PICTURES[3]
    after = collect(values, items)
    fresh = collect(data.FrozenValues(network()), items)
    for name, value in fresh.items():
        assert np.array_equal(after[name], value)
        assert not np.array_equal(before[name], value)


def test_two_pictures_of_one_name_are_refused():
    item = data.Item("0", 0, PICTURES[0])
    with pytest.raises(DataError, match="'0' is named more than once"):
        data.Dataset(("a", "b"), (item,), (data.Item("0", 1, PICTURES[1]),))
