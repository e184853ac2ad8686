// What a warp does with its fragments: float32 accuracy by three products in TF32, or one product in TF32 or bfloat16.
//
// Fragments are pieces of 16 rows (of the right matrix: columns) by 8 steps of the depth, as tiles.cuh hands them out; a
// precision takes STEPS of them at a time. Right<N> holds N pieces of the right matrix made ready, for all pieces of the
// left one; multiply_add adds their products with one piece of the left matrix to sums, 16 x 8 each, two a piece.
#pragma once

// One product in TF32: operands rounded to 11 bits. Sums stay in the tensor cores.
struct TF32 {
    static constexpr int STEPS = 1;

    template <int N>
    struct Right {
        unsigned rounded[N][4];

        __device__ __forceinline__ void prepare(const unsigned (&b)[1][N][4]) {
#pragma unroll
            for (int n = 0; n < N; n++)
#pragma unroll
                for (int i = 0; i < 4; i++) rounded[n][i] = to_tf32(__uint_as_float(b[0][n][i]));
        }
    };

    template <int N>
    static __device__ __forceinline__ void multiply_add(float (&sums)[2 * N][4], const unsigned (&a)[1][4],
                                                        const Right<N>& b) {
        unsigned rounded[4];
#pragma unroll
        for (int i = 0; i < 4; i++) rounded[i] = to_tf32(__uint_as_float(a[0][i]));
#pragma unroll
        for (int n = 0; n < 2 * N; n++) mma_tf32(sums[n], rounded, b.rounded[n / 2][n % 2], b.rounded[n / 2][n % 2 + 2]);
    }
};

// One product in bfloat16: operands rounded to 8 bits. The mma takes 16 steps of the depth and pairs neighbours. Which two
// steps make a pair is all the same where both operands agree, so (t, t + 4) of a piece are paired, which a lane holds.
struct BF16 {
    static constexpr int STEPS = 2;

    static __device__ __forceinline__ unsigned pair(const unsigned (&piece)[4], int i) {
        return to_bf16(__uint_as_float(piece[i]), __uint_as_float(piece[i + 2]));
    }

    template <int N>
    struct Right {
        unsigned pairs[2][N][2];

        __device__ __forceinline__ void prepare(const unsigned (&b)[2][N][4]) {
#pragma unroll
            for (int step = 0; step < 2; step++)
#pragma unroll
                for (int n = 0; n < N; n++)
#pragma unroll
                    for (int i = 0; i < 2; i++) pairs[step][n][i] = pair(b[step][n], i);
        }
    };

    template <int N>
    static __device__ __forceinline__ void multiply_add(float (&sums)[2 * N][4], const unsigned (&a)[2][4],
                                                        const Right<N>& b) {
        const unsigned pairs[4] = {pair(a[0], 0), pair(a[0], 1), pair(a[1], 0), pair(a[1], 1)};
#pragma unroll
        for (int n = 0; n < 2 * N; n++) mma_bf16(sums[n], pairs, b.pairs[0][n / 2][n % 2], b.pairs[1][n / 2][n % 2]);
    }
};

// float32 accuracy (3xTF32): x = high + low with both in TF32, and x y = high high' + high low' + low high' but for low low'
// and the rounding of low, together 3 * 2^-22 |x y|. Tensor cores cut sums off instead of rounding them, and over a long
// depth that adds up; so only 8 products are summed there, and these sums are added in float32 by the ordinary cores.
// Sources: Markidis et al., "NVIDIA Tensor Core Programmability, Performance & Precision" (2018), for the split; Ootomo &
// Yokota, "Recovering single precision accuracy from Tensor Cores while surpassing the FP32 theoretical peak performance"
// (2022), for where to sum.
struct TF32x3 {
    static constexpr int STEPS = 1;

    // `finite` becomes NaN if the value is not finite: then low is meaningless.
    static __device__ __forceinline__ void split(unsigned bits, unsigned& high, unsigned& low, float& finite) {
        float value = __uint_as_float(bits);
        high = to_tf32(value);
        float rest = value - __uint_as_float(high);  // exact
        finite = fmaf(rest, 0.0f, finite);
        low = __float_as_uint(rest) + 0x1000u;  // rounded as by to_tf32: the tensor cores ignore the bits below
    }

    template <int N>
    struct Right {
        unsigned high[N][4], low[N][4];
        float finite;

        __device__ __forceinline__ void prepare(const unsigned (&b)[1][N][4]) {
            finite = 0;
#pragma unroll
            for (int n = 0; n < N; n++)
#pragma unroll
                for (int i = 0; i < 4; i++) split(b[0][n][i], high[n][i], low[n][i], finite);
        }
    };

    template <int N>
    static __device__ __forceinline__ void multiply_add(float (&sums)[2 * N][4], const unsigned (&a)[1][4],
                                                        const Right<N>& b) {
        unsigned high[4], low[4];
        float finite = b.finite;
#pragma unroll
        for (int i = 0; i < 4; i++) split(a[0][i], high[i], low[i], finite);
        if (__any_sync(FULL_WARP, finite != 0)) {
            // An infinity or NaN is whole in its high part and counts in high high' alone: beside it, a low' of 0 or of the
            // other sign would make NaN of an infinite product.
            products<N, true, false>(sums, high, low, b);
#pragma unroll
            for (int i = 0; i < 4; i++) clear(high[i], low[i]);
            products<N, false, true>(sums, high, low, b);
        } else {
            products<N, true, true>(sums, high, low, b);
        }
    }

    static __device__ __forceinline__ void clear(unsigned& high, unsigned& low) {
        if (!isfinite(__uint_as_float(high))) high = low = 0;
    }

    // HIGH: high high'. MIXED: high low' and low high', alone of finite numbers. The small ones first: summed last, their
    // lower bits would be cut off.
    template <int N, bool HIGH, bool MIXED>
    static __device__ __forceinline__ void products(float (&sums)[2 * N][4], const unsigned (&high)[4],
                                                    const unsigned (&low)[4], const Right<N>& b) {
#pragma unroll
        for (int n = 0; n < 2 * N; n++) {
            unsigned high0 = b.high[n / 2][n % 2], high1 = b.high[n / 2][n % 2 + 2];
            unsigned low0 = b.low[n / 2][n % 2], low1 = b.low[n / 2][n % 2 + 2];
            if (!HIGH) clear(high0, low0), clear(high1, low1);
            float part[4] = {0, 0, 0, 0};
            if (MIXED) mma_tf32(part, low, high0, high1);
            if (MIXED) mma_tf32(part, high, low0, low1);
            if (HIGH) mma_tf32(part, high, high0, high1);
#pragma unroll
            for (int i = 0; i < 4; i++) sums[n][i] += part[i];
        }
    }
};
