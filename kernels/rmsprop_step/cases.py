"""Hypothesis strategies of calls: any shape, layout and dtype, centered or not, NaN and infinite gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ..adam_step.cases import squares
from ..sgd_step.cases import decays, rates, shapes
from ..verify.specials import arrays_with_specials
from ..verify.strategies import ELEMENTS, arrays, dtypes


@st.composite
def forward(draw: st.DrawFn) -> dict[str, Any]:
    shape, dtype = draw(shapes), draw(dtypes())
    momentum = draw(st.sampled_from([0.9, 0.0]))
    mean = draw(arrays(shape, dtype)) if draw(st.booleans()) else None
    square = draw(squares(shape, dtype))
    if mean is not None:  # the mean of squares is at least the square of the mean
        square = np.asarray(square + mean * mean + dtype.type(0.1))
    return {
        "parameter": draw(arrays(shape, dtype, draw(st.sampled_from(ELEMENTS)))),
        "grad": draw(arrays_with_specials(shape, dtype)),
        "mean_square": square,
        "mean_gradient": mean,
        "velocity": draw(arrays(shape, dtype)) if momentum else None,
        "rate": draw(rates),
        "alpha": draw(st.sampled_from([0.99, 0.5])),
        "eps": draw(st.sampled_from([1e-8, 1e-3])),
        "weight_decay": draw(decays),
        "momentum": momentum,
    }
