// conv2d's gradient for its input on CUDA cores: a ladder of three kernels, in float32 or float64 (`real`).
//
//     gx[n, c, h, v] = sum of grad[n, o, p, q] * w[o, c, r, s] over every o and every output (p, q) whose tap (r, s)
//                      saw the pixel: p * stride_h - pad_top + r * dilation_h = h, likewise q, s and v
//
// All of them gather: a thread collects what belongs to its pixels, so that none adds to another's sum, no atomics are
// needed and results repeat bit for bit. grad is (N, O, P, Q), w (O, C / groups, R, S), gx (N, C, H, W).
#include "minitl.cuh"
#include "conv.cuh"

// 1. naive ------------------------------------------------------------------------------------------------------------
// The definition: one thread a pixel of gx. Arrays may have any strides; every geometry is served.

struct Range {
    int first, last;
};

// Of one axis, the outputs whose tap, `offset` pixels from where their window begins, sees pixel i. That is one or
// none; but pixels at an edge that is repeated into the padding are seen by all taps beyond it too.
__device__ __forceinline__ Range seeing(int i, int size, int offset, int stride, int outputs, int replicate) {
    int low = i - offset, high = low;  // bounds of output * stride
    if (replicate && i == 0) low = 0;
    if (replicate && i == size - 1) high = (outputs - 1) * stride;
    return {(max(low, 0) + stride - 1) / stride, high < 0 ? -1 : min(high / stride, outputs - 1)};
}

extern "C" __global__ void conv2d_grad_input_naive(const real* __restrict__ grad, const real* __restrict__ w,
                                                   real* __restrict__ gx, Conv g, Strides4 gs, Strides4 ws,
                                                   Strides4 xs) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= (long long)g.N * g.C * g.H * g.W) return;
    int v = i % g.W, h = i / g.W % g.H;
    i /= (long long)g.W * g.H;
    int c = i % g.C, n = i / g.C;
    int channels = g.C / g.groups, filters = g.O / g.groups, group = c / channels;
    real sum = 0;
    for (int o = group * filters; o < (group + 1) * filters; ++o)
        for (int r = 0; r < g.R; ++r) {
            Range ps = seeing(h, g.H, r * g.dilation_h - g.top, g.stride_h, g.P, g.replicate);
            for (int s = 0; s < g.S && ps.first <= ps.last; ++s) {
                Range qs = seeing(v, g.W, s * g.dilation_w - g.left, g.stride_w, g.Q, g.replicate);
                real weight = w[at(ws, o, c % channels, r, s)];
                for (int p = ps.first; p <= ps.last; ++p)
                    for (int q = qs.first; q <= qs.last; ++q) sum += grad[at(gs, n, o, p, q)] * weight;
            }
        }
    gx[at(xs, n, c, h, v)] = sum;
}

// Phases --------------------------------------------------------------------------------------------------------------
// With a stride, a pixel is seen by some taps only: with stride 2 and a 3 x 3 filter by 4, 2, 2 or 1 of the 9. Which
// ones depends on its position modulo the stride alone. Pixels that agree in that are a phase. The kernels below treat
// one phase at a time: all its pixels have the same taps, so that no thread idles or multiplies by zero, and within it
// the gradient is a convolution of grad with stride 1: pixel i (of the phase) has under tap j output start + i - j * back.

struct Axis {
    int residue, pixels;  // the phase: pixels residue, residue + stride, ...
    int first, step, taps;  // its taps: first, first + step, ...
    int start, back;
};

__device__ __forceinline__ Axis phase(int residue, int size, int stride, int dilation, int before, int kernel) {
    int divisor = stride, rest = dilation;
    while (rest) {
        int next = divisor % rest;
        divisor = rest, rest = next;
    }
    Axis a;
    a.residue = residue, a.pixels = (size - residue + stride - 1) / stride;
    a.step = stride / divisor, a.back = dilation / divisor;
    int last = min(a.step, kernel);
    a.first = 0;
    while (a.first < last && (residue + before - a.first * dilation) % stride) ++a.first;
    a.taps = a.first < last ? (kernel - a.first + a.step - 1) / a.step : 0;
    a.start = (residue + before - a.first * dilation) / stride;  // exact
    return a;
}

// How many phases there are along an axis, and the pixels of the largest of them.
__device__ __forceinline__ int phases(int size, int stride) { return min(size, stride); }
__device__ __forceinline__ int longest(int size, int stride) { return (size + stride - 1) / stride; }

