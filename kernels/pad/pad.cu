// A border around pictures and its gradient, in float32 or float64 (`real`).
//
// x (N, C, H, W) -> y (N, C, P, Q), whose pixel (top, left) is the first of x. What stands in the border is the mode's.
#include "minitl.cuh"
#include "channels_last.cuh"

// The pixel that stands at a position along one axis, counted from the first pixel; -1 in a constant border. A mirrored
// border is narrower than the picture and a circular one at most as wide, so one step leads back into it.
__device__ __forceinline__ int shown(int i, int size, int mode) {
    if (i >= 0 && i < size) return i;
    if (mode == REFLECT) return i < 0 ? -i : 2 * (size - 1) - i;
    if (mode == REPLICATE) return i < 0 ? 0 : size - 1;
    if (mode == CIRCULAR) return i < 0 ? i + size : i - size;
    return -1;
}

// Where along one axis of y pixel `i` of x is shown: `count` positions from `first` on, then `low` and `high`, unless
// they are -1.
struct Copies {
    int first, count, low, high;
    __device__ __forceinline__ int total() const { return count + (low >= 0) + (high >= 0); }
    __device__ __forceinline__ int operator[](int k) const {
        return k < count ? first + k : k == count && low >= 0 ? low : high;
    }
};
__device__ __forceinline__ Copies copies(int i, int size, int before, int padded, int mode) {
    int own = before + i, low = -1, high = -1;
    if (mode == REPLICATE) {
        int first = i == 0 ? 0 : own, last = i == size - 1 ? padded - 1 : own;
        return {first, last - first + 1, -1, -1};
    }
    if (mode == REFLECT) {
        if (i > 0) low = before - i;
        if (i < size - 1) high = before + 2 * (size - 1) - i;
    } else if (mode == CIRCULAR) {
        low = own - size, high = own + size;
    }
    return {own, 1, max(low, -1), high < padded ? high : -1};
}

// 1. naive ------------------------------------------------------------------------------------------------------------
// The definition: one thread a pixel of y. Threads are numbered along Q, so that in NCHW arrays a warp's threads read
// neighbouring pixels. Arrays that are read may have any strides; those written are in C order.

extern "C" __global__ void pad_naive(const real* __restrict__ x, real* __restrict__ y, Border g, Strides4 xs, real value) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x, plane = (long long)g.P * g.Q;
    if (i >= plane * g.N * g.C) return;
    int q = i % g.Q, p = i / g.Q % g.P, c = i / plane % g.C, n = i / plane / g.C;
    int h = shown(p - g.top, g.H, g.mode), w = shown(q - g.left, g.W, g.mode);
    y[i] = h < 0 || w < 0 ? value : x[at(xs, n, c, h, w)];
}

// One thread a pixel of the picture, which gathers from all places that show it: each result has one writer, and its sum
// one order.
extern "C" __global__ void pad_grad_input_naive(const real* __restrict__ grad, real* __restrict__ gx, Border g,
                                                Strides4 gs) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x, plane = (long long)g.H * g.W;
    if (i >= plane * g.N * g.C) return;
    int w = i % g.W, h = i / g.W % g.H, c = i / plane % g.C, n = i / plane / g.C;
    Copies rows = copies(h, g.H, g.top, g.P, g.mode), columns = copies(w, g.W, g.left, g.Q, g.mode);
    real sum = 0;
    for (int a = 0; a < rows.total(); ++a)
        for (int b = 0; b < columns.total(); ++b) sum += grad[at(gs, n, c, rows[a], columns[b])];
    gx[i] = sum;
}

// 2. channels_last ----------------------------------------------------------------------------------------------------
// Against naive: arrays are (N, H, W, C), and a thread works on four channels. It reads and writes 16 bytes at once, a
// quarter of the instructions; what a place shows is worked out once for four numbers, and by 32-bit divisions alone.
// It is also how convolutions want their pictures, so nothing is copied. All arrays in C order, C a multiple of 4.

extern "C" __global__ void pad_channels_last(const real* __restrict__ x, real* __restrict__ y, Border g, real value) {
    Pixel4 out = pixel4(g.P, g.Q, g.C);
    if (!out.inside) return;
    int h = shown(out.h - g.top, g.H, g.mode), w = shown(out.w - g.left, g.W, g.mode);
    real four[4] = {value, value, value, value};
    if (h >= 0 && w >= 0) load4(four, x + channels_last(out.n, h, w, out.c, g.H, g.W, g.C), aligned16(x));
    store4(y + channels_last(out.n, out.h, out.w, out.c, g.P, g.Q, g.C), four);
}

extern "C" __global__ void pad_grad_input_channels_last(const real* __restrict__ grad, real* __restrict__ gx, Border g) {
    Pixel4 pixel = pixel4(g.H, g.W, g.C);
    if (!pixel.inside) return;
    Copies rows = copies(pixel.h, g.H, g.top, g.P, g.mode), columns = copies(pixel.w, g.W, g.left, g.Q, g.mode);
    bool vectors = aligned16(grad);
    real sum[4] = {};
    for (int a = 0; a < rows.total(); ++a)
        for (int b = 0; b < columns.total(); ++b) {
            real value[4];
            load4(value, grad + channels_last(pixel.n, rows[a], columns[b], pixel.c, g.P, g.Q, g.C), vectors);
#pragma unroll
            for (int e = 0; e < 4; ++e) sum[e] += value[e];
        }
    store4(gx + channels_last(pixel.n, pixel.h, pixel.w, pixel.c, g.H, g.W, g.C), sum);
}
