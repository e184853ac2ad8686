"""The gradient kernels in CUDA C++ on the emulator, at geometries that reach each of their branches.

Drawn calls are small: they seldom fill a tile, and never a vector load. Numbers here are small integers, whose sums are
exact in any order: a kernel gives the oracle's bits or is wrong.
"""

import numpy as np
import pytest

from minitl import kernels
from minitl.kernels import ConvGeometry, conv2d, emulator
from minitl.kernels.conv2d.cuda import grad_bias, grad_input, grad_weight
from minitl.kernels.conv2d.cuda import gradient_tiles as tiles
from minitl.kernels.conv2d.cuda.tiles import LARGE, SMALL

pytestmark = pytest.mark.skipif(emulator.unavailable() is not None, reason=f"no emulator: {emulator.unavailable()}")


def large_input(*call):
    """implicit_gemm with the tile that it would choose for large products alone."""
    return grad_input.implicit_gemm(*call, tile=LARGE)


def large_weight(*call):
    """Likewise."""
    return grad_weight.implicit_gemm(*call, tile=LARGE)


INPUT = {  # launcher, x, w, attributes
    "naive: groups, four-sided padding": (
        grad_input.naive, (2, 4, 6, 7), (6, 2, 3, 2),
        {"groups": 2, "padding": ((2, 0), (1, 3)), "stride": (2, 1), "dilation": (1, 2)},
    ),
    "naive: edges repeated far into the padding": (
        grad_input.naive, (1, 2, 3, 1), (2, 2, 2, 3), {"padding": 5, "stride": 2, "padding_mode": "replicate"},
    ),
    "tiled: whole sets of channels in groups": (grad_input.tiled, (1, 16, 8, 16), (2, 8, 1, 1), {"groups": 2}),
    "tiled: tails of rows, columns and channels": (grad_input.tiled, (2, 9, 10, 18), (2, 9, 2, 2), {}),
    "tiled: filters in several steps, the last smaller": (
        grad_input.tiled, (1, 2, 9, 17), (19, 2, 5, 5), {"padding": 3, "dilation": 2},
    ),
    "tiled: phases of unlike size in groups": (
        grad_input.tiled, (1, 4, 11, 7), (6, 2, 3, 4), {"stride": (2, 3), "padding": ((2, 1), (1, 0)), "groups": 2},
    ),
    "tiled: stride and dilation with a common divisor": (
        grad_input.tiled, (1, 1, 13, 14), (2, 1, 3, 3), {"stride": (4, 6), "dilation": (2, 4), "padding": 4},
    ),
    "tiled: a stride beyond the window and the image": (
        grad_input.tiled, (1, 1, 5, 9), (1, 1, 2, 2), {"stride": (7, 4)},
    ),
    "gemm: vectors, tails of pixels, channels and filters": (
        grad_input.implicit_gemm, (3, 68, 5, 5), (12, 68, 2, 1), {"padding": 1},
    ),
    "gemm: vectors in groups, phases, whole steps": (
        grad_input.implicit_gemm, (2, 8, 7, 6), (16, 4, 3, 3), {"groups": 2, "stride": 2, "padding": 1},
    ),
    "gemm: whole tiles of channels in groups": (
        grad_input.implicit_gemm, (1, 128, 8, 8), (2, 64, 1, 1), {"groups": 2},
    ),
    "gemm: one by one, filters of several steps": (
        grad_input.implicit_gemm, (1, 67, 5, 4), (19, 67, 2, 2), {"dilation": (1, 2), "padding": ((0, 1), (2, 0))},
    ),
    "gemm: one by one in groups": (grad_input.implicit_gemm, (2, 6, 5, 5), (9, 2, 3, 3), {"groups": 3, "padding": 1}),
    "gemm: phases without a tap": (grad_input.implicit_gemm, (1, 4, 7, 9), (4, 4, 1, 2), {"stride": (3, 4)}),
    "gemm: rows of padding that no pixel sees": (
        grad_input.implicit_gemm, (1, 1, 1, 1), (2, 1, 4, 4), {"padding": 3, "stride": 2},
    ),
    "gemm: large tile, tails of pixels and channels": (large_input, (2, 132, 9, 8), (4, 132, 1, 1), {}),
    "gemm: large tile, one by one": (large_input, (1, 130, 6, 6), (3, 130, 2, 1), {"stride": 2}),
    "gemm: large tile, several steps": (large_input, (1, 8, 5, 5), (12, 8, 3, 3), {"padding": 1}),
}  # fmt: skip
WEIGHT = {
    "naive: groups, four-sided padding": (
        grad_weight.naive, (2, 4, 6, 7), (6, 2, 3, 2),
        {"groups": 2, "padding": ((2, 0), (1, 3)), "stride": (2, 1), "dilation": (1, 2)},
    ),
    "naive: repeated edges": (
        grad_weight.naive, (1, 2, 3, 1), (2, 2, 2, 3), {"padding": 5, "stride": 2, "padding_mode": "replicate"},
    ),
    "tiled: more filters than a pass copies, few columns": (grad_weight.tiled, (1, 1, 7, 6), (18, 1, 2, 1), {}),
    "tiled: whole tiles in groups": (grad_weight.tiled, (1, 8, 4, 5), (32, 4, 2, 2), {"groups": 2, "stride": (1, 2)}),
    "tiled: tails of columns, slices, the last smaller": (
        grad_weight.tiled, (3, 2, 9, 8), (3, 2, 3, 3), {"padding": ((2, 0), (1, 1))},
    ),
    "tiled: groups, replicated edges, outputs of one pixel": (
        grad_weight.tiled, (37, 4, 2, 2), (4, 2, 3, 3),
        {"groups": 2, "padding": 1, "stride": 9, "padding_mode": "replicate"},
    ),
    "gemm: vectors, tails of filters and columns": (grad_weight.implicit_gemm, (1, 8, 5, 4), (68, 8, 3, 3), {}),
    "gemm: whole tiles in groups": (grad_weight.implicit_gemm, (1, 128, 2, 1), (128, 64, 1, 1), {"groups": 2}),
    "gemm: vectors in groups, replicated edges, slices": (
        grad_weight.implicit_gemm, (2, 8, 9, 9), (8, 4, 3, 3), {"groups": 2, "padding": 1, "padding_mode": "replicate"},
    ),
    "gemm: one by one, slices of part of a step": (
        grad_weight.implicit_gemm, (5, 3, 7, 5), (66, 3, 3, 2), {"padding": ((0, 2), (1, 1))},
    ),
    "gemm: vectors of filters alone": (
        grad_weight.implicit_gemm, (1, 3, 9, 9), (8, 3, 3, 3), {"stride": (2, 1), "dilation": 2, "padding": 2},
    ),
    "gemm: vectors of channels alone, outputs of one pixel": (
        grad_weight.implicit_gemm, (9, 4, 3, 3), (7, 4, 3, 3), {},
    ),
    "gemm: one by one in groups": (grad_weight.implicit_gemm, (2, 6, 5, 5), (9, 2, 3, 3), {"groups": 3, "padding": 1}),
    "gemm: large tile, tails of filters and columns": (large_weight, (1, 16, 6, 5), (132, 16, 3, 3), {}),
    "gemm: large tile, one by one, slices": (large_weight, (2, 3, 9, 9), (5, 3, 3, 3), {"padding": 1}),
}  # fmt: skip
LAYOUTS = ("NCHW", "channels-last", "misaligned", "backwards")


