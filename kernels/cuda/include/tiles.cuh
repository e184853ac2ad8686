// Tiles of a matrix product's operands in shared memory: how they lie there, how they are filled, and how a warp takes
// the fragments out that tensor cores want.
//
// Both operands are seen as rows by depth: sums[m][n] = sum over k of left[m][k] * right[n][k]. Shared memory has 32 banks
// of 4 bytes; chunks of 16 bytes are swapped round (swizzled) such that neither copies nor fragments meet in one bank.
//
// A source says where numbers come from: `row(i)` and `depth(k)` work out once what belongs to a row or a step of the
// depth, `at(row, depth)` is the address of an element, or null where there is nothing but zeros; `vector` tells that four
// neighbours always lie together, at a multiple of 16 bytes, and are never null one by one; `base` is any address.
#pragma once

template <int WIDTH>
__device__ __forceinline__ void copy_or_clear(float* to, const float* from, const float* base) {
    bool there = from != nullptr;
    if (WIDTH == 4) copy_async_16(to, there ? from : base, there ? 16 : 0);
    else copy_async_4(to, there ? from : base, there ? 4 : 0);
}

// Neighbours in the source lie along the depth, so they do here: a row's DEPTH numbers are together.
template <int ROWS_, int DEPTH_>
struct AlongDepth {
    static constexpr int ROWS = ROWS_, DEPTH = DEPTH_, SIZE = ROWS * DEPTH;
    static constexpr int CHUNKS = DEPTH / 4, ROWS_A_LINE = 8 / CHUNKS;  // a line: all 32 banks
    static_assert(DEPTH == 16 || DEPTH == 32, "a row fills half a line or a whole one");

    // Eight rows below one another, read at one chunk, take all eight places of a line.
    static __device__ __forceinline__ int offset(int row, int k) {
        return row * DEPTH + ((k / 4 ^ row / ROWS_A_LINE % CHUNKS) * 4 | k % 4);
    }

    template <int THREADS, int WIDTH, class Source>
    static __device__ __forceinline__ void copy(float* tile, const Source& source, int first_row, int first_k) {
        constexpr int COLUMNS = DEPTH / WIDTH, STEP = THREADS / COLUMNS;
        int k = threadIdx.x % COLUMNS * WIDTH;
        auto depth = source.depth(first_k + k);
        // A count that is no thread's own, so that the compiler can unroll the loop whole.
        static_assert(ROWS % STEP == 0, "all threads copy equally many rows");
#pragma unroll(WIDTH)
        for (int i = 0; i < ROWS / STEP; i++) {
            int row = threadIdx.x / COLUMNS + i * STEP;
            copy_or_clear<WIDTH>(tile + offset(row, k), source.at(source.row(first_row + row), depth), source.base);
        }
    }

    // 16 rows by 8: lane / 4 and lane % 4 are (g, t); r = (g, t), (g + 8, t), (g, t + 4), (g + 8, t + 4).
    static __device__ __forceinline__ void fragment(unsigned (&r)[4], const float* tile, int row, int k) {
        int lane = threadIdx.x % 32;
        ldmatrix_x4(r, tile + offset(row + lane % 16, k + lane / 16 * 4));
    }
};

// Neighbours in the source lie across the depth: the ROWS numbers of one step of the depth are together.
template <int ROWS_, int DEPTH_>
struct AcrossDepth {
    static constexpr int ROWS = ROWS_, DEPTH = DEPTH_, SIZE = ROWS * DEPTH;
    static_assert(ROWS % 32 == 0, "a step of the depth fills whole lines");

    // Four steps of the depth, read at eight rows each, take all 32 banks.
    static __device__ __forceinline__ int offset(int row, int k) {
        return k * ROWS + ((row / 4 ^ k % 4 * 2) * 4 | row % 4);
    }

    template <int THREADS, int WIDTH, class Source>
    static __device__ __forceinline__ void copy(float* tile, const Source& source, int first_row, int first_k) {
        constexpr int COLUMNS = ROWS / WIDTH, STEP = THREADS / COLUMNS;
        static_assert(THREADS % COLUMNS == 0, "a thread keeps to its rows");
        static_assert(DEPTH % STEP == 0, "all threads copy equally many steps");
        int row = threadIdx.x % COLUMNS * WIDTH;
        auto place = source.row(first_row + row);
#pragma unroll(WIDTH)
        for (int i = 0; i < DEPTH / STEP; i++) {
            int k = threadIdx.x / COLUMNS + i * STEP;
            copy_or_clear<WIDTH>(tile + offset(row, k), source.at(place, source.depth(first_k + k)), source.base);
        }
    }

    // As above. ldmatrix cannot turn numbers of 32 bits round, so each is loaded by itself.
    static __device__ __forceinline__ void fragment(unsigned (&r)[4], const float* tile, int row, int k) {
        int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
        for (int i = 0; i < 4; i++) r[i] = __float_as_uint(tile[offset(row + g + i % 2 * 8, k + t + i / 2 * 4)]);
    }
};

// A matrix in memory; element (row, k) lies at base[row * row_step + k * depth_step].
struct Matrix {
    const float* base;
    int rows, depths;
    long long row_step, depth_step;
    bool vector;

    __device__ __forceinline__ long long row(int i) const { return i < rows ? i * row_step : -1; }
    __device__ __forceinline__ long long depth(int k) const { return k < depths ? k * depth_step : -1; }
    __device__ __forceinline__ const float* at(long long row, long long depth) const {
        return row < 0 || depth < 0 ? nullptr : base + row + depth;
    }
};
