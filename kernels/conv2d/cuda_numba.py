"""Convolution and its gradients in Numba-CUDA: the definition, one thread a number; then as matrix products by tiles.

Letters: N batch, C channels in, H x W input, O channels out, P x Q output, R x S filter. Filter o belongs to a group of
filters, which see the channels of that group alone. Tap (r, s) of the window at output (p, q) lies at the pixel
(p * stride + r * dilation - padding, q * stride + s * dilation - padding); stride, padding (before the picture) and
dilation are pairs (vertical, horizontal).
"""

from __future__ import annotations

from ..cuda import ceil_div, empty
from ..cuda.numba import cuda, device, kernel

BLOCK = 128  # threads of a one-dimensional block
TILE = 16  # a tile is TILE x TILE numbers, and a block as many threads


@device
def split(i, rows, columns):
    """(a, b, c) of i = (a * rows + b) * columns + c."""
    return i // (rows * columns), i // columns % rows, i % columns


@device
def seen(i, size, replicate):
    """The pixel that a tap at i sees along an axis of `size` pixels; -1 on padding of zeros."""
    if replicate:
        return min(max(i, 0), size - 1)
    return i if i >= 0 and i < size else -1


@device
def looking(i, offset, size, count, stride, replicate):
    """The first and the last of `count` outputs whose tap, at p * stride + offset, sees pixel i; none: last < first.

    That is one output at most, unless the border is repeated: its first pixel is seen by all taps before it, its last
    one by all behind it.
    """
    first = -(-(i - offset) // stride)  # rounded up: behind `last` where the stride does not divide
    last = (i - offset) // stride
    if replicate and i == 0:
        first = 0
    if replicate and i == size - 1:
        last = count - 1
    return max(first, 0), min(last, count - 1)


# ---- One thread a number of the result -----------------------------------------------------------------------


@kernel(writes=["y"])
def conv2d_naive(x, w, b, y, stride, padding, dilation, replicate, relu):
    """y (N, O, P, Q) of x (N, C, H, W), w (O, C / groups, R, S) and b (O,) or empty.

    Neighbouring threads compute neighbouring pixels q of one row, so they read w together and x side by side.
    """
    i = cuda.grid(1)
    if i >= y.size:  # the last block is seldom full
        return
    image, p, q = split(i, y.shape[2], y.shape[3])
    n = image // y.shape[1]
    o = image % y.shape[1]
    channels = w.shape[1]  # of a group
    filters = y.shape[1] // (x.shape[1] // channels)
    first = o // filters * channels
    total = x.dtype.type(0)
    for c in range(channels):
        for r in range(w.shape[2]):
            h = seen(p * stride[0] + r * dilation[0] - padding[0], x.shape[2], replicate)
            if h < 0:
                continue
            for s in range(w.shape[3]):
                v = seen(q * stride[1] + s * dilation[1] - padding[1], x.shape[3], replicate)
                if v >= 0:
                    total += x[n, first + c, h, v] * w[o, c, r, s]
    if b.size:
        total += b[o]
    if relu and total < 0:
        total = x.dtype.type(0)
    y[n, o, p, q] = total


@kernel(writes=["gx"])
def conv2d_grad_input_naive(grad, w, gx, stride, padding, dilation, replicate):
    """gx (N, C, H, W): each pixel gathers from all outputs that saw it; grad (N, O, P, Q).

    To scatter instead (one thread an output) would make threads add to the same pixel: slower, and the sums' order,
    with it their last bits, would change from run to run.
    """
    i = cuda.grid(1)
    if i >= gx.size:
        return
    image, h, v = split(i, gx.shape[2], gx.shape[3])
    n = image // gx.shape[1]
    channel = image % gx.shape[1]
    channels = w.shape[1]
    filters = grad.shape[1] // (gx.shape[1] // channels)
    group = channel // channels
    c = channel % channels
    total = grad.dtype.type(0)
    for o in range(group * filters, (group + 1) * filters):
        for r in range(w.shape[2]):
            offset = r * dilation[0] - padding[0]
            p_first, p_last = looking(h, offset, gx.shape[2], grad.shape[2], stride[0], replicate)
            for s in range(w.shape[3]):
                offset = s * dilation[1] - padding[1]
                q_first, q_last = looking(v, offset, gx.shape[3], grad.shape[3], stride[1], replicate)
                for p in range(p_first, p_last + 1):
                    for q in range(q_first, q_last + 1):
                        total += grad[n, o, p, q] * w[o, c, r, s]
    gx[n, channel, h, v] = total


@kernel(writes=["gw"])
def conv2d_grad_weight_naive(grad, x, gw, stride, padding, dilation, replicate):
    """gw (O, C / groups, R, S): each tap sums over all outputs of all pictures, in one fixed order."""
    i = cuda.grid(1)
    if i >= gw.size:
        return
    plane, r, s = split(i, gw.shape[2], gw.shape[3])
    channels = gw.shape[1]
    o = plane // channels
    c = plane % channels
    filters = gw.shape[0] // (x.shape[1] // channels)
    channel = o // filters * channels + c
    total = x.dtype.type(0)
    for n in range(x.shape[0]):
        for p in range(grad.shape[2]):
            h = seen(p * stride[0] + r * dilation[0] - padding[0], x.shape[2], replicate)
            if h < 0:
                continue
            for q in range(grad.shape[3]):
                v = seen(q * stride[1] + s * dilation[1] - padding[1], x.shape[3], replicate)
                if v >= 0:
                    total += grad[n, o, p, q] * x[n, channel, h, v]
    gw[o, c, r, s] = total


# ---- Tiles: each of the three is a product of matrices, gathered on the way into shared memory ----------------


@device
def tile_of_block(columns, rows):
    """(first column, first row, group) of the tile that this block computes, tiles being counted along the rows.

    The grid has one axis for all of them: a GPU's others end at 65535.
    """
    across = (columns + TILE - 1) // TILE
    down = (rows + TILE - 1) // TILE
    row = cuda.blockIdx.x // across
    return cuda.blockIdx.x % across * TILE, row % down * TILE, row // down


@kernel(writes=["y"])
def conv2d_tiled(x, w, b, y, stride, padding, dilation, replicate, relu):
    """y as filters times windows, a group at a time: (O / groups, K) times (K, N P Q), with K = C / groups * R * S.

    A block computes a tile of TILE filters at TILE output pixels. Step by step along K it fetches a tile of filters and
    one of windows; each number fetched is then used TILE times from shared memory.
    """
    w_tile = cuda.shared.array((TILE, TILE), x.dtype)  # filter, k
    x_tile = cuda.shared.array((TILE, TILE), x.dtype)  # k, output pixel
    tx = cuda.threadIdx.x
    ty = cuda.threadIdx.y
    channels = w.shape[1]
    filters = y.shape[1] // (x.shape[1] // channels)
    depth = channels * w.shape[2] * w.shape[3]
    first, row, group = tile_of_block(y.shape[0] * y.shape[2] * y.shape[3], filters)
    row += ty
    o = group * filters + row
    n, p, q = split(first + tx, y.shape[2], y.shape[3])
    total = x.dtype.type(0)
    for start in range(0, depth, TILE):
        # This thread fetches number k = start + tx of filter o,
        value = x.dtype.type(0)
        if row < filters and start + tx < depth:
            c, r, s = split(start + tx, w.shape[2], w.shape[3])
            value = w[o, c, r, s]
        w_tile[ty, tx] = value
        # and number k = start + ty of the window at output (n, p, q).
        value = x.dtype.type(0)
        if n < x.shape[0] and start + ty < depth:
            c, r, s = split(start + ty, w.shape[2], w.shape[3])
            h = seen(p * stride[0] + r * dilation[0] - padding[0], x.shape[2], replicate)
            v = seen(q * stride[1] + s * dilation[1] - padding[1], x.shape[3], replicate)
            if h >= 0 and v >= 0:
                value = x[n, group * channels + c, h, v]
        x_tile[ty, tx] = value
        cuda.syncthreads()  # nobody reads the tiles before all of them are there,
        for k in range(min(TILE, depth - start)):
            total += w_tile[ty, k] * x_tile[k, tx]
        cuda.syncthreads()  # nor overwrites them before all have read
    if row < filters and n < x.shape[0]:
        if b.size:
            total += b[o]
        if relu and total < 0:
            total = x.dtype.type(0)
        y[n, o, p, q] = total


@kernel(writes=["gx"])
def conv2d_grad_input_tiled(grad, w, gx, stride, padding, dilation, replicate):
    """gx as filters transposed times gathered gradients: (C / groups, K) (K, N H W), with K = O / groups * R * S."""
    w_tile = cuda.shared.array((TILE, TILE), grad.dtype)  # channel, k
    grad_tile = cuda.shared.array((TILE, TILE), grad.dtype)  # k, input pixel
    tx = cuda.threadIdx.x
    ty = cuda.threadIdx.y
    channels = w.shape[1]
    filters = grad.shape[1] // (gx.shape[1] // channels)
    depth = filters * w.shape[2] * w.shape[3]
    first, c, group = tile_of_block(gx.shape[0] * gx.shape[2] * gx.shape[3], channels)
    c += ty
    n, h, v = split(first + tx, gx.shape[2], gx.shape[3])
    total = grad.dtype.type(0)
    for start in range(0, depth, TILE):
        value = grad.dtype.type(0)
        if c < channels and start + tx < depth:
            o, r, s = split(start + tx, w.shape[2], w.shape[3])
            value = w[group * filters + o, c, r, s]
        w_tile[ty, tx] = value
        value = grad.dtype.type(0)
        if n < gx.shape[0] and start + ty < depth:
            o, r, s = split(start + ty, w.shape[2], w.shape[3])
            offset = r * dilation[0] - padding[0]
            p_first, p_last = looking(h, offset, gx.shape[2], grad.shape[2], stride[0], replicate)
            offset = s * dilation[1] - padding[1]
            q_first, q_last = looking(v, offset, gx.shape[3], grad.shape[3], stride[1], replicate)
            for p in range(p_first, p_last + 1):
                for q in range(q_first, q_last + 1):
                    value += grad[n, group * filters + o, p, q]
        grad_tile[ty, tx] = value
        cuda.syncthreads()
        for k in range(min(TILE, depth - start)):
            total += w_tile[ty, k] * grad_tile[k, tx]
        cuda.syncthreads()
    if c < channels and n < gx.shape[0]:
        gx[n, group * channels + c, h, v] = total


@kernel(writes=["gw"])
def conv2d_grad_weight_tiled(grad, x, gw, stride, padding, dilation, replicate):
    """gw as gradients times windows transposed: (O / groups, K) (K, C / groups * R * S), with K = N P Q."""
    grad_tile = cuda.shared.array((TILE, TILE), x.dtype)  # filter, output pixel
    x_tile = cuda.shared.array((TILE, TILE), x.dtype)  # output pixel, tap
    tx = cuda.threadIdx.x
    ty = cuda.threadIdx.y
    channels = gw.shape[1]
    filters = gw.shape[0] // (x.shape[1] // channels)
    depth = x.shape[0] * grad.shape[2] * grad.shape[3]
    first, row, group = tile_of_block(channels * gw.shape[2] * gw.shape[3], filters)
    row += ty
    o = group * filters + row
    c, r, s = split(first + tx, gw.shape[2], gw.shape[3])
    total = x.dtype.type(0)
    for start in range(0, depth, TILE):
        value = x.dtype.type(0)
        if row < filters and start + tx < depth:
            n, p, q = split(start + tx, grad.shape[2], grad.shape[3])
            value = grad[n, o, p, q]
        grad_tile[ty, tx] = value
        value = x.dtype.type(0)
        if c < channels and start + ty < depth:
            n, p, q = split(start + ty, grad.shape[2], grad.shape[3])
            h = seen(p * stride[0] + r * dilation[0] - padding[0], x.shape[2], replicate)
            v = seen(q * stride[1] + s * dilation[1] - padding[1], x.shape[3], replicate)
            if h >= 0 and v >= 0:
                value = x[n, group * channels + c, h, v]
        x_tile[ty, tx] = value
        cuda.syncthreads()
        for k in range(min(TILE, depth - start)):
            total += grad_tile[ty, k] * x_tile[k, tx]
        cuda.syncthreads()
    if row < filters and c < channels:
        gw[o, c, r, s] = total


@kernel(writes=["sums"])
def channel_sums(grad, sums):
    """sums[o] = sum over n, p, q of grad[n, o, p, q], added up in float64. One thread a channel."""
    o = cuda.grid(1)
    if o >= sums.size:
        return
    total = 0.0
    for n in range(grad.shape[0]):
        for p in range(grad.shape[2]):
            for q in range(grad.shape[3]):
                total += float(grad[n, o, p, q])
    sums[o] = total


# ---- Launchers -----------------------------------------------------------------------------------------------


def _windows(g):
    return g.stride, (g.padding[0][0], g.padding[1][0]), g.dilation, g.padding_mode == "replicate"


def _tiles(columns, rows, groups):
    """The grid of a tiled product, and its block."""
    return ceil_div(columns, TILE) * ceil_div(rows, TILE) * groups, (TILE, TILE)


def _bias(b, like):
    """The bias, or an empty array in its place: a kernel can ask for its size."""
    return empty((0,), like.dtype, like) if b is None else b


def forward_naive(x, w, b, geometry, relu=False):
    y = empty(geometry.y_shape, x.dtype, like=x)
    conv2d_naive.launch(ceil_div(y.size, BLOCK), BLOCK, x, w, _bias(b, x), y, *_windows(geometry), bool(relu))
    return y


def forward_tiled(x, w, b, geometry, relu=False):
    g = geometry
    y = empty(g.y_shape, x.dtype, like=x)
    tiles = _tiles(g.batch * g.output[0] * g.output[1], g.out_channels // g.groups, g.groups)
    conv2d_tiled.launch(*tiles, x, w, _bias(b, x), y, *_windows(g), bool(relu))
    return y


def grad_input_naive(grad, w, geometry):
    gx = empty(geometry.x_shape, grad.dtype, like=grad)
    conv2d_grad_input_naive.launch(ceil_div(gx.size, BLOCK), BLOCK, grad, w, gx, *_windows(geometry))
    return gx


def grad_input_tiled(grad, w, geometry):
    g = geometry
    gx = empty(g.x_shape, grad.dtype, like=grad)
    tiles = _tiles(g.batch * g.size[0] * g.size[1], g.in_channels // g.groups, g.groups)
    conv2d_grad_input_tiled.launch(*tiles, grad, w, gx, *_windows(g))
    return gx


def grad_weight_naive(grad, x, geometry):
    gw = empty(geometry.w_shape, grad.dtype, like=grad)
    conv2d_grad_weight_naive.launch(ceil_div(gw.size, BLOCK), BLOCK, grad, x, gw, *_windows(geometry))
    return gw


def grad_weight_tiled(grad, x, geometry):
    g = geometry
    gw = empty(g.w_shape, grad.dtype, like=grad)
    tiles = _tiles(g.depth, g.out_channels // g.groups, g.groups)
    conv2d_grad_weight_tiled.launch(*tiles, grad, x, gw, *_windows(g))
    return gw


def grad_bias(grad):
    sums = empty((grad.shape[1],), grad.dtype, like=grad)
    channel_sums.launch(ceil_div(sums.size, BLOCK), BLOCK, grad, sums)
    return sums
