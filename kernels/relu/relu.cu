// max(x, 0) and its gradient, in float32 or float64 (`real`); NaN stays NaN forward and lets the gradient pass.
#include "minitl.cuh"
#include "elementwise.cuh"

__device__ __forceinline__ real relu(real x) { return x <= 0 ? 0 : x; }  // a NaN is not <= 0
__device__ __forceinline__ real passed(real grad, real y) { return y <= 0 ? 0 : grad; }

// 1. naive ------------------------------------------------------------------------------------------------------------
// The definition: one thread an element, arrays of any strides.

extern "C" __global__ void relu_naive(const real* __restrict__ x, real* __restrict__ y, Shape4 shape, Strides4 xs,
                                      Strides4 ys) {
    one_by_one(x, y, shape, xs, ys, [](real v) { return relu(v); });
}

extern "C" __global__ void relu_grad_naive(const real* __restrict__ y, const real* __restrict__ grad,
                                           real* __restrict__ gx, Shape4 shape, Strides4 ys, Strides4 grads, Strides4 gxs) {
    one_by_one(y, grad, gx, shape, ys, grads, gxs, [](real v, real g) { return passed(g, v); });
}

// 2. vector -----------------------------------------------------------------------------------------------------------
// Against naive: a thread reads and writes four numbers by one instruction of 16 bytes (two in float64). There is next to
// nothing to compute, so what counts is how many bytes are on their way at once.

extern "C" __global__ void relu_vector(const real* __restrict__ x, real* __restrict__ y, long long count) {
    by_fours(x, y, count, [](real v) { return relu(v); });
}

extern "C" __global__ void relu_grad_vector(const real* __restrict__ y, const real* __restrict__ grad,
                                            real* __restrict__ gx, long long count) {
    by_fours(y, grad, gx, count, [](real v, real g) { return passed(g, v); });
}
