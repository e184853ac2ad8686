"""The forward kernels in CUDA C++ on the emulator, at geometries that reach each of their branches.

Drawn calls are small: they seldom fill a tile, and never a vector load. All numbers here are small integers, whose
sums are exact in any order: a kernel gives the oracle's bits or is wrong.
"""

import numpy as np
import pytest

from minitl import kernels
from minitl.kernels import ConvGeometry, conv2d, emulator
from minitl.kernels.conv2d.cuda import forward, tiles

pytestmark = pytest.mark.skipif(emulator.unavailable() is not None, reason=f"no emulator: {emulator.unavailable()}")

NAIVE, TILED, GEMM, FEW = forward.naive, forward.tiled, forward.implicit_gemm, forward.few_channels


def large_gemm(*call):
    """implicit_gemm with the tile that it would choose for large products alone."""
    return forward.implicit_gemm(*call, tile=tiles.LARGE)


CASES = {  # launcher, x, w, attributes
    "naive: groups, four-sided padding": (
        NAIVE, (2, 4, 5, 6), (6, 2, 3, 2), {"groups": 2, "padding": ((2, 0), (1, 3)), "stride": (2, 1)},
    ),
    "tiled: tails of rows, columns and filters": (TILED, (2, 2, 10, 18), (9, 2, 2, 2), {}),
    "tiled: groups, replicated edges": (
        TILED, (1, 4, 9, 17), (6, 2, 3, 3), {"groups": 2, "padding": 1, "padding_mode": "replicate"},
    ),
    "tiled: channels in several steps, the last smaller": (
        TILED, (1, 3, 9, 33), (2, 3, 5, 5), {"stride": 2, "padding": 1},
    ),
    "gemm: vectors, half a step of products, tiles over images": (
        GEMM, (3, 4, 6, 6), (68, 4, 1, 3), {"padding": 1},
    ),
    "gemm: vectors, replicated edges, dilation": (
        GEMM, (1, 8, 5, 6), (4, 8, 2, 2), {"padding": 2, "dilation": 2, "padding_mode": "replicate"},
    ),
    "gemm: vectors in groups": (GEMM, (2, 8, 4, 4), (8, 4, 3, 3), {"groups": 2, "stride": 2, "padding": 1}),
    "gemm: one by one, filters that no vector stores": (GEMM, (2, 3, 6, 7), (66, 3, 2, 2), {}),
    "gemm: one by one in groups": (GEMM, (1, 6, 5, 5), (4, 3, 3, 3), {"groups": 2, "padding": 1}),
    "gemm: an even number of filters a group": (GEMM, (1, 4, 3, 3), (12, 2, 2, 2), {"groups": 2}),
    "gemm: large tile, tails of pixels and filters": (large_gemm, (2, 4, 9, 9), (132, 4, 1, 1), {"padding": 0}),
    "gemm: large tile, one by one": (large_gemm, (1, 3, 12, 12), (130, 3, 1, 1), {}),
    "gemm: large tile, several steps": (large_gemm, (1, 4, 4, 4), (5, 4, 3, 3), {"padding": 1}),
    "few: 11 x 11 with stride 4, channels one by one": (
        FEW, (1, 3, 15, 19), (9, 3, 11, 11), {"stride": 4, "padding": 2},
    ),
    "few: 3 x 3, tails of rows, columns and filters": (FEW, (2, 3, 9, 34), (10, 3, 3, 3), {"padding": 1}),
    "few: several sets of filters": (FEW, (1, 2, 3, 4), (76, 2, 2, 2), {}),
    "few: dilation beyond the stride": (
        FEW, (1, 1, 12, 15), (8, 1, 3, 3), {"stride": 2, "dilation": 3, "padding": ((3, 1), (0, 4))},
    ),
    "few: stride beyond the window, replicated edges": (
        FEW, (1, 4, 10, 11), (4, 4, 2, 2), {"stride": 3, "padding": 2, "padding_mode": "replicate"},
    ),
    "few: two channels at a time, the last alone": (
        FEW, (1, 3, 8, 40), (3, 3, 7, 5), {"stride": (3, 2), "padding": 2},
    ),
}  # fmt: skip
LAYOUTS = {  # of x and of w
    "NCHW": ("NCHW", "NCHW"),
    "channels-last": ("channels-last", "channels-last"),
    "x misaligned": ("misaligned", "channels-last"),
    "w misaligned": ("channels-last", "misaligned"),
}


