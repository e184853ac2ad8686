// Average pooling and its gradient, in float32 or float64 (`real`).
//
// y[n, c, p, q] is the sum of the pixels in window (p, q) of plane (n, c) divided by what counts of the window's area;
// the gradient hands each pixel that share of every window which holds it.
#include "minitl.cuh"
#include "channels_last.cuh"

// From `first` up to, but not including, `last`.
struct Range {
    int first, last;
};

// The pixels of window `i` along one axis.
__device__ __forceinline__ Range pixels(int i, int kernel, int stride, int before, int size) {
    int start = i * stride - before;
    return {max(start, 0), min(start + kernel, size)};
}

// The windows along one axis that hold a pixel.
__device__ __forceinline__ Range windows(int pixel, int kernel, int stride, int before, int count) {
    int end = pixel + before;
    return {end >= kernel ? (end - kernel) / stride + 1 : 0, min(end / stride + 1, count)};
}

// What the sum of a window is divided by. around: 0 the pixels alone count, 1 the padding too; bottom, right: padding
// after the picture. fixed: a divisor for all windows, or 0.
struct Areas {
    int around, bottom, right, fixed;
    __device__ __forceinline__ int length(int i, int kernel, int stride, int before, int size, int after) const {
        int start = i * stride - before, stop = min(start + kernel, around ? size + after : size);
        return stop - (around ? start : max(start, 0));
    }
    // Lengths are exact in either type; their product is rounded once.
    __device__ __forceinline__ real of(int p, int q, const Pool& g) const {
        if (fixed) return fixed;
        return real(length(p, g.R, g.stride_h, g.top, g.H, bottom)) * real(length(q, g.S, g.stride_w, g.left, g.W, right));
    }
};

// 1. naive ------------------------------------------------------------------------------------------------------------
// The definition: one thread an output. Threads are numbered along Q, so that in NCHW arrays a warp's threads read
// neighbouring pixels. x may have any strides; y is in C order.

extern "C" __global__ void avg_pool2d_naive(const real* __restrict__ x, real* __restrict__ y, Pool g, Strides4 xs,
                                            int around, int bottom, int right, int fixed) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x, plane = (long long)g.P * g.Q;
    if (i >= plane * g.N * g.C) return;
    int q = i % g.Q, p = i / g.Q % g.P, c = i / plane % g.C, n = i / plane / g.C;
    Range rows = pixels(p, g.R, g.stride_h, g.top, g.H), columns = pixels(q, g.S, g.stride_w, g.left, g.W);
    real sum = 0;
    for (int h = rows.first; h < rows.last; ++h)
        for (int w = columns.first; w < columns.last; ++w) sum += x[at(xs, n, c, h, w)];
    Areas areas = {around, bottom, right, fixed};
    y[i] = sum / areas.of(p, q, g);
}

// One thread a pixel of the picture, which gathers from every window that holds it: each result has one writer, and its
// sum one order.
extern "C" __global__ void avg_pool2d_grad_input_naive(const real* __restrict__ grad, real* __restrict__ gx, Pool g,
                                                       Strides4 gs, int around, int bottom, int right, int fixed) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x, plane = (long long)g.H * g.W;
    if (i >= plane * g.N * g.C) return;
    int w = i % g.W, h = i / g.W % g.H, c = i / plane % g.C, n = i / plane / g.C;
    Range rows = windows(h, g.R, g.stride_h, g.top, g.P), columns = windows(w, g.S, g.stride_w, g.left, g.Q);
    Areas areas = {around, bottom, right, fixed};
    real sum = 0;
    for (int p = rows.first; p < rows.last; ++p)
        for (int q = columns.first; q < columns.last; ++q) sum += grad[at(gs, n, c, p, q)] / areas.of(p, q, g);
    gx[i] = sum;
}

// 2. channels_last ----------------------------------------------------------------------------------------------------
// Against naive: arrays are (N, H, W, C), and a thread works on four channels. It reads and writes 16 bytes at once, a
// quarter of the instructions; windows and areas are worked out once for four outputs, and by 32-bit divisions alone.
// It is also how convolutions leave their results, so nothing is copied. All arrays in C order, C a multiple of 4.

extern "C" __global__ void avg_pool2d_channels_last(const real* __restrict__ x, real* __restrict__ y, Pool g, int around,
                                                    int bottom, int right, int fixed) {
    Pixel4 out = pixel4(g.P, g.Q, g.C);
    if (!out.inside) return;
    Range rows = pixels(out.h, g.R, g.stride_h, g.top, g.H), columns = pixels(out.w, g.S, g.stride_w, g.left, g.W);
    bool vectors = aligned16(x);
    real sum[4] = {};
    for (int h = rows.first; h < rows.last; ++h)
        for (int w = columns.first; w < columns.last; ++w) {
            real pixel[4];
            load4(pixel, x + channels_last(out.n, h, w, out.c, g.H, g.W, g.C), vectors);
#pragma unroll
            for (int e = 0; e < 4; ++e) sum[e] += pixel[e];
        }
    Areas areas = {around, bottom, right, fixed};
    real area = areas.of(out.h, out.w, g);
#pragma unroll
    for (int e = 0; e < 4; ++e) sum[e] /= area;
    store4(y + channels_last(out.n, out.h, out.w, out.c, g.P, g.Q, g.C), sum);
}

extern "C" __global__ void avg_pool2d_grad_input_channels_last(const real* __restrict__ grad, real* __restrict__ gx,
                                                               Pool g, int around, int bottom, int right, int fixed) {
    Pixel4 pixel = pixel4(g.H, g.W, g.C);
    if (!pixel.inside) return;
    Range rows = windows(pixel.h, g.R, g.stride_h, g.top, g.P), columns = windows(pixel.w, g.S, g.stride_w, g.left, g.Q);
    Areas areas = {around, bottom, right, fixed};
    bool vectors = aligned16(grad);
    real sum[4] = {};
    for (int p = rows.first; p < rows.last; ++p)
        for (int q = columns.first; q < columns.last; ++q) {
            real value[4], area = areas.of(p, q, g);
            load4(value, grad + channels_last(pixel.n, p, q, pixel.c, g.P, g.Q, g.C), vectors);
#pragma unroll
            for (int e = 0; e < 4; ++e) sum[e] += value[e] / area;
        }
    store4(gx + channels_last(pixel.n, pixel.h, pixel.w, pixel.c, g.H, g.W, g.C), sum);
}
