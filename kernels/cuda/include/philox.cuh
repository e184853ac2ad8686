// Random numbers as a function of a counter and a key, so that any thread can make any of them.
// Source: Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011), section 3.3.
#pragma once

// Philox4x32-10.
__device__ __forceinline__ uint4 philox(uint4 counter, uint2 key) {
#pragma unroll
    for (int round = 0; round < 10; ++round) {
        unsigned high_x = __umulhi(counter.x, 0xD2511F53u), low_x = counter.x * 0xD2511F53u;
        unsigned high_z = __umulhi(counter.z, 0xCD9E8D57u), low_z = counter.z * 0xCD9E8D57u;
        counter = make_uint4(high_z ^ counter.y ^ key.x, low_z, high_x ^ counter.w ^ key.y, low_x);
        key = make_uint2(key.x + 0x9E3779B9u, key.y + 0xBB67AE85u);
    }
    return counter;
}
