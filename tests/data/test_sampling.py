"""The order of an epoch: a permutation, or draws in which the classes are even; the same for the same key."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitl import data
from minitl.errors import ArgumentError

LABELS = st.lists(st.integers(0, 6), max_size=60)
KEYS = st.integers(0, 2**40)


@given(labels=LABELS, seed=KEYS, epoch=KEYS)
def test_shuffle_is_the_keyed_permutation(labels, seed, epoch):
    expected = np.random.default_rng([seed, epoch]).permutation(len(labels))
    assert np.array_equal(data.order(labels, seed, epoch), expected)
    assert np.array_equal(data.order(np.array(labels, np.int64), seed, epoch, "shuffle"), expected)


@given(labels=LABELS, seed=KEYS, epoch=KEYS)
def test_balanced_draws_are_even_among_classes_and_within_each(labels, seed, epoch):
    drawn = data.order(labels, seed, epoch, "balanced")
    assert drawn.shape == (len(labels),)
    assert np.array_equal(drawn, data.order(labels, seed, epoch, "balanced"))
    labels = np.array(labels, int)
    of_class = [int((labels[drawn] == label).sum()) for label in np.unique(labels)]
    assert max(of_class, default=0) - min(of_class, default=0) <= 1
    times = np.bincount(drawn, minlength=len(labels))
    for label in np.unique(labels):
        assert np.ptp(times[labels == label]) <= 1


def test_balanced_of_even_classes_shows_every_picture():
    assert sorted(data.order([0, 1] * 10, 3, 1, "balanced")) == list(range(20))


@pytest.mark.parametrize("sampling", ["shuffle", "balanced"])
def test_epochs_and_seeds_differ(sampling):
    labels = [0] * 30 + [1] * 10
    orders = {tuple(data.order(labels, seed, epoch, sampling)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_a_large_class_shows_other_pictures_in_other_epochs():
    labels = [0] * 90 + [1] * 10
    seen = {int(i) for epoch in range(8) for i in data.order(labels, 0, epoch, "balanced") if i < 90}
    assert len(seen) == 90


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([0, 1], 0, 0, "even"), "shuffle, balanced; got 'even'"),
        (([[0, 1]], 0, 0), "shape .n,.; got .1, 2."),
        (([0, 1], -1, 0), "seed"),
        (([0, 1], 0, -1), "epoch must be .* got -1"),
        (([0, 1], 0, 0.5), "epoch"),
        (([0, 1], 0, True), "epoch"),
    ],
)
def test_what_is_no_order_is_refused(arguments, words):
    with pytest.raises(ArgumentError, match=words):
        data.order(*arguments)
