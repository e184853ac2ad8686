// Division by a number that is known only when the kernel starts, without the GPU's slow integer division.
//
// floor(x / d) = (x * m) >> p with m = ceil(2^p / d), p = 31 + ceil(log2 d), for every 0 <= x < 2^31: m exceeds 2^p / d by
// e / d with e < d, which matters only from x e >= 2^p on. Source: Granlund & Montgomery, "Division by Invariant Integers
// using Multiplication" (1994), theorem 4.2.
#pragma once

struct Divisor {
    unsigned divisor, multiplier, shift;  // the multiplication's upper half is taken, so p - 32 bits are left to shift

    __device__ __forceinline__ explicit Divisor(int d) : divisor(d), multiplier(0), shift(0) {
        if (d <= 1) return;
        shift = 31 - __clz(d - 1);  // ceil(log2 d) - 1
        multiplier = static_cast<unsigned>(((1ull << (32 + shift)) + d - 1) / d);
    }

    __device__ __forceinline__ int quotient(int x) const {
        return divisor <= 1 ? x : static_cast<int>(__umulhi(static_cast<unsigned>(x), multiplier) >> shift);
    }
    // quotient, and x becomes the remainder
    __device__ __forceinline__ int split(int& x) const {
        int q = quotient(x);
        x -= q * static_cast<int>(divisor);
        return q;
    }
};
