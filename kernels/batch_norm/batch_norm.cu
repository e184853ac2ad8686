// Batch normalization in its parts, in float32 or float64 (`real`): statistics of each channel, the normalization by them,
// and the gradients. See __init__.py for the formulas; here M is `rows`, the values that make up a channel.
//
// Sums run in float64, which costs nothing beside reading the numbers, and in an order that depends on the shape alone.
#include "minitl.cuh"
#include "channels_last.cuh"
#include "rows.cuh"

// weight / sqrt(var + eps); weight may be null. In float64, where any eps counts. rsqrt errs by at most 1 unit in the last
// place (CUDA C++ Programming Guide, "Mathematical Functions"), no more than a root and a division, whose instructions are
// three times as many.
__device__ __forceinline__ double scale(const real* var, const real* weight, int c, double eps) {
    double inverse = rsqrt(var[c] + eps);
    return weight ? inverse * weight[c] : inverse;
}

// 1. naive ------------------------------------------------------------------------------------------------------------
// The definitions: one thread a channel where there is something to sum, otherwise one thread an output. Arrays that are
// read may have any strides; those written are in C order.

extern "C" __global__ void batch_norm_statistics_naive(const real* __restrict__ x, real* __restrict__ mean,
                                                       real* __restrict__ var, int N, int C, int H, int W, Strides4 xs) {
    int c = blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= C) return;
    double sum = 0, square = 0, rows = (double)N * H * W;
    for (int n = 0; n < N; ++n)
        for (int h = 0; h < H; ++h)
            for (int w = 0; w < W; ++w) sum += x[at(xs, n, c, h, w)];
    for (int n = 0; n < N; ++n)
        for (int h = 0; h < H; ++h)
            for (int w = 0; w < W; ++w) {
                double off = x[at(xs, n, c, h, w)] - sum / rows;
                square += off * off;
            }
    mean[c] = sum / rows;
    var[c] = square / rows;
}

extern "C" __global__ void batch_norm_naive(const real* __restrict__ x, const real* __restrict__ mean,
                                            const real* __restrict__ var, const real* __restrict__ weight,
                                            const real* __restrict__ bias, real* __restrict__ y, int N, int C, int H, int W,
                                            Strides4 xs, double eps) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x, plane = (long long)H * W;
    if (i >= plane * N * C) return;
    int w = i % W, h = i / W % H, c = i / plane % C, n = i / plane / C;
    real factor = scale(var, weight, c, eps);
    y[i] = (x[at(xs, n, c, h, w)] - mean[c]) * factor + (bias ? bias[c] : 0);
}

extern "C" __global__ void batch_norm_grad_affine_naive(const real* __restrict__ grad, const real* __restrict__ x,
                                                        const real* __restrict__ mean, const real* __restrict__ var,
                                                        real* __restrict__ grad_weight, real* __restrict__ grad_bias,
                                                        int N, int C, int H, int W, Strides4 gs, Strides4 xs, double eps) {
    int c = blockIdx.x * blockDim.x + threadIdx.x;
    if (c >= C) return;
    double product = 0, sum = 0;
    for (int n = 0; n < N; ++n)
        for (int h = 0; h < H; ++h)
            for (int w = 0; w < W; ++w) {
                double g = grad[at(gs, n, c, h, w)];
                product += g * (x[at(xs, n, c, h, w)] - mean[c]);
                sum += g;
            }
    grad_weight[c] = product * scale(var, nullptr, c, eps);
    grad_bias[c] = sum;
}

extern "C" __global__ void batch_norm_grad_input_naive(const real* __restrict__ grad, const real* __restrict__ var,
                                                       const real* __restrict__ weight, real* __restrict__ gx, int N, int C,
                                                       int H, int W, Strides4 gs, double eps) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x, plane = (long long)H * W;
    if (i >= plane * N * C) return;
    int w = i % W, h = i / W % H, c = i / plane % C, n = i / plane / C;
    real factor = scale(var, weight, c, eps);
    gx[i] = grad[at(gs, n, c, h, w)] * factor;
}

// What the gradient of one channel takes besides the numbers: gx = (grad - offset - (x - mean) slope) factor.
struct Training {
    real mean, offset, slope, factor;
};
__device__ __forceinline__ Training training(const real* mean, const real* var, const real* weight,
                                             const real* grad_weight, const real* grad_bias, int c, double rows,
                                             double eps) {
    double inverse = scale(var, nullptr, c, eps);
    real offset = grad_bias[c] / rows, slope = grad_weight[c] * inverse / rows;
    return {mean[c], offset, slope, real(weight ? inverse * weight[c] : inverse)};
}
__device__ __forceinline__ real trained(const Training& t, real grad, real x) {
    return (grad - t.offset - (x - t.mean) * t.slope) * t.factor;
}

