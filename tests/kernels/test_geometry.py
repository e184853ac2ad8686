"""Window geometry: the closed forms against counting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitl.errors import ShapeError
from minitl.kernels import ConvGeometry, PoolGeometry
from minitl.kernels.geometry import MOST, _every_window_holds_a_pixel, output_size


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
