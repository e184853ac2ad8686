// CUDA C++ as a C++ compiler for the CPU sees it: what minitl.cuh includes when a kernel is compiled for the emulator.
// One fiber runs each CUDA thread (runtime.cpp). Barriers and warp operations hand control back to the scheduler; every
// other access to memory is reported to the runtime by the compiler (-fsanitize=thread, whose hooks the runtime defines).
#pragma once
#include <math.h>    // not <cmath>: CUDA has abs, pow and the like for every type without std::
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Copying and filling, written or made by the compiler for a struct or a loop, as functions that the runtime watches.
extern "C" {
void* memcpy(void* to, const void* from, size_t bytes) noexcept __asm__("minitl_memcpy");
void* memmove(void* to, const void* from, size_t bytes) noexcept __asm__("minitl_memmove");
void* memset(void* to, int value, size_t bytes) noexcept __asm__("minitl_memset");
int memcmp(const void* a, const void* b, size_t bytes) noexcept __asm__("minitl_memcmp");
}

#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(bytes) __attribute__((aligned(bytes)))
// One of a block, since the threads of a block all run in one of the process's; `extern` ones: library.py.
#define __shared__ thread_local
#define SHARED(type, name, shape)      \
    static char name##_site;           \
    typedef type name##_array shape;   \
    name##_array& name = *static_cast<name##_array*>(minitl_shared(&name##_site, sizeof(name##_array), #name))
#define DYNAMIC_SHARED(type, name) type* name = static_cast<type*>(minitl_dynamic_shared())

struct uint3 { unsigned x, y, z; };
struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
    constexpr dim3(uint3 size) : x(size.x), y(size.y), z(size.z) {}
};
struct int3 { int x, y, z; };
struct float3 { float x, y, z; };
struct double3 { double x, y, z; };
struct alignas(2) char2 { signed char x, y; };
struct alignas(4) char4 { signed char x, y, z, w; };
struct alignas(2) uchar2 { unsigned char x, y; };
struct alignas(4) uchar4 { unsigned char x, y, z, w; };
struct alignas(4) short2 { short x, y; };
struct alignas(8) short4 { short x, y, z, w; };
struct alignas(4) ushort2 { unsigned short x, y; };
struct alignas(8) ushort4 { unsigned short x, y, z, w; };
struct alignas(16) longlong2 { long long x, y; };
struct alignas(16) ulonglong2 { unsigned long long x, y; };
struct alignas(16) double4 { double x, y, z, w; };
inline uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }
inline int3 make_int3(int x, int y, int z) { return {x, y, z}; }
inline float3 make_float3(float x, float y, float z) { return {x, y, z}; }
inline double3 make_double3(double x, double y, double z) { return {x, y, z}; }
inline double4 make_double4(double x, double y, double z, double w) { return {x, y, z, w}; }
inline char4 make_char4(signed char x, signed char y, signed char z, signed char w) { return {x, y, z, w}; }
inline uchar4 make_uchar4(unsigned char x, unsigned char y, unsigned char z, unsigned char w) { return {x, y, z, w}; }
inline longlong2 make_longlong2(long long x, long long y) { return {x, y}; }
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
void* minitl_shared(const void* site, unsigned long bytes, const char* name);
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
void minitl_hidden();  // stands in for a kernel that the end of its file cannot see
void minitl_assert(const char* condition, int line);
unsigned minitl_active();  // the warp's lanes that have not ended
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
// Threads must meet at one and the same barrier: its line, and a number for those that share a line.
#define MINITL_HERE (__LINE__ | (__COUNTER__ & 2047) << 20)
#define __syncthreads() minitl_barrier(MINITL_HERE)
#define __syncthreads_count(predicate) minitl_barrier_count(MINITL_HERE, (predicate) != 0)
#define __syncthreads_or(predicate) (minitl_barrier_count(MINITL_HERE, (predicate) != 0) > 0)
#define __syncthreads_and(predicate) (minitl_barrier_count(MINITL_HERE, (predicate) == 0) == 0)
#define __trap() minitl_trap(__LINE__)
#define assert(condition) ((condition) ? (void)0 : minitl_assert(#condition, __LINE__))

// Functions below act on the runtime's memory, or on addresses that they report themselves.
#define MINITL_UNTRACED __attribute__((no_sanitize("thread")))

MINITL_UNTRACED inline unsigned minitl_lane() {
    return (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) & 31;
}
template <class T>
MINITL_UNTRACED inline T minitl_shuffled(unsigned mask, T value, unsigned lane, int line) {
    static_assert(sizeof(T) <= 8, "a shuffle moves at most 8 bytes");
    unsigned long long bits = 0;
    memcpy(&bits, &value, sizeof(T));
    bits = minitl_shuffle(mask, bits, lane, line);
    memcpy(&value, &bits, sizeof(T));
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
inline unsigned __activemask() { return minitl_active(); }
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}

// The type of the place alone decides, as with CUDA's overloads: atomicAdd(&a_double, 1) is one of doubles.
template <class T> struct minitl_as { typedef T type; };
#define MINITL_ATOMIC(name, after)                                               \
    template <class T>                                                           \
    MINITL_UNTRACED inline T name(T* at, typename minitl_as<T>::type value) {    \
        minitl_atomic(at, sizeof(T));                                            \
        T before = *at;                                                          \
        *at = after;                                                             \
        return before;                                                           \
    }
MINITL_ATOMIC(atomicAdd, before + value)
MINITL_ATOMIC(atomicSub, before - value)
MINITL_ATOMIC(atomicMax, before > value ? before : value)
MINITL_ATOMIC(atomicMin, before < value ? before : value)
MINITL_ATOMIC(atomicExch, value)
MINITL_ATOMIC(atomicAnd, before & value)
MINITL_ATOMIC(atomicOr, before | value)
MINITL_ATOMIC(atomicXor, before ^ value)
MINITL_ATOMIC(atomicInc, before >= value ? 0 : before + 1)
MINITL_ATOMIC(atomicDec, before == 0 || before > value ? value : before - 1)
template <class T>
MINITL_UNTRACED inline T atomicCAS(T* at, typename minitl_as<T>::type expected, typename minitl_as<T>::type value) {
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
    memcpy(&to, &from, sizeof to);
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
#include "names.h"
