"""Hypothesis strategies of calls: windows smaller and larger than the channels, any layout, dtype, special values.

k keeps d from 0, where a power has no digits to bound; tests of the differentiable op visit k = 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ..verify.specials import arrays_with_specials
from ..verify.strategies import ELEMENTS, arrays, dtypes

_SIDES = st.sampled_from([1, 2, 3, 4, 0])
_CHANNELS = st.sampled_from([3, 1, 2, 5, 21, 0])  # 21: more than a vector register holds
_SMALL = st.tuples(st.sampled_from([2, 1, 3, 0]), _CHANNELS, _SIDES, _SIDES)
_LARGE = st.sampled_from([(2, 21, 4, 4), (1, 7, 10, 11), (3, 90, 1, 2)])  # more numbers than one block takes, or two
_SHAPES = st.one_of(_SMALL, _SMALL, _SMALL, _LARGE)


@st.composite
def _calls(draw: st.DrawFn, names: tuple[str, ...]) -> dict[str, Any]:
    shape = draw(_SHAPES)
    dtype: np.dtype = draw(dtypes())
    if names == ("x",):
        call: dict[str, Any] = {"x": draw(arrays_with_specials(shape, dtype))}
    else:
        call = {name: draw(arrays(shape, dtype, draw(st.sampled_from(ELEMENTS)))) for name in names}
    call["size"] = draw(st.sampled_from([4, 5, 1, 2, 3, 6, 9, 10**6]))  # even ones reach one channel farther down
    call["alpha"] = draw(st.sampled_from([0.3, 1e-4, 2.0, 0.0]))
    call["beta"] = draw(st.sampled_from([0.75, 0.0, 0.5, 0.3, 1.0, 2.0]))
    call["k"] = draw(st.sampled_from([1.0, 2.0, 0.5]))
    return call


def forward() -> st.SearchStrategy[dict[str, Any]]:
    return _calls(("x",))


def grad_input() -> st.SearchStrategy[dict[str, Any]]:
    return _calls(("grad", "x"))
