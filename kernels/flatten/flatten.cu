// Flattening arrays that do not lie in C order: copies x (N, C, H, W) to y (N, C H W), in float32 or float64 (`real`).
#include "minitl.cuh"

// 1. naive ------------------------------------------------------------------------------------------------------------
// One thread a number, in the order of y. A channels-last x is read with a step of C numbers between neighbouring threads,
// so that each of them fetches a sector of 32 bytes for one number. Any strides.

extern "C" __global__ void flatten_naive(const real* __restrict__ x, real* __restrict__ y, int N, int C, int H, int W,
                                         Strides4 xs) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x, plane = (long long)H * W;
    if (i >= plane * N * C) return;
    int w = i % W, h = i / W % H, c = i / plane % C, n = i / plane / C;
    y[i] = x[at(xs, n, c, h, w)];
}

// 2. tiles ------------------------------------------------------------------------------------------------------------
// Against naive: a block copies 32 channels of 32 pixels by way of shared memory, so that a warp reads neighbouring
// channels, as they lie in a channels-last x, and writes neighbouring pixels, as they lie in y. A row of the tile has one
// number more than there are banks: a warp then finds a column in 32 different ones. Any strides.

const int TILE = 32, DOWN = 8;  // threads of a block: TILE x DOWN

// Grid: tiles of pixels, tiles of channels, images, the first fastest.
extern "C" __global__ void __launch_bounds__(TILE* DOWN)
    flatten_tiles(const real* __restrict__ x, real* __restrict__ y, int C, int H, int W, Strides4 xs) {
    SHARED(real, tile, [TILE][TILE + 1]);  // [pixel][channel]
    int plane = H * W, across = (plane + TILE - 1) / TILE, channels = (C + TILE - 1) / TILE;
    int pixel = blockIdx.x % across * TILE, c = blockIdx.x / across % channels * TILE, n = blockIdx.x / across / channels;
    int lane = threadIdx.x % TILE, line = threadIdx.x / TILE;
#pragma unroll
    for (int i = line; i < TILE; i += DOWN)
        if (pixel + i < plane && c + lane < C) tile[i][lane] = x[at(xs, n, c + lane, (pixel + i) / W, (pixel + i) % W)];
    __syncthreads();
#pragma unroll
    for (int i = line; i < TILE; i += DOWN)
        if (c + i < C && pixel + lane < plane) y[((long long)n * C + c + i) * plane + pixel + lane] = tile[lane][i];
}
