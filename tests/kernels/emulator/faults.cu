// Kernels that each do one thing that none may, and some that do odd things which are allowed.
#include "minitl.cuh"

#define TILE 8

// The tiled product of two n x n matrices; FIRST and SECOND stand for its two barriers.
extern "C" __global__ void product(const real* __restrict__ a, const real* __restrict__ b, real* __restrict__ c, int n) {
    SHARED(real, left, [TILE][TILE]);
    SHARED(real, right, [TILE][TILE]);
    int x = blockIdx.x * TILE + threadIdx.x, y = blockIdx.y * TILE + threadIdx.y;
    real sum = 0;
    for (int k0 = 0; k0 < n; k0 += TILE) {
        left[threadIdx.y][threadIdx.x] = y < n && k0 + threadIdx.x < n ? a[y * n + k0 + threadIdx.x] : 0;
        right[threadIdx.y][threadIdx.x] = x < n && k0 + threadIdx.y < n ? b[(k0 + threadIdx.y) * n + x] : 0;
#ifndef NO_FIRST
        __syncthreads();
#endif
        for (int k = 0; k < TILE; k++) sum += left[threadIdx.y][k] * right[k][threadIdx.x];
#ifndef NO_SECOND
        __syncthreads();
#endif
    }
    if (y < n && x < n) c[y * n + x] = sum;
}

extern "C" __global__ void all_write_one_place(real* y) { y[0] = threadIdx.x; }

extern "C" __global__ void blocks_write_one_place(real* y) {
    if (threadIdx.x == 0) y[0] = blockIdx.x;
}

extern "C" __global__ void neighbour_in_global_memory(real* y, int n) {
    int i = threadIdx.x;
    y[i] = i;
    y[(i + 1) % n] += 1;
}

extern "C" __global__ void some_wait(real* y) {
    if (threadIdx.x < 3) __syncthreads();
    y[threadIdx.x] = 1;
}

extern "C" __global__ void they_wait_apart(real* y) {
    if (threadIdx.x % 2) {
        __syncthreads();
    } else {
        y[threadIdx.x] = 1;
        __syncthreads();
    }
}

extern "C" __global__ void some_leave_early(real* y, int n) {
    if ((int)threadIdx.x >= n) return;
    __syncthreads();
    y[threadIdx.x] = 1;
}

extern "C" __global__ void lanes_missing(real* y) {
    if (threadIdx.x < 16) y[threadIdx.x] = __shfl_xor_sync(FULL_WARP, (real)threadIdx.x, 1);
}

extern "C" __global__ void reads_behind(const real* x, real* y, int n) {
    for (int i = threadIdx.x; i <= n; i += blockDim.x) y[i] = x[i];
}

extern "C" __global__ void reads_before(const real* x, real* y) { y[threadIdx.x] = x[(int)threadIdx.x - 1]; }

extern "C" __global__ void writes_at(real* y, long long where) { y[where] = 1; }

extern "C" __global__ void behind_a_shared_array(real* y, int n) {
    SHARED(real, first, [4]);
    SHARED(real, second, [4]);
    if (threadIdx.x == 0) {
        for (int i = 0; i < 4; i++) first[i] = second[i] = 1;
        y[0] = first[n];
    }
}

extern "C" __global__ void shared_never_written(real* y) {
    SHARED(real, tile, [32]);
    if (threadIdx.x != 5) tile[threadIdx.x] = 1;
    __syncthreads();
    y[threadIdx.x] = tile[threadIdx.x];
}

extern "C" __global__ void left_from_the_block_before(real* y) {
    SHARED(real, tile, [1]);
    if (blockIdx.x == 0 || gridDim.x == 1) tile[0] = 1;
    y[blockIdx.x] = tile[0];
}

extern "C" __global__ void plain_shared(real* y, int n) {
    __shared__ real tile[32];
    tile[threadIdx.x] = threadIdx.x;
    if (n) __syncthreads();
    y[threadIdx.x] = tile[31 - threadIdx.x];
}

extern "C" __global__ void casts_const_away(const real* x) { *const_cast<real*>(x) = 0; }

extern "C" __global__ void misaligned(const float* x, float* y) { store4(y, load4(x + 1)); }

extern "C" __global__ void never_ends(real* y, int n) {
    for (int i = 0; i < n; i += 0) y[i] = 1;
}

extern "C" __global__ void gives_up(int n) {
    if (n > 3) __trap();
}

// ---- Allowed ----

extern "C" __global__ void reversed_by_dynamic_memory(const real* x, real* y) {
    DYNAMIC_SHARED(real, tile);
    tile[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = tile[blockDim.x - 1 - threadIdx.x];
}

extern "C" __global__ void warp_exchange(real* y, int ordered) {
    SHARED(real, tile, [32]);
    tile[threadIdx.x] = threadIdx.x;
    if (ordered) __syncwarp();
    y[threadIdx.x] = tile[31 - threadIdx.x];
}

extern "C" __global__ void sums(const real* x, real* y) {
    real sum = warp_sum(x[threadIdx.x]), most = warp_max(x[threadIdx.x]);
    if (threadIdx.x % 32 == 0) y[threadIdx.x / 32 * 2] = sum, y[threadIdx.x / 32 * 2 + 1] = most;
}

extern "C" __global__ void counts(int* y, int atomic) {
    if (atomic) atomicAdd(y, 1);
    else *y += 1;
}

// A thread's own array lies where no hook of memory accesses looks.
extern "C" __global__ void fifth_of_four(real* y, int n) {
    real mine[4] = {1, 2, 3, 4};
    y[0] = mine[n];
}

extern "C" __global__ void row_behind(real* y, int n) {
    SHARED(real, rows, [2][4]);
    for (int i = 0; i < 8; ++i) rows[i / 4][i % 4] = i;
    y[0] = rows[0][n];
}
