// Copies from global to shared memory that go on while the thread works (cp.async, from sm_80 on).
//
// A thread's copies since its last commit_async() form a group. wait_async<N>() waits until all of its groups but the N
// newest have landed. That makes the thread's own copies visible to itself; a barrier shows them to the block.
#pragma once

#ifndef MINITL_EMULATED
__device__ __forceinline__ unsigned shared_address(const void* at) {
    return static_cast<unsigned>(__cvta_generic_to_shared(at));
}
#endif

// Copies 16 bytes: `valid` of them (0 to 16) from `from`, the rest zeros. Both addresses must be multiples of 16; with
// valid = 0 nothing is read, but `from` must still be an address.
__device__ __forceinline__ void copy_async_16(void* to, const void* from, int valid) {
#ifdef MINITL_EMULATED
    minitl_copy_async(to, from, 16, valid);
#else
    // .cg: past L1, since nobody on this multiprocessor reads it again.
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from), "r"(valid)
                 : "memory");
#endif
}

// The same for 4 bytes.
__device__ __forceinline__ void copy_async_4(void* to, const void* from, int valid) {
#ifdef MINITL_EMULATED
    minitl_copy_async(to, from, 4, valid);
#else
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(to)), "l"(from), "r"(valid)
                 : "memory");
#endif
}

__device__ __forceinline__ void commit_async() {
#ifdef MINITL_EMULATED
    minitl_commit_async();
#else
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

template <int NEWEST>
__device__ __forceinline__ void wait_async() {
#ifdef MINITL_EMULATED
    minitl_wait_async(NEWEST);
#else
    asm volatile("cp.async.wait_group %0;" ::"n"(NEWEST) : "memory");
#endif
}
