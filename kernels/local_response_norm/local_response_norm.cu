// Local response normalization across channels and its gradient, in float32 or float64 (`real`).
//
//     y_c = x_c / d_c^beta,  d_c = k + factor * sum of x_j^2 over c - before <= j <= c + after, cut at the first and the
//     last channel; factor is alpha / size, before size / 2, after (size - 1) / 2.
//
// Every sum is taken anew: a running one would cancel, and hand a NaN on to all channels behind it.
#include "minitl.cuh"

// d^beta. 3/4, the paper's, is two roots and a product, a tenth of the instructions of a power.
__device__ __forceinline__ float power(float d, float beta) {
    if (beta != 0.75f) return powf(d, beta);
    float root = sqrtf(d);
    return root * sqrtf(root);
}
__device__ __forceinline__ double power(double d, double beta) {
    if (beta != 0.75) return pow(d, beta);
    double root = sqrt(d);
    return root * sqrt(root);
}

// 1. naive ------------------------------------------------------------------------------------------------------------
// The definition: one thread an output. Threads are numbered along W, so that in NCHW arrays a warp's threads read
// neighbouring pixels. Arrays that are read may have any strides; those written are in C order.

// The sum of squares in the window of channel c, from the pixel's first channel.
__device__ __forceinline__ real squares(const real* pixel, long long step, int c, int C, int before, int after) {
    real sum = 0;
    for (int j = max(c - before, 0); j <= min(c + after, C - 1); ++j) sum += pixel[j * step] * pixel[j * step];
    return sum;
}

extern "C" __global__ void local_response_norm_naive(const real* __restrict__ x, real* __restrict__ y, int N, int C, int H,
                                                     int W, Strides4 xs, int before, int after, real factor, real k,
                                                     real beta) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x, plane = (long long)H * W;
    if (i >= plane * N * C) return;
    int w = i % W, h = i / W % H, c = i / plane % C, n = i / plane / C;
    const real* pixel = x + at(xs, n, 0, h, w);
    y[i] = pixel[c * xs.c] / power(squares(pixel, xs.c, c, C, before, after) * factor + k, beta);
}

// gx_c = grad_c d_c^-beta - slope x_c * sum of grad_j x_j d_j^(-beta - 1) over the windows j that hold c, which are those
// of c - after ... c + before; slope is 2 beta factor. Each d_j is summed again for every channel that it concerns.
extern "C" __global__ void local_response_norm_grad_input_naive(const real* __restrict__ grad, const real* __restrict__ x,
                                                                real* __restrict__ gx, int N, int C, int H, int W,
                                                                Strides4 gs, Strides4 xs, int before, int after,
                                                                real factor, real k, real beta, real slope) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x, plane = (long long)H * W;
    if (i >= plane * N * C) return;
    int w = i % W, h = i / W % H, c = i / plane % C, n = i / plane / C;
    const real *pixel = x + at(xs, n, 0, h, w), *above = grad + at(gs, n, 0, h, w);
    real direct = 0, sum = 0;
    for (int j = max(c - after, 0); j <= min(c + before, C - 1); ++j) {
        real d = squares(pixel, xs.c, j, C, before, after) * factor + k;
        real term = above[j * gs.c] / power(d, beta);
        if (j == c) direct = term;
        sum += term * pixel[j * xs.c] / d;
    }
    gx[i] = direct - pixel[c * xs.c] * sum * slope;
}

// 2. shared -----------------------------------------------------------------------------------------------------------
// Against naive: a number is read from global memory, and squared, once and not once for each window that holds it;
// backward, where naive sums every d as often again, the powers too are worked out once. Arrays are (N, H, W, C) in C
// order, taken as one long row in which a pixel's channels follow each other: a block takes a piece of it, wherever pixels
// begin and end, and what its outermost windows hold beside it. So a warp reads neighbouring numbers, and no thread is
// idle whatever C is.

const int SPAN = 256;  // numbers a block; mirrored in cuda.py

// What the channels of a pixel from c - before to c + after, which exist, have in `values`; here: channel c's place.
__device__ __forceinline__ real window(const real* values, int here, int c, int C, int before, int after) {
    real sum = 0;
    for (int j = max(-before, -c); j <= min(after, C - 1 - c); ++j) sum += values[here + j];
    return sum;
}

// total: N H W C. before, after: at most C - 1.
extern "C" __global__ void __launch_bounds__(128)
    local_response_norm_shared(const real* __restrict__ x, real* __restrict__ y, long long total, int C, int before,
                               int after, real factor, real k, real beta) {
    DYNAMIC_SHARED(real, square);  // of [start - before, start + SPAN + after)
    long long start = (long long)blockIdx.x * SPAN;
    int first = start % C;
    for (int i = threadIdx.x; i < SPAN + before + after; i += blockDim.x) {
        long long from = start - before + i;
        if (from >= 0 && from < total) square[i] = x[from] * x[from];
    }
    __syncthreads();
    for (int i = threadIdx.x; i < SPAN && start + i < total; i += blockDim.x) {
        real sum = window(square, before + i, (first + i) % C, C, before, after);
        y[start + i] = x[start + i] / power(sum * factor + k, beta);
    }
}

extern "C" __global__ void __launch_bounds__(128)
    local_response_norm_grad_input_shared(const real* __restrict__ grad, const real* __restrict__ x,
                                          real* __restrict__ gx, long long total, int C, int before, int after,
                                          real factor, real k, real beta, real slope) {
    int halo = before + after;
    DYNAMIC_SHARED(real, square);             // of [start - halo, start + SPAN + halo)
    real* direct = square + SPAN + 2 * halo;  // grad d^-beta, of [start - after, start + SPAN + before)
    real* term = direct + SPAN + halo;        // direct x / d, likewise
    long long start = (long long)blockIdx.x * SPAN;
    int first = start % C;
    for (int i = threadIdx.x; i < SPAN + 2 * halo; i += blockDim.x) {
        long long from = start - halo + i;
        if (from >= 0 && from < total) square[i] = x[from] * x[from];
    }
    __syncthreads();
    for (int i = threadIdx.x; i < SPAN + halo; i += blockDim.x) {
        long long from = start - after + i;
        if (from < 0 || from >= total) continue;
        real d = window(square, before + i, (first + C - after + i) % C, C, before, after) * factor + k;
        real value = grad[from] / power(d, beta);
        direct[i] = value;
        term[i] = value * x[from] / d;
    }
    __syncthreads();
    for (int i = threadIdx.x; i < SPAN && start + i < total; i += blockDim.x) {
        real sum = window(term, after + i, (first + i) % C, C, after, before);
        gx[start + i] = direct[after + i] - x[start + i] * sum * slope;
    }
}
