// The multi-class hinge loss and its gradient, in float32 or float64 (`real`). See __init__.py for the formulas.
//
// All is worked out in float64, differences of scores in the order in which they are written there: every version agrees on
// which classes violate the margin. Losses of rows are summed by ../cuda/total.cu.
#include "minitl.cuh"
#include "rows.cuh"

// By how much class k violates the margin, 0 where it does not; NaN stays.
__device__ __forceinline__ double violation(const real* row, int k, int label, double margin) {
    return k == label ? 0.0 : larger((margin - row[label]) + row[k], 0.0);
}

// What each row's sum is multiplied with.
__device__ __forceinline__ double factor_of(const real* v, long long label, int n) {
    return (v ? double(v[label]) : 1.0) / n;
}

// Whether a label is a class. On a GPU nobody has looked at it before: loss and gradient of a row without one are NaN.
__device__ __forceinline__ bool is_class(long long label, int n) { return label >= 0 && label < n; }

// naive: one thread a row. There are as few rows as pictures, and as few numbers in each as classes.

extern "C" __global__ void hinge_loss_naive(const real* __restrict__ scores, const long long* __restrict__ labels,
                                            const real* __restrict__ v, real* __restrict__ losses, long long rows, int n,
                                            double margin, int p) {
    long long r = row_of_thread();
    if (r >= rows) return;
    if (!is_class(labels[r], n)) {
        losses[r] = NAN;
        return;
    }
    const real* row = scores + r * n;
    int label = labels[r];
    double sum = 0;
    for (int k = 0; k < n; ++k) {
        double z = violation(row, k, label, margin);
        sum += p == 2 ? z * z : z;
    }
    losses[r] = factor_of(v, label, n) * sum;
}

// grad: one for all rows, or `each`, divided by `divisor`.
extern "C" __global__ void hinge_loss_grad_naive(const real* __restrict__ grad, const real* __restrict__ scores,
                                                 const long long* __restrict__ labels, const real* __restrict__ v,
                                                 real* __restrict__ gx, long long rows, int n, double margin, int p,
                                                 double divisor, int each) {
    long long r = row_of_thread();
    if (r >= rows) return;
    if (!is_class(labels[r], n)) {
        for (int k = 0; k < n; ++k) gx[r * n + k] = NAN;
        return;
    }
    const real* row = scores + r * n;
    int label = labels[r];
    double scale = grad[each ? r : 0] / divisor * factor_of(v, label, n), sum = 0;
    for (int k = 0; k < n; ++k) {
        if (k == label) continue;
        double z = violation(row, k, label, margin);
        double slope = (p == 2 ? 2 * z : z > 0 ? 1.0 : z) * scale;  // that of NaN is NaN
        sum += slope;
        gx[r * n + k] = slope;
    }
    gx[r * n + label] = -sum;
}
