// conv2d's gradient for its weights on CUDA cores: a ladder of three kernels, in float32 or float64 (`real`).
//
//     gw[o, c, r, s] = sum over n, p, q of grad[n, o, p, q] * x[n, c, p * stride_h - pad_top + r * dilation_h, ...]
//
// These sums are few and long: a 3 x 3 layer of 64 channels has 36864, each over all pixels of the batch. So the pixels
// are cut into slices that are summed by blocks of their own into a workspace, and a second kernel adds up the slices'
// sums. Both orders are fixed and no atomics are needed: results repeat bit for bit. Every kernel takes every geometry.
// grad is (N, O, P, Q), x (N, C, H, W), gw (O, C / groups, R, S).
#include "minitl.cuh"
#include "conv.cuh"

// 1. naive ------------------------------------------------------------------------------------------------------------
// The definition: one thread a weight. Arrays may have any strides.

extern "C" __global__ void conv2d_grad_weight_naive(const real* __restrict__ grad, const real* __restrict__ x,
                                                    real* __restrict__ gw, Conv g, Strides4 gs, Strides4 xs,
                                                    Strides4 ws) {
    int channels = g.C / g.groups;
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= (long long)g.O * channels * g.R * g.S) return;
    int s = i % g.S, r = i / g.S % g.R;
    i /= (long long)g.S * g.R;
    int c = i % channels, o = i / channels, first = o / (g.O / g.groups) * channels;
    real sum = 0;
    for (int n = 0; n < g.N; ++n)
        for (int p = 0; p < g.P; ++p) {
            int h = seen(p * g.stride_h - g.top + r * g.dilation_h, g.H, g.replicate);
            for (int q = 0; q < g.Q && h >= 0; ++q) {
                int v = seen(q * g.stride_w - g.left + s * g.dilation_w, g.W, g.replicate);
                if (v >= 0) sum += grad[at(gs, n, o, p, q)] * x[at(xs, n, first + c, h, v)];
            }
        }
    gw[at(ws, o, c, r, s)] = sum;
}

// Slices --------------------------------------------------------------------------------------------------------------

// An output pixel, counted through rows and images.
struct Place {
    int n, p, q;
    __device__ __forceinline__ void advance(int by, const Conv& g) {
        for (q += by; q >= g.Q; q -= g.Q)
            if (++p == g.P) p = 0, ++n;
    }
};

__device__ __forceinline__ Place place(long long pixel, const Conv& g) {
    long long line = pixel / g.Q;
    return {(int)(line / g.P), (int)(line % g.P), (int)(pixel % g.Q)};
}

// sums (slices, count) added up over slices into gw (count). Eight threads share a weight, each taking every eighth
// slice: short sums, whose loads need not wait for each other. blockDim: (32, 8).
extern "C" __global__ void conv2d_grad_weight_sum(const real* __restrict__ sums, real* __restrict__ gw, long long count,
                                                  int slices) {
    SHARED(real, parts, [8][32]);
    long long i = (long long)blockIdx.x * 32 + threadIdx.x;
    real sum = 0;
    for (int slice = threadIdx.y; slice < slices && i < count; slice += 8) sum += sums[slice * count + i];
    parts[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y || i >= count) return;
    for (int part = 1; part < 8; ++part) sum += parts[part][threadIdx.x];
    gw[i] = sum;
}

// 2. tiled ------------------------------------------------------------------------------------------------------------
// Against naive: a matrix product, gw (O, C R S) = grad (O, pixels) times windows of x (pixels, C R S), in tiles of 16 x
// 16 weights. A block copies 32 pixels of 16 filters and of 16 columns of the windows into shared memory, where each
// value serves 16 weights instead of being read from global memory for every one. Neighbouring threads copy
// neighbouring pixels, which lie side by side in NCHW arrays. And slices: naive leaves most of a GPU idle, having a
// thread for every weight and no more. Any strides still.

const int TILED = 16, TILED_STEP = 32;

