// Rows of numbers and the threads that share one: a single thread, a warp, or a block. A kernel's text is the same for
// each; what changes is which elements a thread takes and how its findings meet those of its team. Sums have a fixed order.
#pragma once

// Where a row of `n` elements lies in an array (outer, n, inner) in C order: its first element, and the next ones' distance.
struct Row {
    long long first, step;
    __device__ __forceinline__ long long operator[](int i) const { return first + i * step; }
};
__device__ __forceinline__ Row row_of(long long row, int n, long long inner) {
    return {row / inner * n * inner + row % inner, inner};
}

struct OneThread {
    __device__ __forceinline__ int rank() const { return 0; }
    __device__ __forceinline__ int size() const { return 1; }
    template <class T>
    __device__ __forceinline__ T sum(T value) const {
        return value;
    }
    template <class T>
    __device__ __forceinline__ T max(T value) const {
        return value;
    }
};

// Neighbouring lanes read neighbouring elements, and the findings meet in registers.
struct OneWarp {
    __device__ __forceinline__ int rank() const { return threadIdx.x % 32; }
    __device__ __forceinline__ int size() const { return 32; }
    template <class T>
    __device__ __forceinline__ T sum(T value) const {
        return warp_sum(value);
    }
    template <class T>
    __device__ __forceinline__ T max(T value) const {
        return warp_max(value);
    }
};

// A warp's findings meet in registers, those of the warps in shared memory. Every thread of the block must take part.
struct OneBlock {
    __device__ __forceinline__ int rank() const { return threadIdx.x; }
    __device__ __forceinline__ int size() const { return blockDim.x; }
    template <class T>
    __device__ __forceinline__ T sum(T value) const {
        SHARED(T, found, [32]);
        value = warp_sum(value);
        if (threadIdx.x % 32 == 0) found[threadIdx.x / 32] = value;
        __syncthreads();
        value = warp_sum(threadIdx.x % 32 < blockDim.x / 32 ? found[threadIdx.x % 32] : T(0));
        __syncthreads();  // `found` may be used again
        return value;
    }
    template <class T>
    __device__ __forceinline__ T max(T value) const {
        SHARED(T, found, [32]);
        value = warp_max(value);
        if (threadIdx.x % 32 == 0) found[threadIdx.x / 32] = value;
        __syncthreads();
        value = warp_max(threadIdx.x % 32 < blockDim.x / 32 ? found[threadIdx.x % 32] : found[0]);
        __syncthreads();
        return value;
    }
};

// The largest number of a row, NaN if there is one, -INFINITY of an empty row.
template <class Team>
__device__ __forceinline__ real largest(const real* x, Row row, int n, Team team) {
    real top = -INFINITY;
    for (int i = team.rank(); i < n; i += team.size()) top = larger(top, x[row[i]]);
    return team.max(top);
}

// The sum of exp(x_i - top) over a row.
template <class Team>
__device__ __forceinline__ real sum_of_powers(const real* x, Row row, int n, real top, Team team) {
    real sum = 0;
    for (int i = team.rank(); i < n; i += team.size()) sum += exp(x[row[i]] - top);
    return team.sum(sum);
}

// The number of the row of this thread, this thread's warp, and this block; one a thread, a warp and a block.
__device__ __forceinline__ long long row_of_thread() { return (long long)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ __forceinline__ long long row_of_warp() { return row_of_thread() / 32; }
