"""Batch normalization in NumPy. Sums run in float64; everything else in the dtype of x."""

from __future__ import annotations

import numpy as np


def _axes(x):
    """All axes but that of the channels."""
    return (0, *range(2, x.ndim))


def _along(channel, x):
    """One value a channel, in a shape that broadcasts against x."""
    return channel.reshape(-1, *(1 for _ in x.shape[2:]))


def scale(var, weight, eps):
    """weight / sqrt(var + eps), one value a channel, in float64."""
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1 / np.sqrt(var.astype(np.float64) + eps)
        return inverse if weight is None else inverse * weight


def statistics(x):
    axes = _axes(x)
    with np.errstate(invalid="ignore", over="ignore"):
        mean = x.mean(axes, dtype=np.float64)
        var = np.square(x - _along(mean, x)).mean(axes)  # about the mean in full: its rounding would add its square
    return mean.astype(x.dtype), var.astype(x.dtype)


def forward(x, mean, var, weight, bias, eps):
    with np.errstate(invalid="ignore", over="ignore"):
        y = (x - _along(mean, x)) * _along(scale(var, weight, eps).astype(x.dtype), x)
        if bias is not None:
            y += _along(bias, x)
    return y


def grad_affine(grad, x, mean, var, eps):
    axes = _axes(x)
    with np.errstate(invalid="ignore", over="ignore"):
        products = np.multiply(grad, x - _along(mean, x), dtype=np.float64)
        gw = products.sum(axes) * scale(var, None, eps)
        return gw.astype(x.dtype), grad.sum(axes, dtype=np.float64).astype(x.dtype)


def grad_input(grad, var, weight, eps):
    with np.errstate(invalid="ignore", over="ignore"):
        return grad * _along(scale(var, weight, eps).astype(grad.dtype), grad)


def mean_gradients(x, var, grad_weight, grad_bias, eps):
    """What the mean takes of every gradient, and the variance of it a unit of distance from the mean."""
    count = max(x.size // max(x.shape[1], 1), 1)
    with np.errstate(invalid="ignore", over="ignore"):
        slope = grad_weight * scale(var, None, eps) / count
    return (grad_bias / count).astype(x.dtype), slope.astype(x.dtype)


def grad_input_training(grad, x, mean, var, weight, grad_weight, grad_bias, eps):
    offset, slope = mean_gradients(x, var, grad_weight, grad_bias, eps)
    with np.errstate(invalid="ignore", over="ignore"):
        gx = grad - _along(offset, x) - (x - _along(mean, x)) * _along(slope, x)
        return gx * _along(scale(var, weight, eps).astype(x.dtype), x)
