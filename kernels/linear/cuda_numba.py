"""The dense layer in Numba-CUDA: a product of two matrices, first in the obvious way, then by tiles.

All three products of the layer are one: the forward pass is x times w transposed, the gradients are grad times w and
grad transposed times x. A transposed view costs nothing, so one kernel serves them all.
"""

from __future__ import annotations

from ..cuda import ceil_div, empty
from ..cuda.numba import cuda, kernel

BLOCK = 128  # threads of a one-dimensional block
TILE = 16  # a tile is TILE x TILE numbers, and a block as many threads


@kernel(writes=["y"])
def product_naive(a, b, bias, y):
    """y = a b + bias: a (M, K), b (K, N), bias (N,) or empty, y (M, N). One thread an element of y.

    Neighbouring threads read the same row of a and neighbouring columns of b. Each number of a is read N times from
    global memory, each of b M times.
    """
    i = cuda.grid(1)
    if i >= y.size:  # the last block is seldom full
        return
    row = i // y.shape[1]
    column = i % y.shape[1]
    total = y.dtype.type(0)
    for k in range(a.shape[1]):
        total += a[row, k] * b[k, column]
    if bias.size:
        total += bias[column]
    y[row, column] = total


@kernel(writes=["y"])
def product_tiled(a, b, bias, y):
    """The same, one block a tile of y: the block fetches a tile of a and one of b into shared memory together.

    Each number fetched is then used TILE times, so global memory is read TILE times less often.
    """
    a_tile = cuda.shared.array((TILE, TILE), y.dtype)
    b_tile = cuda.shared.array((TILE, TILE), y.dtype)
    tx = cuda.threadIdx.x
    ty = cuda.threadIdx.y
    across = (y.shape[1] + TILE - 1) // TILE  # tiles; all of them lie along x, since a grid's other axes end at 65535
    row = cuda.blockIdx.x // across * TILE + ty
    column = cuda.blockIdx.x % across * TILE + tx
    zero = y.dtype.type(0)
    total = zero
    for start in range(0, a.shape[1], TILE):
        # Every thread fetches one number of each tile. Beyond the matrices' edges it is 0, which adds nothing.
        inside = row < a.shape[0] and start + tx < a.shape[1]
        a_tile[ty, tx] = a[row, start + tx] if inside else zero
        inside = start + ty < b.shape[0] and column < b.shape[1]
        b_tile[ty, tx] = b[start + ty, column] if inside else zero
        cuda.syncthreads()  # nobody reads the tiles before all of them are there,
        for k in range(min(TILE, a.shape[1] - start)):
            total += a_tile[ty, k] * b_tile[k, tx]
        cuda.syncthreads()  # nor overwrites them before all have read
    if row < y.shape[0] and column < y.shape[1]:
        if bias.size:
            total += bias[column]
        y[row, column] = total


@kernel(writes=["sums"])
def column_sums(a, sums):
    """sums[j] = sum over i of a[i, j], added up in float64. One thread a column."""
    column = cuda.grid(1)
    if column >= sums.size:
        return
    total = 0.0
    for row in range(a.shape[0]):
        total += float(a[row, column])
    sums[column] = total


def _naive(a, b, bias):
    y = empty((a.shape[0], b.shape[1]), a.dtype, like=a)
    product_naive.launch(ceil_div(y.size, BLOCK), BLOCK, a, b, _or_none(bias, a), y)
    return y


def _tiled(a, b, bias):
    y = empty((a.shape[0], b.shape[1]), a.dtype, like=a)
    blocks = ceil_div(y.shape[1], TILE) * ceil_div(y.shape[0], TILE)
    product_tiled.launch(blocks, (TILE, TILE), a, b, _or_none(bias, a), y)
    return y


def _or_none(bias, like):
    """The bias, or an empty array in its place: a kernel can ask for its size."""
    return empty((0,), like.dtype, like) if bias is None else bias


def forward_naive(x, w, b):
    return _naive(x, w.T, b)  # (N, I) (I, O) -> (N, O)


def grad_input_naive(grad, w):
    return _naive(grad, w, None)  # (N, O) (O, I) -> (N, I)


def grad_weight_naive(grad, x):
    return _naive(grad.T, x, None)  # (O, N) (N, I) -> (O, I)


def forward_tiled(x, w, b):
    return _tiled(x, w.T, b)


def grad_input_tiled(grad, w):
    return _tiled(grad, w, None)


def grad_weight_tiled(grad, x):
    return _tiled(grad.T, x, None)


def grad_bias(grad):
    sums = empty((grad.shape[1],), grad.dtype, like=grad)
    column_sums.launch(ceil_div(sums.size, BLOCK), BLOCK, grad, sums)
    return sums
