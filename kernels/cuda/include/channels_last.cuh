// Kernels on arrays (N, H, W, C) in C order, C a multiple of 4: a thread works on four channels of one pixel, which lie
// side by side. Neighbouring threads have neighbouring channels, so a warp's loads of 16 bytes lie side by side too.
#pragma once

// A thread's pixel, and the first of its channels.
struct Pixel4 {
    int n, h, w, c;
    bool inside;  // false: nothing is left for this thread
};

// The grid has a row of blocks for every row of every picture: N H ceil(W C / 4 / blockDim.x) blocks. That takes 32-bit
// divisions alone; to divide a number of 64 bits costs as much as reading a window.
__device__ __forceinline__ Pixel4 pixel4(int H, int W, int C) {
    unsigned fours = C / 4, blocks = (W * fours + blockDim.x - 1) / blockDim.x;
    unsigned row = blockIdx.x / blocks, i = blockIdx.x % blocks * blockDim.x + threadIdx.x;
    int w = i / fours;
    return {int(row / H), int(row % H), w, int(i % fours) * 4, w < W};
}

// Of the first channel of a pixel, in elements.
__device__ __forceinline__ long long channels_last(int n, int h, int w, int c, int H, int W, int C) {
    return (((long long)n * H + h) * W + w) * C + c;
}

// Where there is no picture, just rows of numbers: a thread stays with one group of columns and walks down some rows, so
// that what belongs to the columns is worked out once. across: threads that share a row. Grid: tiles of `across` groups,
// then rows, the first fastest. `group` may lie behind the last one; there are no rows then.
const int RUN = 8;  // rows a thread at most; mirrored in kernels/cuda/pixels.py

struct Walk {
    int group, step;
    long long row, end;  // the first row, and the one to stop before
    __device__ __forceinline__ Walk(long long rows, int groups, int across) {
        unsigned tiles = (groups + across - 1) / across;
        step = blockDim.x / across;
        group = blockIdx.x % tiles * across + threadIdx.x % across;
        row = (long long)(blockIdx.x / tiles) * step * RUN + threadIdx.x / across;
        end = group < groups ? min(row + step * RUN, rows) : 0;
    }
};
