"""Defined corners: ties, layouts, dtypes, empty batches, masks that follow the picture."""

import numpy as np
import pytest

from minitl import functional as F
from minitl import kernels
from minitl.kernels.backends import BACKENDS

VERSIONS = [v.name for v in kernels.spec("max_pool2d").versions if not BACKENDS[v.backend].unavailable()]


def leaf(values, dtype="float32"):
    return F.tensor(np.array(values, dtype), requires_grad=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_tie_goes_to_the_first_pixel(version):
    x = leaf(np.full((1, 4, 3, 3), 2.0))
    with kernels.using({"max_pool2d": version}):
        F.max_pool2d(x, 2, 1).backward(np.ones((1, 4, 2, 2)))
    assert x.grad[0].tolist() == [[[1, 1, 0], [1, 1, 0], [0, 0, 0]]] * 4


def test_a_tie_in_max_goes_to_the_first_element():
    x = leaf([[1, 3, 3], [3, 0, 3]])
    x.max().backward()
    assert x.grad.tolist() == [[0, 1, 0], [0, 0, 0]]
    y = leaf(np.ones((2, 2, 2)))
    y.max((2, 0)).backward(np.array([1, 2]))
    assert y.grad[0].tolist() == [[1, 0], [2, 0]]
    assert not y.grad[1].any()


def test_max_along_full_axes_of_an_empty_batch():
    x = leaf(np.zeros((0, 3, 4)))
    x.max(2).backward(np.ones((0, 3)))
    assert x.grad.shape == (0, 3, 4)


def test_a_window_of_minus_infinity_has_a_winner():
    x = leaf(np.full((1, 1, 2, 2), -np.inf))
    F.max_pool2d(x, 2).backward(np.ones((1, 1, 1, 1)))
    assert x.grad[0, 0].tolist() == [[1, 0], [0, 0]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scalars_keep_the_dtype(dtype):
    x = leaf([1, 2], dtype)
    for y in (x + 1, 1 + x, x - 0.5, 2.5 * x, x / 3, 3 / x, x**2, 2**x, x + np.float64(1), np.array([1, 2]) + x):
        assert y.dtype == dtype
        y.backward(np.ones(2))
    assert x.grad.dtype == dtype


def test_an_array_on_the_left_leaves_the_operation_to_the_tensor():
    y = np.ones((2, 2), np.float32) @ leaf([1, 2])
    assert isinstance(y, F.Tensor)
    assert y.numpy().tolist() == [3, 3]


def test_power_has_slope_zero_where_it_is_constant():
    x, e = leaf([0.0, 2.0]), leaf([2.0, 0.0])
    (x**e).backward(np.ones(2))
    assert x.grad.tolist() == [0, 0]
    assert e.grad[0] == 0


def test_sums_of_many_float32_numbers_keep_their_digits():
    x = F.tensor(np.full(2**22, 0.1, np.float32))
    exact = float(np.float32(0.1)) * 2**22
    assert x.sum().item() == np.float32(exact)
    assert x.mean().item() == np.float32(0.1)


def test_arrays_that_the_caller_uses_again_do_not_change_the_gradient():
    """Labels, keys and indices belong to the call, not to the buffer they came in."""

    def gradient(spoil):
        x = leaf(np.linspace(-1, 1, 12).reshape(3, 4))
        labels, keys, rows = np.array([0, 1, 2]), np.array([1, 2, 3], np.uint64), np.array([0, 0, 2])
        weight, picked = np.array([1, 2, 3, 4], np.float32), [0, 1]
        loss = F.cross_entropy(x, labels, weight) + F.dropout(x, 0.5, keys).sum() + (x[rows] * x[rows]).sum()
        loss = loss + x[:, picked].sum()
        if spoil:
            labels[:], keys[:], rows[:], weight[:], picked[:] = 3, 9, 1, 7, [3, 3]
        loss.backward()
        return x.grad

    assert np.array_equal(gradient(False), gradient(True))


def test_empty_batches():
    x = leaf(np.zeros((0, 3, 8, 8)))
    w, b = leaf(np.ones((4, 3, 3, 3))), leaf(np.ones(4))
    y = F.max_pool2d(F.relu(F.conv2d(x, w, b)), 2)
    y = F.dropout(F.concat([y, y]), 0.5, [])
    y = F.linear(F.flatten(F.adaptive_avg_pool2d(y, 2)), leaf(np.ones((5, 32))))
    y = F.log_softmax(y)
    assert y.shape == (0, 5)
    y.sum().backward()
    assert x.grad.shape == x.shape
    assert w.grad.shape == w.shape
    assert not w.grad.any()


def test_channels_last_stays_channels_last():
    x = F.Tensor(np.zeros((2, 8, 6, 6), np.float32).transpose(0, 3, 1, 2).copy().transpose(0, 2, 3, 1))
    x = F.Tensor(np.ascontiguousarray(x.data.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2), requires_grad=True)
    for y in (F.relu(x), F.max_pool2d(x, 2), F.concat([x, x])):
        assert y.data.transpose(0, 2, 3, 1).flags.c_contiguous


def test_flatten_does_not_depend_on_memory_layout():
    x = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    assert np.array_equal(F.flatten(F.Tensor(last)).data, x.reshape(1, 24))


def test_views_of_a_parameter_do_not_change_with_it():
    w = F.Parameter(np.ones((2, 3), np.float32), frozen=True)
    x = leaf(np.ones((1, 3)))
    y = x @ w.T
    w.assign(np.zeros((2, 3)))
    y.backward(np.ones((1, 2)))
    assert x.grad.tolist() == [[2, 2, 2]]


class TestDropout:
    x = np.random.default_rng(0).standard_normal((4, 3, 5, 7)).astype(np.float32)
    keys = (3, 2**64 - 1, 0, 77)

    def test_a_mask_belongs_to_its_picture(self):
        whole = F.dropout(self.x, 0.5, self.keys).data
        for n in range(4):
            alone = F.dropout(self.x[n : n + 1], 0.5, self.keys[n : n + 1]).data
            assert np.array_equal(alone[0], whole[n])

    def test_a_mask_does_not_depend_on_memory_layout(self):
        last = np.ascontiguousarray(self.x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        assert np.array_equal(F.dropout(last, 0.3, self.keys).data, F.dropout(self.x, 0.3, self.keys).data)

    def test_keys_and_streams_give_other_masks(self):
        ones = np.ones((2, 1000), np.float32)
        first, second = F.dropout(ones, 0.5, [1, 2]).data
        other = F.dropout(ones, 0.5, [1, 2], stream=1).data
        assert not np.array_equal(first, second)
        assert not np.array_equal(first, other[0])

    @pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
    def test_drops_its_share_and_keeps_the_mean(self, p):
        n = 100_000
        y = F.dropout(np.ones((1, n), np.float32), p, [5]).data
        deviation = 6 * np.sqrt(p * (1 - p) / n)  # six standard deviations of the share
        assert abs((y == 0).mean() - p) < deviation
        assert set(np.unique(y)) == {np.float32(0), np.float32(1) * np.float32(1 / (1 - p))}

    def test_off(self):
        x = leaf(self.x)
        assert F.dropout(x, 0.5, self.keys, training=False) is x
        assert np.array_equal(F.dropout(x, 0.0, self.keys).data, self.x)
        assert not F.dropout(x, 1.0, self.keys).data.any()
