// Sums of all numbers of an array, in an order that depends on their count alone. They run in float64, which costs nothing
// beside reading the numbers.
#include "minitl.cuh"
#include "rows.cuh"

// Each block sums every gridDim-th run of blockDim numbers.
extern "C" __global__ void partial_sums(const real* __restrict__ values, double* __restrict__ sums, long long count) {
    double sum = 0;
    long long threads = (long long)gridDim.x * blockDim.x;
    for (long long i = row_of_thread(); i < count; i += threads) sum += values[i];
    sum = OneBlock().sum(sum);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// One block: the sum of `sums`, divided by that of `weights`, or by `divisor` where there are none. By 0 it is NaN.
extern "C" __global__ void total(const double* __restrict__ sums, const double* __restrict__ weights,
                                 real* __restrict__ y, int n, double divisor) {
    double sum = 0, weight = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        sum += sums[i];
        if (weights) weight += weights[i];
    }
    sum = OneBlock().sum(sum);
    weight = OneBlock().sum(weight);
    if (threadIdx.x > 0) return;
    if (weights) divisor = weight;
    y[0] = divisor == 0 ? double(NAN) : sum / divisor;
}
