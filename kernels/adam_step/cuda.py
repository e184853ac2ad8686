"""Launchers of adam_step.cu: one a version, with the signature of the op."""

from __future__ import annotations

import math

from ..cuda import source
from ..cuda.elementwise import updated
from . import corrections

SOURCE = source(__file__, "adam_step.cu")


def naive(
    parameter, grad, first_moment, second_moment, largest_second_moment, step, rate, betas, eps, weight_decay, decoupled
):
    state = first_moment, second_moment, largest_second_moment
    numbers = _numbers(step, rate, betas, eps, weight_decay, decoupled)
    return updated(SOURCE, "adam_step_naive", parameter, grad, state, numbers, places=1)


def vector(
    parameter, grad, first_moment, second_moment, largest_second_moment, step, rate, betas, eps, weight_decay, decoupled
):
    state = first_moment, second_moment, largest_second_moment
    numbers = _numbers(step, rate, betas, eps, weight_decay, decoupled)
    return updated(SOURCE, "adam_step_vector", parameter, grad, state, numbers, places=4)


def _numbers(step, rate, betas, eps, weight_decay, decoupled):
    """Those of adam_step.cu, from keep_m on."""
    b1, b2 = betas
    of_first, of_second = corrections(step, betas)
    decays = (0.0, rate * weight_decay) if decoupled else (weight_decay, 0.0)
    return 1 - b1, b2, 1 - b2, rate / of_first, math.sqrt(of_second), eps, *decays