def laid_out(shape, layout, dtype, rng):
    """Integers from -3 to 3; "misaligned" is channels-last, one element beyond a multiple of 16 bytes."""
    n, c, h, w = shape
    size = n * c * h * w
    room = np.empty(size + 64, dtype)
    start = -room.ctypes.data % 16 // room.itemsize + (layout == "misaligned")
    values = room[start : start + size]
    values[:] = rng.integers(-3, 4, size)
    return values.reshape(shape) if layout == "NCHW" else values.reshape(n, h, w, c).transpose(0, 3, 1, 2)


def case(name, layout="NCHW", dtype="float32"):
    """launcher, x, w, b, geometry of one of CASES."""
    launcher, x_shape, w_shape, attributes = CASES[name]
    g = ConvGeometry.infer(x_shape, w_shape, **attributes)
    rng = np.random.default_rng(0)
    of_x, of_w = LAYOUTS[layout]
    x, w = laid_out(g.x_shape, of_x, dtype, rng), laid_out(g.w_shape, of_w, dtype, rng)
    return launcher, x, w, rng.integers(-3, 4, 2 * g.out_channels).astype(dtype)[::2], g


@pytest.mark.parametrize("name", CASES)
def test_gives_the_oracles_integers(name):
    launcher, x, w, b, g = case(name)
    truth = conv2d.forward.load(conv2d.forward.oracle)(x, w, None, g)
    for layout in LAYOUTS:
        for dtype in ("float32", "float64"):
            _, x, w, b, _ = case(name, layout, dtype)
            if layout != "NCHW":  # other places for the same numbers
                _, x[...], w[...], *_ = case(name, "NCHW", dtype)
            y = launcher(x, w, None, g)
            assert y.shape == g.y_shape
            assert y.dtype == dtype
            np.testing.assert_array_equal(y, truth)
            with emulator.schedule("reverse"):
                rectified = launcher(x, w, b, g, True)
            np.testing.assert_array_equal(rectified, np.maximum(truth + b[:, None, None], 0))


def test_the_cases_serve_and_differ_in_what_they_reach():
    """Among them are steps of all channels, of some with a rest, of one; blocks of one warp and of several."""
    serves = {TILED: tiles.tiled_serves, FEW: tiles.few_serves}
    for name in CASES:
        launcher, x, w, b, g = case(name)
        assert launcher not in serves or serves[launcher](x=x, w=w, b=b, geometry=g) is None

    def split(name, itemsize):
        return tiles.few_split(case(name)[4], itemsize)

    assert split("few: 11 x 11 with stride 4, channels one by one", 4) == (2, 1)
    assert split("few: several sets of filters", 4) == (5, 2)
    assert split("few: two channels at a time, the last alone", 8)[1] == 2
    steps = case("tiled: channels in several steps, the last smaller")[4]
    assert (tiles.tiled_step(steps, 4), tiles.tiled_step(steps, 8)) == (3, 2)


@pytest.mark.parametrize("version", ["few_channels", "implicit_gemm", "tiled", "naive"])
def test_nan_passes_the_bias_and_relu(version):
    g = ConvGeometry.infer((1, 1, 1, 4), (2, 1, 1, 1))
    x, w = np.array([np.nan, -1, 2, -np.inf], np.float32).reshape(g.x_shape), np.ones(g.w_shape, np.float32)
    with kernels.using(conv2d=f"emulator.{version}"):
        y = conv2d.forward(x, w, np.array([0, np.nan], np.float32), g, relu=True)
    np.testing.assert_array_equal(y[0, :, 0], [[np.nan, 0, 2, 0], [np.nan] * 4])


