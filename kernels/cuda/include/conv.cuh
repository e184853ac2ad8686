// What the ladders of convolution on CUDA cores have in common (kernels/conv2d/cuda: forward, grad_input, grad_weight).
#pragma once

// The pixel of an axis of `size` pixels that a tap at i sees: i itself, or the nearest one if the edge is repeated
// into the padding; -1 where it sees a padding of zeros.
__device__ __forceinline__ int seen(int i, int size, int replicate) {
    if (replicate) return min(max(i, 0), size - 1);
    return i < size ? max(i, -1) : -1;
}

// Up to four values side by side, of which `left` exist; zeros for the others.
__device__ __forceinline__ void load_up_to_4(real to[4], const real* from, int left, bool vectors) {
    if (vectors && left >= 4) return load4(to, from);
#pragma unroll
    for (int i = 0; i < 4; ++i) to[i] = i < left ? from[i] : real(0);
}
__device__ __forceinline__ void store_up_to_4(real* to, const real from[4], int left, bool vectors) {
    if (vectors && left >= 4) return store4(to, from);
#pragma unroll
    for (int i = 0; i < 4; ++i)
        if (i < left) to[i] = from[i];
}

// Where a thread's share of a product's tile of ROWS x COLUMNS begins: 4 rows from `row` on and 4 from row + ROWS / 2 on,
// likewise columns. A warp is 4 x 8 threads: each reads 16 bytes that no other bank of its phase holds.
template <int ROWS, int COLUMNS>
struct Share {
    int row, column;

    __device__ __forceinline__ Share() {
        int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
        row = (warp / (COLUMNS / 64) * 4 + lane / 8) * 4;
        column = (warp % (COLUMNS / 64) * 8 + lane % 8) * 4;
    }
    // The i-th of its 8 rows.
    __device__ __forceinline__ int row_of(int i) const { return row + i % 4 + i / 4 * (ROWS / 2); }
};

// A share's 8 numbers of a line in shared memory: 4 from `from` on, and 4 that lie `half` further on.
__device__ __forceinline__ void load_8(real to[8], const real* from, int half) {
    load4(to, from);
    load4(to + 4, from + half);
}

// Adds the products of one step of the depth to a share's sums: 16 numbers serve 64 multiply-adds. The loop over steps is
// left to the kernels: in a function of its own it takes more registers than they have.
__device__ __forceinline__ void add_products(real (&sums)[8][8], const real (&left)[8], const real (&right)[8]) {
#pragma unroll
    for (int i = 0; i < 8; ++i)
#pragma unroll
        for (int j = 0; j < 8; ++j) sums[i][j] += left[i] * right[j];
}