// gw: (O, C / groups, R, S) in C order; or, with more than one slice, their sums, one such array each. `part`: pixels a
// slice. Grid: x tiles of columns, of filters, groups, the first fastest; y slices.
extern "C" __global__ void __launch_bounds__(256)
    conv2d_grad_weight_tiled(const real* __restrict__ grad, const real* __restrict__ x, real* __restrict__ gw, Conv g,
                             Strides4 gs, Strides4 xs, long long part) {
    SHARED(real, grads, [TILED][TILED_STEP + 1]);  // one column more spreads a column over all banks
    SHARED(real, windows, [TILED][TILED_STEP + 1]);
    int channels = g.C / g.groups, filters = g.O / g.groups, depth = channels * g.R * g.S;
    int across = (depth + TILED - 1) / TILED, down = (filters + TILED - 1) / TILED;
    int first_column = blockIdx.x % across * TILED, first_filter = blockIdx.x / across % down * TILED;
    int group = blockIdx.x / across / down;
    long long begin = blockIdx.y * part, end = min(begin + part, (long long)g.N * g.P * g.Q);
    int lane = threadIdx.x % 32, row = threadIdx.x / 32;
    int mine = threadIdx.x / TILED, column = threadIdx.x % TILED;  // the weight that this thread sums

    Place here = place(begin + lane, g);
    real sum = 0;
    for (long long pixel = begin; pixel < end; pixel += TILED_STEP) {
        if (pixel > begin) __syncthreads();  // nobody reads the pixels before any more
        bool there = pixel + lane < end;
        for (int i = row; i < TILED; i += 8) {
            int o = first_filter + i, k = first_column + i;
            bool wanted = there && o < filters;
            grads[i][lane] = wanted ? grad[at(gs, here.n, group * filters + o, here.p, here.q)] : real(0);
            int s = k % g.S, r = k / g.S % g.R, c = k / g.S / g.R;
            int h = seen(here.p * g.stride_h - g.top + r * g.dilation_h, g.H, g.replicate);
            int v = seen(here.q * g.stride_w - g.left + s * g.dilation_w, g.W, g.replicate);
            bool inside = there && k < depth && h >= 0 && v >= 0;
            windows[i][lane] = inside ? x[at(xs, here.n, group * channels + c, h, v)] : real(0);
        }
        __syncthreads();
#pragma unroll
        for (int i = 0; i < TILED_STEP; ++i) sum += grads[mine][i] * windows[column][i];
        here.advance(TILED_STEP, g);
    }
    int o = first_filter + mine, k = first_column + column;
    if (o < filters && k < depth) gw[((long long)blockIdx.y * g.O + group * filters + o) * depth + k] = sum;
}

// 3. implicit_gemm ----------------------------------------------------------------------------------------------------
// Against tiled: the same product with arrays that are channels-last.
// - A thread sums 8 x 8 weights in registers (Share): 16 values read from shared memory serve 64 multiply-adds (tiled: 2
//   serve 1), and the multiply-adds become the limit instead of shared memory.
// - The filters of a pixel of grad lie side by side, and so do the channels under a tap: both factors come in loads of 16
//   bytes where alignment allows (otherwise one by one), and go to shared memory as they are.
// - Shared memory is double-buffered: the next 8 pixels are fetched into registers before those at hand are multiplied,
//   which hides the way to global memory, and one barrier a step is enough.
// Source of the method: Chetlur et al., "cuDNN: Efficient Primitives for Deep Learning" (2014).

const int STEP = 8;  // pixels

// A column of the windows: where its tap lies from an output's corner, and its channel; -1 behind the last column.
struct Column {
    int down, across, c;
};

// Four columns of the windows at one output; zeros where there is padding.
__device__ __forceinline__ void gather4(real to[4], const real* __restrict__ x, const Place& at, const Column* columns,
                                        const Conv& g, bool vectors) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        to[i] = 0;
        if (i && vectors) continue;
        Column column = columns[i];
        int h = seen(at.p * g.stride_h + column.down, g.H, g.replicate);
        int v = seen(at.q * g.stride_w + column.across, g.W, g.replicate);
        if (h < 0 || v < 0 || column.c < 0) continue;
        const real* from = x + (((long long)at.n * g.H + h) * g.W + v) * g.C + column.c;
        if (vectors) return load4(to, from);
        to[i] = *from;
    }
}

