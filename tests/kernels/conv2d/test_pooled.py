"""A convolution and the max-pooling of its result in one pass: the same bits as one after the other."""

import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="geometries are drawn by hypothesis (pip install '.[test]')")
pytest.importorskip("numba", reason="the cpu versions need Numba, which is not installed")
from hypothesis import assume, given
from hypothesis import strategies as st

from minitl.errors import ShapeError
from minitl.kernels import ConvGeometry, PoolGeometry, conv2d, max_pool2d, spec, using, version
from minitl.kernels.conv2d.cpu import tiling

SQUARES = spec("conv2d").calls("cpu.winograd4") | spec("conv2d").calls("cpu.winograd2")
ANY = spec("conv2d").calls()
one = st.integers(1, 3)
windows = st.fixed_dictionaries(
    {
        "kernel_size": st.tuples(one, one),
        "stride": st.tuples(one, one),
        "padding": st.integers(0, 1),
        "dilation": st.integers(1, 2),
        "ceil_mode": st.booleans(),
    }
)
halves = st.just({"kernel_size": 2})


def pooled(pool, x, w, b, geometry, relu=False):
    return conv2d.Ready(x, w, b, geometry, relu, pool)(x, w, b)


def same(call, window, name):
    g = call["geometry"]
    try:
        pool = PoolGeometry.infer(g.y_shape, **window)
    except ShapeError:
        assume(False)
    with using(conv2d=name):
        apart, _ = max_pool2d.forward(conv2d.forward(**call), pool)
        together = pooled(pool, **call)
    np.testing.assert_array_equal(together, apart)
    assert together.dtype == apart.dtype


def taken(call, name):
    kernel = spec("conv2d")
    found = next(known for known in kernel.versions if known.name == name)
    return kernel.reason_against(found, call) is None


@given(call=ANY, window=windows | halves)
def test_direct(call, window):
    same(call, window, "cpu.direct")


@given(call=SQUARES, window=halves | windows)
def test_winograd(call, window):
    name = f"cpu.winograd{7 - call['geometry'].kernel[0]}"
    assume(taken(call, name))
    same(call, window, name)


@given(call=ANY, window=windows)
def test_a_version_that_cannot_pool_is_followed_by_one(call, window):
    same(call, window, "reference.im2col")


@pytest.mark.parametrize("shapes", [((1, 3, 61, 50), (40, 3, 7, 7)), ((3, 16, 30, 31), (70, 16, 1, 1))])
def test_bands_change_no_bit(shapes, monkeypatch):
    g = ConvGeometry.infer(*shapes, stride=2)
    pool = PoolGeometry.infer(g.y_shape, 3, 2, 1)
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape).astype(np.float32) for shape in shapes)
    expected, _ = max_pool2d.forward(conv2d.forward(x, w, None, g), pool)
    for band_bytes, rows in ((1, 1), (1, 4), (1 << 14, 2), (1 << 30, 100)):
        tiling.plan.cache_clear()
        tiling.forward_plan.cache_clear()
        monkeypatch.setattr(tiling, "BAND_BYTES", band_bytes)
        monkeypatch.setattr(tiling, "POOLED_ROWS", rows)
        np.testing.assert_array_equal(pooled(pool, x, w, None, g), expected)
    tiling.plan.cache_clear()
    tiling.forward_plan.cache_clear()


SPECIAL = np.array([np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0], np.float32)


@pytest.mark.parametrize("window", [{"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1}])
def test_the_first_nan_wins_and_signs_stay(window):
    """Through a convolution that changes no number."""
    x = np.random.default_rng(0).choice(SPECIAL, (2, 16, 13, 12))
    g = ConvGeometry.infer(x.shape, (16, 1, 1, 1), groups=16)
    pool = PoolGeometry.infer(x.shape, **window)
    wanted, _ = max_pool2d.forward(x, pool)
    alone, _ = max_pool2d.forward(x, pool, where=False)
    assert alone.tobytes() == wanted.tobytes()
    with using(conv2d="cpu.direct"):
        w = np.ones(g.w_shape, np.float32)
        apart, _ = max_pool2d.forward(conv2d.forward(x, w, None, g), pool)
        assert pooled(pool, x, w, None, g).tobytes() == apart.tobytes()
    assert np.isnan(wanted).any()
    assert np.isneginf(wanted).sum() < np.isneginf(x).sum()


def test_the_maxima_of_a_version_of_ones_own_are_its_own():
    pools = spec("max_pool2d")

    @version("max_pool2d", "reference.mine", first=True)
    def ones(x, geometry):
        return np.ones(geometry.y_shape, x.dtype), np.zeros(geometry.y_shape, np.int32)

    g = ConvGeometry.infer((1, 2, 5, 5), (3, 2, 3, 3))
    x, w = np.zeros(g.x_shape, np.float32), np.zeros(g.w_shape, np.float32)
    try:
        assert (pooled(PoolGeometry.infer(g.y_shape, 2), x, w, None, g) == 1).all()
    finally:
        pools.remove("reference.mine")
    with using(max_pool2d="reference.taps"):
        assert (pooled(PoolGeometry.infer(g.y_shape, 2), x, w, None, g) == 0).all()
