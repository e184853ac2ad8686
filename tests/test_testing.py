"""The checker is checked: it finds wrong gradients, dodges kinks, and lets no NaN pass."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitl import functional as F
from minitl.autograd import Function
from minitl.errors import ArgumentError
from minitl.testing import gradcheck, relative_error


def cube(factor=1.0, where=slice(None)):
    """x**3 with its gradient multiplied by `factor` at `where`."""

    class Cube(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save(x)
            return x**3

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved
            slope = 3 * x**2
            slope[where] *= factor
            return grad * slope

    return lambda x: F.apply(Cube, x)


def normal(*shape):
    return np.random.default_rng(shape).standard_normal(shape)


class TestGradcheck:
    @pytest.mark.parametrize("shape", [(5,), (3, 4), (40, 50)])
    def test_right(self, shape):
        gradcheck(cube(), normal(*shape))

    @pytest.mark.parametrize("factor", [0.0, -1.0, 2.0, 1.001, 1.00001, np.nan])
    @pytest.mark.parametrize("shape", [(5,), (40, 50)])
    def test_wrong(self, shape, factor):
        with pytest.raises(AssertionError, match=r"analytic .* numeric .* bound"):
            gradcheck(cube(factor), normal(*shape))

    def test_names_the_worst_element(self):
        with pytest.raises(AssertionError, match=r"input 0 at \(1, 2\): analytic"):
            gradcheck(cube(1.5, where=(1, 2)), normal(3, 4))

    def test_names_the_input(self):
        wrong = cube(1.5)
        with pytest.raises(AssertionError, match=r"input 1 at \(\d,\)"):
            gradcheck(lambda a, b: a * wrong(b), normal(3), normal(3))

    def test_one_wrong_element_of_a_large_array(self):
        with pytest.raises(AssertionError, match=r"shape \(30, 30\), along random direction"):
            gradcheck(cube(1.5, where=(7, 8)), np.ones((30, 30)))

    def test_a_gradient_that_is_cut_off(self):
        with pytest.raises(AssertionError, match=r"analytic 0.0"):
            gradcheck(lambda x: F.tensor(x.data) * 2, normal(3))

    def test_one_kink_is_left_out(self):
        x = normal(20)
        x[[3, 5, 8]] = 0, 3e-6, -7e-6
        gradcheck(F.relu, x)

    def test_a_wrong_slope_beside_kinks_is_found(self):
        wrong = cube(1.1, where=2)
        x = normal(20)
        x[5] = 0
        with pytest.raises(AssertionError, match=r"at \(2,\)"):
            gradcheck(lambda a: F.relu(a) + wrong(a), x)

    @pytest.mark.parametrize("function", [F.relu, lambda x: x.max(), lambda x: F.relu(x * 1e-3)])
    def test_nothing_but_kinks_shows_nothing(self, function):
        with pytest.raises(AssertionError, match="4 of 4 slopes lie at kinks"):
            gradcheck(function, np.zeros(4))

    @given(st.integers(0, 2**32 - 1))
    def test_relu_networks_pass_whatever_the_numbers(self, seed):
        rng = np.random.default_rng(seed)
        x, w = rng.standard_normal((3, 4)), rng.standard_normal((4, 4))
        gradcheck(lambda x, w: F.softmax(F.relu(F.relu(x @ w) @ w)), x, w, seed=seed)

    @pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
    def test_any_scale(self, size):
        gradcheck(lambda a, b: a * b, size * normal(4), normal(4) / size)

    def test_constant_and_linear_functions(self):
        gradcheck(lambda x: x * 0, normal(4))
        gradcheck(lambda x: x * 7 - 1, normal(4))

    def test_nothing_to_check(self):
        gradcheck(lambda x: x * 2, np.zeros((0, 3)))

    def test_refuses_float32(self):
        with pytest.raises(ArgumentError, match="input 1 must be float64"):
            gradcheck(lambda a, b: a * b, normal(3), normal(3).astype(np.float32))

    def test_same_seed_same_verdict(self):
        messages = set()
        for _ in range(2):
            with pytest.raises(AssertionError) as caught:
                gradcheck(cube(1.01), normal(30, 30), seed=3)
            messages.add(str(caught.value))
        assert len(messages) == 1


class TestRelativeError:
    def test_is_the_largest_difference_by_the_largest_number(self):
        assert relative_error([1, 4.5], [1.5, 5]) == 0.1
        assert relative_error(F.tensor([2.0]), np.array([2.0])) == 0

    @pytest.mark.parametrize(
        ("got", "want"),
        [
            ([np.nan], [1.0]),
            ([1.0], [np.nan]),
            ([np.inf], [1.0]),
            ([1.0], [np.inf]),
            ([-np.inf], [np.inf]),
            ([1.0], [0.0]),
            ([1.0, 2.0], [1.0]),
        ],
    )
    def test_what_can_not_be_compared_is_infinitely_wrong(self, got, want):
        assert relative_error(got, want) == math.inf

    def test_nan_and_infinity_in_their_places(self):
        assert relative_error([np.nan, np.inf, 3], [np.nan, np.inf, 2]) == 0.5
        assert relative_error([np.nan], [np.nan]) == 0
        assert relative_error([], []) == 0
        assert relative_error([0.0], [0.0]) == 0
