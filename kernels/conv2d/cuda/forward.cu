// conv2d forward on CUDA cores: a ladder of four kernels, in float32 or float64 (`real`).
//
//     y[n, o, p, q] = b[o] + sum over c, r, s of x[n, c, p * stride_h - pad_top + r * dilation_h, ...] * w[o, c, r, s]
//
// Every kernel takes every geometry; b may be null; relu sets negative results to 0 before they are stored. x is
// (N, C, H, W), w (O, C / groups, R, S), y (N, O, P, Q); each kernel says how it wants them to lie in memory.
#include "minitl.cuh"
#include "conv.cuh"

// What is stored of a sum for filter o. A NaN is not <= 0, and stays.
__device__ __forceinline__ real finished(real sum, const real* b, int o, int relu) {
    if (b) sum += b[o];
    return relu && sum <= 0 ? real(0) : sum;
}

// 1. naive ------------------------------------------------------------------------------------------------------------
// The definition: one thread an output. Threads are numbered along Q, so that in NCHW arrays the 32 threads of a warp
// read neighbouring pixels and the same weight. Arrays may have any strides.

extern "C" __global__ void conv2d_naive(const real* __restrict__ x, const real* __restrict__ w,
                                        const real* __restrict__ b, real* __restrict__ y, Conv g, Strides4 xs,
                                        Strides4 ws, Strides4 ys, int relu) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= (long long)g.N * g.O * g.P * g.Q) return;
    int q = i % g.Q, p = i / g.Q % g.P;
    i /= (long long)g.Q * g.P;
    int o = i % g.O, n = i / g.O;
    int channels = g.C / g.groups, group = o / (g.O / g.groups);
    int top = p * g.stride_h - g.top, left = q * g.stride_w - g.left;
    real sum = 0;
    for (int c = 0; c < channels; ++c)
        for (int r = 0; r < g.R; ++r)
            for (int s = 0; s < g.S; ++s) {
                int h = seen(top + r * g.dilation_h, g.H, g.replicate);
                int v = seen(left + s * g.dilation_w, g.W, g.replicate);
                if (h >= 0 && v >= 0) sum += x[at(xs, n, group * channels + c, h, v)] * w[at(ws, o, c, r, s)];
            }
    y[at(ys, n, o, p, q)] = finished(sum, b, o, relu);
}

// 2. tiled ------------------------------------------------------------------------------------------------------------
// Against naive: a block computes 8 x 16 neighbouring outputs of 8 filters, and first copies what they need, the patch
// of the image under all their windows and the filters, into shared memory. naive reads a pixel from global memory once
// for each of the R S windows that hold it and each filter: R S O / G times. Here it is read O / (8 G) times and comes
// from shared memory, which is some twenty times quicker, and each value read there serves 8 filters. As much of the
// channels as fits is copied at a time. Any strides still.

const int TILED_P = 8, TILED_Q = 16, TILED_FILTERS = 8;

// Copies the patch of `channels` channels into shared memory as [channel][row][column], zeros where there is padding.
// (top, left): which pixel its first element is. Each warp copies rows, since dividing an index into its row and
// column costs more than the copy.
__device__ __forceinline__ void copy_patch(real* patch, const real* image, const Strides4& xs, const Conv& g,
                                           int channels, int rows, int columns, int top, int left) {
    int warps = blockDim.x / 32, lane = threadIdx.x % 32;
    for (int row = threadIdx.x / 32; row < channels * rows; row += warps) {
        int h = seen(top + row % rows, g.H, g.replicate);
        const real* line = image + row / rows * xs.c + h * xs.h;
        for (int j = lane; j < columns; j += 32) {
            int v = seen(left + j, g.W, g.replicate);
            patch[row * columns + j] = h >= 0 && v >= 0 ? line[v * xs.w] : real(0);
        }
    }
}

// Copies `count` filters from `first` on (zeros from `filters` on) as [channel][tap][filter].
__device__ __forceinline__ void copy_filters(real* to, const real* w, const Strides4& ws, const Conv& g, int channels,
                                             int first, int filters, int count) {
    for (int e = threadIdx.x; e < channels * g.R * g.S * count; e += blockDim.x) {
        int o = first + e % count, tap = e / count;
        int s = tap % g.S, r = tap / g.S % g.R, c = tap / (g.S * g.R);
        to[e] = o < filters ? w[at(ws, o, c, r, s)] : real(0);
    }
}

