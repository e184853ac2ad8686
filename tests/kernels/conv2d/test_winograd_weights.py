"""What is true of the weight gradient by Winograd's filtering in particular: its sums over very many tiles."""

from __future__ import annotations

import numpy as np
import pytest

from minitl import kernels
from minitl.kernels import ConvGeometry, conv2d
from minitl.kernels.conv2d.cpu import winograd_weights
from minitl.kernels.verify import agreement, bounds

APART, TOGETHER = (24, 40), (96, 100)  # channels and filters whose sums fit into a core's cache, and that do not


def geometry(channels, filters, taps=3, batch=2, size=(14, 13), mode="zeros"):
    padding = ((taps // 2, 0), (1, taps - 1))
    x_shape, w_shape = (batch, channels, *size), (filters, channels, taps, taps)
    return ConvGeometry.infer(x_shape, w_shape, padding=padding, padding_mode=mode)


def call(g, dtype="float32"):
    rng = np.random.default_rng(0)
    x, grad = (rng.standard_normal(shape).astype(dtype) for shape in (g.x_shape, g.y_shape))
    return {"grad": grad, "x": x, "geometry": g}


@pytest.fixture
def small_pieces(monkeypatch):
    """Pieces of 8 tiles, and chunks of three of them."""
    monkeypatch.setattr(winograd_weights, "PIECE", 8)
    monkeypatch.setattr(winograd_weights, "CHUNK_BYTES", 24 * 4 * winograd_weights.POINTS * (96 + 112))


@pytest.mark.parametrize("mode", ["zeros", "replicate"])
@pytest.mark.parametrize("taps", [3, 5])
@pytest.mark.parametrize(("channels", "filters"), [APART, TOGETHER])
def test_sums_over_several_parts_and_chunks(channels, filters, taps, mode, small_pieces):
    """Against im2col in float64, whose sums of so many products have their own bound."""
    given = call(geometry(channels, filters, taps, mode=mode))
    plan = winograd_weights.plan_of(given["geometry"], np.dtype("float32"))
    assert plan.parts > 1 if (channels, filters) == APART else plan.tiles > plan.chunk > plan.piece
    spec = conv2d.grad_weight
    version = next(v for v in spec.versions if v.name == f"cpu.winograd{7 - taps}")
    reference = next(v for v in spec.versions if v.backend == "reference")
    wide, absolute = (
        {name: a if name == "geometry" else change(a) for name, a in given.items()}
        for change in (np.float64, lambda a: np.abs(a, dtype=np.float64))
    )
    products = len(given["grad"]) * given["grad"][0, 0].size
    error = bounds.gamma(products, np.float64) * spec.run(reference, absolute)
    got, wanted = spec.run(version, given), spec.run(reference, wide)
    agreement.within(got.astype(np.float64), wanted, version.bound(given, wanted) + error)


@pytest.mark.parametrize(("channels", "filters"), [APART, TOGETHER])
def test_the_same_bits_for_any_number_of_threads(channels, filters, small_pieces, monkeypatch):
    given = call(geometry(channels, filters))
    results = []
    for workers in (1, 2, 3, 7):
        monkeypatch.setattr(winograd_weights, "get_num_threads", lambda workers=workers: workers)
        results.append(winograd_weights.grad_weight(**given))
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


@pytest.mark.parametrize("itemsize", [4, 8])
def test_the_workspace_does_not_grow_with_the_batch(itemsize):
    few, many = (winograd_weights.workspace(geometry(*TOGETHER, batch=n, size=(56, 56)), itemsize) for n in (80, 800))
    assert many <= 1.1 * few


@pytest.mark.parametrize(
    ("x_shape", "w_shape", "reason"),
    [
        ((8, 8, 56, 56), (64, 8, 3, 3), "fewer than 16 channels"),
        ((1, 64, 4, 8), (64, 64, 3, 3), "fewer than 4 tiles"),
        ((8, 64, 56, 56), (64, 64, 1, 1), "3x3 filters"),
        ((8, 64, 56, 56), (64, 64, 3, 3), None),
        ((0, 64, 56, 56), (64, 64, 3, 3), None),
    ],
)
def test_it_says_why_it_refuses(x_shape, w_shape, reason):
    said = kernels.why("conv2d.grad_weight", x_shape=x_shape, w_shape=w_shape, padding=w_shape[2] // 2)
    if reason is None:
        assert said.chosen == "cpu.winograd4"
    else:
        assert reason in said.reasons["cpu.winograd4"]


def test_an_empty_batch_gives_zeros():
    g = geometry(*APART, batch=0)
    np.testing.assert_array_equal(winograd_weights.grad_weight(**call(g)), np.zeros(g.w_shape, np.float32))
