"""Window geometry: the closed forms against counting."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitl.errors import ShapeError
from minitl.kernels import ConvGeometry, PadGeometry, PoolGeometry
from minitl.kernels.geometry import MOST, PAD_MODES, _every_window_holds_a_pixel, adaptive_output, output_size


@given(
    size=st.integers(1, 12),
    before=st.integers(0, 9),
    count=st.integers(1, 9),
    kernel=st.integers(1, 6),
    stride=st.integers(1, 5),
    dilation=st.integers(1, 6),
)
def test_windows_without_a_pixel_are_found(size, before, count, kernel, stride, dilation):
    taps = [[i * stride - before + k * dilation for k in range(kernel)] for i in range(count)]
    counted = all(any(0 <= at < size for at in window) for window in taps)
    assert _every_window_holds_a_pixel(size, before, count, kernel, stride, dilation) == counted


@given(
    size=st.integers(0, 12),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 4),
    before=st.integers(0, 4),
    after=st.integers(0, 4),
    dilation=st.integers(1, 3),
)
def test_output_size_counts_the_windows_that_fit(size, kernel, stride, before, after, dilation):
    reach = dilation * (kernel - 1) + 1
    fits = [start for start in range(0, before + size + after, stride) if start + reach <= before + size + after]
    assert output_size(size, kernel, stride, before, after, dilation) == len(fits)


@pytest.mark.parametrize("setting", ["kernel_size", "stride", "padding", "dilation"])
def test_absurd_settings_are_refused_at_once(setting):
    with pytest.raises(ShapeError, match=setting):
        PoolGeometry.infer((1, 1, 8, 8), **{"kernel_size": 2, setting: 10**9})
    if setting != "kernel_size":
        with pytest.raises(ShapeError, match=setting):
            ConvGeometry.infer((1, 1, 8, 8), (1, 1, 3, 3), **{setting: 10**9})


@given(
    before=st.integers(30_000, MOST),
    stride=st.integers(1, 4),
    spare=st.integers(0, 3),
    size=st.integers(1, MOST),
)
def test_windows_far_in_the_padding_are_found(before, stride, spare, size):
    """As above, with as many windows as a crafted weight file may ask for."""
    dilation, kernel = min(size + spare, MOST), 4
    count = min(before, 20_000) // stride + 1
    starts = np.arange(count)[:, None] * stride - before
    taps = starts + np.arange(kernel) * dilation
    counted = bool(((taps >= 0) & (taps < size)).any(axis=1).all())
    assert _every_window_holds_a_pixel(size, before, count, kernel, stride, dilation) == counted


def test_bools_and_words_are_no_settings():
    for wrong in (True, (1, True), np.True_):
        with pytest.raises(ShapeError, match="stride must be"):
            PoolGeometry.infer((1, 1, 8, 8), 2, wrong)
    with pytest.raises(ShapeError, match="ceil_mode must be True or False; got 'False'"):
        PoolGeometry.infer((1, 1, 8, 8), 2, ceil_mode="False")


def test_padding_may_be_an_array_of_sides():
    geometry = ConvGeometry.infer((1, 1, 8, 8), (1, 1, 3, 3), padding=np.array([[0, 1], [2, 0]]))
    assert geometry.padding == ((0, 1), (2, 0))


def test_numpy_numbers_serve():
    geometry = ConvGeometry.infer((1, 4, 8, 8), (4, 2, 3, 3), np.int64(2), np.array([1, 0]), 1, np.int64(2))
    assert geometry.padding == ((1, 1), (0, 0))
    assert geometry.groups == 2


@given(
    sides=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    around=st.tuples(*[st.integers(0, 8)] * 4),
    mode=st.sampled_from(PAD_MODES),
)
def test_a_border_is_refused_exactly_where_its_pixels_run_out(sides, around, mode):
    """reflect needs one pixel more than the border, circular as many; NumPy's own modes would go round again."""
    spare = {"reflect": 1, "circular": 0}.get(mode, -8)
    padding = (around[:2], around[2:])
    if any(max(pads) + spare > side for pads, side in zip(padding, sides, strict=True)):
        with pytest.raises(ShapeError, match=f"pad: a {mode} border of x of shape .* use less"):
            PadGeometry.infer((1, 1, *sides), padding, mode)
    else:
        geometry = PadGeometry.infer((1, 1, *sides), np.array(padding), mode)
        assert geometry.padding == padding
        assert geometry.y_shape == (1, 1, sides[0] + sum(padding[0]), sides[1] + sum(padding[1]))


@pytest.mark.parametrize("padding", [-1, (0, -1), ((0, 0), (-2, 0)), np.array([[0, 0], [-2, 0]]), [[0, -1], [0, 0]]])
def test_a_negative_border_is_a_slice(padding):
    with pytest.raises(ShapeError, match=r"pad: padding must not be negative; .* slice: x\["):
        PadGeometry.infer((1, 1, 4, 4), padding)


def test_an_adaptive_side_may_stay_as_it_is():
    assert adaptive_output((2, 3, 5, 7), None) == (5, 7)
    assert adaptive_output((2, 3, 5, 7), (None, 2)) == (5, 2)
    assert adaptive_output((2, 3, 5, 7), [4, None]) == (4, 7)
    assert adaptive_output((2, 3, 5, 7), np.int64(3)) == (3, 3)
    for wrong in ((None,), (None, 0), (None, None, 1), "all", (2, 1.5)):
        with pytest.raises(ShapeError, match="adaptive_avg_pool2d: output_size must be"):
            adaptive_output((2, 3, 5, 7), wrong)


def test_what_is_kept_of_a_geometry_tells_types_apart():
    shapes = (1, 2, 8, 8), (3, 2, 3, 3)
    for right, wrong in ((1, True), (1, 1.0), (np.int8(1), np.bool_(True)), (np.int32(0), np.float32(0))):
        name = "padding" if right == 0 else "stride"
        known = ConvGeometry.infer(*shapes, **{name: right})
        assert ConvGeometry.infer(*shapes, **{name: int(right)}) == known
        with pytest.raises(ShapeError) as caught:
            ConvGeometry.infer(*shapes, **{name: wrong})
        assert caught.value.__context__ is None
    for form in ([1, 1], np.array([1, 1]), (1, 1)):
        assert ConvGeometry.infer(*shapes, stride=form) == ConvGeometry.infer(*shapes)


def test_a_geometry_is_the_same_key_in_another_process():
    """Text has another hash in every process; a pickled geometry must not bring an old one with it."""
    g = ConvGeometry.infer((1, 2, 5, 5), (3, 2, 3, 3), padding=1)
    code = "import pickle, sys; print(hash(pickle.load(sys.stdin.buffer)))"
    here = hash(g)
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    done = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(g), env=environment, capture_output=True)
    assert done.stdout.split() == [str(here).encode()], done.stderr.decode()
    fresh = ConvGeometry.infer([1, 2, 5, 5], [3, 2, 3, 3], padding=1)
    assert hash(fresh) == here