// `step`: how many channels are copied at a time. Grid: one block a tile, filters fastest, so that blocks that run
// together share their patch in the L2 cache.
extern "C" __global__ void __launch_bounds__(128, 4)
    conv2d_tiled(const real* __restrict__ x, const real* __restrict__ w, const real* __restrict__ b,
                 real* __restrict__ y, Conv g, Strides4 xs, Strides4 ws, Strides4 ys, int step, int relu) {
    DYNAMIC_SHARED(real, shared);
    int channels = g.C / g.groups, filters = g.O / g.groups;
    int across = (g.Q + TILED_Q - 1) / TILED_Q, down = (g.P + TILED_P - 1) / TILED_P;
    int sets = (filters + TILED_FILTERS - 1) / TILED_FILTERS;
    unsigned block = blockIdx.x;
    int first = block % sets * TILED_FILTERS;
    block /= sets;
    int q0 = block % across * TILED_Q;
    block /= across;
    int p0 = block % down * TILED_P;
    block /= down;
    int group = block % g.groups, n = block / g.groups;

    int taps = g.R * g.S;
    int rows = (TILED_P - 1) * g.stride_h + (g.R - 1) * g.dilation_h + 1;
    int columns = (TILED_Q - 1) * g.stride_w + (g.S - 1) * g.dilation_w + 1;
    real* weights = shared;
    real* patch = shared + step * taps * TILED_FILTERS;
    const real* image = x + n * xs.n + group * channels * xs.c;
    const real* kernels = w + group * filters * ws.n;
    int column = threadIdx.x % TILED_Q, line = threadIdx.x / TILED_Q;

    real sums[TILED_FILTERS] = {};
    for (int c0 = 0; c0 < channels; c0 += step) {
        int count = min(step, channels - c0);
        if (c0) __syncthreads();  // nobody reads the channels before any more
        copy_patch(patch, image + c0 * xs.c, xs, g, count, rows, columns, p0 * g.stride_h - g.top,
                   q0 * g.stride_w - g.left);
        copy_filters(weights, kernels + c0 * ws.c, ws, g, count, first, filters, TILED_FILTERS);
        __syncthreads();
        const real* tap = weights;
        for (int c = 0; c < count; ++c)
            for (int r = 0; r < g.R; ++r) {
                const real* pixel = patch + (c * rows + line * g.stride_h + r * g.dilation_h) * columns +
                                    column * g.stride_w;
                for (int s = 0; s < g.S; ++s, tap += TILED_FILTERS) {
                    real value = pixel[s * g.dilation_w], weight[TILED_FILTERS];
                    load4(weight, tap);
                    load4(weight + 4, tap + 4);
#pragma unroll
                    for (int f = 0; f < TILED_FILTERS; ++f) sums[f] += value * weight[f];
                }
            }
    }
    int p = p0 + line, q = q0 + column;
    if (p >= g.P || q >= g.Q) return;
#pragma unroll
    for (int f = 0; f < TILED_FILTERS; ++f)
        if (first + f < filters) {
            int o = group * filters + first + f;
            y[at(ys, n, o, p, q)] = finished(sums[f], b, o, relu);
        }
}

// 3. implicit_gemm ----------------------------------------------------------------------------------------------------
// Against tiled: convolution as a matrix product, y (N P Q, O) = windows (N P Q, R S C) times w (R S C, O), whose first
// factor is never stored: its elements are gathered from x as they are needed. A tile of pixels may then run across
// rows and images, so that small images fill it too, and the filters are a whole side of the tile.
// - A thread computes 8 pixels x 8 filters in registers (Share): 16 values read from shared memory serve 64
//   multiply-adds (tiled: 9 serve 8), and the multiply-adds become the limit instead of shared memory.
// - Arrays are channels-last: neighbouring products of a window lie side by side, so that four of them come in one load
//   of 16 bytes where alignment allows (otherwise one by one).
// - Shared memory is double-buffered: the next 8 products are fetched into registers before those at hand are
//   multiplied, which hides the way to global memory, and one barrier a step is enough.
// Every output is summed in one order whatever its tile, so that an image gives the same bits in any batch.
// Source of the method: Chetlur et al., "cuDNN: Efficient Primitives for Deep Learning" (2014).

const int DEPTH = 8;  // products a step
const int MARGIN = 4;  // columns that keep a warp's stores of one column of a tile on 32 banks

