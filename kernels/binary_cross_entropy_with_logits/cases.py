"""Hypothesis strategies of calls: any shape and layout, logits far out, NaN and infinities, weights that broadcast."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ..binary_cross_entropy.cases import gradients, shares, weights
from ..losses import REDUCTIONS
from ..verify.specials import arrays_with_specials
from ..verify.strategies import dtypes

_small = st.lists(st.integers(0, 5), max_size=3).map(tuple)
_shapes = st.sampled_from([_small] * 9 + [st.just((35, 37))]).flatmap(lambda kind: kind)  # 1295: two blocks of a sum


@st.composite
def forward(draw: st.DrawFn) -> dict[str, Any]:
    shape, dtype = draw(_shapes), draw(dtypes())
    logits = draw(arrays_with_specials(shape, dtype))
    logits *= dtype.type(draw(st.sampled_from([1, 30, 1e4])))
    return {
        "logits": logits,
        "targets": draw(shares(shape, dtype)),
        "weight": draw(weights(shape, dtype)),
        "pos_weight": draw(weights(shape, dtype)),
        "reduction": draw(st.sampled_from(REDUCTIONS)),
    }


@st.composite
def grad_input(draw: st.DrawFn) -> dict[str, Any]:
    call = draw(forward())
    shape, dtype = call["targets"].shape, call["targets"].dtype
    return {"grad": draw(gradients(shape, dtype, call["reduction"])), **call}
