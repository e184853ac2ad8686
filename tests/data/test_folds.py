"""Cross-validation: every picture validated on once, classes even, whatever the order."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitl import data
from minitl.data import Dataset, Item
from minitl.errors import ArgumentError, DataError

PICTURE = np.zeros((1, 1, 3), np.uint8)


def dataset(counts, held=0):
    items = [Item(f"{label}/{i}", label, PICTURE) for label, count in enumerate(counts) for i in range(count)]
    return Dataset(tuple(map(str, range(len(counts)))), tuple(items[held:]), tuple(items[:held]), (("x", "why"),))


@given(
    k=st.integers(2, 6),
    extra=st.lists(st.integers(0, 20), min_size=1, max_size=5),
    held=st.integers(0, 5),
    seed=st.integers(0, 99),
    shuffle=st.randoms(use_true_random=False),
)
def test_folds_part_the_pictures_evenly(k, extra, held, seed, shuffle: random.Random):
    whole = dataset([k + more for more in extra], held)
    folds = data.kfold(whole, k, seed)
    every = sorted(item.name for item in whole.train + whole.val)
    assert len(folds) == k
    assert sorted(item.name for fold in folds for item in fold.val) == every
    for fold in folds:
        assert sorted(item.name for item in fold.train + fold.val) == every
        assert (fold.classes, fold.skipped) == (whole.classes, whole.skipped)
    for name in whole.classes:
        counts = [fold.counts("val")[name] for fold in folds]
        assert max(counts) - min(counts) <= 1
    sizes = [len(fold.val) for fold in folds]
    assert max(sizes) - min(sizes) <= 1
    items = list(whole.train + whole.val)
    shuffle.shuffle(items)
    again = data.kfold(Dataset(whole.classes, (), tuple(items), whole.skipped), k, seed)
    assert again == folds


def test_another_seed_gives_other_folds():
    whole = dataset([20, 20])
    assert data.kfold(whole, 4, seed=1)[0].val != data.kfold(whole, 4, seed=2)[0].val


@pytest.mark.parametrize("k", [1, 0, -3, 2.0, True, None])
def test_k_is_a_whole_number_from_2(k):
    with pytest.raises(ArgumentError, match="k must be"):
        data.kfold(dataset([9, 9]), k)


def test_only_a_dataset_has_folds():
    with pytest.raises(ArgumentError, match="must be a Dataset; got list"):
        data.kfold([1, 2], 2)


@pytest.mark.parametrize("counts", [[9, 4], [9, 0]])
def test_a_class_of_too_few_pictures_is_named(counts):
    with pytest.raises(DataError, match=f"k=5 needs 5 pictures of each class .* class '1' has {counts[1]}; .*lower k"):
        data.kfold(dataset(counts), 5)
