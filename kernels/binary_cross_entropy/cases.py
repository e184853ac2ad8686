"""Hypothesis strategies of calls: any shape and layout, probabilities at and near 0 and 1, weights that broadcast."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ..losses import REDUCTIONS
from ..verify.strategies import arrays, dtypes

_small = st.lists(st.integers(0, 5), max_size=3).map(tuple)
_shapes = st.sampled_from([_small] * 9 + [st.just((35, 37))]).flatmap(lambda kind: kind)  # 1295: two blocks of a sum


@st.composite
def shares(draw: st.DrawFn, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Numbers from 0 to 1, or 0 and 1 alone."""
    if draw(st.booleans()):
        return np.asarray(draw(arrays(shape, dtype)) > 0).astype(dtype)
    return np.asarray(np.minimum(np.abs(draw(arrays(shape, dtype))), dtype.type(1)))


@st.composite
def weights(draw: st.DrawFn, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray | None:
    """None, or weights of a shape that broadcasts to `shape`, some of them 0."""
    if draw(st.booleans()):
        return None
    kept = shape[draw(st.integers(0, len(shape))) :]
    mine = tuple(1 if draw(st.booleans()) else n for n in kept)
    return np.asarray(np.abs(draw(arrays(mine, dtype, draw(st.sampled_from(["normal", "integers"]))))))


@st.composite
def gradients(draw: st.DrawFn, shape: tuple[int, ...], dtype: np.dtype, reduction: str) -> np.ndarray:
    """What may flow back into a loss over `shape`."""
    return draw(arrays(shape if reduction == "none" else (), dtype))


@st.composite
def forward(draw: st.DrawFn) -> dict[str, Any]:
    shape, dtype = draw(_shapes), draw(dtypes())
    p = draw(shares(shape, dtype)) * dtype.type(draw(st.sampled_from([1, 1, 1e-6, 1e-30])))
    if draw(st.booleans()):
        p = 1 - p
    return {
        "probabilities": np.asarray(p),
        "targets": draw(shares(shape, dtype)),
        "weight": draw(weights(shape, dtype)),
        "reduction": draw(st.sampled_from(REDUCTIONS)),
    }


@st.composite
def grad_input(draw: st.DrawFn) -> dict[str, Any]:
    call = draw(forward())
    shape, dtype = call["targets"].shape, call["targets"].dtype
    return {"grad": draw(gradients(shape, dtype, call["reduction"])), **call}
