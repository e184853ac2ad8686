"""Hypothesis strategies of calls: one to four arrays along any axis, empty ones included."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ..verify.strategies import arrays, dtypes

# Rows for several blocks, and too long for one; by fours, and one by one.
_LARGE = st.sampled_from(
    [([130, 1], 1, [36, 8]), ([9, 1], 1, [520, 132]), ([9, 1], 1, [131]), ([70, 1], 1, [13, 20]), ([9, 1], 1, [516])]
)


@st.composite
def _shapes(draw: st.DrawFn) -> tuple[list[int], int, list[int]]:
    """A shape, an axis of it, and the sizes along this axis."""
    if draw(st.integers(0, 5)) == 5:
        return draw(_LARGE)
    shape = draw(st.lists(st.integers(0, 4), min_size=1, max_size=4))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    return shape, axis, draw(st.lists(st.integers(0, 4), min_size=1, max_size=4))


def _with(shape: list[int], axis: int, size: int) -> tuple[int, ...]:
    changed = list(shape)
    changed[axis] = size
    return tuple(changed)


@st.composite
def forward(draw: st.DrawFn) -> dict[str, Any]:
    shape, axis, sizes = draw(_shapes())
    dtype = draw(dtypes())
    return {"xs": tuple(draw(arrays(_with(shape, axis, size), dtype)) for size in sizes), "axis": axis}


@st.composite
def grad_input(draw: st.DrawFn) -> dict[str, Any]:
    shape, axis, sizes = draw(_shapes())
    grad = draw(arrays(_with(shape, axis, sum(sizes)), draw(dtypes())))
    return {"grad": grad, "sizes": tuple(sizes), "axis": axis}


@st.composite
def channels(draw: st.DrawFn) -> dict[str, Any]:
    """Images whose channels lie side by side, of enough numbers for threads."""
    dtype, batch = draw(dtypes()), draw(st.integers(1, 2))
    height, width = draw(st.integers(18, 24)), draw(st.integers(18, 24))
    sizes = draw(st.lists(st.sampled_from([16, 3, 8, 1, 0]), min_size=1, max_size=3))
    seed = draw(st.integers(0, 2**32 - 1))
    shapes = [(batch, height, width, size) for size in (7, *sizes)]
    images = [np.random.default_rng([seed, i]).standard_normal(shape).astype(dtype) for i, shape in enumerate(shapes)]
    return {"xs": tuple(image.transpose(0, 3, 1, 2) for image in images), "axis": draw(st.sampled_from([1, -3]))}
