// The end of a product on tensor cores that was cut into parts of its depth (split-K; include/gemm.cuh).
#include "minitl.cuh"
#include "gemm.cuh"

// to (rows, columns) = the sum of the parts in their order, and the bias of each column where there is one; negative
// results are set to 0 if asked. A thread an element.
extern "C" __global__ void sum_parts(const float* __restrict__ parts, const float* __restrict__ bias,
                                     float* __restrict__ to, int count, long long size, int columns, int relu) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= size) return;
    float sum = sum_of_parts(parts, count, size, i);
    if (bias) sum += bias[i % columns];
    to[i] = relu && sum < 0 ? 0.0f : sum;  // NaN stays
}