// grad (N, P, Q, O), x (N, H, W, C), gw (O, R, S, C / groups), all in C order; with more than one slice, gw is their sums.
// A block of SIDE SIDE / 64 threads sums SIDE filters x SIDE columns of a slice; grid as of tiled.
template <int SIDE>
__device__ __forceinline__ void implicit_gemm(const real* __restrict__ grad, const real* __restrict__ x,
                                              real* __restrict__ gw, const Conv& g, long long part) {
    const int THREADS = SIDE * SIDE / 64, LOADS = SIDE * STEP / 4 / THREADS;
    SHARED(real, grads, [2][STEP][SIDE]);
    SHARED(real, windows, [2][STEP][SIDE]);
    SHARED(Column, columns, [SIDE]);
    int channels = g.C / g.groups, filters = g.O / g.groups, depth = channels * g.R * g.S;
    int across = (depth + SIDE - 1) / SIDE, down = (filters + SIDE - 1) / SIDE;
    int first_column = blockIdx.x % across * SIDE, first_filter = blockIdx.x / across % down * SIDE;
    int group = blockIdx.x / across / down;
    long long begin = blockIdx.y * part, end = min(begin + part, (long long)g.N * g.P * g.Q);
    for (int i = threadIdx.x; i < SIDE; i += THREADS) {
        int k = first_column + i, c = k % channels, tap = k / channels;
        columns[i] = {tap / g.S * g.dilation_h - g.top, tap % g.S * g.dilation_w - g.left,
                      k < depth ? group * channels + c : -1};
    }
    __syncthreads();
    bool grad_vectors = filters % 4 == 0 && aligned16(grad);
    bool x_vectors = channels % 4 == 0 && aligned16(x) && aligned16(gw);

    // What this thread fetches: of one pixel of a step (of two, 4 apart, where it loads twice) four filters, four columns.
    int line = threadIdx.x / (SIDE / 4), four = threadIdx.x % (SIDE / 4) * 4;
    int o = first_filter + four;
    const real *outputs = grad + (begin + line) * g.O, *behind = grad + end * g.O;
    Place at[LOADS];
#pragma unroll
    for (int l = 0; l < LOADS; ++l) at[l] = place(begin + line + l * 4, g);
    real next_grads[LOADS][4], next_windows[LOADS][4];
    auto fetch = [&]() {
#pragma unroll
        for (int l = 0; l < LOADS; ++l) {
            const real* filter = outputs + l * 4 * g.O;
            bool there = filter < behind;
            load_up_to_4(next_grads[l], filter + group * filters + o, there ? filters - o : 0, grad_vectors);
#pragma unroll
            for (int e = 0; e < 4; ++e) next_windows[l][e] = 0;
            if (there) gather4(next_windows[l], x, at[l], columns + four, g, x_vectors);
            at[l].advance(STEP, g);
        }
        outputs += STEP * g.O;
    };
    auto store = [&](int buffer) {
#pragma unroll
        for (int l = 0; l < LOADS; ++l) {
            store4(&grads[buffer][line + l * 4][four], next_grads[l]);
            store4(&windows[buffer][line + l * 4][four], next_windows[l]);
        }
    };

    Share<SIDE, SIDE> share;
    real sums[8][8] = {};
    int steps = (end - begin + STEP - 1) / STEP;  // none where the batch is empty
    for (int step = -1; step < steps; ++step) {
        bool more = step + 1 < steps;
        if (more) fetch();
        if (step >= 0) {
            int buffer = step % 2;
#pragma unroll
            for (int e = 0; e < STEP; ++e) {
                real left[8], right[8];
                load_8(left, &grads[buffer][e][share.row], SIDE / 2);
                load_8(right, &windows[buffer][e][share.column], SIDE / 2);
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
        int o = first_filter + share.row_of(i), column = first_column + share.column;
        if (o >= filters) continue;
        real* out = gw + ((long long)blockIdx.y * g.O + group * filters + o) * depth + column;
        store_up_to_4(out, sums[i], depth - column, x_vectors);
        store_up_to_4(out + SIDE / 2, sums[i] + 4, depth - column - SIDE / 2, x_vectors);
    }
}

// For large products: every value fetched serves 128 multiply-adds. Two blocks a multiprocessor hide each other's
// barriers; of float64 only one finds room, whose sums take twice the registers.
const int LARGE_BLOCKS = sizeof(real) == 4 ? 2 : 1;
extern "C" __global__ void __launch_bounds__(256, LARGE_BLOCKS)
    conv2d_grad_weight_implicit_gemm_128x128(const real* __restrict__ grad, const real* __restrict__ x,
                                             real* __restrict__ gw, Conv g, long long part) {
    implicit_gemm<128>(grad, x, gw, g, part);
}

// For small ones, and for up to 64 filters: four times as many blocks, so that all multiprocessors have work.
extern "C" __global__ void __launch_bounds__(64)
    conv2d_grad_weight_implicit_gemm_64x64(const real* __restrict__ grad, const real* __restrict__ x,
                                           real* __restrict__ gw, Conv g, long long part) {
    implicit_gemm<64>(grad, x, gw, g, part);
}
