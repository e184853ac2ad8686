"""Hypothesis strategies of calls: batches of any size, rows along further axes, labels ignored, probabilities,
weights, smoothing, impossible classes (-inf)."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ..log_softmax.oracle import forward as _log_softmax
from ..losses import REDUCTIONS
from ..verify.strategies import arrays, dtypes


@st.composite
def forward(draw: st.DrawFn) -> dict[str, Any]:
    n, k = draw(st.integers(0, 5)), draw(st.integers(1, 6))
    rest = tuple(draw(st.lists(st.integers(0, 3), max_size=2)))
    if long := draw(st.sampled_from([0, 0, 0, 0, 0, 0, 33, 1030])):  # as those of softmax
        n, k, rest = min(n, 2), long, rest[:1]
    dtype = draw(dtypes())
    logits = draw(arrays((n, k, *rest), dtype)) * dtype.type(draw(st.sampled_from([1, 30, 1e4])))
    if draw(st.booleans()) and logits.size:
        logits[draw(st.integers(0, n - 1)), draw(st.integers(0, k - 1))] = -np.inf
    weight = np.abs(draw(arrays((k,), dtype, draw(st.sampled_from(["normal", "integers"])))))
    soft = draw(st.booleans())
    ignored = -100 if soft else draw(st.sampled_from([-100, -1, 0, k - 1, 99]))
    return {
        "logits": logits,
        "labels": draw(_probabilities(logits.shape, dtype) if soft else _labels((n, *rest), k, ignored)),
        "class_weight": weight if draw(st.booleans()) else None,
        "label_smoothing": draw(st.sampled_from([0.0, 0.1, 1.0])),
        "ignore_index": ignored,
        "reduction": draw(st.sampled_from(REDUCTIONS)),
    }


@st.composite
def _labels(draw: st.DrawFn, shape: tuple[int, ...], classes: int, ignored: int) -> np.ndarray:
    """Class indices, and in half of the draws the ignored label in a drawn share, up to everywhere."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = rng.integers(0, classes, shape)
    if draw(st.booleans()):
        labels[rng.random(shape) < draw(st.sampled_from([0.3, 1.0]))] = ignored
    unsigned = ["uint8"] if labels.min(initial=0) >= 0 else []
    return labels.astype(draw(st.sampled_from(["int64", "int32", *unsigned])))


@st.composite
def _probabilities(draw: st.DrawFn, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Rows of probabilities, some of them 0 or 1; not every row adds up to 1."""
    p = np.abs(draw(arrays(shape, dtype, draw(st.sampled_from(["normal", "integers"])))))
    return np.minimum(p / np.maximum(p.sum(1, keepdims=True), dtype.type(1)), dtype.type(1)).astype(dtype)


@st.composite
def grad_input(draw: st.DrawFn) -> dict[str, Any]:
    call = draw(forward())
    logits = call.pop("logits")
    log_p = _log_softmax(logits, 1).astype(logits.dtype)
    n, _, *rest = logits.shape
    if call["reduction"] == "none":
        grad = draw(arrays((n, *rest), logits.dtype))
    else:
        grad = np.array(draw(st.sampled_from([1.0, -0.3])), logits.dtype)
    return {"grad": grad, "log_probabilities": log_p, **call}
