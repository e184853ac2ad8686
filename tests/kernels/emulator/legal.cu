// Ordinary CUDA C++ as people write it, without any of the shared headers' helpers: all of it is allowed.
#include "own header.cuh"

__constant__ float weights[3] = {1.0f, 2.0f, 3.0f};

template <class T, int N>
__device__ T reversed(T value) {
    __shared__ T tile[N];
    tile[threadIdx.x] = value;
    __syncthreads();
    return tile[N - 1 - threadIdx.x];
}
extern "C" __global__ void shared_in_a_template(const float* x, float* y, int* z) {
    y[threadIdx.x] = reversed<float, 32>(x[threadIdx.x]);
    z[threadIdx.x] = reversed<int, 32>(threadIdx.x);
}

extern "C" __global__ void dynamic_in_its_own_words(const float* x, float* y, int n) {
    extern __shared__ float memory[];
    float* second = memory + n;
    memory[threadIdx.x] = x[threadIdx.x];
    second[threadIdx.x] = weights[threadIdx.x % 3];
    __syncthreads();
    y[threadIdx.x] = memory[n - 1 - threadIdx.x] * second[0];
}

extern "C" __global__ void __launch_bounds__(64) sum_of_a_block(const float* x, float* y, int n) {
    __shared__ float partial[64];
    __shared__ __align__(16) int count;
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (threadIdx.x == 0) count = 0;
    partial[threadIdx.x] = i < n ? x[i] : 0.0f;
    __syncthreads();
    for (int half = blockDim.x / 2; half > 0; half >>= 1) { if (threadIdx.x < half) partial[threadIdx.x] += partial[threadIdx.x + half]; __syncthreads(); }
    if (i < n) atomicAdd(&count, 1);
    __syncthreads(); __syncthreads();
    if (threadIdx.x == 0) y[blockIdx.x] = partial[0] / count;
}

extern "C" __global__ __launch_bounds__(32, 2) void partial_masks(int* y) {
    __shared__ int tile[32];
    const int lane = threadIdx.x, base = lane & 16;
    const unsigned mask = 0xffffu << base;
    tile[lane] = lane;
    __syncwarp(mask);
    int other = tile[base + (15 - (lane & 15))];
    int eight = __shfl_down_sync(0xffffffffu, lane, 4, 8), first = __shfl_sync(mask, lane, 0, 16);
    y[lane] = other * 10000 + eight * 100 + first;
}

extern "C" __global__ void names(const float* x, float* y, double* d, int* k, unsigned long long* u) {
    const float a = x[0], b = x[1];
    auto twice = [=] __device__(float v) { return v * 2; };
    float s, c;
    sincosf(a, &s, &c);
    int i = 0;
    y[i++] = abs(a), y[i++] = powf(b, 2), y[i++] = pow(b, 2.0f), y[i++] = rsqrt(b), y[i++] = __expf(a), y[i++] = floorf(a);
    y[i++] = fminf(a, b), y[i++] = roundf(a), y[i++] = __fdividef(a, b), y[i++] = twice(a), y[i++] = s * s + c * c;
    y[i++] = __logf(b), y[i++] = __powf(b, 3), y[i++] = max(a, 0.5), y[i++] = __saturatef(b), y[i++] = fma(a, b, 1.0f);
    y[i++] = exp10f(b), y[i++] = copysign(b, a), y[i++] = __sinf(a), y[i++] = __cosf(a), y[i++] = floor(a), y[i++] = ceil(a);
    atomicAdd(d, 2.5), atomicMin(k, -7), atomicSub(k, 1), atomicOr(k + 1, 6), atomicInc((unsigned*)k + 2, 9u);
    atomicAdd(u, 5ull), atomicMax(u, 3ull);
    k[3] = __float2int_rn(2.5f), k[4] = __clzll(1ll), k[5] = __popcll(7ull), k[6] = __brev(1u) >> 31, k[7] = __mul24(3, 4);
    k[8] = min(3ll, 4ll), k[9] = min(7u, 9), k[10] = __float2int_rd(-1.5f), k[11] = __ffsll(8), k[12] = isnan(a) || isinf(b);
    dim3 size(2, 3);
    float3 three = make_float3(1, 2, 3);
    uchar4 bytes = make_uchar4(1, 2, 3, 4);
    k[13] = size.x + size.y + size.z, k[14] = three.z, k[15] = bytes.w, k[16] = (int)three_times(5);
    assert(k[13] == 6);
    if (a > 100) printf("%d %f\n", k[13], a);
}

extern "C" __global__ void copies(const int* x, int* y) {
    int mine[64];
    memcpy(mine, x, sizeof mine);
    memset(y, 0, 128 * sizeof(int));
    memcpy(y + 64, mine, sizeof mine);
}

// Lanes without work leave; the rest of the warp goes on by itself.
extern "C" __global__ void counts_votes(int* y, int n) {
    unsigned who = __ballot_sync(0xffffffffu, (int)threadIdx.x < n), active = __activemask();
    if ((int)threadIdx.x < n) y[threadIdx.x] = __popc(who) + __reduce_add_sync(who, 1) + (active != 0);
}
