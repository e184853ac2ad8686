"""Launchers of log_softmax.cu: one a version, with the signature of the op."""

from __future__ import annotations

from functools import partial

from ..cuda import source
from ..cuda.rows import along_rows

SOURCE = source(__file__, "log_softmax.cu")


def _forward(x, axis, team):
    return along_rows(SOURCE, "log_softmax", team, axis, x)


def _grad_input(grad, y, axis, team):
    return along_rows(SOURCE, "log_softmax_grad", team, axis, grad, y)


naive, warp, block = (partial(_forward, team=team) for team in ("naive", "warp", "block"))
grad_input_naive, grad_input_warp, grad_input_block = (
    partial(_grad_input, team=team) for team in ("naive", "warp", "block")
)
