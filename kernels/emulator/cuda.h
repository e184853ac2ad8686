// CUDA C++ as a C++ compiler for the CPU sees it: what minitl.cuh includes when a kernel is compiled for the emulator.
// One fiber runs each CUDA thread (runtime.cpp). Barriers and warp operations hand control back to the scheduler; every
// other access to memory is reported to the runtime by the compiler (-fsanitize=thread, whose hooks the runtime defines).
#pragma once
#include <cmath>
#include <cstring>

#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __grid_constant__
// Outside templates; inside one use SHARED, since g++ ignores the section there.
#define __shared__ static __attribute__((section("minitl_static")))
#define SHARED(type, name, shape)      \
    static char name##_site;           \
    typedef type name##_array shape;   \
    name##_array& name = *static_cast<name##_array*>(minitl_shared(&name##_site, sizeof(name##_array)))
#define DYNAMIC_SHARED(type, name) type* name = static_cast<type*>(minitl_dynamic_shared())

struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x, y, z; };
struct alignas(8) int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(16) double2 { double x, y; };
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline double2 make_double2(double x, double y) { return {x, y}; }

extern "C" {
// Which thread runs: set by the scheduler before it resumes a fiber.
extern struct MinitlPlace { uint3 thread, block; dim3 block_size, grid_size; } minitl_place;
void* minitl_shared(const void* site, unsigned long bytes);
void* minitl_dynamic_shared();
void minitl_barrier(int line);
int minitl_barrier_count(int line, int predicate);  // how many threads of the block come with a true predicate
void minitl_warp_barrier(unsigned mask, int line);
unsigned long long minitl_shuffle(unsigned mask, unsigned long long value, unsigned lane, int line);
unsigned minitl_ballot(unsigned mask, int predicate, int line);
void minitl_atomic(void* address, int bytes);  // reports an atomic access
void minitl_mma_tf32(float* d, const unsigned* a, const unsigned* b, const float* c);
void minitl_mma_bf16(float* d, const unsigned* a, const unsigned* b, const float* c);
void minitl_ldmatrix_x4(unsigned* r, const void* row, int transposed);
void minitl_copy_async(void* to, const void* from, int bytes, int valid);
void minitl_commit_async();
void minitl_wait_async(int newest);
void minitl_trap(int line);
void __tsan_read16(void* at);
void __tsan_write16(void* at);
}
// A vector's load or store as the one access that it is on a GPU: the compiler may split it and lose its alignment.
#define READS_16(at) __tsan_read16((void*)(at))
#define WRITES_16(at) __tsan_write16((void*)(at))

#define threadIdx (minitl_place.thread)
#define blockIdx (minitl_place.block)
#define blockDim (minitl_place.block_size)
#define gridDim (minitl_place.grid_size)
static const int warpSize = 32;
#define __syncthreads() minitl_barrier(__LINE__)
#define __syncthreads_count(predicate) minitl_barrier_count(__LINE__, (predicate) != 0)
#define __syncthreads_or(predicate) (minitl_barrier_count(__LINE__, (predicate) != 0) > 0)
#define __syncthreads_and(predicate) (minitl_barrier_count(__LINE__, (predicate) == 0) == 0)
#define __trap() minitl_trap(__LINE__)

// Functions below act on the runtime's memory, or on addresses that they report themselves.
#define MINITL_UNTRACED __attribute__((no_sanitize("thread")))