@pytest.mark.parametrize("launcher", [GEMM, large_gemm], ids=["small tile", "large tile"])
@pytest.mark.parametrize("channels", [3, 4], ids=["one by one", "vectors"])
def test_products_behind_a_filters_last_reach_no_output(launcher, channels):
    """Steps of 8 products end behind the last tap; what is not finite there must not be multiplied by 0."""
    g = ConvGeometry.infer((1, channels, 4, 3), (1, channels, 1, 3))
    x = np.ones(g.x_shape, np.float32)
    x[:, :, 1] = np.nan  # the row behind the first window's
    y = launcher(x, np.ones(g.w_shape, np.float32), None, g)
    np.testing.assert_array_equal(y[0, 0, :, 0], [g.depth, np.nan, g.depth, g.depth])


def test_an_image_has_the_same_bits_in_any_batch_and_tile():
    g, one = (ConvGeometry.infer((n, 4, 5, 7), (6, 4, 3, 3), padding=1) for n in (3, 1))
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape).astype(np.float32) for shape in (g.x_shape, g.w_shape))
    for launcher in (NAIVE, TILED, GEMM, FEW):
        np.testing.assert_array_equal(launcher(x, w, None, g)[1:2], launcher(x[1:2], w, None, one))
    np.testing.assert_array_equal(GEMM(x, w, None, g), large_gemm(x, w, None, g))


def test_the_large_tile_is_for_large_products():
    def tile(n, c, size, o):
        return tiles.gemm_tile(ConvGeometry.infer((n, c, size, size), (o, c, 3, 3), padding=1))

    assert tile(32, 256, 56, 256) == tiles.LARGE
    assert tile(1, 512, 14, 512) == tiles.SMALL  # 8 blocks of the large one
    assert tile(32, 64, 224, 64) == tiles.SMALL  # half of the large one's filters would be idle


def test_first_layers_go_to_the_kernel_made_for_them():
    """Tensor cores would serve them too, in float32."""
    for channels, version in ((1, "few_channels"), (3, "few_channels"), (5, "tensor_cores")):
        with kernels.using(conv2d="emulator"):
            chosen = kernels.why("conv2d", x_shape=(8, channels, 32, 32), w_shape=(16, channels, 3, 3)).chosen
        assert chosen == f"emulator.{version}"


REFUSALS = {
    "few_channels, groups": ("few_channels", (1, 2, 4, 4), (2, 1, 3, 3), {"groups": 2}, "one group; got 2"),
    "few_channels, channels": ("few_channels", (1, 5, 4, 4), (2, 5, 3, 3), {}, "at most 4 input channels; got 5"),
    "few_channels, memory": (
        "few_channels", (1, 1, 99, 99), (2, 1, 3, 3), {"stride": 9}, "takes 75 KB of shared memory; a block has 48 KB",
    ),
    "implicit_gemm, filters": (
        "implicit_gemm", (1, 5, 4, 4), (5, 1, 3, 3), {"groups": 5}, "5 groups of 1 filters fill 1 of the 64 columns",
    ),
    "implicit_gemm, channels": (
        "implicit_gemm", (1, 5, 4, 4), (40, 1, 3, 3), {"groups": 5}, "of 1 channels make its products too short",
    ),
    "tiled, memory": (
        "tiled", (1, 1, 199, 199), (1, 1, 3, 3), {"dilation": 64}, "dilation (64, 64) takes 77 KB",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_what_a_version_does_not_take_it_says(name):
    version, x_shape, w_shape, attributes, reason = REFUSALS[name]
    why = kernels.why("conv2d", x_shape=x_shape, w_shape=w_shape, **attributes)
    assert reason in why.reasons[f"emulator.{version}"]