// 2. tiled ------------------------------------------------------------------------------------------------------------
// Against naive: a block computes 8 x 16 pixels (neighbours within their phase) of 8 channels, and first copies what
// they need, the patch of grad that their taps reach and the weights, into shared memory. naive reads each value of grad
// from global memory once a tap and channel; here 8 channels share one read, from shared memory, which is some twenty
// times quicker. Taps that miss are never tried. As many filters as fit are copied at a time. Any strides still; padding
// must be of zeros.

const int TILED_H = 8, TILED_W = 16, TILED_CHANNELS = 8;

// `step`: how many filters are copied at a time. Grid: one block a tile, sets of channels fastest, so that blocks that
// run together share their patch in the L2 cache.
extern "C" __global__ void __launch_bounds__(128, 4)
    conv2d_grad_input_tiled(const real* __restrict__ grad, const real* __restrict__ w, real* __restrict__ gx, Conv g,
                            Strides4 gs, Strides4 ws, Strides4 xs, int step) {
    DYNAMIC_SHARED(real, shared);
    int channels = g.C / g.groups, filters = g.O / g.groups;
    int sets = (channels + TILED_CHANNELS - 1) / TILED_CHANNELS;
    int tiles_w = (longest(g.W, g.stride_w) + TILED_W - 1) / TILED_W;
    int tiles_h = (longest(g.H, g.stride_h) + TILED_H - 1) / TILED_H;
    unsigned block = blockIdx.x;
    int first = block % sets * TILED_CHANNELS;
    block /= sets;
    int j0 = block % tiles_w * TILED_W;
    block /= tiles_w;
    int i0 = block % tiles_h * TILED_H;
    block /= tiles_h;
    Axis across = phase(block % phases(g.W, g.stride_w), g.W, g.stride_w, g.dilation_w, g.left, g.S);
    block /= phases(g.W, g.stride_w);
    Axis down = phase(block % phases(g.H, g.stride_h), g.H, g.stride_h, g.dilation_h, g.top, g.R);
    block /= phases(g.H, g.stride_h);
    int group = block % g.groups, n = block / g.groups;
    if (i0 >= down.pixels || j0 >= across.pixels) return;

    int taps = down.taps * across.taps;
    int rows = TILED_H + (down.taps - 1) * down.back, columns = TILED_W + (across.taps - 1) * across.back;
    int p0 = down.start + i0 - (down.taps - 1) * down.back;  // the patch's first output
    int q0 = across.start + j0 - (across.taps - 1) * across.back;
    real* weights = shared;  // [filter][tap][channel]
    real* patch = shared + step * taps * TILED_CHANNELS;  // [filter][row][column]
    int column = threadIdx.x % TILED_W, line = threadIdx.x / TILED_W;
    int warps = blockDim.x / 32, warp = threadIdx.x / 32, lane = threadIdx.x % 32;

    real sums[TILED_CHANNELS] = {};
    for (int o0 = 0; taps && o0 < filters; o0 += step) {
        int count = min(step, filters - o0), o = group * filters + o0;
        if (o0) __syncthreads();  // nobody reads the filters before any more
        for (int row = warp; row < count * rows; row += warps) {
            int p = p0 + row % rows;
            const real* from = grad + at(gs, n, o + row / rows, p, 0);
            for (int k = lane; k < columns; k += 32) {
                int q = q0 + k;
                bool there = p >= 0 && p < g.P && q >= 0 && q < g.Q;
                patch[row * columns + k] = there ? from[q * gs.w] : real(0);
            }
        }
        for (int e = threadIdx.x; e < count * taps * TILED_CHANNELS; e += blockDim.x) {
            int c = first + e % TILED_CHANNELS, tap = e / TILED_CHANNELS;
            int s = across.first + tap % across.taps * across.step;
            int r = down.first + tap / across.taps % down.taps * down.step;
            weights[e] = c < channels ? w[at(ws, o + tap / taps, c, r, s)] : real(0);
        }
        __syncthreads();
        const real* tap = weights;
        for (int f = 0; f < count; ++f)
            for (int i = 0; i < down.taps; ++i) {
                int row = f * rows + line + (down.taps - 1 - i) * down.back;
                const real* value = patch + row * columns + column + (across.taps - 1) * across.back;
                for (int j = 0; j < across.taps; ++j, value -= across.back, tap += TILED_CHANNELS) {
                    real weight[TILED_CHANNELS];
                    load4(weight, tap);
                    load4(weight + 4, tap + 4);
#pragma unroll
                    for (int c = 0; c < TILED_CHANNELS; ++c) sums[c] += *value * weight[c];
                }
            }
    }
    if (i0 + line >= down.pixels || j0 + column >= across.pixels) return;
    int h = down.residue + (i0 + line) * g.stride_h, v = across.residue + (j0 + column) * g.stride_w;
#pragma unroll
    for (int c = 0; c < TILED_CHANNELS; ++c)
        if (first + c < channels) gx[at(xs, n, group * channels + first + c, h, v)] = sums[c];
}

