// GELU and its gradient, in float32 or float64 (`real`). `form`: 0 by the normal distribution, 1 by the hyperbolic tangent.
#include "minitl.cuh"
#include "elementwise.cuh"
#include "logistic.cuh"

const double ROOT_HALF = 0.70710678118654752, NORMAL = 0.39894228040143268;  // sqrt(1/2), 1 / sqrt(2 pi)
const double FACTOR = 1.5957691216057308, CUBIC = 0.044715;                  // v = 2 sqrt(2 / pi) (x + CUBIC x^3)
const real FLAT = 40;  // from here on outwards exp(-x^2 / 2) and exp(-|v|) are 0 in float64 too

// The factor of x in the output: Phi(x), or (1 + tanh(v / 2)) / 2. Phi is taken from the tail beyond |x|, whose digits the
// sum with 1 would drown on the left.
__device__ __forceinline__ real normal_share(real x) {
    real tail = real(0.5) * erfc(fabs(x) * real(ROOT_HALF));
    return x > 0 ? 1 - tail : tail;
}
__device__ __forceinline__ real argument(real x) { return real(FACTOR) * (x + real(CUBIC) * x * x * x); }

__device__ __forceinline__ real gelu(real x, int form) {
    return x * (form == 0 ? normal_share(x) : logistic(argument(x)));
}

__device__ __forceinline__ real gelu_slope(real x, int form) {
    real near = x < -FLAT ? -FLAT : x > FLAT ? FLAT : x;  // nothing overflows on the way to the 0 that lies further out
    if (form == 0) return normal_share(x) + x * (exp(near * near * real(-0.5)) * real(NORMAL));
    real v = argument(near), share = logistic(v);
    return share + x * (share * logistic(-v) * (real(FACTOR) * (1 + real(3 * CUBIC) * near * near)));
}

// 1. naive ------------------------------------------------------------------------------------------------------------
// The definition: one thread an element, arrays of any strides.

extern "C" __global__ void gelu_naive(const real* __restrict__ x, real* __restrict__ y, Shape4 shape, Strides4 xs,
                                      Strides4 ys, int form) {
    one_by_one(x, y, shape, xs, ys, [=](real v) { return gelu(v, form); });
}

extern "C" __global__ void gelu_grad_naive(const real* __restrict__ x, const real* __restrict__ grad,
                                           real* __restrict__ gx, Shape4 shape, Strides4 xs, Strides4 grads, Strides4 gxs,
                                           int form) {
    one_by_one(x, grad, gx, shape, xs, grads, gxs, [=](real v, real g) { return g * gelu_slope(v, form); });
}

// 2. vector -----------------------------------------------------------------------------------------------------------
// Against naive: 16 bytes an instruction (relu.cu).

extern "C" __global__ void gelu_vector(const real* __restrict__ x, real* __restrict__ y, long long count, int form) {
    by_fours(x, y, count, [=](real v) { return gelu(v, form); });
}

extern "C" __global__ void gelu_grad_vector(const real* __restrict__ x, const real* __restrict__ grad,
                                            real* __restrict__ gx, long long count, int form) {
    by_fours(x, grad, gx, count, [=](real v, real g) { return g * gelu_slope(v, form); });
}
