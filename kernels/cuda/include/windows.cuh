// Sources for gemm.cuh that make a convolution a matrix product without writing the matrix down (implicit GEMM): addresses
// are worked out while tiles are copied. Arrays are channels-last: pictures (N, H, W, C), filters (O, R, S, C / groups).
//
// Source of the method: Chetlur et al., "cuDNN: Efficient Primitives for Deep Learning" (2014), section 3.
#pragma once
#include "divide.cuh"
#include "tiles.cuh"

// A pixel of any of the pictures: where its picture begins, and its place there. inside: false behind the last pixel.
struct Pixel {
    long long picture;
    int h, w;
    bool inside;
};

// A tap of a filter: its distance from the filter's corner, and a channel, -1 behind the last tap.
struct Tap {
    int h, w, channel;
};

// Numbers the pixels of (height x width) pictures, and the taps and channels of filters.
struct Counting {
    int pixels, taps;
    Divisor plane, line, channels, width;
    int dilation_h, dilation_w;

    __device__ __forceinline__ Counting(const Conv& g, int height, int width_, int channels_)
        : pixels(g.N * height * width_), taps(g.R * g.S * channels_), plane(height * width_), line(width_),
          channels(channels_), width(g.S), dilation_h(g.dilation_h), dilation_w(g.dilation_w) {}

    __device__ __forceinline__ Pixel pixel(int i, int picture) const {
        bool inside = i < pixels;
        long long n = plane.split(i);
        int h = line.split(i);
        return {n * picture, h, i, inside};
    }
    __device__ __forceinline__ Tap tap(int k) const {
        if (k >= taps) return {0, 0, -1};
        int t = channels.split(k);
        int r = width.split(t);
        return {r * dilation_h, t * dilation_w, k};
    }
};

// What the taps of a filter see from each output pixel: element (output pixel, tap) of the unfolded input.
struct Windows {
    const float* base;
    const Conv& g;
    Counting count;
    bool vector;

    __device__ __forceinline__ Windows(const float* x, const Conv& g, int group)
        : base(x + group * (g.C / g.groups)), g(g), count(g, g.P, g.Q, g.C / g.groups) {
        vector = g.C % 4 == 0 && g.C / g.groups % 4 == 0 && aligned16(base);
    }
    __device__ __forceinline__ Pixel pixel(int i) const {
        Pixel pixel = count.pixel(i, g.H * g.W * g.C);
        pixel.h = pixel.h * g.stride_h - g.top;
        pixel.w = pixel.w * g.stride_w - g.left;
        return pixel;
    }
    __device__ __forceinline__ Tap tap(int k) const { return count.tap(k); }
    __device__ __forceinline__ const float* at(const Pixel& pixel, const Tap& tap) const {
        int h = pixel.h + tap.h, w = pixel.w + tap.w;
        if (g.replicate) {
            h = min(max(h, 0), g.H - 1);
            w = min(max(w, 0), g.W - 1);
        }
        bool inside = pixel.inside && tap.channel >= 0 && h >= 0 && h < g.H && w >= 0 && w < g.W;
        return inside ? base + (pixel.picture + (h * g.W + w) * g.C + tap.channel) : nullptr;
    }
};

// Which output a tap sees an input pixel from: element (input pixel, tap of a filter and which filter) of the unfolded
// gradient of the outputs.
struct Sightings {
    const float* base;
    const Conv& g;
    Counting count;
    Divisor stride_h, stride_w;
    bool vector;

    __device__ __forceinline__ Sightings(const float* grad, const Conv& g, int group)
        : base(grad + group * (g.O / g.groups)), g(g), count(g, g.H, g.W, g.O / g.groups), stride_h(g.stride_h),
          stride_w(g.stride_w) {
        vector = g.O % 4 == 0 && g.O / g.groups % 4 == 0 && aligned16(base);
    }
    __device__ __forceinline__ Pixel pixel(int i) const {
        Pixel pixel = count.pixel(i, g.P * g.Q * g.O);
        pixel.h += g.top;
        pixel.w += g.left;
        return pixel;
    }
    __device__ __forceinline__ Tap tap(int k) const { return count.tap(k); }
    __device__ __forceinline__ const float* at(const Pixel& pixel, const Tap& tap) const {
        int h = pixel.h - tap.h, w = pixel.w - tap.w;
        if (!pixel.inside || tap.channel < 0 || h < 0 || w < 0) return nullptr;
        int p = stride_h.split(h), q = stride_w.split(w);  // h and w become what is left
        bool seen = h == 0 && w == 0 && p < g.P && q < g.Q;
        return seen ? base + (pixel.picture + (p * g.Q + q) * g.O + tap.channel) : nullptr;
    }
};

// The filters of a group, for Sightings: element (input channel, tap of a filter and which filter).
struct Filters {
    const float* base;
    int channels, filters, taps;
    Divisor by_filters;
    bool vector;

    __device__ __forceinline__ Filters(const float* w, const Conv& g, int group)
        : channels(g.C / g.groups), filters(g.O / g.groups), taps(g.R * g.S), by_filters(g.O / g.groups) {
        base = w + (long long)group * filters * taps * channels;
        vector = channels % 4 == 0 && aligned16(base);
    }
    __device__ __forceinline__ int row(int c) const { return c < channels ? c : -1; }
    __device__ __forceinline__ long long depth(int k) const {
        int t = by_filters.split(k);
        return t < taps ? (k * (long long)taps + t) * channels : -1;
    }
    __device__ __forceinline__ const float* at(int row, long long depth) const {
        return row < 0 || depth < 0 ? nullptr : base + depth + row;
    }
};

// Windows or Sightings with pixels for rows and taps along the depth ...
template <class Source>
struct ByPixel : Source {
    using Source::Source;
    __device__ __forceinline__ Pixel row(int i) const { return this->pixel(i); }
    __device__ __forceinline__ Tap depth(int k) const { return this->tap(k); }
};

// ... or with taps for rows and pixels along the depth.
template <class Source>
struct ByTap : Source {
    using Source::Source;
    __device__ __forceinline__ Tap row(int i) const { return this->tap(i); }
    __device__ __forceinline__ Pixel depth(int k) const { return this->pixel(k); }
    __device__ __forceinline__ const float* at(const Tap& row, const Pixel& depth) const {
        return Source::at(depth, row);
    }
};
