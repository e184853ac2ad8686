// The logistic function 1 / (1 + exp(-x)), for whatever is made of it.
#pragma once

// By an exponential of -|x| alone: nothing overflows, and the tail on the left keeps its digits.
__device__ __forceinline__ real logistic(real x) {
    real e = exp(-fabs(x));
    return (x < 0 ? e : 1) / (1 + e);
}
