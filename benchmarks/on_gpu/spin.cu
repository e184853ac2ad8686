// Keeps the GPU busy for some clock cycles, so that what is queued behind has been launched when it begins.
#include "minitl.cuh"

extern "C" __global__ void spin(long long* __restrict__ sink, long long cycles) {
    long long start = clock64();
    while (clock64() - start < cycles) {
    }
    *sink = cycles;
}
