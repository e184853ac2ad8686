"""Launchers of sgd_step.cu: one a version, with the signature of the op."""

from __future__ import annotations

from ..cuda import source
from ..cuda.elementwise import updated

SOURCE = source(__file__, "sgd_step.cu")


def naive(parameter, grad, velocity, rate, momentum, weight_decay, nesterov):
    numbers = rate, momentum, weight_decay, int(nesterov)
    return updated(SOURCE, "sgd_step_naive", parameter, grad, (velocity,), numbers, places=1)


def vector(parameter, grad, velocity, rate, momentum, weight_decay, nesterov):
    numbers = rate, momentum, weight_decay, int(nesterov)
    return updated(SOURCE, "sgd_step_vector", parameter, grad, (velocity,), numbers, places=4)
