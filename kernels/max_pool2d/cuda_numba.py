"""Max pooling in Numba-CUDA: one thread an output pixel forward, one thread an input pixel backward."""

from __future__ import annotations

from ..cuda import ceil_div, empty
from ..cuda.numba import cuda, kernel

BLOCK = 128


@kernel(writes=["y", "indices"])
def max_pool(x, y, indices, kernel_size, stride, padding, dilation):
    """y, indices (N, C, P, Q) of x (N, C, H, W): the largest pixel of each window, and where in its plane it was.

    kernel_size, stride, padding (before the picture), dilation: pairs (vertical, horizontal).
    """
    i = cuda.grid(1)
    if i >= y.size:
        return
    q = i % y.shape[3]
    p = i // y.shape[3] % y.shape[2]
    c = i // (y.shape[3] * y.shape[2]) % y.shape[1]
    n = i // (y.shape[3] * y.shape[2] * y.shape[1])
    best = x.dtype.type(0)
    where = -1  # no pixel seen yet: padding never wins, not even over -inf
    for r in range(kernel_size[0]):
        h = p * stride[0] + r * dilation[0] - padding[0]
        if h < 0 or h >= x.shape[2]:
            continue
        for s in range(kernel_size[1]):
            w = q * stride[1] + s * dilation[1] - padding[1]
            if w < 0 or w >= x.shape[3]:
                continue
            value = x[n, c, h, w]
            # Only a larger pixel takes the place of an earlier one; NaN takes any number's and keeps it.
            if where < 0 or value > best or (value != value and best == best):
                best = value
                where = h * x.shape[3] + w
    y[n, c, p, q] = best
    indices[n, c, p, q] = where


@kernel(writes=["gx"])
def max_pool_grad(grad, indices, gx, kernel_size, stride, padding, dilation):
    """gx (N, C, H, W): each pixel gathers the gradients of the windows that it won; grad, indices (N, C, P, Q).

    Each thread writes one pixel, so that no two add to the same one, and sums come in a fixed order.
    """
    i = cuda.grid(1)
    if i >= gx.size:
        return
    w = i % gx.shape[3]
    h = i // gx.shape[3] % gx.shape[2]
    c = i // (gx.shape[3] * gx.shape[2]) % gx.shape[1]
    n = i // (gx.shape[3] * gx.shape[2] * gx.shape[1])
    # Windows p with  p * stride <= h + padding <= p * stride + reach  hold row h, or step over it.
    reach = dilation[0] * (kernel_size[0] - 1)
    p_first = max(0, -(-(h + padding[0] - reach) // stride[0]))
    p_last = min(grad.shape[2] - 1, (h + padding[0]) // stride[0])
    reach = dilation[1] * (kernel_size[1] - 1)
    q_first = max(0, -(-(w + padding[1] - reach) // stride[1]))
    q_last = min(grad.shape[3] - 1, (w + padding[1]) // stride[1])
    total = grad.dtype.type(0)
    for p in range(p_first, p_last + 1):
        for q in range(q_first, q_last + 1):
            if indices[n, c, p, q] == h * gx.shape[3] + w:
                total += grad[n, c, p, q]
    gx[n, c, h, w] = total


def _windows(g):
    return g.kernel, g.stride, (g.padding[0][0], g.padding[1][0]), g.dilation


def forward(x, geometry):
    y = empty(geometry.y_shape, x.dtype, like=x)
    indices = empty(geometry.y_shape, "int32", like=x)
    max_pool.launch(ceil_div(y.size, BLOCK), BLOCK, x, y, indices, *_windows(geometry))
    return y, indices


def grad_input(grad, indices, geometry):
    gx = empty(geometry.x_shape, grad.dtype, like=grad)
    max_pool_grad.launch(ceil_div(gx.size, BLOCK), BLOCK, grad, indices, gx, *_windows(geometry))
    return gx