// Where in the filter a product lies: channel c of tap (r, s). Products are numbered as they lie in memory, (r, s, c).
struct Tap {
    int c, s, r;
    __device__ __forceinline__ void advance(int by, int channels, int kernel_w) {
        for (c += by; c >= channels; c -= channels)
            if (++s == kernel_w) s = 0, ++r;
    }
};

// A row of the windows: the image (of its group's channels) and its first tap's pixel; null behind the last output.
struct Window {
    const real* image;
    int top, left;
};

// Four products of a window, from `tap` on. Behind the last one they are 0 and not what lies there: that might be a NaN,
// which a filter's 0 would not cancel.
__device__ __forceinline__ void gather4(real to[4], const Window& window, Tap tap, const Conv& g, int channels,
                                        bool vectors) {
#pragma unroll
    for (int i = 0; i < 4; ++i) to[i] = 0;
    if (!window.image) return;
    if (vectors) {
        int h = seen(window.top + tap.r * g.dilation_h, g.H, g.replicate);
        int v = seen(window.left + tap.s * g.dilation_w, g.W, g.replicate);
        if (tap.r < g.R && h >= 0 && v >= 0)
            load4(to, window.image + ((long long)h * g.W + v) * g.C + tap.c);
        return;
    }
#pragma unroll
    for (int i = 0; i < 4; ++i, tap.advance(1, channels, g.S)) {
        int h = seen(window.top + tap.r * g.dilation_h, g.H, g.replicate);
        int v = seen(window.left + tap.s * g.dilation_w, g.W, g.replicate);
        if (tap.r < g.R && h >= 0 && v >= 0)
            to[i] = window.image[((long long)h * g.W + v) * g.C + tap.c];
    }
}

// Four products of a filter, from k on; zeros where it is null or ends. (load_up_to_4 would take ten registers more.)
__device__ __forceinline__ void filter4(real to[4], const real* filter, int k, int depth, bool vectors) {
#pragma unroll
    for (int i = 0; i < 4; ++i) to[i] = 0;
    if (!filter) return;
    if (vectors && k < depth) return load4(to, filter + k);
#pragma unroll
    for (int i = 0; i < 4; ++i)
        if (k + i < depth) to[i] = filter[k + i];
}

// Stores the sums of filters o ... o + 3, of which `left` exist, side by side.
__device__ __forceinline__ void store_finished(real* out, real sums[4], const real* b, int o, int left, bool vectors,
                                               int relu) {
#pragma unroll
    for (int j = 0; j < 4; ++j)
        if (j < left) sums[j] = finished(sums[j], b, o + j, relu);
    store_up_to_4(out, sums, left, vectors);
}

