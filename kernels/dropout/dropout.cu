// Dropout, in float32 or float64 (`real`): y = x scale where the element's random number is at least `threshold`, else 0.
// Its own gradient. Element e of a row takes lane e % 4 of Philox with counter (e / 4, stream, 0, 0) and the row's key, so
// the bits are those of every other version.
#include "minitl.cuh"
#include "elementwise.cuh"
#include "philox.cuh"

__device__ __forceinline__ uint4 four_numbers(unsigned long long key, long long four, unsigned stream) {
    return philox(make_uint4(unsigned(four), stream, 0, 0), make_uint2(unsigned(key), unsigned(key >> 32)));
}

// 1. naive ------------------------------------------------------------------------------------------------------------
// The definition: one thread an element, of any strides; `shape` is walked in row-major order, `per_row` elements a key.

extern "C" __global__ void dropout_naive(const real* __restrict__ x, real* __restrict__ y, Shape4 shape, Strides4 xs,
                                         Strides4 ys, const unsigned long long* __restrict__ keys, long long per_row,
                                         unsigned stream, unsigned long long threshold, real scale) {
    long long i = thread_number();
    Place p = place(shape, i);
    if (!p.inside) return;
    long long e = i % per_row;
    uint4 numbers = four_numbers(keys[i / per_row], e / 4, stream);
    unsigned lanes[4] = {numbers.x, numbers.y, numbers.z, numbers.w}, number = lanes[0];
#pragma unroll
    for (int lane = 1; lane < 4; ++lane) number = e % 4 == lane ? lanes[lane] : number;  // no indexing: it takes memory
    y[at(ys, p)] = number < threshold ? 0 : x[at(xs, p)] * scale;
}

// 2. vector -----------------------------------------------------------------------------------------------------------
// Against naive, which makes four random numbers for each that it needs: a thread takes the four elements of one counter.
// Arrays are (rows, per_row) in C order.

extern "C" __global__ void dropout_vector(const real* __restrict__ x, real* __restrict__ y,
                                          const unsigned long long* __restrict__ keys, long long rows, long long per_row,
                                          unsigned stream, unsigned long long threshold, real scale) {
    long long fours = (per_row + 3) / 4, i = thread_number();
    if (i >= rows * fours) return;
    long long row = i / fours, four = i % fours, first = row * per_row + 4 * four;
    uint4 numbers = four_numbers(keys[row], four, stream);
    unsigned lanes[4] = {numbers.x, numbers.y, numbers.z, numbers.w};
    if (per_row % 4 == 0) {
        real v[4];
        load4(v, x + first, aligned16(x));
#pragma unroll
        for (int e = 0; e < 4; ++e) v[e] = lanes[e] < threshold ? 0 : v[e] * scale;
        store4(y + first, v);
        return;
    }
#pragma unroll
    for (int e = 0; e < 4; ++e)
        if (4 * four + e < per_row) y[first + e] = lanes[e] < threshold ? 0 : x[first + e] * scale;
}
