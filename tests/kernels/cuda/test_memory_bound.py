"""Kernels that move more than they compute, on the emulator, at shapes that reach each of their branches.

Drawn calls are small and their arrays aligned: they seldom fill a block, a tile or a run of rows, and never make a
kernel that loads 16 bytes at once do without.
"""

import numpy as np
import pytest

from minitl import kernels
from minitl.kernels import PadGeometry, PoolGeometry, emulator
from minitl.kernels.verify import agreement

pytestmark = pytest.mark.skipif(emulator.unavailable() is not None, reason=f"no emulator: {emulator.unavailable()}")


def integers(shape, dtype=np.float32, seed=0):
    """Small whole numbers, whose sums are exact in any order."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


def channels_last(array, offset=0):
    """The same (N, C, H, W) numbers with C innermost; the first lies `offset` elements behind an aligned place."""
    n, c, h, w = array.shape
    room = np.empty(array.size + 64, array.dtype)
    begin = -room.ctypes.data // array.itemsize % (64 // array.itemsize) + offset
    moved = room[begin : begin + array.size].reshape(n, h, w, c).transpose(0, 3, 1, 2)
    moved[...] = array
    return moved


def holds(op, name, call):
    spec = kernels.spec(op)
    version = next(v for v in spec.versions if v.name == f"emulator.{name}")
    spec.check(**call)
    assert spec.reason_against(version, call) is None
    agreement.agrees(spec, version, call)
    return spec.run(version, call)


POOL = PoolGeometry.infer((2, 8, 7, 6), (3, 2), stride=(2, 1), padding=1, ceil_mode=True)
BORDER = PadGeometry.infer((2, 8, 4, 5), ((1, 3), (2, 0)), "reflect")


def memory_bound_calls(offset):
    def x(shape, seed=0):
        return channels_last(integers(shape, seed=seed), offset)

    channel = dict(zip(("mean", "weight", "bias", "grad_weight", "grad_bias"), integers((5, 8), seed=2), strict=True))
    every = {**channel, "var": channel["mean"] ** 2, "eps": 0.5, "x": x((2, 8, 5, 3)), "grad": x((2, 8, 5, 3), 1)}
    _, indices = kernels.spec("max_pool2d").load("oracle:forward")(integers(POOL.x_shape), POOL)
    calls = {
        "max_pool2d": {"x": x(POOL.x_shape), "geometry": POOL},
        "max_pool2d.grad_input": {
            "grad": x(POOL.y_shape, 1), "indices": channels_last(indices, offset), "geometry": POOL,
        },
        "avg_pool2d": {"x": x(POOL.x_shape), "geometry": POOL},
        "avg_pool2d.grad_input": {"grad": x(POOL.y_shape), "geometry": POOL},
        "adaptive_avg_pool2d": {"x": x((1, 36, 6, 5)), "output_size": (2, 3)},
        "adaptive_avg_pool2d.grad_input": {"grad": x((1, 8, 2, 3)), "x_shape": (1, 8, 6, 5)},
        "pad": {"x": x(BORDER.x_shape), "geometry": BORDER, "value": 0.0},
        "pad.grad_input": {"grad": x(BORDER.y_shape), "geometry": BORDER},
    }  # fmt: skip
    for op in ("batch_norm", "batch_norm.grad_input", "batch_norm.grad_input_training"):
        calls[op] = {name: every[name] for name in kernels.spec(op).signature.parameters}
    return calls


@pytest.mark.parametrize("op", memory_bound_calls(0))
def test_arrays_may_begin_anywhere(op):
    """An address that no load of 16 bytes can take gives the bits of one that they can."""
    results = [
        agreement.arrays_in(holds(op, "channels_last", memory_bound_calls(offset)[op])) for offset in (0, 1, 2, 3)
    ]
    for result in results[1:]:
        for part, first in zip(result, results[0], strict=True):
            assert part.tobytes() == first.tobytes()


def test_results_lie_channels_last():
    y, indices = holds("max_pool2d", "channels_last", memory_bound_calls(0)["max_pool2d"])
    assert y.transpose(0, 2, 3, 1).flags.c_contiguous
    assert indices.transpose(0, 2, 3, 1).flags.c_contiguous


def test_channels_that_do_not_come_by_fours_are_left_to_naive():
    with kernels.using("emulator"):
        answer = kernels.why("max_pool2d", x_shape=(1, 6, 4, 4), kernel_size=2)
    assert answer.chosen == "emulator.naive"
    assert answer.reasons["emulator.channels_last"] == "takes channels by fours; 6 is no multiple"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(2, 33, 5, 8), (1, 32, 4, 8), (1, 70, 1, 2), (1, 3, 9, 9)])
def test_flatten_by_tiles(shape, dtype):
    x = channels_last(np.arange(np.prod(shape), dtype=dtype).reshape(shape))
    assert np.array_equal(holds("flatten", "tiles", {"x": x}), np.arange(x.size, dtype=dtype).reshape(shape[0], -1))


@pytest.mark.parametrize(
    ("shapes", "axis", "last"),
    [
        ([(2, 4, 20, 33), (2, 8, 20, 33)], 1, True),  # by fours, more rows than a block walks down
        ([(1, 4, 3, 4), (1, 6, 3, 4)], 1, True),  # one of them not
        ([(1, 12, 1, 2), (1, 12, 2, 2)], 2, True),
        ([(2, 3, 20, 20), (2, 5, 20, 20)], 1, False),  # rows wider than a block
        ([(2, 3, 5), (1, 3, 5)], 0, False),
        ([(1, 2, 3, 2, 2), (1, 1, 3, 2, 2)], 1, False),
    ],
)
def test_concat_by_rows(shapes, axis, last):
    xs = tuple(integers(shape, seed=seed) for seed, shape in enumerate(shapes))
    for name in ("rows", "naive"):
        holds("concat", name, {"xs": tuple(map(channels_last, xs)) if last else xs, "axis": axis})
    y = holds("concat", "rows", {"xs": tuple(map(channels_last, xs)) if last else xs, "axis": axis})
    assert not last or y.transpose(0, 2, 3, 1).flags.c_contiguous


@pytest.mark.parametrize("channels", [4, 64, 600])  # several threads a row; a warp and more; more than a block
def test_batch_norm_walks_down_all_rows(channels):
    x = channels_last(integers((2, channels, 7, 9)))
    mean, var, weight, bias = integers((4, channels), seed=1)
    call = {"x": x, "mean": mean, "var": var**2, "weight": weight, "bias": bias, "eps": 1.0}
    holds("batch_norm", "channels_last", call)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_statistics_far_from_zero_in_few_and_in_many_blocks(offset):
    """Rows of 32 a block below 4096 of them and of 128 from there on, the last of them not full."""
    for shape in ((3, 32, 31, 7), (3, 3, 40, 43)):
        x = np.random.default_rng(0).standard_normal(shape).astype(np.float32) + np.float32(offset)
        holds("batch_norm.statistics", "channels_last", {"x": x})


def test_local_response_norm_in_pieces_that_cut_pixels_apart():
    x = channels_last(integers((1, 200, 2, 2)))
    call = {"x": x, "size": 7, "alpha": 0.5, "beta": 0.75, "k": 1.0}
    holds("local_response_norm", "shared", call)
    holds("local_response_norm.grad_input", "shared", {"grad": channels_last(integers(x.shape, seed=1)), **call})


def test_a_window_too_wide_for_shared_memory_is_left_to_naive():
    shape = {"x_shape": (1, 20000, 1, 1), "size": 20000}
    for op in ("local_response_norm", "local_response_norm.grad_input"):
        with kernels.using("emulator"):
            answer = kernels.why(op, **shape)
        assert answer.chosen == "emulator.naive"
        assert "bytes of shared memory" in answer.reasons["emulator.shared"]


@pytest.mark.parametrize("op", ["batch_norm.statistics", "batch_norm.grad_affine", "adaptive_avg_pool2d"])
@pytest.mark.parametrize("order", ["reverse", 3])
def test_sums_have_one_order(op, order):
    """Whatever the schedule, the bits are the same."""
    x, grad = np.random.default_rng(0).standard_normal((2, 2, 40, 7, 9)).astype(np.float32)
    mean, var = np.random.default_rng(1).random((2, 40)).astype(np.float32)
    every = {"x": x, "grad": grad, "mean": mean, "var": var, "eps": 0.5, "output_size": (1, 1)}
    call = {name: every[name] for name in kernels.spec(op).signature.parameters}
    first = agreement.arrays_in(holds(op, "channels_last", call))
    with emulator.schedule(order):
        again = agreement.arrays_in(holds(op, "channels_last", call))
    assert [part.tobytes() for part in first] == [part.tobytes() for part in again]
