"""Hypothesis strategies of calls: windows smaller and larger than the channels, any layout, dtype, special values.

k keeps d from 0, where a power has no digits to bound; tests of the differentiable op visit k = 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ..verify.specials import arrays_with_specials
from ..verify.strategies import ELEMENTS, arrays, dtypes


@st.composite
def _calls(draw: st.DrawFn, names: tuple[str, ...]) -> dict[str, Any]:
    channels = draw(st.sampled_from([0, 1, 2, 3, 5, 21]))  # 21: more than a vector register holds
    shape = (draw(st.integers(0, 3)), channels, draw(st.integers(0, 4)), draw(st.integers(0, 4)))
    dtype: np.dtype = draw(dtypes())
    if names == ("x",):
        call: dict[str, Any] = {"x": draw(arrays_with_specials(shape, dtype))}
    else:
        call = {name: draw(arrays(shape, dtype, draw(st.sampled_from(ELEMENTS)))) for name in names}
    call["size"] = draw(st.integers(1, 9) | st.just(10**6))
    call["alpha"] = draw(st.sampled_from([1e-4, 0.0, 0.3, 2.0]))
    call["beta"] = draw(st.sampled_from([0.75, 0.0, 0.5, 0.3, 1.0, 2.0]))
    call["k"] = draw(st.sampled_from([1.0, 2.0, 0.5]))
    return call


def forward() -> st.SearchStrategy[dict[str, Any]]:
    return _calls(("x",))


def grad_input() -> st.SearchStrategy[dict[str, Any]]:
    return _calls(("grad", "x"))
