"""Hypothesis strategies that every op's cases are drawn from: floating-point dtypes, and arrays in any layout.

Values come from one drawn seed rather than element by element: quicker, and the numbers themselves are
seldom what a kernel gets wrong; shapes, strides and dtypes are, and those are drawn (and shrunk) freely.
"""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

ELEMENTS = ("normal", "integers")


def dtypes() -> st.SearchStrategy[np.dtype]:
    """float32 or float64."""
    return st.sampled_from([np.dtype("float32"), np.dtype("float64")])


@st.composite
def arrays(draw: st.DrawFn, shape: tuple[int, ...], dtype: np.dtype, elements: str = "normal") -> np.ndarray:
    """An array of `shape` in a drawn memory layout: axes stored in any order, flipped, or every second element.

    elements: "normal" (standard normal) or "integers" (whole numbers from -4 to 4, many of them equal, and
    exact in any order of summation). Shrinks towards C order.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    axes = draw(_orders(len(shape)))
    steps = [draw(_STEPS) for _ in shape]
    room = tuple(shape[axis] * abs(steps[axis]) for axis in axes)
    if elements == "integers":
        stored = rng.integers(-4, 5, room).astype(dtype)
    elif elements == "normal":
        stored = rng.standard_normal(room).astype(dtype)
    else:
        raise ValueError(f"elements must be one of {ELEMENTS}; got {elements!r}")
    return stored.transpose(np.argsort(axes))[(..., *(slice(None, None, step) for step in steps))]


_STEPS = st.sampled_from([1, 1, 1, -1, 2, -2])


def _orders(ndim: int) -> st.SearchStrategy[tuple[int, ...]]:
    """How axes may lie in memory, outermost first: C order, channels-last where there are 4 axes, or any."""
    named = [tuple(range(ndim))]
    if ndim == 4:
        named.append((0, 2, 3, 1))
    return st.sampled_from(named) | st.permutations(range(ndim)).map(tuple)
