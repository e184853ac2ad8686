// Binary cross-entropy of logits and its gradient, in float32 or float64 (`real`): one thread an element, arrays of any
// strides; `weight` and `pos_weight` may be null. See __init__.py for the formulas. Losses are summed by ../cuda/total.cu.
#include "minitl.cuh"
#include "elementwise.cuh"
#include "logistic.cuh"

__device__ __forceinline__ real softplus(real x) { return larger(x, real(0)) + log1p(exp(-fabs(x))); }

extern "C" __global__ void bce_with_logits_naive(const real* __restrict__ x, const real* __restrict__ t,
                                                 const real* __restrict__ weight, const real* __restrict__ pos_weight,
                                                 real* __restrict__ losses, Shape4 shape, Strides4 xs, Strides4 ts,
                                                 Strides4 ws, Strides4 vs, Strides4 ys) {
    Place i = place(shape, thread_number());
    if (!i.inside) return;
    real logit = x[at(xs, i)], target = t[at(ts, i)], positive = pos_weight ? target * pos_weight[at(vs, i)] : target;
    real loss = (1 - target) * softplus(logit) + positive * softplus(-logit);  // 0 times inf is NaN, as it should be
    losses[at(ys, i)] = weight ? loss * weight[at(ws, i)] : loss;
}

// grad is divided by `divisor`.
extern "C" __global__ void bce_with_logits_grad_naive(const real* __restrict__ grad, const real* __restrict__ x,
                                                      const real* __restrict__ t, const real* __restrict__ weight,
                                                      const real* __restrict__ pos_weight, real* __restrict__ gx,
                                                      Shape4 shape, Strides4 grads, Strides4 xs, Strides4 ts, Strides4 ws,
                                                      Strides4 vs, Strides4 gxs, real divisor) {
    Place i = place(shape, thread_number());
    if (!i.inside) return;
    real logit = x[at(xs, i)], target = t[at(ts, i)], positive = pos_weight ? target * pos_weight[at(vs, i)] : target;
    real scale = grad[at(grads, i)] / divisor;
    if (weight) scale *= weight[at(ws, i)];
    gx[at(gxs, i)] = ((1 - target) * logistic(logit) - positive * logistic(-logit)) * scale;
}
