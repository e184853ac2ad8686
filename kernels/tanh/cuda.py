"""Launchers of tanh.cu: one a version, with the signature of the op."""

from __future__ import annotations

from ..cuda import source
from ..cuda.elementwise import by_fours, one_by_one

SOURCE = source(__file__, "tanh.cu")


def naive(x):
    return one_by_one(SOURCE, "tanh_naive", x)


def vector(x):
    return by_fours(SOURCE, "tanh_vector", x)


def grad_input_naive(grad, y):
    return one_by_one(SOURCE, "tanh_grad_naive", y, grad)


def grad_input_vector(grad, y):
    return by_fours(SOURCE, "tanh_grad_vector", y, grad)