def laid_out(values, layout):
    """A copy in another layout; "misaligned" is channels-last, one element beyond a multiple of 16 bytes."""
    if layout in ("NCHW", "backwards"):
        step = -1 if layout == "backwards" else 1
        return np.ascontiguousarray(values[..., ::step])[..., ::step]
    room = np.empty(values.size + 64, values.dtype)
    start = -room.ctypes.data % 16 // room.itemsize + (layout == "misaligned")
    n, c, h, w = values.shape
    placed = room[start : start + values.size].reshape(n, h, w, c).transpose(0, 3, 1, 2)
    placed[...] = values
    return placed


def integers(shape, seed=0):
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(np.float32)


def holds(launcher, oracle, g, *arrays):
    """The launcher gives the oracle's integers in every layout and dtype, whichever way threads run."""
    truth = oracle(*arrays, g)
    for layout in LAYOUTS:
        for dtype in ("float32", "float64"):
            call = [laid_out(array.astype(dtype), layout) for array in arrays]
            with emulator.schedule("reverse" if layout == "misaligned" else LAYOUTS.index(layout)):
                got = launcher(*call, g)
            assert got.dtype == dtype
            np.testing.assert_array_equal(got, truth, err_msg=f"{layout}, {dtype}")


@pytest.mark.parametrize("name", INPUT)
def test_grad_input_gives_the_oracles_integers(name):
    launcher, x_shape, w_shape, attributes = INPUT[name]
    g = ConvGeometry.infer(x_shape, w_shape, **attributes)
    oracle = conv2d.grad_input.load(conv2d.grad_input.oracle)
    holds(launcher, oracle, g, integers(g.y_shape), integers(g.w_shape, seed=1))


