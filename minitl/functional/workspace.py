"""What the kernels behind an operation need besides its arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import kernels
from ..kernels.cpu.threads import get_num_threads


def workspace(op: str, dtype: Any, **shapes: Any) -> int:
    """Bytes that the version which serves arrays of these shapes takes while it runs; arguments as of kernels.why."""
    kernel = kernels.spec(op)
    arguments = kernel.example(np.dtype(dtype), **shapes)
    return kernel.choose(arguments).workspace(**arguments)


def packed(op: str, dtype: Any, **shapes: Any) -> int:
    """Bytes of the weights in the form that this version wants, beside the weights themselves."""
    kernel = kernels.spec(op)
    arguments = kernel.example(np.dtype(dtype), **shapes)
    return kernel.choose(arguments).packed(**arguments)


def pooled_at_once(dtype: Any, window: Mapping[str, Any], **shapes: Any) -> bool:
    """Whether a convolution that max-pooling in these windows follows need not be written, without gradients."""
    call = kernels.spec("conv2d").example(np.dtype(dtype), **shapes)
    pool = kernels.PoolGeometry.infer(call["geometry"].y_shape, **window)
    return kernels.conv2d.Ready(call["x"], call["w"], call["b"], call["geometry"], False, pool).at_once


def threads() -> int:
    """How many threads kernels run on."""
    return get_num_threads()