MINITL_UNTRACED inline unsigned minitl_lane() {
    return (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) & 31;
}
template <class T>
MINITL_UNTRACED inline T minitl_shuffled(unsigned mask, T value, unsigned lane, int line) {
    static_assert(sizeof(T) <= 8, "a shuffle moves at most 8 bytes");
    unsigned long long bits = 0;
    std::memcpy(&bits, &value, sizeof(T));
    bits = minitl_shuffle(mask, bits, lane, line);
    std::memcpy(&value, &bits, sizeof(T));
    return value;
}
// `width` divides the warp into sections; a lane outside its section gives the thread's own value.
template <class T>
inline T __shfl_sync(unsigned mask, T v, int source, int width = 32, int line = __builtin_LINE()) {
    unsigned lane = minitl_lane();
    return minitl_shuffled(mask, v, (lane & ~(width - 1)) | (source & (width - 1)), line);
}
template <class T>
inline T __shfl_xor_sync(unsigned mask, T v, int bits, int width = 32, int line = __builtin_LINE()) {
    unsigned lane = minitl_lane(), from = lane ^ bits;
    return minitl_shuffled(mask, v, from / width > lane / width ? lane : from, line);
}
template <class T>
inline T __shfl_down_sync(unsigned mask, T v, unsigned by, int width = 32, int line = __builtin_LINE()) {
    unsigned lane = minitl_lane();
    return minitl_shuffled(mask, v, (lane & (width - 1)) + by >= (unsigned)width ? lane : lane + by, line);
}
template <class T>
inline T __shfl_up_sync(unsigned mask, T v, unsigned by, int width = 32, int line = __builtin_LINE()) {
    unsigned lane = minitl_lane();
    return minitl_shuffled(mask, v, (lane & (width - 1)) < by ? lane : lane - by, line);
}
inline void __syncwarp(unsigned mask = ~0u, int line = __builtin_LINE()) { minitl_warp_barrier(mask, line); }
inline unsigned __ballot_sync(unsigned mask, int p, int line = __builtin_LINE()) { return minitl_ballot(mask, p, line); }
inline int __any_sync(unsigned mask, int p, int line = __builtin_LINE()) { return minitl_ballot(mask, p, line) != 0; }
inline int __all_sync(unsigned mask, int p, int line = __builtin_LINE()) { return minitl_ballot(mask, !p, line) == 0; }
inline void __threadfence() {}
inline void __threadfence_block() {}

template <class T>
MINITL_UNTRACED inline T atomicAdd(T* at, T value) {
    minitl_atomic(at, sizeof(T));
    T before = *at;
    *at = before + value;
    return before;
}
template <class T>
MINITL_UNTRACED inline T atomicMax(T* at, T value) {
    minitl_atomic(at, sizeof(T));
    T before = *at;
    *at = before > value ? before : value;
    return before;
}
template <class T>
MINITL_UNTRACED inline T atomicExch(T* at, T value) {
    minitl_atomic(at, sizeof(T));
    T before = *at;
    *at = value;
    return before;
}
template <class T>
MINITL_UNTRACED inline T atomicCAS(T* at, T expected, T value) {
    minitl_atomic(at, sizeof(T));
    T before = *at;
    if (before == expected) *at = value;
    return before;
}

template <class T>
inline T __ldg(const T* at) { return *at; }
template <class T, class F>
MINITL_UNTRACED inline T minitl_bits(F from) {
    static_assert(sizeof(T) == sizeof(F), "bits of one size");
    T to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}
inline float __int_as_float(int i) { return minitl_bits<float>(i); }
inline int __float_as_int(float f) { return minitl_bits<int>(f); }
inline float __uint_as_float(unsigned i) { return minitl_bits<float>(i); }
inline unsigned __float_as_uint(float f) { return minitl_bits<unsigned>(f); }
inline double __longlong_as_double(long long i) { return minitl_bits<double>(i); }
inline long long __double_as_longlong(double f) { return minitl_bits<long long>(f); }
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)(((unsigned long long)a * b) >> 32); }
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __clz(int bits) { return bits ? __builtin_clz((unsigned)bits) : 32; }
inline int __ffs(int bits) { return __builtin_ffs(bits); }
// Rounded apart, never contracted into a fused multiply-add: the volatile keeps the compiler from it.
inline float __fmul_rn(float a, float b) { volatile float p = a * b; return p; }
inline float __fadd_rn(float a, float b) { volatile float s = a + b; return s; }
inline float __fsub_rn(float a, float b) { volatile float s = a - b; return s; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __frcp_rn(float a) { return 1.0f / a; }
inline float __fsqrt_rn(float a) { return sqrtf(a); }
inline double __dmul_rn(double a, double b) { volatile double p = a * b; return p; }
inline double __dadd_rn(double a, double b) { volatile double s = a + b; return s; }
inline double __dsub_rn(double a, double b) { volatile double s = a - b; return s; }
inline float rsqrtf(float a) { return 1.0f / sqrtf(a); }
inline double rsqrt(double a) { return 1.0 / sqrt(a); }
using std::erfc;
using std::exp;
using std::fabs;
using std::isfinite;
using std::isinf;
using std::isnan;
using std::log;
using std::log1p;
using std::signbit;
using std::sqrt;
using std::tanh;
// CUDA overloads these for every arithmetic type.
inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }
inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
inline unsigned max(unsigned a, unsigned b) { return a > b ? a : b; }
inline long long min(long long a, long long b) { return a < b ? a : b; }
inline long long max(long long a, long long b) { return a > b ? a : b; }
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }
