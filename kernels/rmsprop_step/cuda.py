"""Launchers of rmsprop_step.cu: one a version, with the signature of the op."""

from __future__ import annotations

from ..cuda import source
from ..cuda.elementwise import updated

SOURCE = source(__file__, "rmsprop_step.cu")


def naive(parameter, grad, mean_square, mean_gradient, velocity, rate, alpha, eps, weight_decay, momentum):
    state = mean_square, mean_gradient, velocity
    numbers = rate, alpha, 1 - alpha, eps, weight_decay, momentum
    return updated(SOURCE, "rmsprop_step_naive", parameter, grad, state, numbers, places=1)


def vector(parameter, grad, mean_square, mean_gradient, velocity, rate, alpha, eps, weight_decay, momentum):
    state = mean_square, mean_gradient, velocity
    numbers = rate, alpha, 1 - alpha, eps, weight_decay, momentum
    return updated(SOURCE, "rmsprop_step_vector", parameter, grad, state, numbers, places=4)
