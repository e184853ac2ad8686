// The dense layer on CUDA cores: a ladder of two kernels, in float32 or float64 (`real`), for y = x w^T + b and its
// gradients. The next step up it is tensor_cores.cu.
//
// All three products have the form  to (M, N) = sum over k of left (M, K) * right (K, N); only the steps from one element
// to the next differ, so each kernel takes those of its operands: left_m, left_k, right_k, right_n, in elements.
#include "minitl.cuh"

#ifndef TILE
#define TILE 16
#endif

// 1. naive ------------------------------------------------------------------------------------------------------------
// The definition: one thread a result. Neighbouring threads have neighbouring columns, so stores and the loads of `right`
// are together where right_n is 1; still, every number is fetched from memory once for each result that it counts in.

extern "C" __global__ void linear_naive(const real* __restrict__ left, const real* __restrict__ right,
                                        const real* __restrict__ bias, real* __restrict__ to, int M, int N, int K,
                                        long long left_m, long long left_k, long long right_k, long long right_n) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= (long long)M * N) return;
    long long m = i / N, n = i % N;
    real sum = 0;
    for (int k = 0; k < K; k++) sum += left[m * left_m + k * left_k] * right[k * right_k + n * right_n];
    to[i] = bias ? sum + bias[n] : sum;
}

// 2. tiled ------------------------------------------------------------------------------------------------------------
// Against naive: a block computes TILE x TILE results. Its threads fetch a tile of either operand into shared memory
// together, and each number is then used TILE times: a sixteenth of the traffic. Threads that fetch neighbours in memory
// are neighbours too, whichever way the operand lies (hence the exchange of x and y), and a column more keeps them off
// one bank.

// Grid: tiles of rows, then of columns, the first fastest, all along one axis: the others end at 65535.
extern "C" __global__ void linear_tiled(const real* __restrict__ left, const real* __restrict__ right,
                                        const real* __restrict__ bias, real* __restrict__ to, int M, int N, int K,
                                        long long left_m, long long left_k, long long right_k, long long right_n) {
    SHARED(real, a, [TILE][TILE + 1]);  // [m][k]
    SHARED(real, b, [TILE][TILE + 1]);  // [k][n]
    int x = threadIdx.x, y = threadIdx.y;
    unsigned down = (M - 1) / TILE + 1;
    int first_m = blockIdx.x % down * TILE, first_n = blockIdx.x / down * TILE;
    int a_m = left_k == 1 ? y : x, a_k = left_k == 1 ? x : y;
    int b_k = right_n == 1 ? y : x, b_n = right_n == 1 ? x : y;
    int m = first_m + y, n = first_n + x;
    real sum = 0;
    for (int first_k = 0; first_k < K; first_k += TILE) {
        bool a_inside = first_m + a_m < M && first_k + a_k < K, b_inside = first_n + b_n < N && first_k + b_k < K;
        a[a_m][a_k] = a_inside ? left[(first_m + a_m) * left_m + (first_k + a_k) * left_k] : real(0);
        b[b_k][b_n] = b_inside ? right[(first_k + b_k) * right_k + (first_n + b_n) * right_n] : real(0);
        __syncthreads();
#pragma unroll
        for (int k = 0; k < TILE; k++) sum += a[y][k] * b[k][x];
        __syncthreads();
    }
    if (m < M && n < N) to[(long long)m * N + n] = bias ? sum + bias[n] : sum;
}

// Gradient of the bias ------------------------------------------------------------------------------------------------
// gb (O) = the sums of the columns of grad (N, O). A block of 32 x 8 threads takes 32 columns: each thread every eighth row,
// so that a warp reads 128 bytes in a row; then the first row of threads adds the eight sums of its column, in order.

extern "C" __global__ void linear_grad_bias(const real* __restrict__ grad, real* __restrict__ gb, int N, int O) {
    SHARED(real, sums, [8][32]);
    int o = blockIdx.x * 32 + threadIdx.x;
    real sum = 0;
    if (o < O)
        for (int n = threadIdx.y; n < N; n += 8) sum += grad[(long long)n * O + o];
    sums[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y > 0 || o >= O) return;
    for (int y = 1; y < 8; y++) sum += sums[y][threadIdx.x];
    gb[o] = sum;
}