@pytest.mark.parametrize("name", WEIGHT)
def test_grad_weight_gives_the_oracles_integers(name):
    launcher, x_shape, w_shape, attributes = WEIGHT[name]
    g = ConvGeometry.infer(x_shape, w_shape, **attributes)
    oracle = conv2d.grad_weight.load(conv2d.grad_weight.oracle)
    holds(launcher, oracle, g, integers(g.y_shape), integers(g.x_shape, seed=1))


BIAS = [(3, 5, 4, 7), (1, 2, 40, 33), (2, 34, 20, 30), (300, 1, 1, 1), (2, 3, 0, 4), (0, 3, 2, 2), (2, 0, 3, 3)]


@pytest.mark.parametrize("shape", BIAS, ids=str)
@pytest.mark.parametrize("launcher", [grad_bias.naive, grad_bias.blocks])
def test_grad_bias_gives_the_oracles_integers(launcher, shape):
    grad = integers(shape)
    for layout in LAYOUTS:
        for dtype in ("float32", "float64"):
            with emulator.schedule(LAYOUTS.index(layout)):
                got = launcher(laid_out(grad.astype(dtype), layout))
            np.testing.assert_array_equal(got, grad.sum((0, 2, 3)), err_msg=f"{layout}, {dtype}")
            assert got.dtype == dtype


def test_grad_bias_loses_nothing_in_a_long_sum():
    grad = np.ones((1, 1, 32, 32), np.float32)
    grad[0, 0, 0, 0] = 2.0**24  # float32 has no room for ones beside it
    for launcher in (grad_bias.naive, grad_bias.blocks):
        assert launcher(grad)[0] == 2.0**24 + 1024  # the exact sum, 2**24 + 1023, rounded


def test_the_cases_reach_steps_and_slices_of_every_kind():
    def geometry(cases, name):
        return ConvGeometry.infer(cases[name][1], cases[name][2], **cases[name][3])

    def cut(name, step, side):
        g = geometry(WEIGHT, name)
        return tiles.slices(g, tiles.weight_tiles(g, side), step)

    assert tiles.input_tiled_step(geometry(INPUT, "tiled: filters in several steps, the last smaller"), 4) == 7
    assert tiles.input_tiled_step(geometry(INPUT, "tiled: filters in several steps, the last smaller"), 8) == 3
    assert cut("tiled: tails of columns, slices, the last smaller", 32, tiles.WEIGHT_TILED) == (3, 96)  # of 216
    assert cut("tiled: more filters than a pass copies, few columns", 32, tiles.WEIGHT_TILED) == (1, 64)
    assert cut("gemm: one by one, slices of part of a step", 8, SMALL)[0] > 1
    assert cut("gemm: large tile, one by one, slices", 8, LARGE) == (2, 88)  # of 162
    assert tiles.bias_blocks(2, 34, 600, channels_last=True) == ((32, 8, 1), 18, 34)
    assert tiles.bias_blocks(1, 2, 1320, channels_last=False) == ((1, 256, 1), 1, 1320)


def test_an_empty_batch_has_gradients_of_zero():
    g = ConvGeometry.infer((0, 4, 5, 5), (4, 4, 3, 3))
    x, grad, w = (np.zeros(shape, np.float32) for shape in (g.x_shape, g.y_shape, g.w_shape))
    for launcher in (grad_weight.naive, grad_weight.tiled, grad_weight.implicit_gemm, large_weight):
        np.testing.assert_array_equal(launcher(grad, x, g), np.zeros(g.w_shape))
    for launcher in (grad_input.naive, grad_input.tiled, grad_input.implicit_gemm, large_input):
        assert launcher(grad, w, g).shape == g.x_shape


