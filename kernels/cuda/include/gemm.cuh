// Matrix products on tensor cores: the loop that every dense layer and every convolution here runs through.
//
// A block computes a tile of TILE_M x TILE_N sums, its warps a part each. The operands pass through a ring of STAGES
// stages in shared memory, 16 steps of the depth each: while the warps multiply one stage, asynchronous copies fill the
// others, so the tensor cores do not wait for memory. One barrier a stage does for both directions: it shows the
// copies that have landed to all, and tells that all are done with the stage that is filled next.
#pragma once
#include "tiles.cuh"
#include "precision.cuh"

#ifndef TILE_M
#define TILE_M 128
#define TILE_N 64
#define WARPS_M 2
#define WARPS_N 2
#endif
#ifndef STAGES
#define STAGES 4
#endif
#ifndef PRECISION
#define PRECISION TF32x3
#endif

// Kernels ask for three blocks a multiprocessor (__launch_bounds__), or two where their addresses take more registers
// than the 168 a thread that leaves: what spills to local memory costs more than a third block brings.
constexpr int DEPTH = 16, THREADS = 32 * WARPS_M * WARPS_N;

// LeftTile, RightTile: AlongDepth or AcrossDepth, of TILE_M and TILE_N rows.
template <class Precision, class LeftTile, class RightTile>
struct Product {
    static constexpr int M_TILES = TILE_M / WARPS_M / 16, N_TILES = TILE_N / WARPS_N / 16;  // of 16 x 16, a warp
    static constexpr int STAGE = LeftTile::SIZE + RightTile::SIZE;

    float sums[M_TILES][2 * N_TILES][4];
    int row, column;  // where the warp's sums begin, within the block's

    __device__ __forceinline__ Product() {
        int warp = threadIdx.x / 32;
        row = warp / WARPS_N * M_TILES * 16;
        column = warp % WARPS_N * N_TILES * 16;
#pragma unroll
        for (int m = 0; m < M_TILES; m++)
#pragma unroll
            for (int n = 0; n < 2 * N_TILES; n++)
#pragma unroll
                for (int i = 0; i < 4; i++) sums[m][n][i] = 0;
    }

    template <class Tile, class Source>
    static __device__ __forceinline__ void copy(float* tile, const Source& source, int first_row, int first_k) {
        if (source.vector) Tile::template copy<THREADS, 4>(tile, source, first_row, first_k);
        else Tile::template copy<THREADS, 1>(tile, source, first_row, first_k);
    }

    // Sums the products of depths first_k to last_k, of rows from first_m and columns from first_n on. `stages` has room
    // for STAGES * STAGE floats.
    template <class Left, class Right>
    __device__ __forceinline__ void run(const Left& left, const Right& right, int first_m, int first_n, int first_k,
                                        int last_k, float* stages) {
        int count = last_k > first_k ? (last_k - first_k + DEPTH - 1) / DEPTH : 0;
        for (int i = 0; i < STAGES - 1; i++) {
            if (i < count) fill(left, right, first_m, first_n, first_k + i * DEPTH, stages + i * STAGE);
            commit_async();
        }
        int now = 0, next = STAGES - 1;
        for (int i = 0; i < count; i++) {
            wait_async<STAGES - 2>();
            __syncthreads();
            int ahead = i + STAGES - 1;
            if (ahead < count) fill(left, right, first_m, first_n, first_k + ahead * DEPTH, stages + next * STAGE);
            commit_async();  // an empty group too, so that wait_async counts stages
            multiply(stages + now * STAGE);
            now = now + 1 == STAGES ? 0 : now + 1;
            next = next + 1 == STAGES ? 0 : next + 1;
        }
    }

    template <class Left, class Right>
    __device__ __forceinline__ void fill(const Left& left, const Right& right, int first_m, int first_n, int first_k,
                                         float* stage) {
        copy<LeftTile>(stage, left, first_m, first_k);
        copy<RightTile>(stage + LeftTile::SIZE, right, first_n, first_k);
    }

