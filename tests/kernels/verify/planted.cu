// A convolution like conv2d_naive, and what goes wrong when FAULT is planted: compiled once for each number.
#include "minitl.cuh"

extern "C" __global__ void mine(const float* x, const float* w, const float* b, float* y, Conv g, Strides4 xs,
                                Strides4 ws, Strides4 ys, int relu) {
    SHARED(float, bias, [1]);
    SHARED(float, copied, [4]);
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    bool inside = i < (long long)g.N * g.O * g.P * g.Q;  // IN_RANGE
    int q = i % g.Q, p = i / g.Q % g.P, o = i / g.Q / g.P % g.O, n = i / g.Q / g.P / g.O;
    if (threadIdx.x == 0) bias[0] = b ? 1.0f : 0.0f;
    if (threadIdx.x == 0) copy_async_4(copied, w, 4);
    commit_async();
    wait_async<0>();  // WAIT
    if (threadIdx.x == 0) copied[1] = copied[0];
    __syncthreads();  // BARRIER
    float first = copied[1];
    float sum = bias[0] > 0 && inside ? b[o] : 0;
    if (!inside) return;
    int channels = g.C / g.groups, group = o / (g.O / g.groups) * channels;
    for (int c = 0; c < channels; ++c)
        for (int r = 0; r < g.R; ++r)
            for (int s = 0; s < g.S; ++s) {
                int h = p * g.stride_h - g.top + r * g.dilation_h;
                int v = q * g.stride_w - g.left + s * g.dilation_w;
                if (g.replicate) {
                    h = min(max(h, 0), g.H - 1);
                    v = min(max(v, 0), g.W - 1);
                }
                bool at_first = o + c + r + s == 0;
                if (h >= 0 && h < g.H && v >= 0 && v < g.W)
                    sum += x[at(xs, n, group + c, h, v)] * (at_first ? first : w[at(ws, o, c, r, s)]);
            }
    y[at(ys, n, o, p, q)] = relu && sum <= 0 ? 0 : sum;
}