@pytest.mark.parametrize("version", ["implicit_gemm", "tiled", "naive"])
def test_weight_gradients_repeat_bit_for_bit_in_any_order_of_blocks(version):
    g = ConvGeometry.infer((3, 4, 11, 10), (5, 4, 3, 3), padding=1)
    rng = np.random.default_rng(0)
    grad, x = (rng.standard_normal(shape).astype(np.float32) for shape in (g.y_shape, g.x_shape))
    with kernels.using({"conv2d.grad_weight": f"emulator.{version}"}):
        first = conv2d.grad_weight(grad, x, g)
        for order in ("reverse", 0, 1):
            with emulator.schedule(order):
                np.testing.assert_array_equal(conv2d.grad_weight(grad, x, g), first)


@pytest.mark.parametrize("launcher", [grad_input.naive, grad_input.tiled, grad_input.implicit_gemm, large_input])
@pytest.mark.parametrize("filters", [3, 4], ids=["one by one", "vectors"])
def test_nan_reaches_what_its_window_saw_and_no_more(launcher, filters):
    """Steps of 8 filters end behind a tap's last; what is not finite there must not be multiplied by 0."""
    g = ConvGeometry.infer((1, 4, 6, 7), (filters, 4, 2, 2), stride=(2, 1))
    grad = np.ones(g.y_shape, np.float32)
    grad[0, 0, 1, 2] = np.nan
    gx = launcher(grad, np.ones(g.w_shape, np.float32), g)
    wanted = np.zeros(g.x_shape, bool)
    wanted[:, :, 2:4, 2:4] = True
    np.testing.assert_array_equal(np.isnan(gx), wanted)


@pytest.mark.parametrize("launcher", [grad_weight.naive, grad_weight.tiled, grad_weight.implicit_gemm, large_weight])
@pytest.mark.parametrize("channels", [3, 4], ids=["one by one", "vectors"])
def test_a_filters_nan_stays_with_that_filter(launcher, channels):
    g = ConvGeometry.infer((1, channels, 5, 5), (4, channels, 3, 3))
    grad, x = np.ones(g.y_shape, np.float32), np.ones(g.x_shape, np.float32)
    grad[0, 1, 2, 2] = np.inf
    x[0, 2, 0, 0] = np.nan
    gw = launcher(grad, x, g)
    wanted = np.zeros(g.w_shape, bool)
    wanted[:, 2, 0, 0] = True  # the one tap that saw the corner
    np.testing.assert_array_equal(np.isnan(gw), wanted)
    wanted[1] = True
    np.testing.assert_array_equal(np.isfinite(gw), ~wanted)


def test_the_large_tiles_are_for_large_products():
    def both(n, c, size, o):
        g = ConvGeometry.infer((n, c, size, size), (o, c, 3, 3), padding=1)
        return tiles.input_gemm_tile(g), tiles.weight_gemm_tile(g)

    assert both(32, 256, 56, 256) == (LARGE, LARGE)
    assert both(1, 512, 14, 512) == (SMALL, SMALL)  # 8 blocks of the large one; 196 pixels to sum
    assert both(32, 64, 224, 64) == (SMALL, SMALL)  # half of the large ones would be idle


REFUSALS = {
    "grad_input, replicated edges": (
        "grad_input", ("tiled", "implicit_gemm"), (1, 2, 4, 4), (2, 2, 3, 3),
        {"padding": 1, "padding_mode": "replicate"},
        "an edge that padding_mode='replicate' repeats is seen by many; naive takes it",
    ),
    "grad_input, memory": (
        "grad_input", ("tiled",), (1, 1, 199, 199), (1, 1, 3, 3), {"dilation": 64}, "dilation (64, 64) takes 77 KB",
    ),
    "grad_input, channels": (
        "grad_input", ("implicit_gemm",), (1, 5, 4, 4), (5, 1, 3, 3), {"groups": 5},
        "5 groups of 1 channels fill 1 of the 64",
    ),
    "grad_weight, filters": (
        "grad_weight", ("implicit_gemm",), (1, 5, 4, 4), (5, 1, 3, 3), {"groups": 5},
        "5 groups of 1 filters fill 1 of the 64",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_what_a_version_does_not_take_it_says(name):
    op, versions, x_shape, w_shape, attributes, reason = REFUSALS[name]
    why = kernels.why(f"conv2d.{op}", x_shape=x_shape, w_shape=w_shape, **attributes)
    for version in versions:
        assert reason in why.reasons[f"emulator.{version}"]


def test_replicate_without_padding_is_no_reason():
    g = ConvGeometry.infer((1, 2, 4, 4), (2, 2, 3, 3), padding_mode="replicate")
    assert tiles.input_gemm_serves(geometry=g) is None
