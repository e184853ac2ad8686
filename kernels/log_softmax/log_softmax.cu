// The logarithm of softmax and its gradient from the output, in float32 or float64 (`real`). See include/rows.cuh.
//
// y_i = d_i - log(sum_j exp(d_j)), d = x - max x: accurate where softmax itself underflows. NaN, infinities: softmax.cu.
#include "minitl.cuh"
#include "rows.cuh"

template <class Team>
__device__ __forceinline__ void log_softmax(const real* x, real* y, Row row, int n, Team team) {
    real top = largest(x, row, n, team);
    real log_sum = log(sum_of_powers(x, row, n, top, team));
    for (int i = team.rank(); i < n; i += team.size()) y[row[i]] = (x[row[i]] - top) - log_sum;
}

// gx_i = grad_i - exp(y_i) sum_j grad_j
template <class Team>
__device__ __forceinline__ void log_softmax_grad(const real* grad, const real* y, real* gx, Row row, int n, Team team) {
    real sum = 0;
    for (int i = team.rank(); i < n; i += team.size()) sum += grad[row[i]];
    sum = team.sum(sum);
    for (int i = team.rank(); i < n; i += team.size()) gx[row[i]] = grad[row[i]] - exp(y[row[i]]) * sum;
}

// 1. naive ------------------------------------------------------------------------------------------------------------
// The definition: one thread a row.

extern "C" __global__ void log_softmax_naive(const real* __restrict__ x, real* __restrict__ y, long long rows, int n,
                                             long long inner) {
    long long row = row_of_thread();
    if (row < rows) log_softmax(x, y, row_of(row, n, inner), n, OneThread());
}

extern "C" __global__ void log_softmax_grad_naive(const real* __restrict__ grad, const real* __restrict__ y,
                                                  real* __restrict__ gx, long long rows, int n, long long inner) {
    long long row = row_of_thread();
    if (row < rows) log_softmax_grad(grad, y, gx, row_of(row, n, inner), n, OneThread());
}

// 2. warp -------------------------------------------------------------------------------------------------------------
// Against naive: a warp a row reads neighbouring numbers by one access (softmax.cu).

extern "C" __global__ void log_softmax_warp(const real* __restrict__ x, real* __restrict__ y, long long rows, int n) {
    long long row = row_of_warp();
    if (row < rows) log_softmax(x, y, row_of(row, n, 1), n, OneWarp());
}

extern "C" __global__ void log_softmax_grad_warp(const real* __restrict__ grad, const real* __restrict__ y,
                                                 real* __restrict__ gx, long long rows, int n) {
    long long row = row_of_warp();
    if (row < rows) log_softmax_grad(grad, y, gx, row_of(row, n, 1), n, OneWarp());
}

// 3. block ------------------------------------------------------------------------------------------------------------
// Against warp: a block a row, for long rows, of which there may be few.

extern "C" __global__ void log_softmax_block(const real* __restrict__ x, real* __restrict__ y, long long rows, int n) {
    log_softmax(x, y, row_of(blockIdx.x, n, 1), n, OneBlock());
}

extern "C" __global__ void log_softmax_grad_block(const real* __restrict__ grad, const real* __restrict__ y,
                                                  real* __restrict__ gx, long long rows, int n) {
    log_softmax_grad(grad, y, gx, row_of(blockIdx.x, n, 1), n, OneBlock());
}
