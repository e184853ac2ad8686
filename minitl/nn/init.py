"""Initial values of parameters. Every array is drawn from its own generator, keyed by seed and name."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable

import numpy as np

from ..errors import ArgumentError
from ..tensor import DEFAULT_DTYPE

Shape = tuple[int, ...]
Initializer = Callable[[Shape, np.random.Generator], np.ndarray]


def generator(seed: int, name: str) -> np.random.Generator:
    """The generator of one parameter: the same seed and name give the same numbers in any network."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ArgumentError(f"seed must be an int of at least 0; got {seed!r}")
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def fans(shape: Shape) -> tuple[int, int]:
    """(fan in, fan out) of a weight (O, I) or (O, I, R, S): the connections of one output and of one input."""
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def he_normal(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Normal with variance 2 / fan in, for layers followed by ReLU (He et al. 2015, equation 10)."""
    return _normal(shape, rng, math.sqrt(2 / fans(shape)[0]))


def glorot_normal(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Normal with variance 2 / (fan in + fan out) (Glorot & Bengio 2010, equation 12)."""
    return _normal(shape, rng, math.sqrt(2 / sum(fans(shape))))


def normal_001(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Normal with standard deviation 0.01 (Krizhevsky et al. 2012, section 5)."""
    return _normal(shape, rng, 0.01)


def zeros(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """All zero: for biases, and for a last layer whose inputs are good already."""
    return np.zeros(shape, DEFAULT_DTYPE)


def ones(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """All one: for the scales and variances of normalization."""
    return np.ones(shape, DEFAULT_DTYPE)


def _normal(shape: Shape, rng: np.random.Generator, deviation: float) -> np.ndarray:
    values = rng.standard_normal(shape, DEFAULT_DTYPE)
    values *= DEFAULT_DTYPE.type(deviation)  # in place: VGG-16's fc6 alone takes 411 MB
    return values


INITIALIZERS: dict[str, Initializer] = {
    "he_normal": he_normal,
    "glorot_normal": glorot_normal,
    "normal_001": normal_001,
    "zeros": zeros,
    "ones": ones,
}
