// Reductions over the 32 lanes of a warp: every lane gets the result. The order is fixed, so results repeat bit for bit.
#pragma once

template <class T>
__device__ __forceinline__ T warp_sum(T value) {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(FULL_WARP, value, distance);
    return value;
}

// The larger of two; NaN wins, as in NumPy and PyTorch (fmaxf would drop it).
template <class T>
__device__ __forceinline__ T larger(T a, T b) {
    return a > b || a != a ? a : b;
}

template <class T>
__device__ __forceinline__ T warp_max(T value) {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) value = larger(value, __shfl_xor_sync(FULL_WARP, value, distance));
    return value;
}
