// The hyperbolic tangent and its gradient from the output, in float32 or float64 (`real`).
#include "minitl.cuh"
#include "elementwise.cuh"

// 1 - y^2, without the digits that it loses where y is near 1 or -1.
__device__ __forceinline__ real slope(real y) { return (1 - y) * (1 + y); }

// 1. naive ------------------------------------------------------------------------------------------------------------
// The definition: one thread an element, arrays of any strides.

extern "C" __global__ void tanh_naive(const real* __restrict__ x, real* __restrict__ y, Shape4 shape, Strides4 xs,
                                         Strides4 ys) {
    one_by_one(x, y, shape, xs, ys, [](real v) { return tanh(v); });
}

extern "C" __global__ void tanh_grad_naive(const real* __restrict__ y, const real* __restrict__ grad,
                                              real* __restrict__ gx, Shape4 shape, Strides4 ys, Strides4 grads,
                                              Strides4 gxs) {
    one_by_one(y, grad, gx, shape, ys, grads, gxs, [](real v, real g) { return g * slope(v); });
}

// 2. vector -----------------------------------------------------------------------------------------------------------
// Against naive: 16 bytes an instruction (relu.cu).

extern "C" __global__ void tanh_vector(const real* __restrict__ x, real* __restrict__ y, long long count) {
    by_fours(x, y, count, [](real v) { return tanh(v); });
}

extern "C" __global__ void tanh_grad_vector(const real* __restrict__ y, const real* __restrict__ grad,
                                               real* __restrict__ gx, long long count) {
    by_fours(y, grad, gx, count, [](real v, real g) { return g * slope(v); });
}
