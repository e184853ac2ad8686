// Binary cross-entropy of probabilities and its gradient, in float32 or float64 (`real`): one thread an element, arrays of
// any strides; `weight` may be null. See __init__.py for the formulas. Losses are summed by ../cuda/total.cu.
#include "minitl.cuh"
#include "elementwise.cuh"

// NaN stays. So the loss of what is no probability is NaN: one of its two logarithms is.
__device__ __forceinline__ real at_least(real x, real lowest) { return x < lowest ? lowest : x; }

// p (1 - p), its gradient's divisor; NaN of what is no probability.
__device__ __forceinline__ real variance(real p, real least) {
    real found = p * (1 - p);
    return found < 0 ? real(NAN) : at_least(found, least);
}

extern "C" __global__ void binary_cross_entropy_naive(const real* __restrict__ p, const real* __restrict__ t,
                                                      const real* __restrict__ weight, real* __restrict__ losses,
                                                      Shape4 shape, Strides4 ps, Strides4 ts, Strides4 ws, Strides4 ys,
                                                      real lowest_log) {
    Place i = place(shape, thread_number());
    if (!i.inside) return;
    real probability = p[at(ps, i)], target = t[at(ts, i)];
    real of_it = at_least(log(probability), lowest_log), of_rest = at_least(log1p(-probability), lowest_log);
    real loss = -(target * of_it + (1 - target) * of_rest);
    losses[at(ys, i)] = weight ? loss * weight[at(ws, i)] : loss;
}

// grad is divided by `divisor`.
extern "C" __global__ void binary_cross_entropy_grad_naive(const real* __restrict__ grad, const real* __restrict__ p,
                                                           const real* __restrict__ t, const real* __restrict__ weight,
                                                           real* __restrict__ gx, Shape4 shape, Strides4 grads, Strides4 ps,
                                                           Strides4 ts, Strides4 ws, Strides4 gxs, real divisor,
                                                           real least_variance) {
    Place i = place(shape, thread_number());
    if (!i.inside) return;
    real probability = p[at(ps, i)], scale = grad[at(grads, i)] / divisor;
    if (weight) scale *= weight[at(ws, i)];
    real slope = (probability - t[at(ts, i)]) / variance(probability, least_variance);
    gx[at(gxs, i)] = slope * scale;
}