// 3. implicit_gemm ----------------------------------------------------------------------------------------------------
// Against tiled: each phase as a matrix product, gx (its pixels, C) = gathered grad (its pixels, taps O) times
// w (taps O, C), whose first factor is never stored. A tile of pixels may run across rows and images.
// - A thread computes 8 pixels x 8 channels in registers (Share): 16 values read from shared memory serve 64
//   multiply-adds (tiled: 9 serve 8), and the multiply-adds become the limit instead of shared memory.
// - Arrays are channels-last: the filters of one output lie side by side, so do the channels of one weight, and four
//   come in one load of 16 bytes where alignment allows (otherwise one by one).
// - Shared memory is double-buffered: the next 8 products are fetched into registers before those at hand are
//   multiplied, which hides the way to global memory, and one barrier a step is enough.
// Padding must be of zeros. Source of the method: Chetlur et al., "cuDNN: Efficient Primitives for Deep Learning" (2014).

const int DEPTH = 8;  // products a step
const int UNROLLED = sizeof(real) == 4 ? DEPTH : 2;  // float64 leaves no registers for more

// What a block is to do: pixels from `first` on, of the phase's N planes; channels from `set` on.
struct Job {
    Axis down, across;
    long long first, plane;
    int group, set;
};

// Grid: tiles of channels, groups, tiles of the largest phase's pixels, phases, the first fastest.
template <int SIDE>
__device__ __forceinline__ Job find_job(const Conv& g) {
    int sets = (g.C / g.groups + SIDE - 1) / SIDE, phases_w = phases(g.W, g.stride_w);
    long long most = (long long)g.N * longest(g.H, g.stride_h) * longest(g.W, g.stride_w);
    unsigned tiles = (most + SIDE - 1) / SIDE, block = blockIdx.x;
    Job job;
    job.set = block % sets * SIDE;
    block /= sets;
    job.group = block % g.groups;
    block /= g.groups;
    job.first = (long long)(block % tiles) * SIDE;
    block /= tiles;
    job.down = phase(block / phases_w, g.H, g.stride_h, g.dilation_h, g.top, g.R);
    job.across = phase(block % phases_w, g.W, g.stride_w, g.dilation_w, g.left, g.S);
    job.plane = (long long)job.down.pixels * job.across.pixels;
    return job;
}

// A pixel of the tile: n is -1 behind the last one; (p, q), the output that it has under its phase's first tap.
struct Pixel {
    int n, h, v, p, q;
};

__device__ __forceinline__ Pixel find_pixel(const Job& job, long long i, const Conv& g) {
    long long n = i / job.plane, rest = i - n * job.plane, line = rest / job.across.pixels;
    int column = rest - line * job.across.pixels;
    return {n < g.N ? (int)n : -1, job.down.residue + (int)line * g.stride_h, job.across.residue + column * g.stride_w,
            job.down.start + (int)line, job.across.start + column};
}

