// More ways to go wrong: what a compiler for a CPU might hide, and what would take the whole process down.
#include "minitl.cuh"

// ---- Places inside of one array, on the stack and in tables ----
extern "C" __global__ void behind_a_row(real* y, int n) {
    SHARED(real, tile, [4][8]);
    for (int i = threadIdx.x; i < 32; i += blockDim.x) tile[i / 8][i % 8] = i;
    __syncthreads();
    y[threadIdx.x] = tile[threadIdx.x % 3][n];
}
extern "C" __global__ void behind_a_local_array(real* y, int n) {
    real mine[4];
    for (int i = 0; i < 4; i++) mine[i] = i + y[i];
    y[0] = mine[n];
}
static const int TABLE[4] = {1, 2, 3, 4};
extern "C" __global__ void behind_a_table(int* y, int n) { y[0] = TABLE[n]; }

// ---- What a compiler calls a library for ----
struct Large { int words[64]; };
extern "C" __global__ void copies_too_much(const real* x, real* y, int n) { memcpy(y, x, n * sizeof(real)); }
extern "C" __global__ void clears_too_much(real* y, int n) { memset(y, 0, n * sizeof(real)); }
extern "C" __global__ void moves_too_much(const real* x, real* y, int n) { memmove(y, x, n * sizeof(real)); }
extern "C" __global__ void assigns_a_struct(const int* x, int* y, int at) { *(Large*)(y + at) = *(const Large*)x; }

// ---- Vectors, fields of bits, structs, volatile, pointers in shared memory ----
extern "C" __global__ void vector_by_cast(const float* x, float* y, int at) { *(float4*)y = *(const float4*)(x + at); }
extern "C" __global__ void half_a_vector_by_cast(const float* x, float* y, int at) { *(float2*)y = *(const float2*)(x + at); }
struct Flags { unsigned low : 16, high : 16; };
extern "C" __global__ void fields_of_bits(unsigned* y) {
    SHARED(Flags, flags, [1]);
    if (threadIdx.x == 0) flags[0].low = 1;
    if (threadIdx.x == 1) flags[0].high = 1;
    __syncthreads();
    if (threadIdx.x == 0) y[0] = flags[0].low;
}
extern "C" __global__ void pointer_in_shared_memory(real* y) {
    SHARED(real*, where, [1]);
    if (threadIdx.x == 0) where[0] = y;
    __syncthreads();
    where[0][0] = threadIdx.x;
}
extern "C" __global__ void volatile_exchange(real* y) {
    __shared__ volatile real tile[32];
    tile[threadIdx.x] = threadIdx.x;
    y[threadIdx.x] = tile[threadIdx.x ^ 1];
}
template <class T> __device__ void shift_by(T* y, int by) { y[threadIdx.x + by] = y[threadIdx.x]; }
extern "C" __global__ void through_a_template(double* y) { shift_by(y, 1); }

// ---- Order ----
// Warp 0 reads; two lanes of warp 1 read; one of them writes after its own warp's barrier. Warp 0 is never waited for.
extern "C" __global__ void first_reader_forgotten(real* y) {
    SHARED(real, place, [1]);
    if (threadIdx.x == 0) place[0] = 1;
    __syncthreads();
    if (threadIdx.x == 0 || threadIdx.x == 32 || threadIdx.x == 33) y[threadIdx.x] = place[0];
    __syncwarp();
    if (threadIdx.x == 33) place[0] = 2;
}
// Half a warp waits for itself; that orders nothing of the other half.
extern "C" __global__ void half_a_warp_waits(real* y) {
    SHARED(real, tile, [32]);
    tile[threadIdx.x] = threadIdx.x;
    if (threadIdx.x < 16) {
        __syncwarp(0xffff);
        y[threadIdx.x] = tile[threadIdx.x + 16];
    }
}
extern "C" __global__ void two_barriers_on_a_line(real* y) {
    if (threadIdx.x % 2) { y[threadIdx.x] = 1; __syncthreads(); } else { y[threadIdx.x] = 2; __syncthreads(); }
}
extern "C" __global__ void too_small_a_warp(float* y) {
    float d[4] = {0, 0, 0, 0};
    unsigned a[4] = {0, 0, 0, 0};
    mma_tf32(d, a, 0, 0);
    y[threadIdx.x] = d[0];
}

// ---- Asynchronous copies ----
extern "C" __global__ void copies_into_global_memory(const float* x, float* y) {
    copy_async_16(y, x, 16);
    commit_async();
    wait_async<0>();
}
extern "C" __global__ void copies_more_than_fits(const float* x, float* y, int valid) {
    SHARED(float, tile, [8]);
    copy_async_16(tile, x, valid);
    commit_async();
    wait_async<0>();
    y[0] = tile[0];
}
extern "C" __global__ void copy_not_committed(const float* x, float* y) {
    SHARED(float, tile, [8]);
    copy_async_16(tile, x, 16);
    wait_async<0>();
    y[0] = tile[0];
}

// ---- What stops a process ----
extern "C" __global__ void divides(int* y, int n) { y[0] = 7 / n; }
extern "C" __global__ void remainder_of(long long* y, long long n) { y[0] = 7 % n; }
typedef void (*Function)();
extern "C" __global__ void calls(unsigned long long where) { ((Function)where)(); }
extern "C" __global__ void large_local_array(int* y, int n) {
    volatile int much[100000];
    for (int i = 0; i < 100000; i++) much[i] = i;
    y[0] = much[n];
}
__device__ __noinline__ int down(int n) { volatile int k = n; return n == 0 ? 0 : down(k - 1) + k; }
extern "C" __global__ void recurses(int* y, int n) { y[threadIdx.x] = down(n); }
extern "C" __global__ void asserts(int* y, int n) {
    assert(n < 3);
    y[0] = n;
}
extern "C" __global__ void leaves(int how) { how ? _Exit(0) : exit(0); }
extern "C" __global__ void writes_nowhere(float* y) { y[threadIdx.x + 3] = 1; }
extern "C" __global__ void gives_up_abruptly() { __builtin_trap(); }

// ---- What never ends ----
extern "C" __global__ void spins(int how) {
    if (how == 0) while (true) {}
    volatile int i = 0;
    if (how == 1) while (i >= 0) {}
    if (how == 2) for (unsigned k = 1; k; k += 2) if (k == 0) break;
}
extern "C" __global__ void waits_for_a_flag(int* y) {
    if (threadIdx.x == 0) while (atomicAdd(y, 0) == 0) {}
    if (threadIdx.x == 1) atomicExch(y, 1);
}

// ---- Between blocks ----
// Each block's one thread is its thread 0: who is who is told by the block too.
extern "C" __global__ void read_by_one_block_written_by_another(float* y) {
    y[1 + blockIdx.x] = y[0];
    if (blockIdx.x == 1) y[0] = 1;
}
extern "C" __global__ void read_while_others_add(float* y) {
    atomicAdd(y, 1);
    y[1 + blockIdx.x] = y[0];
}
