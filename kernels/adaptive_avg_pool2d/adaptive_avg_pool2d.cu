// Adaptive average pooling and its gradient, in float32 or float64 (`real`).
//
// y[n, c, p, q] is the mean of bin (p, q) of plane (n, c): rows floor(p H / P) up to, but not including,
// ceil((p + 1) H / P), columns likewise. The gradient hands each pixel its share of every bin that holds it.
#include "minitl.cuh"
#include "channels_last.cuh"

// From `first` up to, but not including, `last`.
struct Range {
    int first, last;
};

// The pixels of bin `i` of `bins` along an axis of `size` pixels. Read the other way it gives the bins that hold pixel i
// of `bins` pixels: floor(p H / P) <= h < ceil((p + 1) H / P) is the same as floor(h P / H) <= p < ceil((h + 1) P / H).
__device__ __forceinline__ Range part(int i, int bins, int size) {
    return {int((long long)i * size / bins), int(((long long)(i + 1) * size + bins - 1) / bins)};
}

__device__ __forceinline__ real area(Range rows, Range columns) {
    return real((long long)(rows.last - rows.first) * (columns.last - columns.first));
}

// 1. naive ------------------------------------------------------------------------------------------------------------
// The definition: one thread an output. Arrays that are read may have any strides; those written are in C order.

extern "C" __global__ void adaptive_avg_pool2d_naive(const real* __restrict__ x, real* __restrict__ y, int N, int C, int H,
                                                     int W, int P, int Q, Strides4 xs) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x, plane = (long long)P * Q;
    if (i >= plane * N * C) return;
    int q = i % Q, p = i / Q % P, c = i / plane % C, n = i / plane / C;
    Range rows = part(p, P, H), columns = part(q, Q, W);
    real sum = 0;
    for (int h = rows.first; h < rows.last; ++h)
        for (int w = columns.first; w < columns.last; ++w) sum += x[at(xs, n, c, h, w)];
    y[i] = sum / area(rows, columns);
}

// One thread a pixel of the picture, which gathers from every bin that holds it: each result has one writer, and its sum
// one order.
extern "C" __global__ void adaptive_avg_pool2d_grad_input_naive(const real* __restrict__ grad, real* __restrict__ gx, int N,
                                                                int C, int H, int W, int P, int Q, Strides4 gs) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x, plane = (long long)H * W;
    if (i >= plane * N * C) return;
    int w = i % W, h = i / W % H, c = i / plane % C, n = i / plane / C;
    Range rows = part(h, H, P), columns = part(w, W, Q);
    real sum = 0;
    for (int p = rows.first; p < rows.last; ++p)
        for (int q = columns.first; q < columns.last; ++q)
            sum += grad[at(gs, n, c, p, q)] / area(part(p, P, H), part(q, Q, W));
    gx[i] = sum;
}

// 2. channels_last ----------------------------------------------------------------------------------------------------
// Against naive: a network ends in few bins that hold many pixels, often one bin for all of a picture, so one thread an
// output leaves most of the GPU idle. Here a block sums a bin of 32 channels: a warp's threads have neighbouring
// channels, which lie side by side in (N, H, W, C), and its warps share the bin's pixels. Their sums are added in the
// order of the warps, so that the result repeats bit for bit. Grid: tiles of channels, then bins, the first fastest.

const int WARPS = 4;

extern "C" __global__ void __launch_bounds__(32 * WARPS)
    adaptive_avg_pool2d_channels_last(const real* __restrict__ x, real* __restrict__ y, int C, int H, int W, int P, int Q) {
    SHARED(real, sums, [WARPS][32]);
    unsigned tiles = (C + 31) / 32, bin = blockIdx.x / tiles;
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, c = blockIdx.x % tiles * 32 + lane;
    int q = bin % Q, p = bin / Q % P, n = bin / Q / P;
    Range rows = part(p, P, H), columns = part(q, Q, W);
    int width = columns.last - columns.first, count = (rows.last - rows.first) * width;
    real sum = 0;
    if (c < C)
        for (int i = warp; i < count; i += WARPS)
            sum += x[channels_last(n, rows.first + i / width, columns.first + i % width, c, H, W, C)];
    sums[warp][lane] = sum;
    __syncthreads();
    if (warp > 0 || c >= C) return;
#pragma unroll
    for (int other = 1; other < WARPS; ++other) sum += sums[other][lane];
    y[(long long)bin * C + c] = sum / area(rows, columns);
}

// Against naive: four channels a thread, read and written 16 bytes at once; the divisions that say which bins hold a
// pixel serve four outputs. C a multiple of 4.
extern "C" __global__ void adaptive_avg_pool2d_grad_input_channels_last(const real* __restrict__ grad,
                                                                        real* __restrict__ gx, int C, int H, int W, int P,
                                                                        int Q) {
    Pixel4 pixel = pixel4(H, W, C);
    if (!pixel.inside) return;
    Range rows = part(pixel.h, H, P), columns = part(pixel.w, W, Q);
    bool vectors = aligned16(grad);
    real sum[4] = {};
    for (int p = rows.first; p < rows.last; ++p)
        for (int q = columns.first; q < columns.last; ++q) {
            real value[4], pixels = area(part(p, P, H), part(q, Q, W));
            load4(value, grad + channels_last(pixel.n, p, q, pixel.c, P, Q, C), vectors);
#pragma unroll
            for (int e = 0; e < 4; ++e) sum[e] += value[e] / pixels;
        }
    store4(gx + channels_last(pixel.n, pixel.h, pixel.w, pixel.c, H, W, C), sum);
}
