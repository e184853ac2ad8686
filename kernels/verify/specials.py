"""Strategy of arrays that hold NaN and infinities, for ops that must hand them on."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from .strategies import ELEMENTS, arrays

_SPECIALS = (np.nan, np.inf, -np.inf)


@st.composite
def arrays_with_specials(draw: st.DrawFn, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """As `arrays`; half of the draws hold some of NaN, inf and -inf in drawn shares, up to everywhere."""
    x = draw(arrays(shape, dtype, draw(st.sampled_from(ELEMENTS))))
    if draw(st.booleans()):
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        for special in draw(st.lists(st.sampled_from(_SPECIALS), max_size=3, unique=True)):
            x[rng.random(shape) < draw(st.sampled_from([0.05, 0.5, 1.0]))] = special
    return x