// x (N, H, W, C), w (O, R, S, C / groups), y (N, P, Q, O), all in C order. A block of PIXELS FILTERS / 64 threads
// computes a tile; grid: tiles of filters, groups, tiles of pixels, the first fastest.
template <int PIXELS, int FILTERS>
__device__ __forceinline__ void implicit_gemm(const real* __restrict__ x, const real* __restrict__ w,
                                              const real* __restrict__ b, real* __restrict__ y, const Conv& g,
                                              int relu) {
    const int THREADS = PIXELS * FILTERS / 64;
    const int PIXEL_LOADS = PIXELS * DEPTH / 4 / THREADS, FILTER_LOADS = FILTERS * DEPTH / 4 / THREADS;
    SHARED(real, windows, [2][DEPTH][PIXELS + MARGIN]);
    SHARED(real, weights, [2][DEPTH][FILTERS + MARGIN]);
    int channels = g.C / g.groups, filters = g.O / g.groups;
    int depth = channels * g.R * g.S, sets = (filters + FILTERS - 1) / FILTERS;
    long long pixels = (long long)g.N * g.P * g.Q;
    int set = blockIdx.x % sets * FILTERS, group = blockIdx.x / sets % g.groups;
    long long first = (long long)(blockIdx.x / sets / g.groups) * PIXELS;
    bool vectors = channels % 4 == 0 && aligned16(x) && aligned16(w);

    // What this thread fetches: products k ... k + 3 of rows row, row + THREADS / 2, ... of either factor.
    int row = threadIdx.x / 2, k = threadIdx.x % 2 * 4;
    Tap tap = {0, 0, 0};
    tap.advance(k, channels, g.S);
    Window window[PIXEL_LOADS];
    const real* filter[FILTER_LOADS];
#pragma unroll
    for (int i = 0; i < PIXEL_LOADS; ++i) {
        long long pixel = first + row + i * (THREADS / 2);
        int q = pixel % g.Q, p = pixel / g.Q % g.P;
        long long n = pixel / ((long long)g.Q * g.P);
        window[i].image = pixel < pixels ? x + n * g.H * g.W * g.C + group * channels : nullptr;
        window[i].top = p * g.stride_h - g.top;
        window[i].left = q * g.stride_w - g.left;
    }
#pragma unroll
    for (int i = 0; i < FILTER_LOADS; ++i) {
        int o = set + row + i * (THREADS / 2);
        filter[i] = o < filters ? w + (long long)(group * filters + o) * depth : nullptr;
    }
    real next_windows[PIXEL_LOADS][4], next_weights[FILTER_LOADS][4];
    auto fetch = [&]() {
#pragma unroll
        for (int i = 0; i < PIXEL_LOADS; ++i) gather4(next_windows[i], window[i], tap, g, channels, vectors);
#pragma unroll
        for (int i = 0; i < FILTER_LOADS; ++i) filter4(next_weights[i], filter[i], k, depth, vectors);
        tap.advance(DEPTH, channels, g.S);
        k += DEPTH;
    };
    int four = threadIdx.x % 2 * 4;
    auto store = [&](int buffer) {  // transposed, so that the product reads neighbouring rows in one load
#pragma unroll
        for (int e = 0; e < 4; ++e) {
#pragma unroll
            for (int i = 0; i < PIXEL_LOADS; ++i)
                windows[buffer][four + e][row + i * (THREADS / 2)] = next_windows[i][e];
#pragma unroll
            for (int i = 0; i < FILTER_LOADS; ++i)
                weights[buffer][four + e][row + i * (THREADS / 2)] = next_weights[i][e];
        }
    };

    Share<PIXELS, FILTERS> share;
    real sums[8][8] = {};
    int steps = (depth + DEPTH - 1) / DEPTH;
    fetch();
    store(0);
    __syncthreads();
    for (int step = 0; step < steps; ++step) {
        int buffer = step % 2;
        if (step + 1 < steps) fetch();
#pragma unroll
        for (int e = 0; e < DEPTH; ++e) {
            real left[8], right[8];
            load_8(left, &windows[buffer][e][share.row], PIXELS / 2);
            load_8(right, &weights[buffer][e][share.column], FILTERS / 2);
            add_products(sums, left, right);
        }
        if (step + 1 < steps) {
            store(1 - buffer);  // read by nobody since the barrier of the step before
            __syncthreads();
        }
    }

    bool whole = filters % 4 == 0 && aligned16(y);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        long long pixel = first + share.row_of(i);
        if (pixel >= pixels) continue;
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            int o = set + share.column + half * (FILTERS / 2);
            real* out = y + pixel * g.O + group * filters + o;
            store_finished(out, &sums[i][half * 4], b, group * filters + o, filters - o, whole, relu);
        }
    }
}

// For large products: every value fetched serves 128 multiply-adds. Two blocks a multiprocessor hide each other's
// barriers; of float64 only one finds room, whose sums take twice the registers, and on an A100, for which the compiler
// needs a few more.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
const int LARGE_BLOCKS = 1;
#else
const int LARGE_BLOCKS = sizeof(real) == 4 ? 2 : 1;
#endif
extern "C" __global__ void __launch_bounds__(256, LARGE_BLOCKS)
    conv2d_implicit_gemm_128x128(const real* __restrict__ x, const real* __restrict__ w, const real* __restrict__ b,
                                 real* __restrict__ y, Conv g, int relu) {
    implicit_gemm<128, 128>(x, w, b, y, g, relu);
}

// For small ones, and for up to 64 filters: four times as many blocks, so that all multiprocessors have work.
extern "C" __global__ void __launch_bounds__(64)
    conv2d_implicit_gemm_64x64(const real* __restrict__ x, const real* __restrict__ w, const real* __restrict__ b,
                               real* __restrict__ y, Conv g, int relu) {
    implicit_gemm<64, 64>(x, w, b, y, g, relu);
}

