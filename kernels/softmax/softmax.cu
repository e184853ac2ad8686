// Softmax of rows and its gradient from the output, in float32 or float64 (`real`). See include/rows.cuh for rows and teams.
//
// y_i = exp(x_i - max x) / sum_j exp(x_j - max x): no power overflows. NaN and +inf make NaN of their row, and so does
// nothing but -inf, because -inf - -inf is NaN.
#include "minitl.cuh"
#include "rows.cuh"

template <class Team>
__device__ __forceinline__ void softmax(const real* x, real* y, Row row, int n, Team team) {
    real top = largest(x, row, n, team);
    real sum = sum_of_powers(x, row, n, top, team);
    for (int i = team.rank(); i < n; i += team.size()) y[row[i]] = exp(x[row[i]] - top) / sum;
}

// gx_i = y_i (grad_i - sum_j grad_j y_j)
template <class Team>
__device__ __forceinline__ void softmax_grad(const real* grad, const real* y, real* gx, Row row, int n, Team team) {
    real dot = 0;
    for (int i = team.rank(); i < n; i += team.size()) dot += grad[row[i]] * y[row[i]];
    dot = team.sum(dot);
    for (int i = team.rank(); i < n; i += team.size()) gx[row[i]] = y[row[i]] * (grad[row[i]] - dot);
}

// 1. naive ------------------------------------------------------------------------------------------------------------
// The definition: one thread a row. Where the elements of neighbouring rows lie side by side, as in pictures whose
// channels are the classes, a warp reads them together.

extern "C" __global__ void softmax_naive(const real* __restrict__ x, real* __restrict__ y, long long rows, int n,
                                         long long inner) {
    long long row = row_of_thread();
    if (row < rows) softmax(x, y, row_of(row, n, inner), n, OneThread());
}

extern "C" __global__ void softmax_grad_naive(const real* __restrict__ grad, const real* __restrict__ y,
                                              real* __restrict__ gx, long long rows, int n, long long inner) {
    long long row = row_of_thread();
    if (row < rows) softmax_grad(grad, y, gx, row_of(row, n, inner), n, OneThread());
}

// 2. warp -------------------------------------------------------------------------------------------------------------
// Against naive, whose threads read numbers n apart, each from a line of memory of its own: a warp a row. Its lanes read
// neighbouring numbers by one access, and 32 times as many threads are at work. A row is read again from the L1 cache.

extern "C" __global__ void softmax_warp(const real* __restrict__ x, real* __restrict__ y, long long rows, int n) {
    long long row = row_of_warp();
    if (row < rows) softmax(x, y, row_of(row, n, 1), n, OneWarp());
}

extern "C" __global__ void softmax_grad_warp(const real* __restrict__ grad, const real* __restrict__ y,
                                             real* __restrict__ gx, long long rows, int n) {
    long long row = row_of_warp();
    if (row < rows) softmax_grad(grad, y, gx, row_of(row, n, 1), n, OneWarp());
}

// 3. block ------------------------------------------------------------------------------------------------------------
// Against warp: a block a row, for long rows, of which there may be few. The price is two barriers a sum.

extern "C" __global__ void softmax_block(const real* __restrict__ x, real* __restrict__ y, long long rows, int n) {
    softmax(x, y, row_of(blockIdx.x, n, 1), n, OneBlock());
}

extern "C" __global__ void softmax_grad_block(const real* __restrict__ grad, const real* __restrict__ y,
                                              real* __restrict__ gx, long long rows, int n) {
    softmax_grad(grad, y, gx, row_of(blockIdx.x, n, 1), n, OneBlock());
}
