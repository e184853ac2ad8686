// Arrays of one shape brought up to date together, number by number: all that one place needs is read once, and all that
// comes of it written once. A rule is a function of the N numbers at a place, which it changes.
#pragma once

// One thread a place. An array that is not there is null: its number is 0, and what becomes of it is lost.
template <int N, class F>
__device__ __forceinline__ void update_one(const real* const (&from)[N], real* const (&to)[N], long long i, F rule) {
    real v[N];
#pragma unroll
    for (int k = 0; k < N; ++k) v[k] = from[k] ? from[k][i] : 0;
    rule(v);
#pragma unroll
    for (int k = 0; k < N; ++k)
        if (to[k]) to[k][i] = v[k];
}

// One thread four places that lie side by side: a quarter of the instructions that find and move numbers.
template <int N, class F>
__device__ __forceinline__ void update_four(const real* const (&from)[N], real* const (&to)[N], long long i,
                                            long long count, F rule) {
    if (i + 4 > count) {
        for (; i < count; ++i) update_one(from, to, i, rule);
        return;
    }
    real v[N][4];
#pragma unroll
    for (int k = 0; k < N; ++k) {
        if (from[k]) {
            load4(v[k], from[k] + i, aligned16(from[k]));
        } else {
#pragma unroll
            for (int e = 0; e < 4; ++e) v[k][e] = 0;
        }
    }
#pragma unroll
    for (int e = 0; e < 4; ++e) {
        real one[N];
#pragma unroll
        for (int k = 0; k < N; ++k) one[k] = v[k][e];
        rule(one);
#pragma unroll
        for (int k = 0; k < N; ++k) v[k][e] = one[k];
    }
#pragma unroll
    for (int k = 0; k < N; ++k)
        if (to[k]) store4(to[k] + i, v[k]);
}
