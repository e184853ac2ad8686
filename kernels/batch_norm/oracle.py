"""Batch normalization and its gradients from the definitions: float64 loops, used by tests alone."""

from __future__ import annotations

import numpy as np


def _positions(shape, c):
    """The index of every value of channel c."""
    for n, *pixel in np.ndindex(shape[0], *shape[2:]):
        yield (n, c, *pixel)


def _inverse_std(var, c, eps):
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(1 / np.sqrt(np.float64(var[c]) + eps))


def _of(array, c, otherwise):
    return otherwise if array is None else float(array[c])


def statistics(x):
    mean, var = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for c in range(x.shape[1]):
        values = [float(x[at]) for at in _positions(x.shape, c)]
        mean[c] = sum(values) / len(values)
        distances = [value - float(mean[c]) for value in values]
        var[c] = sum(distance * distance for distance in distances) / len(values)
    return mean, var


def forward(x, mean, var, weight, bias, eps):
    y = np.zeros(x.shape)
    for c in range(x.shape[1]):
        inverse = _inverse_std(var, c, eps)
        for at in _positions(x.shape, c):
            y[at] = (float(x[at]) - float(mean[c])) * inverse * _of(weight, c, 1.0) + _of(bias, c, 0.0)
    return y


def grad_affine(grad, x, mean, var, eps):
    gw, gb = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for c in range(x.shape[1]):
        inverse = _inverse_std(var, c, eps)
        for at in _positions(x.shape, c):
            gw[c] += float(grad[at]) * (float(x[at]) - float(mean[c])) * inverse
            gb[c] += float(grad[at])
    return gw, gb


def grad_input(grad, var, weight, eps):
    gx = np.zeros(grad.shape)
    for c in range(grad.shape[1]):
        inverse = _inverse_std(var, c, eps)
        for at in _positions(grad.shape, c):
            gx[at] = float(grad[at]) * _of(weight, c, 1.0) * inverse
    return gx


def grad_input_training(grad, x, mean, var, weight, grad_weight, grad_bias, eps):
    gx = np.zeros(x.shape)
    for c in range(x.shape[1]):
        inverse = _inverse_std(var, c, eps)
        every = list(_positions(x.shape, c))
        for at in every:
            normalized = (float(x[at]) - float(mean[c])) * inverse
            through_mean = float(grad_bias[c]) / len(every)
            through_var = normalized * float(grad_weight[c]) / len(every)
            gx[at] = (float(grad[at]) - through_mean - through_var) * _of(weight, c, 1.0) * inverse
    return gx
