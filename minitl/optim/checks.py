"""What the settings of optimizers and schedules may be, and the parameters they are given."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..tensor import Parameter


def number(
    where: str, name: str, value: Any, least: float = 0.0, below: float = math.inf, most: float = math.inf
) -> float:
    """A finite number in [least, below) and at most `most`, as a float; ArgumentError otherwise."""
    real = isinstance(value, (int, float, np.number)) and not isinstance(value, (bool, complex, np.complexfloating))
    if not real or not math.isfinite(value) or not least <= value <= most or value >= below:
        bound = f" and below {below:g}" if below < math.inf else f" and at most {most:g}" if most < math.inf else ""
        raise ArgumentError(f"{where}: {name} must be a finite number of at least {least:g}{bound}; got {value!r}")
    return float(value)


def positive(where: str, name: str, value: Any) -> float:
    """A finite number above 0, as a float; ArgumentError otherwise."""
    found = number(where, name, value)
    if not found:
        raise ArgumentError(f"{where}: {name} must be above 0; got {value!r}")
    return found


def flag(where: str, name: str, value: Any) -> bool:
    """True or False; ArgumentError otherwise."""
    if not isinstance(value, (bool, np.bool_)):
        raise ArgumentError(f"{where}: {name} must be True or False; got {value!r}")
    return bool(value)


def trainable(where: str, parameters: Iterable[Parameter]) -> list[Parameter]:
    """The parameters as a list; ArgumentError if there is anything else among them."""
    found = list(parameters) if isinstance(parameters, Iterable) else [parameters]
    for p in found:
        if not isinstance(p, Parameter):
            raise ArgumentError(
                f"{where}: parameters must be a list of Parameters, such as net.parameters(); got {type(p).__name__}"
            )
    return found
