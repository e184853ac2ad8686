"""The order in which an epoch takes the training pictures: a permutation, or draws in which classes are even."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import ArgumentError
from .dataset import check_seed

SAMPLINGS = ("shuffle", "balanced")


def order(labels: Sequence[int] | np.ndarray, seed: int, epoch: int, sampling: str = "shuffle") -> np.ndarray:
    """Indices (n,) into `labels` (n,) for one epoch, the same for the same arguments on every machine.

    "shuffle": every picture once. "balanced": n draws in which each class that has a picture occurs equally often, to
    within one, whatever its share; a class of few pictures repeats them and one of many shows a part, in either case
    each picture as often as any other of its class, to within one. Raises ArgumentError on anything else.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ArgumentError(f"order: labels must have shape (n,); got {labels.shape}")
    if sampling not in SAMPLINGS:
        raise ArgumentError(f"order: sampling must be one of {', '.join(SAMPLINGS)}; got {sampling!r}")
    if isinstance(epoch, bool) or not isinstance(epoch, (int, np.integer)) or epoch < 0:
        raise ArgumentError(f"order: epoch must be a whole number of at least 0; got {epoch!r}")
    draw = np.random.default_rng([check_seed(seed), int(epoch)])
    if sampling == "shuffle" or not labels.size:
        return draw.permutation(len(labels))
    present = np.unique(labels)
    counts = np.full(len(present), len(labels) // len(present))
    counts[draw.permutation(len(present))[: len(labels) % len(present)]] += 1  # whom the remainder goes to, by chance
    parts = [
        _cycled(np.flatnonzero(labels == label), count, draw) for label, count in zip(present, counts, strict=True)
    ]
    return draw.permutation(np.concatenate(parts))


def _cycled(indices: np.ndarray, count: int, draw: np.random.Generator) -> np.ndarray:
    """`count` of the indices: as many whole rounds as fit, then a part of one, drawn."""
    rounds, rest = divmod(int(count), len(indices))
    return np.concatenate([np.tile(indices, rounds), draw.permutation(indices)[:rest]])
