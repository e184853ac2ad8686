"""Hypothesis strategies of calls: any sizes, empty ones included, any layout and dtype."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ..verify.strategies import ELEMENTS, arrays, dtypes

_PRODUCTS = 8000  # of one call, at most
# Most are small; more than a tile of 16 (18, 37), of 32 or 64 (68), and long enough to be cut into parts (300).
_SIZES = st.integers(0, 9) | st.sampled_from([1, 4, 18, 37, 68, 300])


@st.composite
def _calls(draw: st.DrawFn, names: tuple[str, ...]) -> dict[str, Any]:
    n, o, i = draw(_SIZES), draw(_SIZES), draw(_SIZES)
    while n * o * i > _PRODUCTS:
        n, o, i = (n - 1, o, i) if n == max(n, o, i) else (n, o - 1, i) if o == max(n, o, i) else (n, o, i - 1)
    shapes = {"x": (n, i), "w": (o, i), "b": (o,), "grad": (n, o)}
    dtype, elements = draw(dtypes()), draw(st.sampled_from(ELEMENTS))
    call = {name: draw(arrays(shapes[name], dtype, elements)) for name in names}
    if "b" in call and draw(st.booleans()):
        call["b"] = None
    return call


def forward() -> st.SearchStrategy[dict[str, Any]]:
    return _calls(("x", "w", "b"))


def grad_input() -> st.SearchStrategy[dict[str, Any]]:
    return _calls(("grad", "w"))


def grad_weight() -> st.SearchStrategy[dict[str, Any]]:
    return _calls(("grad", "x"))


def grad_bias() -> st.SearchStrategy[dict[str, Any]]:
    return _calls(("grad",))
