// A step of RMSprop, in float32 or float64 (`real`). See __init__.py for the formulas. All arrays without gaps and in one
// order; `mean` and `velocity`, and what becomes of them, are null where there are none. keep = 1 - alpha.
#include "minitl.cuh"
#include "elementwise.cuh"
#include "update.cuh"

// v: parameter, gradient, mean square, mean gradient, velocity.
__device__ __forceinline__ void moved(real (&v)[5], bool centered, real rate, real alpha, real keep, real eps,
                                      real weight_decay, real momentum) {
    real slope = weight_decay == 0 ? v[1] : v[1] + weight_decay * v[0];
    v[2] = alpha * v[2] + keep * slope * slope;
    real spread = v[2];
    if (centered) {
        v[3] += keep * (slope - v[3]);
        spread = larger(v[2] - v[3] * v[3], real(0));
    }
    real direction = slope / (sqrt(spread) + eps);
    v[4] = momentum == 0 ? direction : momentum * v[4] + direction;
    v[0] -= rate * v[4];
}

// 1. naive ------------------------------------------------------------------------------------------------------------
// One thread a number. Even so it is one pass over memory, where a library of arrays takes one for each operation.

extern "C" __global__ void rmsprop_step_naive(const real* __restrict__ p, const real* __restrict__ grad,
                                              const real* __restrict__ square, const real* __restrict__ mean,
                                              const real* __restrict__ velocity, real* __restrict__ new_p,
                                              real* __restrict__ new_square, real* __restrict__ new_mean,
                                              real* __restrict__ new_velocity, long long count, real rate, real alpha,
                                              real keep, real eps, real weight_decay, real momentum) {
    const real* const from[] = {p, grad, square, mean, velocity};
    real* const to[] = {new_p, nullptr, new_square, new_mean, new_velocity};
    bool centered = mean != nullptr;
    long long i = thread_number();
    if (i >= count) return;
    update_one(from, to, i,
               [=](real(&v)[5]) { moved(v, centered, rate, alpha, keep, eps, weight_decay, momentum); });
}

// 2. vector -----------------------------------------------------------------------------------------------------------
// Against naive: 16 bytes an instruction, and more bytes on their way at once.

extern "C" __global__ void rmsprop_step_vector(const real* __restrict__ p, const real* __restrict__ grad,
                                               const real* __restrict__ square, const real* __restrict__ mean,
                                               const real* __restrict__ velocity, real* __restrict__ new_p,
                                               real* __restrict__ new_square, real* __restrict__ new_mean,
                                               real* __restrict__ new_velocity, long long count, real rate, real alpha,
                                               real keep, real eps, real weight_decay, real momentum) {
    const real* const from[] = {p, grad, square, mean, velocity};
    real* const to[] = {new_p, nullptr, new_square, new_mean, new_velocity};
    bool centered = mean != nullptr;
    update_four(from, to, 4 * thread_number(), count,
                [=](real(&v)[5]) { moved(v, centered, rate, alpha, keep, eps, weight_decay, momentum); });
}
