"""What is true of Winograd's convolutions in particular."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from minitl.kernels import ConvGeometry, conv2d
from minitl.kernels.conv2d import reference
from minitl.kernels.conv2d.cpu import winograd
from minitl.kernels.verify import agreement
from minitl.kernels.verify.properties import PROPERTIES

SPECS = {"conv2d": conv2d.forward, "conv2d.grad_input": conv2d.grad_input, "conv2d.grad_weight": conv2d.grad_weight}
VERSIONS = [
    pytest.param(spec, version, id=f"{name}-{version.name}")
    for name, spec in SPECS.items()
    for version in spec.versions
    if version.name.startswith("cpu.winograd")
]


def normal(shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("side", winograd.OUTPUT)
def test_the_matrices_convolve_exactly(side):
    """In fractions, on one axis: A^t [(G w) (B^t x)] is the sum of products of the definition."""
    taps = winograd.SIDE + 1 - side
    rng = np.random.default_rng(side)
    x = [Fraction(int(n)) for n in rng.integers(-9, 10, winograd.SIDE)]
    w = [Fraction(int(n)) for n in rng.integers(-9, 10, taps)]

    def times(matrix, vector):
        return [sum(Fraction(m).limit_denominator(24) * v for m, v in zip(row, vector, strict=True)) for row in matrix]

    points = [a * b for a, b in zip(times(winograd.FILTER[side], w), times(winograd.INPUT, x), strict=True)]
    wanted = [sum(w[k] * x[i + k] for k in range(taps)) for i in range(side)]
    assert times(winograd.OUTPUT[side], points) == wanted


@pytest.mark.parametrize(("spec", "version"), VERSIONS)
@settings(max_examples=10)
@given(data=st.data())
def test_every_kind_of_property_holds(spec, version, data):
    call = data.draw(spec.calls(version.name))
    assume(spec.reason_against(version, call) is None)
    for kind in PROPERTIES:
        if kind.calls_of(spec.name) == spec.name and kind.has(spec.name):
            with agreement.telling(kind.name), np.errstate(all="ignore"):
                kind.holds(spec, version, call)


@pytest.mark.parametrize(("channels", "filters"), [(130, 70), (300, 64), (64, 200)])
@pytest.mark.parametrize("taps", [3, 5])
def test_channels_of_several_panels_and_depths(channels, filters, taps):
    """Against im2col in float64."""
    g = ConvGeometry.infer((2, channels, 10, 11), (filters, channels, taps, taps), padding=taps // 2)
    x, w, b = normal(g.x_shape), normal(g.w_shape, seed=1), normal((filters,), seed=2)
    call = {"x": x, "w": w, "b": b, "geometry": g, "relu": False}
    version = next(v for v in conv2d.forward.versions if v.name == f"cpu.winograd{7 - taps}")
    truth = reference.forward(x.astype(np.float64), w.astype(np.float64), b, g)
    agreement.within(conv2d.forward.run(version, call), truth, version.bound(call, truth))


@pytest.mark.parametrize(("tiny", "large"), [(2.0**-133, 2.0**66), (2.0**-126, 2.0**33), (2.0**66, 2.0**-133)])
@pytest.mark.parametrize(("spec", "version"), VERSIONS)
def test_numbers_too_small_to_be_normal_are_within_the_bound(spec, version, tiny, large):
    taps = 3 if version.name.endswith("4") else 5
    g = ConvGeometry.infer((1, 16, 10, 11), (16, 16, taps, taps), padding=taps // 2)
    shapes = {"x": g.x_shape, "w": g.w_shape, "grad": g.y_shape}
    call = {"b": None, "geometry": g, "relu": False}
    for seed, (name, shape) in enumerate(shapes.items()):
        call[name] = normal(shape, seed=seed) * np.float32(large if name == "x" else tiny)
    if spec.name == "conv2d.grad_input":
        call["w"] = call["w"] / np.float32(tiny) * np.float32(large)
    call = {name: call[name] for name in spec.signature.parameters if name in call}
    truth = spec.load(spec.oracle)(**call)
    agreement.within(spec.run(version, call), truth, version.bound(call, truth))


def test_packed_filters_are_made_once_for_each_geometry():
    g = ConvGeometry.infer((1, 16, 9, 9), (16, 16, 3, 3), padding=1)
    x, w, forms = normal(g.x_shape), normal(g.w_shape, seed=1), {}
    first = conv2d.forward(x, w, None, g, False, forms)
    assert len(forms) == 1
    (kept,) = forms.values()
    again = conv2d.forward(x, np.zeros_like(w), None, g, False, forms)  # the owner did not empty it: nobody looks at w
    np.testing.assert_array_equal(first, again)
    assert forms[next(iter(forms))] is kept
    conv2d.grad_input(normal(g.y_shape), w, g, forms)
    assert len(forms) == 2


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_an_image_has_the_same_bits_in_any_batch(batch):
    g = ConvGeometry.infer((8, 24, 13, 9), (40, 24, 3, 3), padding=1)
    few = ConvGeometry.infer((batch, 24, 13, 9), g.w_shape, padding=1)
    x, w, b = normal(g.x_shape), normal(g.w_shape, seed=1), normal((40,), seed=2)
    np.testing.assert_array_equal(
        winograd.forward(x[:batch], w, b, few, True), winograd.forward(x, w, b, g, True)[:batch]
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_stays_within_its_tiles(bad):
    """It reaches the outputs that see it, and none beyond the tiles of 4 x 4 outputs that do."""
    g = ConvGeometry.infer((2, 16, 24, 24), (16, 16, 3, 3), padding=1)
    x, w = normal(g.x_shape), normal(g.w_shape, seed=1)
    x[1, 5, 9, 14] = bad
    wrong = ~np.isfinite(winograd.forward(x, w, None, g))
    assert wrong[1, :, 8:11, 13:16].all()
    assert not wrong[0].any()
    assert not wrong[1, :, :8].any()
    assert not wrong[1, :, 12:].any()
    assert not wrong[1, :, :, :12].any()
    assert not wrong[1, :, :, 16:].any()
