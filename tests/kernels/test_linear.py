"""What is true of the dense layer's register tiles in particular."""

from __future__ import annotations

import numpy as np
import pytest

from minitl import kernels
from minitl.kernels import linear
from minitl.kernels.linear import MOST_ROWS, cpu
from minitl.kernels.verify import agreement

# In and out features: pieces of depth that follow one another, registers that are not full, fewer than a register.
SIZES = [(2500, 31), (300, 130), (17, 100), (5, 3)]
BATCHES = [1, 2, 9, MOST_ROWS]


def normal(*shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def computed(batch, features, outputs, dtype="float32"):
    """Output and gradients of a layer on the first rows of the same numbers."""
    x, grad = normal(MOST_ROWS, features, dtype=dtype)[:batch], normal(MOST_ROWS, outputs, dtype=dtype, seed=1)[:batch]
    w, b = normal(outputs, features, dtype=dtype, seed=2), normal(outputs, dtype=dtype, seed=3)
    calls = {
        "linear": {"x": x, "w": w, "b": b},
        "linear.grad_input": {"grad": grad, "w": w},
        "linear.grad_weight": {"grad": grad, "x": x},
    }
    return {name: (kernels.spec(name), call, run(name, call)) for name, call in calls.items()}


def run(name, call):
    spec = kernels.spec(name)
    assert spec.choose(call).name == "cpu.tiles"
    return spec(**call)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize(("features", "outputs"), SIZES)
def test_large_products_are_within_the_bound(features, outputs, batch, dtype):
    for spec, call, got in computed(batch, features, outputs, dtype).values():
        exact = {name: value.astype(np.float64) for name, value in call.items()}
        truth = spec.load("reference:" + (spec.name.partition(".")[2] or "forward"))(**exact)
        with agreement.telling(spec.name):
            assert got.dtype == dtype
            assert np.all(np.abs(got - truth) <= spec.bound(call, truth))


@pytest.mark.parametrize("batch", BATCHES[:-1])
@pytest.mark.parametrize(("features", "outputs"), SIZES)
def test_a_row_has_the_same_bits_in_any_batch(features, outputs, batch):
    few, many = (computed(n, features, outputs) for n in (batch, MOST_ROWS))
    for name in ("linear", "linear.grad_input"):
        assert np.array_equal(few[name][2], many[name][2][:batch])


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize(("features", "outputs"), SIZES)
def test_the_bits_do_not_depend_on_the_threads(features, outputs, batch, monkeypatch):
    usual = computed(batch, features, outputs)
    for workers in (1, 3, 5):  # shares of the work: threads take as many as there are
        monkeypatch.setattr(cpu, "get_num_threads", lambda workers=workers: workers)
        for name, (_, _, got) in computed(batch, features, outputs).items():
            assert np.array_equal(got, usual[name][2])


def test_a_gradient_written_past_the_caches_is_the_same(monkeypatch):
    call = {"grad": normal(9, 130), "x": normal(9, 512, seed=1)}
    usual = run("linear.grad_weight", call)
    assert usual.nbytes < cpu.LARGE
    monkeypatch.setattr(cpu, "LARGE", 0)
    assert np.array_equal(run("linear.grad_weight", call), usual)


@pytest.mark.parametrize("features", [512, 300])
def test_nothing_beyond_the_arrays_counts(features):
    """What lies round the arrays is NaN: it would show."""
    room = np.full(3 * 20 * features, np.nan, np.float32)
    x, w = (
        room[5 : 5 + 9 * features].reshape(9, features),
        room[-20 * features :][: 19 * features].reshape(19, features),
    )
    x[:], w[:] = normal(9, features), normal(19, features, seed=1)
    plain = linear.forward(x.copy(), w.copy(), None)
    assert np.array_equal(linear.forward(x, w, None), plain)
    assert np.array_equal(
        linear.grad_input(np.ones((9, 19), np.float32), w), linear.grad_input(np.ones((9, 19), np.float32), w.copy())
    )
    assert np.isfinite(plain).all()


def test_large_batches_are_left_to_blas():
    why = kernels.why("linear", x_shape=(MOST_ROWS + 1, 3), w_shape=(2, 3))
    assert why.chosen == "reference.blas"
    assert "BLAS is quicker" in why.reasons["cpu.tiles"]
