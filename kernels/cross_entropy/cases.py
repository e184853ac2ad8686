"""Hypothesis strategies of calls: batches of any size, weights, smoothing, impossible classes (-inf)."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ..log_softmax.oracle import forward as _log_softmax
from ..verify.strategies import arrays, dtypes


@st.composite
def forward(draw: st.DrawFn) -> dict[str, Any]:
    n, k = draw(st.integers(0, 5)), draw(st.integers(1, 6))
    dtype = draw(dtypes())
    logits = draw(arrays((n, k), dtype)) * dtype.type(draw(st.sampled_from([1, 30, 1e4])))
    if draw(st.booleans()) and logits.size:
        logits[draw(st.integers(0, n - 1)), draw(st.integers(0, k - 1))] = -np.inf
    labels = draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n))
    weight = np.abs(draw(arrays((k,), dtype, draw(st.sampled_from(["normal", "integers"])))))
    return {
        "logits": logits,
        "labels": np.array(labels, draw(st.sampled_from(["int64", "int32", "uint8"]))),
        "class_weight": weight if draw(st.booleans()) else None,
        "label_smoothing": draw(st.sampled_from([0.0, 0.1, 1.0])),
    }


@st.composite
def grad_input(draw: st.DrawFn) -> dict[str, Any]:
    call = draw(forward())
    logits = call.pop("logits")
    log_p = _log_softmax(logits, 1).astype(logits.dtype)
    grad = np.array(draw(st.sampled_from([1.0, -0.3])), logits.dtype)
    return {"grad": grad, "log_probabilities": log_p, **call}
