"""Long arrays: what serves a call launches a grid that a GPU takes, and counts what there is to count."""

from unittest import mock

import numpy as np
import pytest

from minitl import kernels
from minitl.kernels import precision
from minitl.kernels.concat import cuda as joining
from minitl.kernels.cuda.device import MOST_BLOCKS
from minitl.kernels.emulator import interpreter, library
from minitl.kernels.registry import LENT

LONG = 65536 * 64 + 1  # more than a grid's second axis has room for, in the widest tiles of columns
SHAPES = {
    "linear": (
        {"x_shape": (1, 1), "w_shape": (LONG, 1)},
        {"x_shape": (LONG, 1), "w_shape": (1, 1)},
        {"x_shape": (1, LONG), "w_shape": (1, LONG)},
    ),
    "conv2d": (
        {"x_shape": (LONG, 1, 1, 1), "w_shape": (1, 1, 1, 1)},
        {"x_shape": (1, LONG, 1, 1), "w_shape": (1, LONG, 1, 1)},
        {"x_shape": (1, 1, 1, LONG), "w_shape": (1, 1, 1, 1)},
        {"x_shape": (1, 1, 1, 1), "w_shape": (LONG, 1, 1, 1)},
        {"x_shape": (1, 1 << 17, 1, 1), "w_shape": (1 << 17, 1, 1, 1), "groups": 1 << 17},
    ),
    "max_pool2d": ({"x_shape": (1, 1, 1, LONG), "kernel_size": 1}, {"x_shape": (LONG, 1, 1, 1), "kernel_size": 1}),
    "softmax": ({"x_shape": (LONG, 1)}, {"x_shape": (1, LONG)}),
    "concat": ({"x_shapes": ((1, LONG), (1, 3))}, {"x_shapes": ((LONG, 1), (LONG, 3))}),
    "batch_norm.statistics": ({"x_shape": (1, LONG)}, {"x_shape": (LONG, 4)}),
}


def _grids(spec, version, call):
    """Those of every launch that a version makes."""
    found = []

    def emulated(source, kernel, grid, *rest):
        found.append((kernel, grid))

    def interpreted(name, function, writes, parameters, grid, *rest):
        found.append((name, grid))

    with mock.patch.object(library, "launch", emulated), mock.patch.object(interpreter, "launch", interpreted):
        spec.load(version.target)(**{name: value for name, value in call.items() if name not in LENT})
    return found


@pytest.mark.parametrize("op", SHAPES)
def test_what_serves_fits_a_grid(op):
    tried = 0
    family = (op, f"{op}.grad_input", f"{op}.grad_weight")
    for spec in (spec for name, spec in kernels.specs().items() if name in family):
        versions = [version for version in spec.versions if version.backend in ("cuda", "numba_cuda")]
        for shapes in SHAPES[op]:
            call = spec.example(np.dtype("float32"), **shapes)
            with precision.permitted("bfloat16"):
                for version in versions:
                    if version.serves(**call) is None:
                        for kernel, grid in _grids(spec, version, call):
                            assert all(n <= most for n, most in zip(grid, MOST_BLOCKS, strict=True)), (kernel, grid)
                            tried += 1
    assert tried


def _room(shape, dtype):
    """An array to be written that takes no memory."""
    return np.lib.stride_tricks.as_strided(np.zeros(1, dtype), shape, (0,) * len(shape))


@pytest.mark.parametrize(
    ("x_shapes", "served"),
    [
        (((1, 2**31), (1, 4)), True),  # by fours
        (((2, 2**31 + 1), (2, 3)), False),
        (((2, 2**33), (2, 8)), False),
    ],
)
def test_joining_rows_beyond_32_bits(x_shapes, served):
    """Places in a row are an int where rows are copied as pieces; naive counts in 64 bits and takes them all."""
    spec = kernels.spec("concat")
    call = spec.example(np.dtype("float32"), x_shapes=x_shapes)
    rows, naive = (next(v for v in spec.versions if v.name == f"cuda.{name}") for name in ("rows", "naive"))
    assert (rows.serves(**call) is None) == served
    assert naive.serves(**call) is None
    with mock.patch.object(joining, "empty", lambda shape, dtype, like: _room(shape, dtype)):
        grids = _grids(spec, naive, call)
    assert [grid[0] for _, grid in grids] == [-(-a * b // joining.BLOCK) for a, b in x_shapes]
