// x where x > 0, otherwise slope x, and its gradient, in float32 or float64 (`real`).
#include "minitl.cuh"
#include "elementwise.cuh"

__device__ __forceinline__ real leaky(real x, real value, real slope) { return x > 0 ? value : slope * value; }

// 1. naive ------------------------------------------------------------------------------------------------------------
// The definition: one thread an element, arrays of any strides.

extern "C" __global__ void leaky_relu_naive(const real* __restrict__ x, real* __restrict__ y, Shape4 shape, Strides4 xs,
                                            Strides4 ys, real slope) {
    one_by_one(x, y, shape, xs, ys, [=](real v) { return leaky(v, v, slope); });
}

extern "C" __global__ void leaky_relu_grad_naive(const real* __restrict__ x, const real* __restrict__ grad,
                                                 real* __restrict__ gx, Shape4 shape, Strides4 xs, Strides4 grads,
                                                 Strides4 gxs, real slope) {
    one_by_one(x, grad, gx, shape, xs, grads, gxs, [=](real v, real g) { return leaky(v, g, slope); });
}

// 2. vector -----------------------------------------------------------------------------------------------------------
// Against naive: 16 bytes an instruction (relu.cu).

extern "C" __global__ void leaky_relu_vector(const real* __restrict__ x, real* __restrict__ y, long long count, real slope) {
    by_fours(x, y, count, [=](real v) { return leaky(v, v, slope); });
}

extern "C" __global__ void leaky_relu_grad_vector(const real* __restrict__ x, const real* __restrict__ grad,
                                                  real* __restrict__ gx, long long count, real slope) {
    by_fours(x, grad, gx, count, [=](real v, real g) { return leaky(v, g, slope); });
}
