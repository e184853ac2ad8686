"""Hypothesis strategies of calls: any sizes, empty ones included, any layout and dtype."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ..verify.strategies import ELEMENTS, arrays, dtypes


@st.composite
def _calls(draw: st.DrawFn, names: tuple[str, ...]) -> dict[str, Any]:
    n, i, o = draw(st.integers(0, 5)), draw(st.integers(0, 9)), draw(st.integers(0, 5))
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
