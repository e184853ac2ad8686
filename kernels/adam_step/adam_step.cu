// A step of Adam or AdamW, in float32 or float64 (`real`). See __init__.py for the formulas. All arrays without gaps and in
// one order; `largest` and `new_largest` are null without amsgrad.
//
// What does not depend on the place is worked out once, in float64: keep_m = 1 - b1, keep_v = 1 - b2, scaled = rate / (1 -
// b1^t), root = sqrt(1 - b2^t), shrink = rate weight_decay where the decay is decoupled, else 0.
#include "minitl.cuh"
#include "elementwise.cuh"
#include "update.cuh"

// v: parameter, gradient, first moment, second moment, largest second moment (0 where there is none).
__device__ __forceinline__ void moved(real (&v)[5], real keep_m, real b2, real keep_v, real scaled, real root, real eps,
                                      real weight_decay, real shrink) {
    real slope = weight_decay == 0 ? v[1] : v[1] + weight_decay * v[0];
    v[2] += keep_m * (slope - v[2]);
    v[3] = b2 * v[3] + keep_v * slope * slope;
    v[4] = larger(v[3], v[4]);  // squares are not negative: without amsgrad this is the second moment
    real change = scaled * v[2] / (sqrt(v[4]) / root + eps);
    v[0] -= shrink == 0 ? change : change + shrink * v[0];
}

// 1. naive ------------------------------------------------------------------------------------------------------------
// One thread a number. Even so it is one pass over memory, where a library of arrays takes one for each operation.

extern "C" __global__ void adam_step_naive(const real* __restrict__ p, const real* __restrict__ grad,
                                           const real* __restrict__ first, const real* __restrict__ second,
                                           const real* __restrict__ largest, real* __restrict__ new_p,
                                           real* __restrict__ new_first, real* __restrict__ new_second,
                                           real* __restrict__ new_largest, long long count, real keep_m, real b2,
                                           real keep_v, real scaled, real root, real eps, real weight_decay, real shrink) {
    const real* const from[] = {p, grad, first, second, largest};
    real* const to[] = {new_p, nullptr, new_first, new_second, new_largest};
    long long i = thread_number();
    if (i >= count) return;
    update_one(from, to, i, [=](real(&v)[5]) { moved(v, keep_m, b2, keep_v, scaled, root, eps, weight_decay, shrink); });
}

// 2. vector -----------------------------------------------------------------------------------------------------------
// Against naive: 16 bytes an instruction, and more bytes on their way at once.

extern "C" __global__ void adam_step_vector(const real* __restrict__ p, const real* __restrict__ grad,
                                            const real* __restrict__ first, const real* __restrict__ second,
                                            const real* __restrict__ largest, real* __restrict__ new_p,
                                            real* __restrict__ new_first, real* __restrict__ new_second,
                                            real* __restrict__ new_largest, long long count, real keep_m, real b2,
                                            real keep_v, real scaled, real root, real eps, real weight_decay,
                                            real shrink) {
    const real* const from[] = {p, grad, first, second, largest};
    real* const to[] = {new_p, nullptr, new_first, new_second, new_largest};
    update_four(from, to, 4 * thread_number(), count,
                [=](real(&v)[5]) { moved(v, keep_m, b2, keep_v, scaled, root, eps, weight_decay, shrink); });
}
