// Max pooling and its gradient, in float32 or float64 (`real`).
//
// y[n, c, p, q] is the largest pixel of window (p, q) of plane (n, c), and indices[n, c, p, q] where it lies, as h * W + w.
// The first of equal pixels in row-major order wins, and a NaN over every number; padding never does.
#include "minitl.cuh"
#include "channels_last.cuh"

// Whether a pixel takes the place of the best of those before it.
__device__ __forceinline__ bool wins(real pixel, real best) { return pixel > best || (pixel != pixel && best == best); }

// The first tap of a window that does not lie in the padding before the picture. start: the pixel of tap 0.
__device__ __forceinline__ int first_tap(int start, int dilation) {
    return start < 0 ? (dilation - 1 - start) / dilation : 0;
}

// The windows along one axis that reach to a pixel: `first` up to, but not including, `last`. Where dilation makes a
// window step over the pixel its index is another's, so nothing is added.
struct Windows {
    int first, last;
};
__device__ __forceinline__ Windows windows(int pixel, int kernel, int stride, int dilation, int before, int count) {
    int end = pixel + before, begin = end - (kernel - 1) * dilation;
    return {begin > 0 ? (begin + stride - 1) / stride : 0, min(end / stride + 1, count)};
}

// 1. naive ------------------------------------------------------------------------------------------------------------
// The definition: one thread an output. Threads are numbered along Q, so that in NCHW arrays a warp's threads read
// neighbouring pixels. x may have any strides; y and indices are in C order.

extern "C" __global__ void max_pool2d_naive(const real* __restrict__ x, real* __restrict__ y, int* __restrict__ indices,
                                            Pool g, Strides4 xs) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x, plane = (long long)g.P * g.Q;
    if (i >= plane * g.N * g.C) return;
    int q = i % g.Q, p = i / g.Q % g.P, c = i / plane % g.C, n = i / plane / g.C;
    int top = p * g.stride_h - g.top, left = q * g.stride_w - g.left;
    const real* image = x + n * xs.n + c * xs.c;
    real best = 0;
    int where = -1;  // no pixel seen yet
    for (int r = first_tap(top, g.dilation_h); r < g.R; ++r) {
        int h = top + r * g.dilation_h;
        if (h >= g.H) break;
        for (int s = first_tap(left, g.dilation_w); s < g.S; ++s) {
            int w = left + s * g.dilation_w;
            if (w >= g.W) break;
            real pixel = image[h * xs.h + w * xs.w];
            if (where < 0 || wins(pixel, best)) best = pixel, where = h * g.W + w;
        }
    }
    y[i] = best;
    indices[i] = where;
}

// One thread a pixel of the picture, which asks every window that reaches to it whether it won there. Scattering from
// the windows would take atomic additions, whose order, and so the last bit of the sum, changes from run to run.
extern "C" __global__ void max_pool2d_grad_input_naive(const real* __restrict__ grad, const int* __restrict__ indices,
                                                       real* __restrict__ gx, Pool g, Strides4 gs, Strides4 is) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x, plane = (long long)g.H * g.W;
    if (i >= plane * g.N * g.C) return;
    int w = i % g.W, h = i / g.W % g.H, c = i / plane % g.C, n = i / plane / g.C;
    Windows rows = windows(h, g.R, g.stride_h, g.dilation_h, g.top, g.P);
    Windows columns = windows(w, g.S, g.stride_w, g.dilation_w, g.left, g.Q);
    real sum = 0;
    for (int p = rows.first; p < rows.last; ++p)
        for (int q = columns.first; q < columns.last; ++q)
            if (indices[at(is, n, c, p, q)] == h * g.W + w) sum += grad[at(gs, n, c, p, q)];
    gx[i] = sum;
}

// 2. channels_last ----------------------------------------------------------------------------------------------------
// Against naive: arrays are (N, H, W, C), and a thread works on four channels. It reads and writes 16 bytes at once, a
// quarter of the instructions; where a window lies is worked out once for four outputs, and by 32-bit divisions alone.
// It is also how convolutions leave their results, so nothing is copied. All arrays in C order, C a multiple of 4.

extern "C" __global__ void max_pool2d_channels_last(const real* __restrict__ x, real* __restrict__ y,
                                                    int* __restrict__ indices, Pool g) {
    Pixel4 out = pixel4(g.P, g.Q, g.C);
    if (!out.inside) return;
    int top = out.h * g.stride_h - g.top, left = out.w * g.stride_w - g.left;
    bool vectors = aligned16(x);
    real best[4] = {};
    int where[4] = {-1, -1, -1, -1};
    for (int r = first_tap(top, g.dilation_h); r < g.R; ++r) {
        int h = top + r * g.dilation_h;
        if (h >= g.H) break;
        for (int s = first_tap(left, g.dilation_w); s < g.S; ++s) {
            int w = left + s * g.dilation_w;
            if (w >= g.W) break;
            real pixel[4];
            load4(pixel, x + channels_last(out.n, h, w, out.c, g.H, g.W, g.C), vectors);
#pragma unroll
            for (int e = 0; e < 4; ++e)
                if (where[e] < 0 || wins(pixel[e], best[e])) best[e] = pixel[e], where[e] = h * g.W + w;
        }
    }
    long long to = channels_last(out.n, out.h, out.w, out.c, g.P, g.Q, g.C);
    store4(y + to, best);
    *reinterpret_cast<int4*>(indices + to) = make_int4(where[0], where[1], where[2], where[3]);
}

extern "C" __global__ void max_pool2d_grad_input_channels_last(const real* __restrict__ grad,
                                                               const int* __restrict__ indices, real* __restrict__ gx,
                                                               Pool g) {
    Pixel4 pixel = pixel4(g.H, g.W, g.C);
    if (!pixel.inside) return;
    Windows rows = windows(pixel.h, g.R, g.stride_h, g.dilation_h, g.top, g.P);
    Windows columns = windows(pixel.w, g.S, g.stride_w, g.dilation_w, g.left, g.Q);
    int number = pixel.h * g.W + pixel.w;
    bool vectors = aligned16(grad), index_vectors = aligned16(indices);
    real sum[4] = {};
    for (int p = rows.first; p < rows.last; ++p)
        for (int q = columns.first; q < columns.last; ++q) {
            long long from = channels_last(pixel.n, p, q, pixel.c, g.P, g.Q, g.C);
            int where[4];
            if (index_vectors) {
                int4 four = *reinterpret_cast<const int4*>(indices + from);
                where[0] = four.x, where[1] = four.y, where[2] = four.z, where[3] = four.w;
            } else {
#pragma unroll
                for (int e = 0; e < 4; ++e) where[e] = indices[from + e];
            }
            real value[4];
            load4(value, grad + from, vectors);
#pragma unroll
            for (int e = 0; e < 4; ++e)
                if (where[e] == number) sum[e] += value[e];
        }
    store4(gx + channels_last(pixel.n, pixel.h, pixel.w, pixel.c, g.H, g.W, g.C), sum);
}
