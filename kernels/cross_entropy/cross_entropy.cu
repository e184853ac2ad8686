// Cross-entropy of logits with labels or with probabilities, and its gradient, in float32 or float64 (`real`). See
// __init__.py for the formulas, include/rows.cuh for rows and teams. Losses of rows are summed by ../cuda/total.cu.
//
// What a class counts in the loss of its row is (of_label share + of_each) v: share is 1 at the label and 0 elsewhere, or
// the probability; of_label = 1 - label_smoothing, of_each = label_smoothing / n. `labels` or `shares` is null, and `v`,
// the weights of classes, may be.
#include "minitl.cuh"
#include "rows.cuh"

__device__ __forceinline__ real weight_of(const real* v, int i) { return v ? v[i] : 1; }

// In place of a label: the row does not count; it cannot be counted, and its loss and gradient are NaN.
const int IGNORED = -1, IMPOSSIBLE = -2;

// A row's label. On a GPU nobody has looked at it before: one that is no class leads to NaN, not out of an array.
__device__ __forceinline__ int label_of(const long long* labels, long long row, long long ignored, int n) {
    long long label = labels[row];
    if (label == ignored) return IGNORED;
    return label < 0 || label >= n ? IMPOSSIBLE : int(label);
}

// How much a row counts in the mean.
__device__ __forceinline__ real weight_of_row(const real* v, int label) {
    return label >= 0 ? weight_of(v, label) : label == IGNORED ? real(0) : real(NAN);
}

// The row's log_p; the loss comes back. Nothing that does not count is multiplied, or 0 times inf would be NaN.
template <class Team>
__device__ __forceinline__ real cross_entropy(const real* logits, const real* shares, const real* v, real* log_p, Row row,
                                              int n, int label, real of_label, real of_each, Team team) {
    real top = largest(logits, row, n, team);
    real log_sum = log(sum_of_powers(logits, row, n, top, team));
    real picked = 0, every = 0;
    for (int i = team.rank(); i < n; i += team.size()) {
        real found = (logits[row[i]] - top) - log_sum;
        log_p[row[i]] = found;
        if (shares) {
            every += (of_label * shares[row[i]] + of_each) * weight_of(v, i) * found;
        } else {
            if (of_each != 0) every += of_each * weight_of(v, i) * found;
            if (of_label != 0 && i == label) picked = of_label * weight_of(v, i) * found;
        }
    }
    picked = team.sum(picked);
    every = team.sum(every);
    return -(picked + every);
}

// gx_i = (p_i sum_j t_j - t_i) scale, with t what the classes count.
template <class Team>
__device__ __forceinline__ void cross_entropy_grad(const real* log_p, const real* shares, const real* v, real* gx, Row row,
                                                   int n, int label, real of_label, real of_each, real scale, Team team) {
    real sum = 0;
    if (shares || of_each != 0) {
        for (int i = team.rank(); i < n; i += team.size())
            sum += ((shares ? of_label * shares[row[i]] : 0) + of_each) * weight_of(v, i);
        sum = team.sum(sum);
    }
    if (label >= 0) sum += of_label * weight_of(v, label);
    for (int i = team.rank(); i < n; i += team.size()) {
        real share = shares ? shares[row[i]] : real(i == label);
        gx[row[i]] = (exp(log_p[row[i]]) * sum - (of_label * share + of_each) * weight_of(v, i)) * scale;
    }
}

// One row forward. row_weights, how much each counts in the mean, may be null.
template <class Team>
__device__ __forceinline__ void forward(const real* logits, const long long* labels, const real* shares, const real* v,
                                        real* log_p, real* losses, real* row_weights, long long row, int n,
                                        long long inner, long long ignored, real of_label, real of_each, Team team) {
    int label = labels ? label_of(labels, row, ignored, n) : IGNORED;
    real loss = cross_entropy(logits, shares, v, log_p, row_of(row, n, inner), n, label, of_label, of_each, team);
    if (team.rank() > 0) return;
    losses[row] = shares || label >= 0 ? loss : label == IGNORED ? real(0) : real(NAN);
    if (row_weights) row_weights[row] = shares ? real(1) : weight_of_row(v, label);
}

// One row backward. grad: one for all rows, or `each`. It is divided by `total`, where there is one, or `divisor`.
template <class Team>
__device__ __forceinline__ void backward(const real* grad, const real* total, const real* log_p, const long long* labels,
                                         const real* shares, const real* v, real* gx, long long row, int n,
                                         long long inner, long long ignored, real of_label, real of_each, real divisor,
                                         int each, Team team) {
    int label = labels ? label_of(labels, row, ignored, n) : IGNORED;
    real scale = label == IMPOSSIBLE ? real(NAN) : real(0);
    if (shares || label >= 0) {
        scale = grad[each ? row : 0];
        if (total) divisor = total[0] == 0 ? real(NAN) : total[0];
        scale /= divisor;
    }
    cross_entropy_grad(log_p, shares, v, gx, row_of(row, n, inner), n, label, of_label, of_each, scale, team);
}

