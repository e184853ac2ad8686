// Tensor cores by mma.sync: a warp multiplies small matrices that its 32 lanes hold together, each a few numbers.
//
// Source of every layout: PTX ISA, "Warp Level Matrix Multiply-Accumulate Instructions". With g = lane / 4, t = lane % 4:
//   left 16 x 8 (tf32):   a[0] (g, t)  a[1] (g + 8, t)  a[2] (g, t + 4)  a[3] (g + 8, t + 4)
//   right 8 x 8 (tf32):   b0 (t, g)  b1 (t + 4, g), as (depth, column)
//   left 16 x 16 (bf16):  a[0] (g, 2t and 2t + 1)  a[1] (g + 8, the same)  a[2], a[3]: as these, 8 further along the depth
//   right 16 x 8 (bf16):  b0 (2t and 2t + 1, g)  b1 (2t + 8 and 2t + 9, g); of a pair, the first is the lower half
//   sums 16 x 8:          (g, 2t)  (g, 2t + 1)  (g + 8, 2t)  (g + 8, 2t + 1)
#pragma once

// float32 rounded to TF32 (8 bits of exponent, 10 of fraction) as bits: to nearest, ties away from zero. What rounds to
// 2^128 becomes infinite. NaN becomes a NaN, but its sign and payload need not be kept, nor be the same here and on a
// GPU: that it is NaN is all that may be relied on.
__device__ __forceinline__ unsigned to_tf32(float value) {
#ifdef MINITL_EMULATED
    unsigned bits = __float_as_uint(value);
    if (value != value) return 0x7fffe000u;
    return (bits + 0x1000u) & 0xffffe000u;
#else
    unsigned bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(value));
    return bits;
#endif
}

// Two float32 rounded to bfloat16 (8 bits of exponent, 7 of fraction), to nearest even, `low` in the lower half.
__device__ __forceinline__ unsigned to_bf16(float low, float high) {
#ifdef MINITL_EMULATED
    unsigned halves[2];
    for (int i = 0; i < 2; i++) {
        float value = i ? high : low;
        unsigned bits = __float_as_uint(value);
        halves[i] = value != value ? 0x7fffu : (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
    }
    return halves[0] | halves[1] << 16;
#else
    unsigned pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
#endif
}

// sums += left * right, 16 x 8 x 8 in TF32: exact products, of operands whose low 13 bits count as 0, summed in float32.
__device__ __forceinline__ void mma_tf32(float (&sums)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
#ifdef MINITL_EMULATED
    const unsigned b[2] = {b0, b1};
    minitl_mma_tf32(sums, a, b, sums);
#else
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#endif
}

// sums += left * right, 16 x 8 x 16 in bfloat16.
__device__ __forceinline__ void mma_bf16(float (&sums)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
#ifdef MINITL_EMULATED
    const unsigned b[2] = {b0, b1};
    minitl_mma_bf16(sums, a, b, sums);
#else
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#endif
}

// Four 8 x 4 matrices of 32-bit numbers from shared memory. Lane i gives the address of row i % 8 of matrix i / 8, 16 bytes
// that start at a multiple of 16; r[m] becomes element (g, t) of matrix m.
__device__ __forceinline__ void ldmatrix_x4(unsigned (&r)[4], const void* row) {
#ifdef MINITL_EMULATED
    minitl_ldmatrix_x4(r, row, 0);
#else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
#endif
}
