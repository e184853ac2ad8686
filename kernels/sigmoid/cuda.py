"""Launchers of sigmoid.cu: one a version, with the signature of the op."""

from __future__ import annotations

from ..cuda import source
from ..cuda.elementwise import by_fours, one_by_one

SOURCE = source(__file__, "sigmoid.cu")


def naive(x):
    return one_by_one(SOURCE, "sigmoid_naive", x)


def vector(x):
    return by_fours(SOURCE, "sigmoid_vector", x)


def grad_input_naive(grad, y):
    return one_by_one(SOURCE, "sigmoid_grad_naive", y, grad)


def grad_input_vector(grad, y):
    return by_fours(SOURCE, "sigmoid_grad_vector", y, grad)