extern "C" __global__ void batch_norm_grad_input_training_naive(
    const real* __restrict__ grad, const real* __restrict__ x, const real* __restrict__ mean, const real* __restrict__ var,
    const real* __restrict__ weight, const real* __restrict__ grad_weight, const real* __restrict__ grad_bias,
    real* __restrict__ gx, int N, int C, int H, int W, Strides4 gs, Strides4 xs, double eps) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x, plane = (long long)H * W;
    if (i >= plane * N * C) return;
    int w = i % W, h = i / W % H, c = i / plane % C, n = i / plane / C;
    Training t = training(mean, var, weight, grad_weight, grad_bias, c, (double)N * plane, eps);
    gx[i] = trained(t, grad[at(gs, n, c, h, w)], x[at(xs, n, c, h, w)]);
}

// 2. channels_last: sums ----------------------------------------------------------------------------------------------
// Against naive, which keeps one thread a channel busy and reads x twice: arrays are (rows, C) in C order, and a block sums
// `per` rows of 32 channels. A warp's threads have neighbouring channels, which lie side by side, and its eight warps share
// the rows, in all so many blocks that the whole GPU reads. A thread keeps its values in registers, so that the second
// look, for the variance, costs no memory. Then one block a channel adds up what the blocks found.
// Source of the blocked variance: Chan, Golub & LeVeque, "Algorithms for computing the sample variance: analysis and
// recommendations" (1983).

const int LANES = 32, WARPS = 8, HELD = 16;  // per: at most WARPS * HELD

// The sum over a block's warps of what their lanes of one number hold, for all of them; in the order of the warps.
__device__ __forceinline__ double over_warps(double (*shared)[LANES], double value) {
    int lane = threadIdx.x % LANES, warp = threadIdx.x / LANES;
    shared[warp][lane] = value;
    __syncthreads();
    double sum = 0;
#pragma unroll
    for (int other = 0; other < WARPS; ++other) sum += shared[other][lane];
    __syncthreads();  // `shared` may be used again
    return sum;
}

// sums, squares (C, blocks): of each block of rows, the sum, and that of squares of distances from the block's own mean.
// Grid: tiles of 32 channels, then blocks of rows, the first fastest.
extern "C" __global__ void __launch_bounds__(LANES* WARPS)
    batch_norm_statistics_blocks(const real* __restrict__ x, double* __restrict__ sums, double* __restrict__ squares,
                                 long long rows, int C, int per, int blocks) {
    SHARED(double, shared, [WARPS][LANES]);
    unsigned tiles = (C + LANES - 1) / LANES, block = blockIdx.x / tiles;
    int warp = threadIdx.x / LANES, c = blockIdx.x % tiles * LANES + threadIdx.x % LANES;
    long long first = (long long)block * per;
    int count = c < C ? min((long long)per, rows - first) : 0;
    const real* value = x + (first + warp) * C + c;
    real held[HELD];
    double sum = 0;
#pragma unroll
    for (int i = 0; i < HELD; ++i) {
        held[i] = warp + i * WARPS < count ? value[(long long)i * WARPS * C] : real(0);
        sum += held[i];
    }
    sum = over_warps(shared, sum);
    double mean = sum / count, square = 0;
#pragma unroll
    for (int i = 0; i < HELD; ++i) {
        double off = held[i] - mean;
        if (warp + i * WARPS < count) square += off * off;
    }
    square = over_warps(shared, square);
    if (warp > 0 || c >= C) return;
    sums[(long long)c * blocks + block] = sum;
    squares[(long long)c * blocks + block] = square;
}

const int FINISHERS = 4;  // warps

// The variance of all values is the mean of that within each block and of the squared distance of its mean from the whole's.
extern "C" __global__ void __launch_bounds__(32 * FINISHERS)
    batch_norm_statistics_finish(const double* __restrict__ sums, const double* __restrict__ squares,
                                 real* __restrict__ mean, real* __restrict__ var, long long rows, int per, int blocks) {
    const double *sum_of = sums + (long long)blockIdx.x * blocks, *square_of = squares + (long long)blockIdx.x * blocks;
    double sum = 0, square = 0;
    for (int i = threadIdx.x; i < blocks; i += blockDim.x) sum += sum_of[i];
    double whole = OneBlock().sum(sum) / rows;
    for (int i = threadIdx.x; i < blocks; i += blockDim.x) {
        double count = min((long long)per, rows - (long long)i * per), off = sum_of[i] / count - whole;
        square += square_of[i] + count * off * off;
    }
    square = OneBlock().sum(square);
    if (threadIdx.x > 0) return;
    mean[blockIdx.x] = whole;
    var[blockIdx.x] = square / rows;
}

