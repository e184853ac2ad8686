// CUDA's mathematical and integer functions that C++ has under another name, or not at all. Included by cuda.h alone.
// The fast ones (__expf and the like) are computed accurately: a GPU's are less so.
#pragma once

inline float __expf(float a) { return expf(a); }
inline float __exp10f(float a) { return powf(10.0f, a); }
inline float __logf(float a) { return logf(a); }
inline float __log2f(float a) { return log2f(a); }
inline float __log10f(float a) { return log10f(a); }
inline float __powf(float a, float b) { return powf(a, b); }
inline float __sinf(float a) { return sinf(a); }
inline float __cosf(float a) { return cosf(a); }
inline float __tanf(float a) { return tanf(a); }
inline void __sincosf(float a, float* s, float* c) { *s = sinf(a), *c = cosf(a); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __frsqrt_rn(float a) { return 1.0f / sqrtf(a); }
inline float __saturatef(float a) { return a >= 1 ? 1.0f : a > 0 ? a : 0.0f; }
#ifndef __USE_GNU
inline float exp10f(float a) { return powf(10.0f, a); }
inline double exp10(double a) { return pow(10.0, a); }
#endif
inline float rsqrt(float a) { return 1.0f / sqrtf(a); }
inline float rcbrtf(float a) { return 1.0f / cbrtf(a); }
inline double rcbrt(double a) { return 1.0 / cbrt(a); }
inline float normcdff(float a) { return 0.5f * erfcf(-a * 0.70710678f); }
inline double normcdf(double a) { return 0.5 * erfc(-a * 0.70710678118654752); }
inline float sinpif(float a) { return (float)sin(3.14159265358979323846 * (double)a); }
inline float cospif(float a) { return (float)cos(3.14159265358979323846 * (double)a); }
inline double __ddiv_rn(double a, double b) { return a / b; }
inline double __dsqrt_rn(double a) { return sqrt(a); }
inline double __drcp_rn(double a) { return 1.0 / a; }
inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }

// To integers: rn to the nearest, rz toward zero, rd down, ru up.
inline int __float2int_rn(float a) { return (int)nearbyintf(a); }
inline int __float2int_rz(float a) { return (int)a; }
inline int __float2int_rd(float a) { return (int)floorf(a); }
inline int __float2int_ru(float a) { return (int)ceilf(a); }
inline unsigned __float2uint_rn(float a) { return (unsigned)nearbyintf(a); }
inline unsigned __float2uint_rz(float a) { return (unsigned)a; }
inline int __double2int_rn(double a) { return (int)nearbyint(a); }
inline int __double2int_rz(double a) { return (int)a; }
inline float __double2float_rn(double a) { return (float)a; }
inline float __int2float_rn(int a) { return (float)a; }
inline float __uint2float_rn(unsigned a) { return (float)a; }
inline double __int2double_rn(int a) { return a; }

inline int __clzll(long long bits) { return bits ? __builtin_clzll((unsigned long long)bits) : 64; }
inline int __popcll(unsigned long long bits) { return __builtin_popcountll(bits); }
inline int __ffsll(long long bits) { return __builtin_ffsll(bits); }
inline unsigned __brev(unsigned bits) {
    unsigned turned = 0;
    for (int i = 0; i < 32; i++) turned |= (bits >> i & 1) << (31 - i);
    return turned;
}
inline int __mul24(int a, int b) { return (a << 8 >> 8) * (b << 8 >> 8); }
inline unsigned __umul24(unsigned a, unsigned b) { return (a & 0xFFFFFF) * (b & 0xFFFFFF); }
inline int __mulhi(int a, int b) { return (int)((long long)a * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long)((unsigned __int128)a * b >> 64);
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned by) {
    return (unsigned)((((unsigned long long)high << 32 | low) << (by & 31)) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned by) {
    return (unsigned)(((unsigned long long)high << 32 | low) >> (by & 31));
}

template <class T>
inline T __reduce_add_sync(unsigned mask, T value, int line = __builtin_LINE()) {
    T sum = 0;
    for (int lane = 0; lane < 32; lane++)
        if (mask >> lane & 1) sum += minitl_shuffled(mask, value, lane, line);
    return sum;
}

// CUDA overloads min and max for every two arithmetic types; the result has the type that C gives their sum.
template <class A, class B>
inline auto min(A a, B b) -> decltype(a + b) {
    decltype(a + b) left = a, right = b;
    if constexpr (decltype(a + b)(0.5) != 0) return fmin(left, right);
    else return left < right ? left : right;
}
template <class A, class B>
inline auto max(A a, B b) -> decltype(a + b) {
    decltype(a + b) left = a, right = b;
    if constexpr (decltype(a + b)(0.5) != 0) return fmax(left, right);
    else return left > right ? left : right;
}
