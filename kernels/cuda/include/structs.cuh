// What kernels are told about geometry and layout; filled by kernels/cuda/structs.py, field by field in this order.
#pragma once

// A 2-D convolution (kernels/geometry.py, ConvGeometry). N x C x H x W in, N x O x P x Q out, filters R x S.
struct Conv {
    int N, C, H, W, O, P, Q, R, S;
    int stride_h, stride_w, dilation_h, dilation_w;
    int top, left;  // padding before; that after follows from P and Q
    int groups;
    int replicate;  // padding repeats the border instead of being 0
};

// A 2-D pooling window (PoolGeometry).
struct Pool {
    int N, C, H, W, P, Q, R, S;
    int stride_h, stride_w, dilation_h, dilation_w;
    int top, left;
};

// A border around pictures (PadGeometry): N x C x H x W in, N x C x P x Q out.
enum { CONSTANT, REFLECT, REPLICATE, CIRCULAR };  // PAD_MODES, in their order
struct Border {
    int N, C, H, W, P, Q;
    int top, left;
    int mode;
};

// Steps from one element to the next along each axis of an (N, C, H, W) array, in elements.
struct Strides4 {
    long long n, c, h, w;
};

__device__ __forceinline__ long long at(Strides4 s, int n, int c, int h, int w) {
    return n * s.n + c * s.c + h * s.h + w * s.w;
}

// How many elements an array has along each of four axes; the last varies fastest. Longer than int, for axes made one.
struct Shape4 {
    long long n, c, h, w;
};
