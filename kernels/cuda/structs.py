"""The structs of include/structs.cuh, as NumPy scalars that a launch passes by value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..geometry import PAD_MODES, ConvGeometry, PadGeometry, PoolGeometry

CONV_FIELDS = "N C H W O P Q R S stride_h stride_w dilation_h dilation_w top left groups replicate"
POOL_FIELDS = "N C H W P Q R S stride_h stride_w dilation_h dilation_w top left"
BORDER_FIELDS = "N C H W P Q top left mode"


def _struct(fields: str, dtype: type) -> np.dtype:
    return np.dtype([(name, dtype) for name in fields.split()])


CONV = _struct(CONV_FIELDS, np.int32)
POOL = _struct(POOL_FIELDS, np.int32)
BORDER = _struct(BORDER_FIELDS, np.int32)
STRIDES4 = _struct("n c h w", np.int64)
SHAPE4 = _struct("n c h w", np.int64)
STRUCTS = {"Conv": CONV, "Pool": POOL, "Border": BORDER, "Strides4": STRIDES4, "Shape4": SHAPE4}


def conv_struct(g: ConvGeometry) -> np.void:
    """`struct Conv` of a geometry."""
    values = (
        g.batch, g.in_channels, *g.size, g.out_channels, *g.output, *g.kernel, *g.stride, *g.dilation,
        g.padding[0][0], g.padding[1][0], g.groups, g.padding_mode == "replicate",
    )  # fmt: skip
    return np.array(values, CONV)[()]


def pool_struct(g: PoolGeometry) -> np.void:
    """`struct Pool` of a geometry."""
    values = (g.batch, g.channels, *g.size, *g.output, *g.kernel, *g.stride, *g.dilation)
    return np.array((*values, g.padding[0][0], g.padding[1][0]), POOL)[()]


def border_struct(g: PadGeometry) -> np.void:
    """`struct Border` of a geometry."""
    values = (g.batch, g.channels, *g.size, *g.output, g.padding[0][0], g.padding[1][0], PAD_MODES.index(g.mode))
    return np.array(values, BORDER)[()]


def strides(array: Any) -> np.void:
    """`struct Strides4` of an (N, C, H, W) array, in elements."""
    return np.array(tuple(step // array.itemsize for step in array.strides), STRIDES4)[()]


def strides4(steps: Sequence[int]) -> np.void:
    """`struct Strides4` of at most four steps, in elements, the last axis last."""
    return np.array((*(0,) * (4 - len(steps)), *steps), STRIDES4)[()]


def shape4(sizes: Sequence[int]) -> np.void:
    """`struct Shape4` of at most four sizes, the last axis last."""
    return np.array((*(1,) * (4 - len(sizes)), *sizes), SHAPE4)[()]
