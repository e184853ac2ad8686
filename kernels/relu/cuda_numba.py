"""ReLU in Numba-CUDA: one thread an element."""

from __future__ import annotations

from ..cuda import ceil_div, contiguous, empty
from ..cuda.numba import cuda, kernel

BLOCK = 128


@kernel(writes=["y"])
def relu(x, y):
    """y = x where x is not negative, else 0; x and y (n,)."""
    i = cuda.grid(1)
    if i < x.size:
        value = x[i]
        # A NaN is not below 0, so it stays.
        y[i] = x.dtype.type(0) if value < 0 else value


@kernel(writes=["gx"])
def relu_grad(grad, y, gx):
    """gx = grad where y is not 0, else 0; all (n,). y is never negative, and where it is NaN the gradient passes."""
    i = cuda.grid(1)
    if i < y.size:
        gx[i] = y.dtype.type(0) if y[i] <= 0 else grad[i]


def forward(x):
    y = empty((x.size,), x.dtype, like=x)
    relu.launch(ceil_div(x.size, BLOCK), BLOCK, contiguous(x).reshape(-1), y)
    return y.reshape(x.shape)


def grad_input(grad, y):
    gx = empty((y.size,), y.dtype, like=y)
    relu_grad.launch(ceil_div(y.size, BLOCK), BLOCK, contiguous(grad).reshape(-1), contiguous(y).reshape(-1), gx)
    return gx.reshape(y.shape)
