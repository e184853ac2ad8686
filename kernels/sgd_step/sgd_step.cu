// A step of stochastic gradient descent, in float32 or float64 (`real`). See __init__.py for the formulas. All arrays are
// without gaps and in one order; `velocity` and `new_velocity` are null without momentum.
#include "minitl.cuh"
#include "elementwise.cuh"
#include "update.cuh"

// v: parameter, gradient, velocity (0 where there is none).
__device__ __forceinline__ void moved(real (&v)[3], real rate, real momentum, real weight_decay, int nesterov) {
    real slope = weight_decay == 0 ? v[1] : v[1] + weight_decay * v[0];
    v[2] = momentum == 0 ? slope : momentum * v[2] + slope;
    v[0] -= rate * (nesterov ? slope + momentum * v[2] : v[2]);
}

// 1. naive ------------------------------------------------------------------------------------------------------------
// One thread a number. Even so it is one pass over memory, where a library of arrays takes one for each operation.

extern "C" __global__ void sgd_step_naive(const real* __restrict__ p, const real* __restrict__ grad,
                                          const real* __restrict__ velocity, real* __restrict__ new_p,
                                          real* __restrict__ new_velocity, long long count, real rate, real momentum,
                                          real weight_decay, int nesterov) {
    const real* const from[] = {p, grad, velocity};
    real* const to[] = {new_p, nullptr, new_velocity};
    long long i = thread_number();
    if (i < count) update_one(from, to, i, [=](real(&v)[3]) { moved(v, rate, momentum, weight_decay, nesterov); });
}

// 2. vector -----------------------------------------------------------------------------------------------------------
// Against naive: 16 bytes an instruction, and more bytes on their way at once.

extern "C" __global__ void sgd_step_vector(const real* __restrict__ p, const real* __restrict__ grad,
                                           const real* __restrict__ velocity, real* __restrict__ new_p,
                                           real* __restrict__ new_velocity, long long count, real rate, real momentum,
                                           real weight_decay, int nesterov) {
    const real* const from[] = {p, grad, velocity};
    real* const to[] = {new_p, nullptr, new_velocity};
    update_four(from, to, 4 * thread_number(), count,
                [=](real(&v)[3]) { moved(v, rate, momentum, weight_decay, nesterov); });
}
