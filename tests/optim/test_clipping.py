"""Gradient clipping against PyTorch's; frozen parameters, gradients that are no numbers, bounds that make no sense."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitl.errors import ArgumentError
from minitl.kernels.verify.bounds import unit_roundoff
from minitl.optim import blocks, clip_grad_norm, clip_grad_value
from minitl.tensor import Parameter

seeds = st.integers(0, 2**32 - 1)


def torch_twins(found):
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    twins = [torch.nn.Parameter(torch.tensor(p.numpy())) for p in found]
    for p, t in zip(found, twins, strict=True):
        t.grad = None if p.grad is None else torch.tensor(np.array(p.grad))
    return torch.nn.utils, twins


@given(
    seed=seeds, most=st.floats(0.05, 20), left_out=st.integers(0, 4), dtype=st.sampled_from([np.float32, np.float64])
)
def test_clip_grad_norm_as_pytorch(parameters, give_gradients, seed, most, left_out, dtype):
    rng = np.random.default_rng(seed)
    found = parameters(rng, dtype)
    give_gradients(rng, found)
    for p in found[:left_out]:
        p.grad = None
    before = [p.grad for p in found]
    utils, twins = torch_twins(found)
    norm = clip_grad_norm(found, most)
    theirs = utils.clip_grad_norm_(twins, most).item()
    # Theirs sums as many squares as there are numbers in the dtype itself; all else rounds a handful of times.
    bound = (sum(p.size for p in found) + 16) * unit_roundoff(dtype)
    assert abs(norm - theirs) <= bound * theirs
    for p, t, old in zip(found, twins, before, strict=True):
        if old is None:
            assert p.grad is None
            continue
        assert p.grad.dtype == dtype
        assert np.all(np.abs(p.grad - t.grad.numpy()) <= bound * np.abs(old))
        if norm < most * (1 - 1e-6) - 1e-6:
            assert np.array_equal(p.grad, old)
    if norm > most and left_out < 4:
        assert abs(clip_grad_norm(found, most) - most) <= 1e-6 + bound * most


@given(seed=seeds, most=st.floats(1e-3, 10), dtype=st.sampled_from([np.float32, np.float64]))
def test_clip_grad_value_as_pytorch(parameters, give_gradients, seed, most, dtype):
    rng = np.random.default_rng(seed)
    found = parameters(rng, dtype)
    give_gradients(rng, found)
    found[0].grad[0, 0] = [[np.nan, np.inf, -np.inf]] * 3
    found[1].grad = None
    utils, twins = torch_twins(found)
    clip_grad_value(found, most)
    utils.clip_grad_value_(twins, most)
    for p, t in zip(found, twins, strict=True):
        if p.grad is None:
            assert t.grad is None
        else:
            assert p.grad.dtype == dtype
            assert np.array_equal(p.grad, t.grad.numpy(), equal_nan=True)


def two(first, second):
    p, q = Parameter(np.zeros(2, np.float32), "p"), Parameter(np.zeros(2, np.float32), "q")
    p.grad, q.grad = np.array(first, np.float32), np.array(second, np.float32)
    return p, q


def test_frozen_parameters_do_not_count():
    p, q = two([30, 40], [3, 4])
    p.frozen = True
    assert clip_grad_norm([p, q], 100) == 5
    assert clip_grad_norm([p, q], 1) == 5
    clip_grad_value([p, q], 0.5)
    assert np.array_equal(p.grad, [30, 40])
    assert np.array_equal(q.grad, [0.5, 0.5])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_norm_that_is_no_number_is_returned_and_nothing_clipped(bad):
    p, q = two([30, bad], [3, 4])
    norm = clip_grad_norm([p, q], 1)
    assert math.isnan(norm) if math.isnan(bad) else norm == math.inf
    assert np.array_equal(p.grad, np.array([30, bad], np.float32), equal_nan=True)
    assert np.array_equal(q.grad, [3, 4])


def test_norms_beyond_float32_do_not_overflow():
    p, q = two([3e30, 4e30], [0, 0])
    assert clip_grad_norm([p, q], 1) == pytest.approx(5e30, rel=4 * unit_roundoff(np.float32))
    assert np.linalg.norm(p.grad.astype(np.float64)) == pytest.approx(1, rel=4 * unit_roundoff(np.float32))


def test_without_gradients_the_norm_is_zero():
    assert clip_grad_norm([], 1) == 0
    assert clip_grad_norm([Parameter(np.ones(2, np.float32), "p")], 1) == 0


def test_gradients_that_are_shared_are_not_written_to():
    """After a sum of two leaves both have one array as their gradient, read-only."""
    p, q = two([3, 4], [0, 0])
    q.grad = p.grad
    p.grad.flags.writeable = False
    clip_grad_norm([p], 1)
    clip_grad_value([p], 0.1)
    assert np.array_equal(q.grad, [3, 4])


def test_the_norm_covers_every_block(monkeypatch):
    p = Parameter(np.zeros((7, 3), np.float32), "p")
    p.grad = np.arange(21, dtype=np.float32).reshape(7, 3)
    monkeypatch.setattr(blocks, "SIZE", 6)
    assert clip_grad_norm([p], 1000) == math.sqrt(sum(i * i for i in range(21)))


@pytest.mark.parametrize("clip", [clip_grad_norm, clip_grad_value])
@pytest.mark.parametrize("most", [0, -1.0, float("nan"), float("inf"), None, "1", True])
def test_bounds_that_make_no_sense_are_refused(clip, most):
    with pytest.raises(ArgumentError, match=f"{clip.__name__}: most must be"):
        clip([], most)


@pytest.mark.parametrize("clip", [clip_grad_norm, clip_grad_value])
def test_what_is_no_parameter_is_refused(clip):
    with pytest.raises(ArgumentError, match=rf"{clip.__name__}: parameters must be .* got ndarray"):
        clip([np.ones(3)], 1.0)
