// What every kernel includes first. One source, two machines: nvcc and NVRTC compile it for a GPU, g++ for the emulator,
// which runs it on a CPU (MINITL_EMULATED is defined there). Code between the two stands in these headers alone.
#pragma once

#ifdef MINITL_EMULATED
#include "cuda.h"
#else
// A shared array; the macro lets the emulator give each block a fresh one, watched. SHARED(float, tile, [16][17]);
#define SHARED(type, name, shape) __shared__ __align__(16) type name shape
// The array whose bytes the launch chooses (`shared=`).
#define DYNAMIC_SHARED(type, name)               \
    extern __shared__ float4 minitl_dynamic[];   \
    type* name = reinterpret_cast<type*>(minitl_dynamic)
#define READS_16(at)  // tells the emulator of a vector's load or store
#define WRITES_16(at)
#ifdef __CUDACC_RTC__  // NVRTC has no <math.h> constants
#undef INFINITY
#undef NAN
#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fffffff)
#endif
#endif

// The arithmetic of a kernel that serves float32 and float64 alike.
#ifndef REAL
#define REAL float
#endif
using real = REAL;

#define FULL_WARP 0xffffffffu

#include "structs.cuh"
#include "warp.cuh"
#include "vector.cuh"
#include "async.cuh"
#include "mma.cuh"