// products, sums (C, blocks): of each block of rows, the sums of grad (x - mean) and of grad. Grid: as above.
extern "C" __global__ void __launch_bounds__(LANES* WARPS)
    batch_norm_grad_affine_blocks(const real* __restrict__ grad, const real* __restrict__ x, const real* __restrict__ mean,
                                  double* __restrict__ products, double* __restrict__ sums, long long rows, int C, int per,
                                  int blocks) {
    SHARED(double, shared, [WARPS][LANES]);
    unsigned tiles = (C + LANES - 1) / LANES, block = blockIdx.x / tiles;
    int warp = threadIdx.x / LANES, c = blockIdx.x % tiles * LANES + threadIdx.x % LANES;
    long long first = (long long)block * per;
    int count = c < C ? min((long long)per, rows - first) : 0;
    real middle = c < C ? mean[c] : real(0);
    double product = 0, sum = 0;
#pragma unroll
    for (int i = 0; i < HELD; ++i) {
        int row = warp + i * WARPS;
        if (row >= count) break;
        double g = grad[(first + row) * C + c];
        product += g * (x[(first + row) * C + c] - middle);
        sum += g;
    }
    product = over_warps(shared, product);
    sum = over_warps(shared, sum);
    if (warp > 0 || c >= C) return;
    products[(long long)c * blocks + block] = product;
    sums[(long long)c * blocks + block] = sum;
}

extern "C" __global__ void __launch_bounds__(32 * FINISHERS)
    batch_norm_grad_affine_finish(const double* __restrict__ products, const double* __restrict__ sums,
                                  const real* __restrict__ var, real* __restrict__ grad_weight,
                                  real* __restrict__ grad_bias, int blocks, double eps) {
    double product = 0, sum = 0;
    for (int i = threadIdx.x; i < blocks; i += blockDim.x) {
        product += products[(long long)blockIdx.x * blocks + i];
        sum += sums[(long long)blockIdx.x * blocks + i];
    }
    product = OneBlock().sum(product);
    sum = OneBlock().sum(sum);
    if (threadIdx.x > 0) return;
    grad_weight[blockIdx.x] = product * scale(var, nullptr, blockIdx.x, eps);
    grad_bias[blockIdx.x] = sum;
}

// 3. channels_last: numbers -------------------------------------------------------------------------------------------
// Against naive, which works a root in float64 out for every number: a thread keeps four channels, and works out what
// belongs to them once for several rows. It reads and writes 16 bytes at once. Arrays are (rows, C) in C order, C a
// multiple of 4.

extern "C" __global__ void __launch_bounds__(128)
    batch_norm_channels_last(const real* __restrict__ x, const real* __restrict__ mean, const real* __restrict__ var,
                             const real* __restrict__ weight, const real* __restrict__ bias, real* __restrict__ y,
                             long long rows, int C, int across, double eps) {
    Walk walk(rows, C / 4, across);
    if (walk.row >= walk.end) return;
    int first = walk.group * 4;
    real middle[4], factor[4], offset[4];
#pragma unroll
    for (int e = 0; e < 4; ++e) {
        int c = first + e;
        middle[e] = mean[c], factor[e] = scale(var, weight, c, eps), offset[e] = bias ? bias[c] : real(0);
    }
    bool vectors = aligned16(x);
    for (long long row = walk.row; row < walk.end; row += walk.step) {
        real value[4];
        load4(value, x + row * C + first, vectors);
#pragma unroll
        for (int e = 0; e < 4; ++e) value[e] = (value[e] - middle[e]) * factor[e] + offset[e];
        store4(y + row * C + first, value);
    }
}

extern "C" __global__ void __launch_bounds__(128)
    batch_norm_grad_input_channels_last(const real* __restrict__ grad, const real* __restrict__ var,
                                        const real* __restrict__ weight, real* __restrict__ gx, long long rows, int C,
                                        int across, double eps) {
    Walk walk(rows, C / 4, across);
    if (walk.row >= walk.end) return;
    int first = walk.group * 4;
    real factor[4];
#pragma unroll
    for (int e = 0; e < 4; ++e) factor[e] = scale(var, weight, first + e, eps);
    bool vectors = aligned16(grad);
    for (long long row = walk.row; row < walk.end; row += walk.step) {
        real value[4];
        load4(value, grad + row * C + first, vectors);
#pragma unroll
        for (int e = 0; e < 4; ++e) value[e] *= factor[e];
        store4(gx + row * C + first, value);
    }
}

extern "C" __global__ void __launch_bounds__(128) batch_norm_grad_input_training_channels_last(
    const real* __restrict__ grad, const real* __restrict__ x, const real* __restrict__ mean, const real* __restrict__ var,
    const real* __restrict__ weight, const real* __restrict__ grad_weight, const real* __restrict__ grad_bias,
    real* __restrict__ gx, long long rows, int C, int across, double eps) {
    Walk walk(rows, C / 4, across);
    if (walk.row >= walk.end) return;
    int first = walk.group * 4;
    Training t[4];
#pragma unroll
    for (int e = 0; e < 4; ++e) t[e] = training(mean, var, weight, grad_weight, grad_bias, first + e, rows, eps);
    bool vectors = aligned16(x) && aligned16(grad);
    for (long long row = walk.row; row < walk.end; row += walk.step) {
        real above[4], value[4];
        load4(above, grad + row * C + first, vectors);
        load4(value, x + row * C + first, vectors);
#pragma unroll
        for (int e = 0; e < 4; ++e) value[e] = trained(t[e], above[e], value[e]);
        store4(gx + row * C + first, value);
    }
}