// 4. few_channels -----------------------------------------------------------------------------------------------------
// Against implicit_gemm, for the first layer: with 3 channels no load can take 16 bytes, R S C = 27 fills three and a
// half steps, and a pixel is gathered once for every window that holds it (AlexNet's 11 x 11 with stride 4: 7.6 times).
// So back to tiled's patch and filters in shared memory, with what implicit_gemm taught: a thread computes 8 rows x 8
// filters of one column in registers. All warps of a block share the patch and each has 8 filters of its own, which its
// threads read as one broadcast. The columns of the patch are stored by their residue modulo the stride, so that the
// outputs of neighbouring threads, `stride` pixels apart, read neighbouring words and not the same few banks.

const int FEW_P = 8, FEW_FILTERS = 8;  // outputs a thread; a warp is 32 outputs wide

// x, w: any strides, one group. y (N, P, Q, O) in C order. blockDim.x: 32 threads for every 8 filters of a block.
// `step`: how many channels are copied at a time. Grid: tiles of filters, columns, rows, images, the first fastest.
extern "C" __global__ void __launch_bounds__(256)
    conv2d_few_channels(const real* __restrict__ x, const real* __restrict__ w, const real* __restrict__ b,
                        real* __restrict__ y, Conv g, Strides4 xs, Strides4 ws, int step, int relu) {
    DYNAMIC_SHARED(real, shared);
    int held = blockDim.x / 32 * FEW_FILTERS, sets = (g.O + held - 1) / held;
    int across = (g.Q + 31) / 32, down = (g.P + FEW_P - 1) / FEW_P;
    unsigned block = blockIdx.x;
    int first = block % sets * held;
    block /= sets;
    int q0 = block % across * 32;
    block /= across;
    int p0 = block % down * FEW_P, n = block / down;
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;

    int taps = g.R * g.S;
    int rows = (FEW_P - 1) * g.stride_h + (g.R - 1) * g.dilation_h + 1;
    int columns = 31 * g.stride_w + (g.S - 1) * g.dilation_w + 1;
    int pitch = (columns + g.stride_w - 1) / g.stride_w, line = pitch * g.stride_w;  // a residue; a row of all
    int top = p0 * g.stride_h - g.top, left = q0 * g.stride_w - g.left;
    real* weights = shared;
    real* patch = shared + step * taps * held;

    real sums[FEW_P][FEW_FILTERS] = {};
    for (int c0 = 0; c0 < g.C; c0 += step) {
        int count = min(step, g.C - c0);
        if (c0) __syncthreads();  // nobody reads the channels before any more
        for (int row = warp; row < count * rows; row += blockDim.x / 32) {
            int h = seen(top + row % rows, g.H, g.replicate);
            const real* from = x + n * xs.n + (c0 + row / rows) * xs.c + h * xs.h;
            for (int j = lane; j < columns; j += 32) {
                int v = seen(left + j, g.W, g.replicate);
                patch[row * line + j % g.stride_w * pitch + j / g.stride_w] =
                    h >= 0 && v >= 0 ? from[v * xs.w] : real(0);
            }
        }
        copy_filters(weights, w + c0 * ws.c, ws, g, count, first, g.O, held);
        __syncthreads();
        const real* tap = weights + warp * FEW_FILTERS;
        for (int c = 0; c < count; ++c)
            for (int r = 0; r < g.R; ++r) {
                const real* above = patch + (c * rows + r * g.dilation_h) * line + lane;
                int residue = 0, column = 0;  // of tap s: s * dilation_w = column * stride_w + residue
                for (int s = 0; s < g.S; ++s, tap += held) {
                    const real* pixel = above + residue * pitch + column;
                    real weight[FEW_FILTERS];
                    load4(weight, tap);
                    load4(weight + 4, tap + 4);
#pragma unroll
                    for (int i = 0; i < FEW_P; ++i) {
                        real value = pixel[i * g.stride_h * line];
#pragma unroll
                        for (int f = 0; f < FEW_FILTERS; ++f) sums[i][f] += value * weight[f];
                    }
                    for (residue += g.dilation_w; residue >= g.stride_w; residue -= g.stride_w) ++column;
                }
            }
    }
    int q = q0 + lane, o = first + warp * FEW_FILTERS;
    if (q >= g.Q) return;
    bool whole = g.O % 4 == 0 && aligned16(y);
#pragma unroll
    for (int i = 0; i < FEW_P; ++i) {
        if (p0 + i >= g.P) break;
        real* out = y + (((long long)n * g.P + p0 + i) * g.Q + q) * g.O + o;
        store_finished(out, sums[i], b, o, g.O - o, whole, relu);
        store_finished(out + 4, sums[i] + 4, b, o + 4, g.O - o - 4, whole, relu);
    }
}
