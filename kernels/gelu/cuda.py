"""Launchers of gelu.cu: one a version, with the signature of the op."""

from __future__ import annotations

from ..cuda import source
from ..cuda.elementwise import by_fours, one_by_one

SOURCE = source(__file__, "gelu.cu")


def _form(approximate):
    return (int(approximate == "tanh"),)


def naive(x, approximate):
    return one_by_one(SOURCE, "gelu_naive", x, numbers=_form(approximate))


def vector(x, approximate):
    return by_fours(SOURCE, "gelu_vector", x, numbers=_form(approximate))


def grad_input_naive(grad, x, approximate):
    return one_by_one(SOURCE, "gelu_grad_naive", x, grad, numbers=_form(approximate))


def grad_input_vector(grad, x, approximate):
    return by_fours(SOURCE, "gelu_grad_vector", x, grad, numbers=_form(approximate))
