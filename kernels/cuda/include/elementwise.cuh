// Functions of one number at a time, or of the numbers at one place of several arrays, over whole arrays.
#pragma once

__device__ __forceinline__ long long thread_number() { return (long long)blockIdx.x * blockDim.x + threadIdx.x; }

// A place in an array of a Shape4.
struct Place {
    long long n, c, h, w;
    bool inside;  // false: nothing is left for this thread
};

// That of element i, counted in row-major order. Axes of length 1 cost no division: most arrays are one long axis.
__device__ __forceinline__ Place place(Shape4 shape, long long i) {
    if (i >= shape.n * shape.c * shape.h * shape.w) return {0, 0, 0, 0, false};
    if (shape.n * shape.c * shape.h == 1) return {0, 0, 0, i, true};
    long long row = i / shape.w, plane = row / shape.h;
    return {plane / shape.c, plane % shape.c, row % shape.h, i % shape.w, true};
}

__device__ __forceinline__ long long at(Strides4 s, Place p) { return p.n * s.n + p.c * s.c + p.h * s.h + p.w * s.w; }

// One thread an element, arrays of any strides: y = f(x).
template <class F>
__device__ __forceinline__ void one_by_one(const real* x, real* y, Shape4 shape, Strides4 xs, Strides4 ys, F f) {
    Place p = place(shape, thread_number());
    if (p.inside) y[at(ys, p)] = f(x[at(xs, p)]);
}

// y = f(a, b)
template <class F>
__device__ __forceinline__ void one_by_one(const real* a, const real* b, real* y, Shape4 shape, Strides4 as, Strides4 bs,
                                           Strides4 ys, F f) {
    Place p = place(shape, thread_number());
    if (p.inside) y[at(ys, p)] = f(a[at(as, p)], b[at(bs, p)]);
}

// One thread four elements that lie side by side, the arrays without gaps and in one order: y = f(x). Against one_by_one,
// a quarter of the instructions that find and move numbers, and no divisions. y is aligned, as arrays just made are.
template <class F>
__device__ __forceinline__ void by_fours(const real* x, real* y, long long count, F f) {
    long long i = 4 * thread_number();
    if (i + 4 <= count) {
        real v[4];
        load4(v, x + i, aligned16(x));
#pragma unroll
        for (int e = 0; e < 4; ++e) v[e] = f(v[e]);
        store4(y + i, v);
    } else {
        for (; i < count; ++i) y[i] = f(x[i]);
    }
}

// y = f(a, b)
template <class F>
__device__ __forceinline__ void by_fours(const real* a, const real* b, real* y, long long count, F f) {
    long long i = 4 * thread_number();
    if (i + 4 <= count) {
        real v[4], w[4];
        load4(v, a + i, aligned16(a));
        load4(w, b + i, aligned16(b));
#pragma unroll
        for (int e = 0; e < 4; ++e) v[e] = f(v[e], w[e]);
        store4(y + i, v);
    } else {
        for (; i < count; ++i) y[i] = f(a[i], b[i]);
    }
}
