"""The dense layer and its gradients from the definition: float64 loops, used by tests alone."""

from __future__ import annotations

import numpy as np


def forward(x, w, b):
    y = np.zeros((x.shape[0], w.shape[0]))
    for n, o in np.ndindex(y.shape):
        for i in range(x.shape[1]):
            y[n, o] += float(x[n, i]) * float(w[o, i])
        if b is not None:
            y[n, o] += float(b[o])
    return y


def grad_input(grad, w):
    gx = np.zeros((grad.shape[0], w.shape[1]))
    for n, i in np.ndindex(gx.shape):
        for o in range(w.shape[0]):
            gx[n, i] += float(grad[n, o]) * float(w[o, i])
    return gx


def grad_weight(grad, x):
    gw = np.zeros((grad.shape[1], x.shape[1]))
    for o, i in np.ndindex(gw.shape):
        for n in range(x.shape[0]):
            gw[o, i] += float(grad[n, o]) * float(x[n, i])
    return gw


def grad_bias(grad):
    gb = np.zeros(grad.shape[1])
    for n, o in np.ndindex(grad.shape):
        gb[o] += float(grad[n, o])
    return gb
