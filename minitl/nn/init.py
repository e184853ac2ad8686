"""Initial values of parameters. Every array is drawn from its own generator, keyed by seed and name."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable

import numpy as np

from ..tensor import DEFAULT_DTYPE

Shape = tuple[int, ...]
Initializer = Callable[[Shape, np.random.Generator], np.ndarray]


def generator(seed: int, name: str) -> np.random.Generator:
    """The generator of one parameter: the same seed and name give the same numbers in any network."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def fans(shape: Shape) -> tuple[int, int]:
    """(fan in, fan out) of a weight (O, I) or (O, I, R, S): the connections of one output and of one input."""
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def he_normal(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Normal with variance 2 / fan in, for layers followed by ReLU (He et al. 2015, equation 10)."""
    return (rng.standard_normal(shape) * math.sqrt(2 / fans(shape)[0])).astype(DEFAULT_DTYPE)


def glorot_normal(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Normal with variance 2 / (fan in + fan out) (Glorot & Bengio 2010, equation 12)."""
    return (rng.standard_normal(shape) * math.sqrt(2 / sum(fans(shape)))).astype(DEFAULT_DTYPE)


def zeros(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """All zero, for biases."""
    return np.zeros(shape, DEFAULT_DTYPE)


INITIALIZERS: dict[str, Initializer] = {"he_normal": he_normal, "glorot_normal": glorot_normal, "zeros": zeros}
