"""Dropout."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .. import device
from ..autograd import Context, Function
from ..errors import ShapeError
from ..kernels import dropout as kernel
from ..tensor import Tensor
from .apply import apply, as_tensor


class Dropout(Function):
    @staticmethod
    def forward(ctx: Context, x: Any, **attributes: Any) -> Any:
        ctx.attributes = attributes  # the mask is drawn again from its keys rather than kept
        return kernel.forward(x, **attributes)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return kernel.grad_input(grad, **ctx.attributes)


def dropout(x: Tensor, p: float, keys: Any, stream: int = 0, training: bool = True) -> Tensor:
    """Sets each element to 0 with probability p and divides the others by 1 - p; x itself if not `training`.

    x: (N, ...). keys: (N,) integers from 0 to 2**64 - 1, one a picture. stream: one a layer. The mask of a
    picture is a function of its key and the stream alone: the same in any batch. Raises ShapeError or
    ArgumentError on arguments outside their domain.
    """
    if not training:
        return as_tensor(x)
    return apply(Dropout, x, p=p, keys=device.beside(_uint64(keys), x.data), stream=stream)


def _uint64(keys: Any) -> Any:
    """NumPy alone would make floats of a list such as [1, 2**63], and wrap negative numbers round."""
    try:
        if isinstance(keys, np.ndarray) and keys.dtype.kind == "u":
            return keys.astype(np.uint64)  # a copy: backward draws the mask from it again
        return np.array([operator.index(key) for key in keys], np.uint64)
    except (TypeError, OverflowError):
        raise ShapeError(
            f"dropout: keys must be integers from 0 to 2**64 - 1, one a picture; got {keys!r:.60}"
        ) from None
