// Loads and stores of 16 bytes at once: four float32 or two float64. The address must be a multiple of 16.
#pragma once

__device__ __forceinline__ float4 load4(const float* from) {
    READS_16(from);
    return *reinterpret_cast<const float4*>(from);
}
__device__ __forceinline__ void store4(float* to, float4 value) {
    WRITES_16(to);
    *reinterpret_cast<float4*>(to) = value;
}
__device__ __forceinline__ double2 load2(const double* from) {
    READS_16(from);
    return *reinterpret_cast<const double2*>(from);
}
__device__ __forceinline__ void store2(double* to, double2 value) {
    WRITES_16(to);
    *reinterpret_cast<double2*>(to) = value;
}

// Four values of either type to and from registers: one load for float32, two for float64.
__device__ __forceinline__ void load4(float to[4], const float* from) {
    float4 v = load4(from);
    to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
}
__device__ __forceinline__ void load4(double to[4], const double* from) {
    double2 low = load2(from), high = load2(from + 2);
    to[0] = low.x, to[1] = low.y, to[2] = high.x, to[3] = high.y;
}
__device__ __forceinline__ void store4(float* to, const float v[4]) { store4(to, make_float4(v[0], v[1], v[2], v[3])); }
__device__ __forceinline__ void store4(double* to, const double v[4]) {
    store2(to, make_double2(v[0], v[1]));
    store2(to + 2, make_double2(v[2], v[3]));
}

__device__ __forceinline__ bool aligned16(const void* at) { return reinterpret_cast<unsigned long long>(at) % 16 == 0; }

// load4 where `vectors`, otherwise one by one: an array that is handed in may begin anywhere.
template <class T>
__device__ __forceinline__ void load4(T to[4], const T* from, bool vectors) {
    if (vectors) return load4(to, from);
#pragma unroll
    for (int e = 0; e < 4; ++e) to[e] = from[e];
}
