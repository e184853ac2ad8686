"""Hypothesis strategies of calls: batches of any size, margins of either sign, scores at them, NaN, infinities."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ..losses import REDUCTIONS
from ..verify.specials import arrays_with_specials
from ..verify.strategies import arrays, dtypes


@st.composite
def forward(draw: st.DrawFn) -> dict[str, Any]:
    n, k = draw(st.integers(0, 5)), draw(st.integers(1, 6))
    n = draw(st.sampled_from([n] * 9 + [1100]))  # two blocks of a sum
    dtype = draw(dtypes())
    scores = draw(arrays_with_specials((n, k), dtype)) * dtype.type(draw(st.sampled_from([1, 0.1, 30])))
    labels = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).integers(0, k, n)
    weight = np.abs(draw(arrays((k,), dtype, draw(st.sampled_from(["normal", "integers"])))))
    return {
        "scores": scores,
        "labels": labels.astype(draw(st.sampled_from(["int64", "int32", "uint8"]))),
        "margin": draw(st.sampled_from([1.0, 1, 0.0, 0.3, -2.0])),
        "p": draw(st.sampled_from([1, 2])),
        "class_weight": weight if draw(st.booleans()) else None,
        "reduction": draw(st.sampled_from(REDUCTIONS)),
    }


@st.composite
def grad_input(draw: st.DrawFn) -> dict[str, Any]:
    call = draw(forward())
    shape, dtype = call["scores"].shape[:1] if call["reduction"] == "none" else (), call["scores"].dtype
    return {"grad": draw(arrays(shape, dtype)), **call}
