"""Launchers of cross_entropy.cu: one a version, with the signature of the op."""

from __future__ import annotations

from functools import partial

from ..cuda import ceil_div, contiguous, empty, source
from ..cuda.rows import BLOCK, Rows
from ..cuda.total import reduced, total

SOURCE = source(__file__, "cross_entropy.cu")
NO_LABEL = -(2**63)  # what no label is in earnest


def _as_int64(label, dtype):
    """What a label of `dtype` becomes in the kernels' int64, where uint64 wraps; NO_LABEL for one it cannot hold."""
    low, high = (0, 2 ** (8 * dtype.itemsize)) if dtype.kind == "u" else (-(2**63), 2**63)
    return (label + 2**63) % 2**64 - 2**63 if low <= label < high else NO_LABEL


class _Targets:
    """Labels, or probabilities as `shares`, and all else that the kernels are told of them."""

    def __init__(self, rows, logits, labels, class_weight, label_smoothing, ignore_index):
        soft = labels.ndim == logits.ndim
        self.labels = None if soft else contiguous(labels).astype("int64", copy=False)
        self.shares = rows.given(labels) if soft else None
        self.weight = None if class_weight is None else contiguous(class_weight)
        self.ignored = NO_LABEL if soft else _as_int64(int(ignore_index), labels.dtype)
        self.numbers = self.ignored, 1 - label_smoothing, label_smoothing / rows.n

    def row_weights(self, rows, like):
        """How much each row counts in the mean; None for probabilities, where each counts 1."""
        if self.labels is None:
            return None
        found = empty((rows.count,), like.dtype, like=like)
        SOURCE.launch(
            "cross_entropy_weights", ceil_div(rows.count, BLOCK), BLOCK,
            self.labels, self.weight, found, rows.count, rows.n, self.ignored, real=like.dtype,
        )  # fmt: skip
        return found


def _forward(logits, labels, class_weight, label_smoothing, ignore_index, reduction, team):
    rows = Rows(logits, 1)
    targets = _Targets(rows, logits, labels, class_weight, label_smoothing, ignore_index)
    x = rows.given(logits)
    log_p = empty(x.shape, x.dtype, like=x)
    losses = empty((rows.count,), x.dtype, like=x)
    weighed = reduction == "mean" and targets.labels is not None
    weights = empty((rows.count,), x.dtype, like=x) if weighed else None
    SOURCE.launch(
        f"cross_entropy_{team}", rows.blocks(team), BLOCK,
        x, targets.labels, targets.shares, targets.weight, log_p, losses, weights,
        rows.count, rows.n, rows.inner, *targets.numbers, real=x.dtype,
    )  # fmt: skip
    loss = reduced(losses, reduction, weights)
    return loss.reshape((logits.shape[0], *logits.shape[2:])) if reduction == "none" else loss, rows.back(log_p)


def _grad_input(grad, log_probabilities, labels, class_weight, label_smoothing, ignore_index, reduction, team):
    rows = Rows(log_probabilities, 1)
    targets = _Targets(rows, log_probabilities, labels, class_weight, label_smoothing, ignore_index)
    log_p = rows.given(log_probabilities)
    gx = empty(log_p.shape, log_p.dtype, like=log_p)
    weights = targets.row_weights(rows, log_p) if reduction == "mean" else None
    divisor = rows.count if reduction == "mean" else 1
    SOURCE.launch(
        f"cross_entropy_grad_{team}", rows.blocks(team), BLOCK,
        contiguous(grad), None if weights is None else total(weights), log_p,
        targets.labels, targets.shares, targets.weight, gx, rows.count, rows.n, rows.inner, *targets.numbers,
        divisor, int(reduction == "none"), real=log_p.dtype,
    )  # fmt: skip
    return rows.back(gx)


naive, warp, block = (partial(_forward, team=team) for team in ("naive", "warp", "block"))
grad_input_naive, grad_input_warp, grad_input_block = (
    partial(_grad_input, team=team) for team in ("naive", "warp", "block")
)
