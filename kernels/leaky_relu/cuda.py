"""Launchers of leaky_relu.cu: one a version, with the signature of the op."""

from __future__ import annotations

from ..cuda import source
from ..cuda.elementwise import by_fours, one_by_one

SOURCE = source(__file__, "leaky_relu.cu")


def naive(x, negative_slope):
    return one_by_one(SOURCE, "leaky_relu_naive", x, numbers=(negative_slope,))


def vector(x, negative_slope):
    return by_fours(SOURCE, "leaky_relu_vector", x, numbers=(negative_slope,))


def grad_input_naive(grad, x, negative_slope):
    return one_by_one(SOURCE, "leaky_relu_grad_naive", x, grad, numbers=(negative_slope,))


def grad_input_vector(grad, x, negative_slope):
    return by_fours(SOURCE, "leaky_relu_grad_vector", x, grad, numbers=(negative_slope,))
