// Convolution on tensor cores: implicit GEMM. Each kernel is one matrix product of gemm.cuh whose operands are never
// written down: windows.cuh tells for every element where it lies in the arrays, all of them channels-last.
//
// Grid: blocks of rows, blocks of columns, groups times parts of the depth. With several parts (split-K) `to` has room for
// all of them, one after the other, and ../../cuda/parts.cu adds them up in their order.
#include "minitl.cuh"
#include "gemm.cuh"
#include "windows.cuh"

// `size`: numbers in the whole result, of all groups.
template <class LeftTile, class RightTile, class Left, class Right>
__device__ __forceinline__ void multiply(const Left& left, const Right& right, int depth, int parts, const Rows& rows,
                                         long long size) {
    DYNAMIC_SHARED(float, stages);
    int m = blockIdx.x * TILE_M, n = blockIdx.y * TILE_N, which = blockIdx.z % parts;
    Part part(which, parts, depth);
    Product<PRECISION, LeftTile, RightTile> product;
    product.run(left, right, m, n, part.first, part.last, stages);
    product.store(rows.part(which, parts, size), m, n);
}

// y (N, P, Q, O): rows are output pixels, columns a group's filters; the depth runs over taps and, innermost, channels.
extern "C" __global__ void __launch_bounds__(THREADS, 3)
    conv2d_forward(const float* __restrict__ x, const float* __restrict__ w, const float* __restrict__ b,
                   float* __restrict__ to, Conv g, int parts, int relu) {
    int group = blockIdx.z / parts, filters = g.O / g.groups, depth = g.R * g.S * (g.C / g.groups);
    int first = group * filters;
    const float* of_group = w + (long long)first * depth;
    ByPixel<Windows> left(x, g, group);
    Matrix right = {of_group, filters, depth, depth, 1, depth % 4 == 0 && aligned16(of_group)};
    Rows rows(to + first, g.N * g.P * g.Q, filters, g.O, b ? b + first : nullptr, relu != 0);
    multiply<AlongDepth<TILE_M, DEPTH>, AlongDepth<TILE_N, DEPTH>>(left, right, depth, parts, rows,
                                                                   (long long)rows.rows * g.O);
}

// gx (N, H, W, C): rows are input pixels, columns a group's channels; the depth runs over taps and, innermost, filters.
// Where the stride is not 1, most taps of a pixel see nothing, and products with 0 are computed.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
    conv2d_grad_input(const float* __restrict__ grad, const float* __restrict__ w, float* __restrict__ to, Conv g,
                      int parts) {
    int group = blockIdx.z / parts, channels = g.C / g.groups, depth = g.R * g.S * (g.O / g.groups);
    ByPixel<Sightings> left(grad, g, group);
    Filters right(w, g, group);
    Rows rows(to + group * channels, g.N * g.H * g.W, channels, g.C);
    multiply<AlongDepth<TILE_M, DEPTH>, AcrossDepth<TILE_N, DEPTH>>(left, right, depth, parts, rows,
                                                                    (long long)rows.rows * g.C);
}

// gw (O, R, S, C / groups): rows are a group's filters, columns taps and, innermost, channels; the depth runs over all
// output pixels, which both operands lie across. It is long and the results are few, so there are many parts.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
    conv2d_grad_weight(const float* __restrict__ grad, const float* __restrict__ x, float* __restrict__ to, Conv g,
                       int parts) {
    int group = blockIdx.z / parts, filters = g.O / g.groups, taps = g.R * g.S * (g.C / g.groups);
    int pixels = g.N * g.P * g.Q;
    const float* of_group = grad + group * filters;
    bool vector = g.O % 4 == 0 && filters % 4 == 0 && aligned16(of_group);
    Matrix left = {of_group, filters, pixels, 1, g.O, vector};
    ByTap<Windows> right(x, g, group);
    Rows rows(to + (long long)group * filters * taps, filters, taps, taps);
    multiply<AcrossDepth<TILE_M, DEPTH>, AcrossDepth<TILE_N, DEPTH>>(left, right, pixels, parts, rows,
                                                                     (long long)g.O * taps);
}

// gw (O, C / groups, R, S) in C order, as optimizers keep weights, from parts (parts, O, R, S, C / groups).
extern "C" __global__ void conv2d_sum_weights(const float* __restrict__ from, float* __restrict__ gw, int parts,
                                              long long size, int channels, int taps) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= size) return;
    long long filter = i / (channels * taps);
    int rest = int(i % (channels * taps)), c = rest / taps, tap = rest % taps;
    gw[i] = sum_of_parts(from, parts, size, (filter * taps + tap) * channels + c);
}

// gx of a picture whose border was repeated, from that of the picture with its border as part of it, (N, height, width, C):
// a pixel on the edge gets what its repetitions received too, row by row. The sum begins at 0, as all sums here do, so a
// lone -0 becomes the 0 that it is equal to.
extern "C" __global__ void conv2d_fold_border(const float* __restrict__ padded, float* __restrict__ gx, Conv g,
                                              int height, int width) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x, rest = i / g.C;
    if (i >= (long long)g.N * g.H * g.W * g.C) return;
    int c = int(i % g.C), w = int(rest % g.W), h = int(rest / g.W % g.H);
    long long n = rest / g.W / g.H;
    int top = h == 0 ? 0 : g.top + h, bottom = h == g.H - 1 ? height - 1 : g.top + h;
    int left = w == 0 ? 0 : g.left + w, right = w == g.W - 1 ? width - 1 : g.left + w;
    float sum = 0;
    for (int y = top; y <= bottom; y++)
        for (int x = left; x <= right; x++) sum += padded[((n * height + y) * width + x) * g.C + c];
    gx[i] = sum;
}
