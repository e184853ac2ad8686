"""Pictures in memory as a Dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DataError
from .dataset import Dataset, Item, check_fraction, check_seed, divide, in_order, require_pictures

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
    (seed, row), or (x_val, y_val). The pictures are not copied. Raises DataError on anything else.
    """
    seed = check_seed(seed)
    apart = isinstance(val, (tuple, list))
    if apart and len(val) != 2:  # type: ignore[arg-type]
        raise DataError(f"arrays: val must be a share or (x_val, y_val); got {len(val)} values")  # type: ignore[arg-type]
    x, labels = _checked("x", x, y)
    x_val, labels_val = _checked("x_val", *val) if apart else (x[:0], labels[:0])  # type: ignore[misc]
    highest = max(int(given.max(initial=0)) for given in (labels, labels_val))
    if classes is None and highest >= max(len(x) + len(x_val), MOST_UNNAMED):
        raise DataError(
            f"arrays: label {highest} stands for {highest + 1} classes, but there are only {len(x) + len(x_val)} "
            "pictures; number the classes from 0 without gaps, or name them with classes="
        )
    names = tuple(map(str, range(highest + 1))) if classes is None else tuple(map(str, classes))
    if highest >= len(names):
        raise DataError(f"arrays: label {highest} has no name; classes names only {len(names)} ({', '.join(names)})")
    if apart:
        train, held, share = _items("train/", x, labels), _items("val/", x_val, labels_val), 0.5
    else:
        share = check_fraction(val)
        train, held = divide(_items("", x, labels), share, seed)
    require_pictures("arrays", names, train, held, share)
    return Dataset(names, tuple(in_order(train)), tuple(in_order(held)))


def _items(prefix: str, x: np.ndarray, labels: np.ndarray) -> list[Item]:
    return [Item(f"{prefix}{i:06d}", int(label), x[i]) for i, label in enumerate(labels)]


def _checked(name: str, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    x, labels = np.asarray(x), np.asarray(y)
    if x.dtype != np.uint8 or x.ndim not in (3, 4) or (x.ndim == 4 and x.shape[3] != 3) or 0 in x.shape[1:]:
        raise DataError(
            f"arrays: {name} must be raw pictures: uint8 RGB (N, H, W, 3) or grey (N, H, W); "
            f"got {x.dtype} of shape {x.shape}"
        )
    if labels.ndim != 1 or len(labels) != len(x):
        raise DataError(
            f"arrays: {name} has {len(x)} pictures, so its labels must have shape ({len(x)},); got {labels.shape}"
        )
    if len(labels) and (labels.dtype.kind not in "iu" or labels.min() < 0):
        raise DataError(
            f"arrays: labels of {name} must be whole numbers from 0; got {labels.dtype}, least {labels.min()}"
        )
    return x, labels
