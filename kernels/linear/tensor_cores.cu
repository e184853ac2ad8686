// The dense layer on tensor cores. Each kernel is one matrix product of gemm.cuh; they differ in how the operands lie in
// memory. Grid: blocks of rows, blocks of columns, parts of the depth. With several parts (split-K: small layers would
// leave most of the GPU idle) `to` has room for all of them, one after the other, and ../cuda/parts.cu adds them up.
#include "minitl.cuh"
#include "gemm.cuh"

// N x I numbers in C order, seen as N rows along the depth or as I rows across it.
__device__ __forceinline__ Matrix along(const float* at, int N, int I) {
    return {at, N, I, I, 1, I % 4 == 0 && aligned16(at)};
}
__device__ __forceinline__ Matrix across(const float* at, int N, int I) {
    return {at, I, N, 1, I, I % 4 == 0 && aligned16(at)};
}

template <class LeftTile, class RightTile>
__device__ __forceinline__ void multiply(const Matrix& left, const Matrix& right, const float* bias, float* to) {
    DYNAMIC_SHARED(float, stages);
    int m = blockIdx.x * TILE_M, n = blockIdx.y * TILE_N;
    Part part(blockIdx.z, gridDim.z, left.depths);
    Product<PRECISION, LeftTile, RightTile> product;
    product.run(left, right, m, n, part.first, part.last, stages);
    Rows rows(to, left.rows, right.rows, right.rows, bias);
    product.store(rows.part(blockIdx.z, gridDim.z, left.rows * (long long)right.rows), m, n);
}

// y (N, O) = x (N, I) w (O, I)^T + b. The depth is I, along which both operands lie.
extern "C" __global__ void __launch_bounds__(THREADS, 3)
    linear_forward(const float* __restrict__ x, const float* __restrict__ w, const float* __restrict__ b,
                   float* __restrict__ to, int N, int I, int O) {
    multiply<AlongDepth<TILE_M, DEPTH>, AlongDepth<TILE_N, DEPTH>>(along(x, N, I), along(w, O, I), b, to);
}

// gx (N, I) = grad (N, O) w (O, I). The depth is O; w lies across it.
extern "C" __global__ void __launch_bounds__(THREADS, 3)
    linear_grad_input(const float* __restrict__ grad, const float* __restrict__ w, float* __restrict__ to, int N,
                      int I, int O) {
    multiply<AlongDepth<TILE_M, DEPTH>, AcrossDepth<TILE_N, DEPTH>>(along(grad, N, O), across(w, O, I), nullptr, to);
}

// gw (O, I) = grad (N, O)^T x (N, I). The depth is N; both operands lie across it.
extern "C" __global__ void __launch_bounds__(THREADS, 2)
    linear_grad_weight(const float* __restrict__ grad, const float* __restrict__ x, float* __restrict__ to, int N,
                       int I, int O) {
    multiply<AcrossDepth<TILE_M, DEPTH>, AcrossDepth<TILE_N, DEPTH>>(across(grad, N, O), across(x, N, I), nullptr, to);
}
