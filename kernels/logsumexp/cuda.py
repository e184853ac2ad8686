"""Launchers of logsumexp.cu: one a version, with the signature of the op."""

from __future__ import annotations

from functools import partial

from ..cuda import ceil_div, contiguous, empty, source
from ..cuda.elementwise import empty_like, places
from ..cuda.rows import BLOCK, Rows

SOURCE = source(__file__, "logsumexp.cu")


def _kept(x, axis):
    """The shape of the result with the summed axes kept, of length 1."""
    axes = {a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,))}
    return tuple(1 if k in axes else n for k, n in enumerate(x.shape)), axes


def _forward(x, axis, keepdims, team):
    rows = Rows(x, axis)
    y = empty((rows.count,), x.dtype, like=x)
    inner = (rows.inner,) if team == "naive" else ()
    SOURCE.launch(
        f"logsumexp_{team}", rows.blocks(team), BLOCK, rows.given(x), y, rows.count, rows.n, *inner, real=x.dtype
    )
    shape, axes = _kept(x, axis)
    return y.reshape(shape if keepdims else tuple(n for k, n in enumerate(x.shape) if k not in axes))


naive, warp, block = (partial(_forward, team=team) for team in ("naive", "warp", "block"))


def grad_input_naive(grad, x, y, axis, keepdims):
    shape, _ = _kept(x, axis)
    arrays, layout = places([grad.reshape(shape), y.reshape(shape), x, empty_like(x)])
    SOURCE.launch("logsumexp_grad_naive", ceil_div(x.size, BLOCK), BLOCK, *arrays, *layout, real=x.dtype)
    return arrays[-1]


def grad_input_warp(grad, x, y, axis, keepdims):
    rows = Rows(x, axis)
    given = rows.given(x)
    gx = empty(given.shape, x.dtype, like=x)
    each = (contiguous(array).reshape(-1) for array in (grad, y))
    SOURCE.launch("logsumexp_grad_warp", rows.blocks("warp"), BLOCK, *each, given, gx, rows.count, rows.n, real=x.dtype)
    return rows.back(gx)
