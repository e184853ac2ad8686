// The pieces that tensor-core kernels are made of, one a kernel: registers come from arrays and go to arrays, 32 lanes each.
#include "minitl.cuh"
#include "divide.cuh"
#include "tiles.cuh"

extern "C" __global__ void rounded(const float* __restrict__ x, unsigned* __restrict__ tf32, unsigned* __restrict__ bf16) {
    tf32[threadIdx.x] = to_tf32(x[threadIdx.x]);
    bf16[threadIdx.x] = to_bf16(x[threadIdx.x], -x[threadIdx.x]);
}

extern "C" __global__ void quotients(const int* __restrict__ x, const int* __restrict__ d, int* __restrict__ q, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) q[i] = Divisor(d[i]).quotient(x[i]);
}

// a (lane, 4), b (lane, 2), sums (lane, 4)
extern "C" __global__ void one_mma(const unsigned* __restrict__ a, const unsigned* __restrict__ b,
                                   float* __restrict__ sums, int bf16) {
    int lane = threadIdx.x;
    unsigned left[4];
    float out[4];
    for (int i = 0; i < 4; i++) left[i] = a[lane * 4 + i], out[i] = sums[lane * 4 + i];
    if (bf16) mma_bf16(out, left, b[lane * 2], b[lane * 2 + 1]);
    else mma_tf32(out, left, b[lane * 2], b[lane * 2 + 1]);
    for (int i = 0; i < 4; i++) sums[lane * 4 + i] = out[i];
}

// Fills a tile of 32 x 16 from a matrix (32, 16) by 16 bytes and by 4, and takes the fragment at `row`, `k` out: r (lane, 4).
template <class Tile, int WIDTH>
__device__ __forceinline__ void through_a_tile(const float* x, unsigned* r, int row, int k, bool across) {
    SHARED(float, tile, [32 * 16]);
    Matrix matrix = {x, 32, 16, across ? 1 : 16, across ? 32 : 1, WIDTH == 4};
    Tile::template copy<32, WIDTH>(tile, matrix, 0, 0);
    commit_async();
    wait_async<0>();
    __syncthreads();
    unsigned fragment[4];
    Tile::fragment(fragment, tile, row, k);
    for (int i = 0; i < 4; i++) r[threadIdx.x * 4 + i] = fragment[i];
}
extern "C" __global__ void fragments(const float* __restrict__ x, unsigned* __restrict__ r, int row, int k, int across,
                                     int width) {
    if (across && width == 4) through_a_tile<AcrossDepth<32, 16>, 4>(x, r, row, k, true);
    else if (across) through_a_tile<AcrossDepth<32, 16>, 1>(x, r, row, k, true);
    else if (width == 4) through_a_tile<AlongDepth<32, 16>, 4>(x, r, row, k, false);
    else through_a_tile<AlongDepth<32, 16>, 1>(x, r, row, k, false);
}

// Where tiles of 64 x 16 keep element (row, k): a block for every k, a thread for every row.
extern "C" __global__ void offsets(int* __restrict__ to, int across) {
    int row = threadIdx.x, k = blockIdx.x;
    to[row * 16 + k] = across ? AcrossDepth<64, 16>::offset(row, k) : AlongDepth<64, 16>::offset(row, k);
}

// Two copies of each thread; WAIT of them may still be under way when y is written.
#ifndef WAIT
#define WAIT 0
#endif
extern "C" __global__ void two_copies(const float* __restrict__ x, float* __restrict__ y) {
    SHARED(float, tile, [2][32]);
    for (int i = 0; i < 2; i++) {
        copy_async_4(&tile[i][threadIdx.x], x + i * 32 + threadIdx.x, i == 0 || threadIdx.x < 31 ? 4 : 0);
        commit_async();
    }
    wait_async<WAIT>();
    y[threadIdx.x] = tile[0][threadIdx.x];
    y[32 + threadIdx.x] = tile[1][threadIdx.x];
    wait_async<0>();
}

// Begins to copy over what another warp may still be reading.
extern "C" __global__ void copies_too_early(const float* __restrict__ x, float* __restrict__ y, int barrier) {
    SHARED(float, tile, [64]);
    tile[threadIdx.x] = 1;
    __syncthreads();
    y[threadIdx.x] = tile[63 - threadIdx.x];
    if (barrier) __syncthreads();
    copy_async_4(&tile[threadIdx.x], x + threadIdx.x, 4);
    commit_async();
    wait_async<0>();
}