// grad (N, P, Q, O), w (O, R, S, C / groups), gx (N, H, W, C), all in C order. A block of SIDE SIDE / 64 threads computes
// SIDE pixels x SIDE channels.
template <int SIDE>
__device__ __forceinline__ void implicit_gemm(const real* __restrict__ grad, const real* __restrict__ w,
                                              real* __restrict__ gx, const Conv& g) {
    const int THREADS = SIDE * SIDE / 64, LOADS = SIDE * DEPTH / 4 / THREADS;
    SHARED(real, grads, [2][DEPTH][SIDE]);
    SHARED(real, weights, [2][DEPTH][SIDE]);
    // What is needed now and then lies here: the sums leave few registers.
    SHARED(Job, jobs, [1]);
    SHARED(Pixel, pixels, [SIDE]);
    const Job& job = jobs[0];
    if (threadIdx.x == 0) jobs[0] = find_job<SIDE>(g);
    __syncthreads();
    if (job.first >= g.N * job.plane) return;
    for (int i = threadIdx.x; i < SIDE; i += THREADS) pixels[i] = find_pixel(job, job.first + i, g);
    __syncthreads();
    int channels = g.C / g.groups, filters = g.O / g.groups;
    bool vectors = channels % 4 == 0 && filters % 4 == 0 && aligned16(grad) && aligned16(w) && aligned16(gx);

    // What this thread fetches: of one pixel, filters k ... k + 3 of a step (and k + 4 ... k + 7, where it loads twice); and
    // of the one of these filters that `own` says, weights of channels c ... c + 3. All filters of a tap come before those
    // of the next, so that where to read changes once a tap; the last step of a tap is filled up with zeros.
    int k = threadIdx.x / SIDE * 4, own = threadIdx.x / (SIDE / 4) % 4, c = threadIdx.x % (SIDE / 4) * 4;
    int tap = 0, o = 0;  // next to fetch: filter o and those behind it
    const real *of_grad = nullptr, *of_weights = nullptr;
    real next_grads[LOADS][4], next_weights[LOADS][4];
    auto fetch = [&]() {
        if (o == 0) {
            int i = tap / job.across.taps, j = tap % job.across.taps;
            Pixel pixel = pixels[threadIdx.x % SIDE];
            int p = pixel.p - i * job.down.back, q = pixel.q - j * job.across.back;
            bool there = pixel.n >= 0 && p >= 0 && p < g.P && q >= 0 && q < g.Q;
            of_grad = there ? grad + (((long long)pixel.n * g.P + p) * g.Q + q) * g.O + job.group * filters + k : nullptr;
            int r = job.down.first + i * job.down.step, s = job.across.first + j * job.across.step;
            of_weights = w + (((long long)(job.group * filters + k + own) * g.R + r) * g.S + s) * channels + job.set + c;
        }
#pragma unroll
        for (int l = 0; l < LOADS; ++l) {
            int left = filters - o - k - l * 4;
            load_up_to_4(next_grads[l], of_grad + o + l * 4, of_grad ? left : 0, vectors);
            load_up_to_4(next_weights[l], of_weights + (long long)(o + l * 4) * g.R * g.S * channels,
                         own < left ? channels - job.set - c : 0, vectors);
        }
        o += DEPTH;
        if (o >= filters) o = 0, ++tap;
    };
    auto store = [&](int buffer) {  // grad transposed, so that the product reads neighbouring pixels in one load
#pragma unroll
        for (int l = 0; l < LOADS; ++l) {
#pragma unroll
            for (int e = 0; e < 4; ++e) grads[buffer][k + l * 4 + e][threadIdx.x % SIDE] = next_grads[l][e];
            store4(&weights[buffer][k + l * 4 + own][c], next_weights[l]);
        }
    };

    Share<SIDE, SIDE> share;
    real sums[8][8] = {};
    int steps = job.down.taps * job.across.taps * ((filters + DEPTH - 1) / DEPTH);  // none in a phase that no tap sees
    for (int step = -1; step < steps; ++step) {
        bool more = step + 1 < steps;
        if (more) fetch();
        if (step >= 0) {
            int buffer = step % 2;
#pragma unroll(UNROLLED)
            for (int e = 0; e < DEPTH; ++e) {
                real left[8], right[8];
                load_8(left, &grads[buffer][e][share.row], SIDE / 2);
                load_8(right, &weights[buffer][e][share.column], SIDE / 2);
                add_products(sums, left, right);
            }
        }
        if (more) {
            store((step + 1) % 2);  // read by nobody since the barrier of the step before
            __syncthreads();
        }
    }

#pragma unroll
    for (int i = 0; i < 8; ++i) {
        Pixel pixel = pixels[share.row_of(i)];
        if (pixel.n < 0) continue;
        int c = job.set + share.column;
        real* out = gx + (((long long)pixel.n * g.H + pixel.h) * g.W + pixel.v) * g.C + job.group * channels + c;
        store_up_to_4(out, sums[i], channels - c, vectors);
        store_up_to_4(out + SIDE / 2, sums[i] + 4, channels - c - SIDE / 2, vectors);
    }
}

// For large products: every value fetched serves 128 multiply-adds. Two blocks a multiprocessor hide each other's
// barriers; of float64 only one finds room, whose sums take twice the registers.
const int LARGE_BLOCKS = sizeof(real) == 4 ? 2 : 1;
extern "C" __global__ void __launch_bounds__(256, LARGE_BLOCKS)
    conv2d_grad_input_implicit_gemm_128x128(const real* __restrict__ grad, const real* __restrict__ w,
                                            real* __restrict__ gx, Conv g) {
    implicit_gemm<128>(grad, w, gx, g);
}

// For small ones, and for up to 64 channels: four times as many blocks, so that all multiprocessors have work.
extern "C" __global__ void __launch_bounds__(64)
    conv2d_grad_input_implicit_gemm_64x64(const real* __restrict__ grad, const real* __restrict__ w,
                                          real* __restrict__ gx, Conv g) {
    implicit_gemm<64>(grad, w, gx, g);
}
