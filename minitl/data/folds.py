"""k-fold cross-validation: every picture is validated on once, by a network that was not trained on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import ArgumentError, DataError
from .dataset import Dataset, Item, check_seed, in_order, key


def kfold(dataset: Dataset, k: int = 5, seed: int = 0) -> list[Dataset]:
    """k Datasets over the pictures of both splits of `dataset`: val is one fold, train the others.

    Folds are chosen by a key of (seed, name), whatever the order. They are stratified: the pictures of a class, and
    all pictures, differ by at most one between any two folds. Raises ArgumentError for k below 2, DataError where a
    class has fewer than k pictures.
    """
    if not isinstance(dataset, Dataset):
        raise ArgumentError(f"kfold: dataset must be a Dataset; got {type(dataset).__name__}")
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 2:
        raise ArgumentError(f"kfold: k must be a whole number of at least 2; got {k!r}")
    seed = check_seed(seed)
    by_class: list[list[Item]] = [[] for _ in dataset.classes]
    for item in (*dataset.train, *dataset.val):
        by_class[item.label].append(item)
    least = min(range(len(by_class)), key=lambda label: len(by_class[label]), default=None)
    if least is None or len(by_class[least]) < k:
        few = (
            "there are no classes" if least is None else f"class {dataset.classes[least]!r} has {len(by_class[least])}"
        )
        raise DataError(
            f"kfold: k={k} needs {k} pictures of each class or more, and {few}; add some, remove the class, or lower k"
        )
    folds: list[list[Item]] = [[] for _ in range(k)]
    place = 0  # goes on from class to class, so that what does not divide evenly adds up nowhere
    for items in by_class:
        for item in sorted(items, key=lambda item: (key(seed, item.name), item.name)):
            folds[place % k].append(item)
            place += 1
    return [
        replace(
            dataset,
            train=tuple(in_order(item for other in folds if other is not fold for item in other)),
            val=tuple(in_order(fold)),
        )
        for fold in folds
    ]
