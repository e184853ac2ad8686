"""Hypothesis strategies of calls: any shape and layout, the whole range of p, keys and streams."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ..verify.specials import arrays_with_specials
from ..verify.strategies import dtypes


@st.composite
def _calls(draw: st.DrawFn, name: str) -> dict[str, Any]:
    shape = (draw(st.integers(0, 3)), *draw(st.lists(st.integers(0, 5), max_size=3)))
    keys = draw(st.lists(st.integers(0, 2**64 - 1), min_size=shape[0], max_size=shape[0]))
    return {
        name: draw(arrays_with_specials(shape, draw(dtypes()))),
        "p": draw(st.sampled_from([0.0, 0.5, 1.0]) | st.floats(0, 1)),
        "keys": np.array(keys, np.uint64),
        "stream": draw(st.integers(0, 2**32 - 1)),
    }


def forward() -> st.SearchStrategy[dict[str, Any]]:
    return _calls("x")


def grad_input() -> st.SearchStrategy[dict[str, Any]]:
    return _calls("grad")
