// max(x, 0) and its gradient; NaN stays NaN forward and lets the gradient pass.
#include "minitl.cuh"

// Naive: one thread an element.
extern "C" __global__ void relu_naive(const real* __restrict__ x, real* __restrict__ y, long long count) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) y[i] = x[i] <= 0 ? 0 : x[i];
}
