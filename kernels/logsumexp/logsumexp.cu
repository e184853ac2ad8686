// The logarithm of a row's sum of exponentials, and its gradient, in float32 or float64 (`real`). See include/rows.cuh.
#include "minitl.cuh"
#include "elementwise.cuh"
#include "rows.cuh"

// log(sum_j exp(x_j - top)) + top. An infinite top is left out, since inf - inf would be NaN; the sum is 0 or inf by itself.
template <class Team>
__device__ __forceinline__ real logsumexp(const real* x, Row row, int n, Team team) {
    real top = largest(x, row, n, team);
    if (isinf(top)) top = 0;
    return log(sum_of_powers(x, row, n, top, team)) + top;
}

// 1. naive ------------------------------------------------------------------------------------------------------------
// The definition: one thread a row forward, one thread an element backward, there of any strides.

extern "C" __global__ void logsumexp_naive(const real* __restrict__ x, real* __restrict__ y, long long rows, int n,
                                           long long inner) {
    long long row = row_of_thread();
    if (row < rows) y[row] = logsumexp(x, row_of(row, n, inner), n, OneThread());
}

// gx = grad exp(x - y); y and grad have strides of 0 along the axes that were summed.
extern "C" __global__ void logsumexp_grad_naive(const real* __restrict__ grad, const real* __restrict__ y,
                                                const real* __restrict__ x, real* __restrict__ gx, Shape4 shape,
                                                Strides4 grads, Strides4 ys, Strides4 xs, Strides4 gxs) {
    Place p = place(shape, thread_number());
    if (p.inside) gx[at(gxs, p)] = grad[at(grads, p)] * exp(x[at(xs, p)] - y[at(ys, p)]);
}

// 2. warp -------------------------------------------------------------------------------------------------------------
// Against naive: a warp a row reads neighbouring numbers by one access (softmax.cu). Backward, the numbers that a row
// shares are read once, and nothing is divided.

extern "C" __global__ void logsumexp_warp(const real* __restrict__ x, real* __restrict__ y, long long rows, int n) {
    long long row = row_of_warp();
    if (row >= rows) return;
    real found = logsumexp(x, row_of(row, n, 1), n, OneWarp());
    if (threadIdx.x % 32 == 0) y[row] = found;
}

extern "C" __global__ void logsumexp_grad_warp(const real* __restrict__ grad, const real* __restrict__ y,
                                               const real* __restrict__ x, real* __restrict__ gx, long long rows, int n) {
    long long row = row_of_warp();
    if (row >= rows) return;
    real factor = grad[row], shift = y[row];
    Row at = row_of(row, n, 1);
    for (int i = threadIdx.x % 32; i < n; i += 32) gx[at[i]] = factor * exp(x[at[i]] - shift);
}

// 3. block ------------------------------------------------------------------------------------------------------------
// Against warp: a block a row, for long rows, of which there may be few.

extern "C" __global__ void logsumexp_block(const real* __restrict__ x, real* __restrict__ y, long long rows, int n) {
    real found = logsumexp(x, row_of(blockIdx.x, n, 1), n, OneBlock());
    if (threadIdx.x == 0) y[blockIdx.x] = found;
}
