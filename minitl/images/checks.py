"""Checks that preprocessing and augmentation share. `what` names the one that asks."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

import numpy as np

from ..errors import ArgumentError, DataError


def is_number(value: Any) -> bool:
    """Whether it is a real number, well inside float32's range."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e30  # NaN fails it


def one_of(what: str, name: str, value: Any, known: Any) -> None:
    """ArgumentError unless `value` is one of the names `known`."""
    if not isinstance(value, str) or value not in known:
        raise ArgumentError(f"{what}: {name} must be one of {', '.join(known)}; got {value!r}")


def require_keys(what: str, values: Any, known: Set[str], needed: Set[str] = frozenset()) -> None:
    """ArgumentError unless `values` is a mapping with the keys `needed`, and no others than those `known`."""
    if not isinstance(values, Mapping):
        raise ArgumentError(f"{what}: must be a mapping; got {type(values).__name__}")
    missing, unknown = needed - set(values), set(values) - known
    if missing or unknown:
        wrong = f"lacks {sorted(missing)}" if missing else f"has the unknown keys {sorted(map(str, unknown))}"
        raise ArgumentError(f"{what}: {wrong}; the keys are {sorted(known)}")


def require_picture(what: str, picture: Any) -> np.ndarray:
    """`picture` as an array (H, W, 3) uint8 RGB; DataError if it is none."""
    picture = np.asarray(picture)
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
        raise DataError(
            f"{what}: a picture must be (H, W, 3) uint8 RGB and not empty; got {picture.dtype} of shape "
            f"{picture.shape}; decode it with minitl.images.decode"
        )
    return picture
