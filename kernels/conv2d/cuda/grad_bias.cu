// conv2d's gradient for its bias: gb[o] = sum over n, p, q of grad[n, o, p, q]; in float32 or float64 (`real`).
//
// Sums are kept in float64, as those of a million float32 numbers would otherwise lose three digits; the kernels wait for
// memory, not for arithmetic. Orders of summation are fixed and no atomics are needed: results repeat bit for bit.
#include "minitl.cuh"

// 1. naive ------------------------------------------------------------------------------------------------------------
// The definition: one thread a filter. grad may have any strides.

extern "C" __global__ void conv2d_grad_bias_naive(const real* __restrict__ grad, real* __restrict__ gb, int N, int O,
                                                  int P, int Q, Strides4 gs) {
    int o = blockIdx.x * blockDim.x + threadIdx.x;
    if (o >= O) return;
    double sum = 0;
    for (int n = 0; n < N; ++n)
        for (int p = 0; p < P; ++p)
            for (int q = 0; q < Q; ++q) sum += grad[at(gs, n, o, p, q)];
    gb[o] = sum;
}

// 2. blocks -----------------------------------------------------------------------------------------------------------
// Against naive: 256 threads share blockDim.x filters, so that there are enough loads under way to fill the memory's
// bandwidth, and are laid out as memory is, so that a warp's loads are of neighbouring numbers: along x filters (32 in
// channels-last arrays, otherwise 1), along y pixels, along z images. Their sums meet in shared memory, halving each
// time. Where filters are few, the pixels of an image are cut into slices, each a block's own.

// grad: (N, O, pixels) with steps n, o and pixel. sums: (slices, O). Grid: sets of filters, slices; `part`: pixels a slice.
extern "C" __global__ void __launch_bounds__(256)
    conv2d_grad_bias_blocks(const real* __restrict__ grad, double* __restrict__ sums, int N, int O, long long pixels,
                            long long step_n, long long step_o, long long step_pixel, long long part) {
    SHARED(double, shared, [256]);
    int across = blockDim.x;
    int o = blockIdx.x * across + threadIdx.x;
    long long begin = blockIdx.y * part, end = min(begin + part, pixels);
    double sum = 0;
    for (int n = threadIdx.z; n < N && o < O; n += blockDim.z) {
        const real* image = grad + n * step_n + o * step_o;
        for (long long i = begin + threadIdx.y; i < end; i += blockDim.y) sum += image[i * step_pixel];
    }
    int me = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    shared[me] = sum;
    for (int half = 128; half >= across; half /= 2) {
        __syncthreads();
        if (me < half) shared[me] += shared[me + half];
    }
    if (me < across && o < O) sums[(long long)blockIdx.y * O + o] = shared[me];
}

// sums (slices, O) added up over slices, one thread a filter, and rounded.
extern "C" __global__ void conv2d_grad_bias_sum(const double* __restrict__ sums, real* __restrict__ gb, int O, int slices) {
    int o = blockIdx.x * blockDim.x + threadIdx.x;
    if (o >= O) return;
    double sum = 0;
    for (int slice = 0; slice < slices; ++slice) sum += sums[(long long)slice * O + o];
    gb[o] = sum;
}
