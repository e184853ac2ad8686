"""Pictures in memory as a Dataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from .content import announce
from .dataset import Dataset, Item, check_fraction, check_seed, divide, in_order, require_pictures
from .labels import as_names

MOST_UNNAMED = 1000  # classes that labels alone may stand for where there are fewer pictures


def arrays(
    x: np.ndarray,
    y: Sequence[int] | np.ndarray,
    classes: Sequence[str] | None = None,
    val: float | tuple[np.ndarray, Any] = 0.2,
    seed: int = 0,
) -> Dataset:
    """Raw pictures x (N, H, W, 3) or grey (N, H, W), uint8, with labels y (N,) from 0.

    classes: names in label order (default: the numbers). val: share of each class to validate on, chosen by a key of
    (seed, row), or (x_val, y_val). The pictures are not copied. Warns of pictures that are in both splits, or in two
    classes (Dataset.duplicates, .conflicts). Raises DataError on anything else.
    """
    apart = isinstance(val, (tuple, list))
    if apart and len(val) != 2:  # type: ignore[arg-type]
        raise DataError(f"arrays: val must be a share or (x_val, y_val); got {len(val)} values")  # type: ignore[arg-type]
    train = _items("train/" if apart else "", "x", x, y)
    held = _items("val/", "x_val", *val) if apart else None  # type: ignore[misc]
    return announce("arrays", numbered("arrays", train, held, classes, 0.5 if apart else val, seed))


def _items(prefix: str, name: str, x: Any, y: Any) -> list[Item]:
    x, labels = _array(name, x), _array(f"the labels of {name}", y)
    check_pictures("arrays", name, x.dtype, x.shape)
    labels = checked_labels("arrays", name, len(x), labels)
    return [Item(f"{prefix}{i:06d}", int(label), x[i]) for i, label in enumerate(labels)]


def _array(name: str, values: Any) -> np.ndarray:
    try:
        return np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise DataError(f"arrays: {name} cannot be made one array ({error}); make all of one shape") from error


def check_pictures(where: str, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    """DataError unless an array of this dtype and shape holds raw pictures."""
    if dtype != np.uint8 or len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] != 3) or 0 in shape[1:]:
        raise DataError(
            f"{where}: {name} must be raw pictures: uint8 RGB (N, H, W, 3) or grey (N, H, W); "
            f"got {dtype} of shape {shape}"
        )


def checked_labels(where: str, name: str, count: int, labels: np.ndarray) -> np.ndarray:
    """The labels (N,) of `count` pictures, given as (N,) or (N, 1); DataError unless they are whole numbers from 0."""
    if labels.ndim > 1 and labels.size == len(labels):
        labels = labels.reshape(-1)
    if labels.ndim != 1 or len(labels) != count:
        raise DataError(
            f"{where}: {name} has {count} pictures, so its labels must have shape ({count},); got {labels.shape}"
        )
    if count and labels.dtype.kind not in "iu":
        raise DataError(f"{where}: labels of {name} must be whole numbers from 0; got {labels.dtype}")
    if count and labels.min() < 0:
        raise DataError(f"{where}: labels of {name} must be whole numbers from 0; got {labels.min()}")
    return labels


def numbered(
    where: str,
    train: list[Item],
    held: list[Item] | None,
    classes: Sequence[str] | None,
    val: Any,
    seed: Any,
    root: Path | None = None,
    skipped: Sequence[tuple[str, str]] = (),
) -> Dataset:
    """A Dataset of items whose labels are numbers. held: those to validate on; None: a share `val` of `train`."""
    seed, share = check_seed(seed), check_fraction(val)
    count = len(train) + len(held or ())
    highest = max((item.label for item in (*train, *(held or ()))), default=0)
    if classes is None and highest >= max(count, MOST_UNNAMED):
        raise DataError(
            f"{where}: label {highest} stands for {highest + 1} classes, but there are only {count} "
            "pictures; number the classes from 0 without gaps, or name them with classes="
        )
    names = tuple(map(str, range(highest + 1))) if classes is None else tuple(as_names(classes))
    if highest >= len(names):
        raise DataError(f"{where}: label {highest} has no name; classes names only {len(names)} ({', '.join(names)})")
    train, held = divide(train, share, seed) if held is None else (in_order(train), in_order(held))
    require_pictures(where, names, train, held, share)
    return Dataset(names, tuple(train), tuple(held), tuple(sorted(skipped)), root)