// How much each row counts in the mean, for the gradient.
extern "C" __global__ void cross_entropy_weights(const long long* __restrict__ labels, const real* __restrict__ v,
                                                 real* __restrict__ row_weights, long long rows, int n, long long ignored) {
    long long row = row_of_thread();
    if (row >= rows) return;
    row_weights[row] = weight_of_row(v, label_of(labels, row, ignored, n));
}

// 1. naive ------------------------------------------------------------------------------------------------------------
// The definition: one thread a row.

extern "C" __global__ void cross_entropy_naive(const real* __restrict__ logits, const long long* __restrict__ labels,
                                               const real* __restrict__ shares, const real* __restrict__ v,
                                               real* __restrict__ log_p, real* __restrict__ losses,
                                               real* __restrict__ row_weights, long long rows, int n, long long inner,
                                               long long ignored, real of_label, real of_each) {
    long long row = row_of_thread();
    if (row >= rows) return;
    forward(logits, labels, shares, v, log_p, losses, row_weights, row, n, inner, ignored, of_label, of_each, OneThread());
}

extern "C" __global__ void cross_entropy_grad_naive(const real* __restrict__ grad, const real* __restrict__ total,
                                                    const real* __restrict__ log_p, const long long* __restrict__ labels,
                                                    const real* __restrict__ shares, const real* __restrict__ v,
                                                    real* __restrict__ gx, long long rows, int n, long long inner,
                                                    long long ignored, real of_label, real of_each, real divisor, int each) {
    long long row = row_of_thread();
    if (row >= rows) return;
    backward(grad, total, log_p, labels, shares, v, gx, row, n, inner, ignored, of_label, of_each, divisor, each,
             OneThread());
}

// 2. warp -------------------------------------------------------------------------------------------------------------
// Against naive: a warp a row reads neighbouring numbers by one access (softmax.cu).

extern "C" __global__ void cross_entropy_warp(const real* __restrict__ logits, const long long* __restrict__ labels,
                                              const real* __restrict__ shares, const real* __restrict__ v,
                                              real* __restrict__ log_p, real* __restrict__ losses,
                                              real* __restrict__ row_weights, long long rows, int n, long long inner,
                                              long long ignored, real of_label, real of_each) {
    long long row = row_of_warp();
    if (row >= rows) return;
    forward(logits, labels, shares, v, log_p, losses, row_weights, row, n, 1, ignored, of_label, of_each, OneWarp());
}

extern "C" __global__ void cross_entropy_grad_warp(const real* __restrict__ grad, const real* __restrict__ total,
                                                   const real* __restrict__ log_p, const long long* __restrict__ labels,
                                                   const real* __restrict__ shares, const real* __restrict__ v,
                                                   real* __restrict__ gx, long long rows, int n, long long inner,
                                                   long long ignored, real of_label, real of_each, real divisor, int each) {
    long long row = row_of_warp();
    if (row >= rows) return;
    backward(grad, total, log_p, labels, shares, v, gx, row, n, 1, ignored, of_label, of_each, divisor, each, OneWarp());
}

// 3. block ------------------------------------------------------------------------------------------------------------
// Against warp: a block a row, for long rows, of which there may be few.

extern "C" __global__ void cross_entropy_block(const real* __restrict__ logits, const long long* __restrict__ labels,
                                               const real* __restrict__ shares, const real* __restrict__ v,
                                               real* __restrict__ log_p, real* __restrict__ losses,
                                               real* __restrict__ row_weights, long long rows, int n, long long inner,
                                               long long ignored, real of_label, real of_each) {
    forward(logits, labels, shares, v, log_p, losses, row_weights, blockIdx.x, n, 1, ignored, of_label, of_each,
            OneBlock());
}

extern "C" __global__ void cross_entropy_grad_block(const real* __restrict__ grad, const real* __restrict__ total,
                                                    const real* __restrict__ log_p, const long long* __restrict__ labels,
                                                    const real* __restrict__ shares, const real* __restrict__ v,
                                                    real* __restrict__ gx, long long rows, int n, long long inner,
                                                    long long ignored, real of_label, real of_each, real divisor, int each) {
    backward(grad, total, log_p, labels, shares, v, gx, blockIdx.x, n, 1, ignored, of_label, of_each, divisor, each,
             OneBlock());
}
