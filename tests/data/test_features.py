"""Values of frozen layers: the same bits kept or not, alone or in company; refused aloud where they do not fit."""

import os

import numpy as np
import pytest
from PIL import Image

from minitl import data, nn
from minitl.data.loader import augmenting
from minitl.errors import ArgumentError, DataError
from minitl.images import Augmentation, Preprocessing
from minitl.nn.inference import run_blocks

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


def normalized():
    net = nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1),
        ("bn", nn.BatchNorm2d(5)),
        nn.Flatten(),
        nn.Linear(720, 2),
        input_shape=(3, 12, 12),
        preprocessing=Preprocessing(),
    )
    return net.freeze(upto="bn")


@pytest.mark.parametrize("change", ["weights", "statistics", "cut", "preprocessing"])
def test_a_change_below_the_cut_empties_the_memory(change):
    net = normalized() if change == "statistics" else network()
    values = data.FrozenValues(net)
    values.fill(ITEMS)
    if change == "weights":
        net["conv1.weight"].assign(net["conv1.weight"].numpy() * 2)
    elif change == "statistics":
        assert values.cut == "flatten1"
        net["bn.running_mean"].assign(net["bn.running_mean"].numpy() + 1)
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
    paths = [tmp_path / f"{i}.png" for i in range(4)]
    for path, picture in zip(paths, PICTURES, strict=False):
        Image.fromarray(picture).save(path)
    items = [data.Item(path.name, 0, path) for path in paths]
    paths[2].unlink()
    values = data.FrozenValues(network(), keep=False)
    with pytest.warns(UserWarning, match=r"2\.png") as caught:
        first, second = collect(values, [*items, items[2]]), collect(values, items)
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


CHANGES = Augmentation(pad=3, flip=0.5, brightness=0.3)


def augmented(values, items, epoch):
    return {item.name: value for item, value in values.stream(items, epoch)}


def same(one, two):
    assert list(one) == list(two)
    return all(np.array_equal(value, two[name]) for name, value in one.items())


@pytest.mark.parametrize("fixed", ["nothing", "conv1"])
def test_each_epoch_has_its_own_pictures_and_validation_the_plain_ones(fixed):
    net = network() if fixed == "conv1" else network().unfreeze()
    values = data.FrozenValues(net, augmentation=CHANGES)
    values.fill(ITEMS)
    plain = collect(data.FrozenValues(net), ITEMS)
    first = augmented(values, ITEMS, 1)
    assert same(collect(values, ITEMS), plain)
    assert same(augmented(values, ITEMS, None), plain)
    assert same(augmented(values, ITEMS, 1), first)
    assert not same(first, plain)
    assert not same(augmented(values, ITEMS, 2), first)
    assert values.memory == sum(value.nbytes for value in plain.values())  # nothing augmented is kept
    [(_, batch)] = values.batches(ITEMS, 21, epoch=1)
    assert np.array_equal(batch, np.stack(list(first.values())))
    assert same(augmented(data.FrozenValues(net, augmentation=CHANGES, workers=0, keep=False), ITEMS, 1), first)
    assert not same(augmented(data.FrozenValues(net, augmentation=CHANGES, seed=1), ITEMS, 1), first)


def test_the_frozen_layers_see_the_augmented_picture():
    net = network()
    values = data.FrozenValues(net, augmentation=CHANGES)
    item = ITEMS[3]
    [(_, value)] = values.stream([item], 5)
    picture = augmenting(CHANGES, 0, 5)(item, item.picture())
    [expected] = run_blocks(net, [net.preprocessing(picture)], values.cut)
    assert np.array_equal(value, expected[0])


def test_without_an_augmentation_every_epoch_is_plain():
    values = data.FrozenValues(network())
    assert same(augmented(values, ITEMS, 1), collect(values, ITEMS))


def test_variants_come_in_turn_and_are_computed_once(monkeypatch):
    net = network()
    values = data.FrozenValues(net, augmentation=CHANGES, variants=2)
    values.fill(SET.val, augmented=SET.train)
    epochs = [augmented(values, SET.train, epoch) for epoch in range(2)]
    assert not same(*epochs)
    one = 5 * 6 * 6 * 4
    assert values.memory == (2 * len(SET.train) + len(SET.val)) * one
    anew = data.FrozenValues(net, augmentation=CHANGES, variants=2, keep=False)
    monkeypatch.setattr(values, "_computed", None)  # would fail if called
    for epoch in range(2, 6):
        assert same(augmented(values, SET.train, epoch), epochs[epoch % 2])
        assert same(augmented(anew, SET.train, epoch), epochs[epoch % 2])
    assert same(collect(values, SET.val), collect(anew, SET.val))


def test_variants_that_do_not_fit_are_said_before_any_is_kept():
    one, train, val = 5 * 6 * 6 * 4, len(SET.train), len(SET.val)
    values = data.FrozenValues(network(), augmentation=CHANGES, variants=3, limit=one * (3 * train + val) - 1)
    with pytest.warns(UserWarning, match=f"of {3 * train + val} pictures and variants of them would take"):
        values.fill(SET.val, augmented=SET.train)
    assert not values.keep
    assert values.memory == 0
    enough = data.FrozenValues(network(), augmentation=CHANGES, variants=3, limit=one * (3 * train + val))
    enough.fill(SET.val, augmented=SET.train)
    for epoch in range(4):
        assert same(augmented(values, SET.train, epoch), augmented(enough, SET.train, epoch))
    assert enough.memory == enough.limit
    lazy = data.FrozenValues(network(), augmentation=CHANGES, variants=3, limit=one * (3 * train - 1))
    with pytest.warns(UserWarning, match=f"of {3 * train} pictures and variants"):
        first = augmented(lazy, SET.train, 0)
    assert same(first, augmented(enough, SET.train, 0))


def test_a_variant_of_a_changed_or_missing_picture(tmp_path):
    """What is known is used, what changed is computed anew, and what went missing before its turn is left out."""
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for path, picture in zip(paths, PICTURES, strict=False):
        Image.fromarray(picture).save(path)
    items = [data.Item(path.name, 0, path) for path in paths]
    values = data.FrozenValues(network(), augmentation=CHANGES, variants=2)
    first = augmented(values, items, 0)
    Image.fromarray(PICTURES[9]).save(paths[1])
    os.utime(paths[1], ns=(1, 1))
    paths[3].unlink()
    again = augmented(values, [*items, items[1], items[1]], 2)
    assert list(again) == list(first)
    assert [name for name in first if not np.array_equal(first[name], again[name])] == ["1.png"]
    with pytest.warns(UserWarning, match=r"3\.png"):
        second = augmented(values, items, 1)
    assert list(second) == ["0.png", "1.png", "2.png", "4.png"]
    fresh = data.FrozenValues(network(), augmentation=CHANGES, variants=2)
    assert same(second, augmented(fresh, [item for item in items if item.name != "3.png"], 1))


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"variants": 2}, "variants=2 needs an augmentation"),
        ({"variants": -1, "augmentation": CHANGES}, "variants must be a positive int; got -1"),
        ({"augmentation": "photos"}, "augmentation must be an images.Augmentation or None; got 'photos'"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_settings_that_make_no_sense(settings, match):
    with pytest.raises(ArgumentError, match=match):
        data.FrozenValues(network(), **settings)