    __device__ __forceinline__ void multiply(const float* stage) {
        constexpr int STEPS = Precision::STEPS;
#pragma unroll
        for (int k = 0; k < DEPTH; k += 8 * STEPS) {
            unsigned b[STEPS][N_TILES][4];
#pragma unroll
            for (int s = 0; s < STEPS; s++)
#pragma unroll
                for (int n = 0; n < N_TILES; n++)
                    RightTile::fragment(b[s][n], stage + LeftTile::SIZE, column + n * 16, k + s * 8);
            typename Precision::template Right<N_TILES> right;
            right.prepare(b);
#pragma unroll
            for (int m = 0; m < M_TILES; m++) {
                unsigned a[STEPS][4];
#pragma unroll
                for (int s = 0; s < STEPS; s++) LeftTile::fragment(a[s], stage, row + m * 16, k + s * 8);
                Precision::template multiply_add<N_TILES>(sums[m], a, right);
            }
        }
    }

    // Hands the sums to `output`, two neighbours of a row at a time; see Rows.
    template <class Output>
    __device__ __forceinline__ void store(const Output& output, int first_m, int first_n) {
        int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
        for (int n = 0; n < 2 * N_TILES; n++) {
            auto columns = output.columns_from(first_n + column + n * 8 + t * 2);
#pragma unroll
            for (int m = 0; m < M_TILES; m++)
#pragma unroll
                for (int half = 0; half < 2; half++)
                    output.store(first_m + row + m * 16 + half * 8 + g, columns, sums[m][n][half * 2],
                                 sums[m][n][half * 2 + 1]);
        }
    }
};

// Where sums go: rows of a matrix in memory, `pitch` apart. A bias may be added to each column, and negative results set
// to 0.
struct Rows {
    float* to;
    int rows, columns;
    long long pitch;
    const float* bias;  // null: none
    bool relu, pairs;   // pairs: two neighbours are stored at once

    __device__ __forceinline__ Rows(float* to, int rows, int columns, long long pitch, const float* bias = nullptr,
                                    bool relu = false)
        : to(to), rows(rows), columns(columns), pitch(pitch), bias(bias), relu(relu) {
        pairs = (columns | pitch) % 2 == 0 && reinterpret_cast<unsigned long long>(to) % 8 == 0;
    }

    // Where one of several parts of the sums goes, `size` numbers each, to be finished when they are added up.
    __device__ __forceinline__ Rows part(int which, int parts, long long size) const {
        return parts == 1 ? *this : Rows(to + which * size, rows, columns, pitch);
    }

    // A column, even, and the next, which may lie behind the end.
    struct Two { int n; float bias, next_bias; };

    __device__ __forceinline__ Two columns_from(int n) const {
        return {n, bias && n < columns ? bias[n] : 0, bias && n + 1 < columns ? bias[n + 1] : 0};
    }
    __device__ __forceinline__ float finish(float sum, float bias) const {
        sum += bias;
        return relu && sum < 0 ? 0.0f : sum;  // NaN stays
    }
    __device__ __forceinline__ void store(int m, Two two, float sum, float next) const {
        if (m >= rows || two.n >= columns) return;
        float* at = to + m * pitch + two.n;
        sum = finish(sum, two.bias);
        next = finish(next, two.next_bias);
        if (pairs) {
            *reinterpret_cast<float2*>(at) = make_float2(sum, next);
        } else {
            at[0] = sum;
            if (two.n + 1 < columns) at[1] = next;
        }
    }
};

// The depths that one of several blocks sums where they share a long product (split-K): whole stages, as even as can be.
struct Part {
    int first, last;

    __device__ __forceinline__ Part(int part, int parts, int depth) {
        int stages = (depth + DEPTH - 1) / DEPTH, each = (stages + parts - 1) / parts;
        first = min(part * each * DEPTH, depth);
        last = min(first + each * DEPTH, depth);
    }
};

// y[i] = the sum of `parts` parts in their order, whatever the order in which blocks computed them; a thread per element.
__device__ __forceinline__ float sum_of_parts(const float* __restrict__ from, int parts, long long step, long long i) {
    float sum = 0;
    for (int part = 0; part < parts; part++) sum += from[part * step + i];
    return sum;
}
