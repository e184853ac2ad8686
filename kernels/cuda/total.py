"""Sums over whole arrays (total.cu), as losses need them."""

from __future__ import annotations

from typing import Any

from .arrays import ceil_div, contiguous, empty
from .source import source

SOURCE = source(__file__, "total.cu")
BLOCK = 128
RUN = 8 * BLOCK  # numbers that a block sums at least, where there are as many
MOST_BLOCKS = 1024


def _partial(values: Any) -> Any:
    blocks = min(max(ceil_div(values.size, RUN), 1), MOST_BLOCKS)
    sums = empty((blocks,), "float64", like=values)
    SOURCE.launch("partial_sums", blocks, BLOCK, contiguous(values), sums, values.size, real=values.dtype)
    return sums


def total(values: Any, weights: Any = None, divisor: float = 1) -> Any:
    """The sum of values / divisor, or / the sum of as many weights, as an array (); NaN where that is 0."""
    sums = _partial(values)
    shares = None if weights is None else _partial(weights)
    y = empty((), values.dtype, like=values)
    SOURCE.launch("total", 1, BLOCK, sums, shares, y, sums.size, divisor, real=values.dtype)
    return y


def reduced(losses: Any, reduction: str, weights: Any = None) -> Any:
    """The losses as they are, their "sum", or their "mean": divided by their number, or by the sum of weights."""
    if reduction == "none":
        return losses
    if reduction == "sum":
        return total(losses)
    return total(losses, weights, losses.size)
