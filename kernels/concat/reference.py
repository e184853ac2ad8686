"""Joining and cutting in NumPy. concatenate writes in the memory order that its inputs share."""

from __future__ import annotations

import itertools

import numpy as np


def forward(xs, axis):
    return np.concatenate(xs, axis)


def grad_input(grad, sizes, axis):
    return tuple(np.split(grad, list(itertools.accumulate(sizes))[:-1], axis))
