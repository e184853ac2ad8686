// Joining arrays along one axis: each array is copied to its place in y, in float32 or float64 (`real`).
#include "minitl.cuh"
#include "channels_last.cuh"
#include "elementwise.cuh"

// 1. naive ------------------------------------------------------------------------------------------------------------
// One thread a number of x, which goes to y + offset. Any strides.

extern "C" __global__ void concat_naive(const real* __restrict__ x, real* __restrict__ y, Shape4 shape, Strides4 xs,
                                        Strides4 ys, long long offset) {
    one_by_one(x, y + offset, shape, xs, ys, [](real value) { return value; });
}

// 2. rows -------------------------------------------------------------------------------------------------------------
// Against naive: where arrays lie in memory alike, whether in C order or channels-last, what comes before the axis makes
// rows, and a row of x is one piece of a row of y. So nothing but a group's place in its row is worked out, once for
// several rows, and 16 bytes go at once where `fours` (all lengths and places are multiples of 4).

// x (rows, columns) goes to y (rows, pitch) from column `offset` on.
extern "C" __global__ void __launch_bounds__(128)
    concat_rows(const real* __restrict__ x, real* __restrict__ y, long long rows, long long columns, long long pitch,
                long long offset, int fours, int across) {
    Walk walk(rows, fours ? columns / 4 : columns, across);
    bool vectors = aligned16(x);
    for (long long row = walk.row; row < walk.end; row += walk.step) {
        if (fours) {
            real value[4];
            load4(value, x + row * columns + walk.group * 4LL, vectors);
            store4(y + row * pitch + offset + walk.group * 4LL, value);
        } else {
            y[row * pitch + offset + walk.group] = x[row * columns + walk.group];
        }
    }
}
