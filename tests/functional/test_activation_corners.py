"""Corners of activations that need no PyTorch: gradients, tails, memory layouts, and options that make no sense."""

import numpy as np
import pytest

from minitl import functional as F
from minitl.errors import ArgumentError, ShapeError
from minitl.testing import gradcheck

ELEMENTWISE = {
    "sigmoid": F.sigmoid,
    "tanh": F.tanh,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "leaky_relu": F.leaky_relu,
}


@pytest.mark.parametrize("scale", [0.3, 3])
def test_gradients_by_central_differences(scale):
    x = np.random.default_rng(0).standard_normal((3, 4)) * scale
    for ours in ELEMENTWISE.values():
        gradcheck(ours, x)
    for axis in (0, 1, (0, 1)):
        gradcheck(lambda x, axis=axis: F.logsumexp(x, axis=axis), x)


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_far_out(approximate):
    """NaN for NaN and -inf, as in PyTorch; large finite numbers have the finite values and slopes of the definition."""
    numbers = np.array([np.nan, np.inf, -np.inf, 0, 1e30, -1e30, 88, -88, 104, -104], np.float32)
    x = F.Tensor(numbers, requires_grad=True)
    y = F.gelu(x, approximate)
    y.backward(np.ones(y.shape))
    assert np.isnan(y.data[[0, 2]]).all()
    assert y.data[1] == np.inf
    assert np.isnan(x.grad[:3]).all()
    assert y.data[3:].tolist() == np.maximum(numbers[3:], 0).tolist()
    assert x.grad[3:].tolist() == [0.5, 1, 0, 1, 0, 1, 0]


def test_logsumexp_over_nothing_is_minus_infinity():
    assert F.logsumexp(np.zeros((2, 0), np.float32)).data.tolist() == [-np.inf, -np.inf]
    assert F.logsumexp(np.zeros((0, 2), np.float32)).shape == (0,)


@pytest.mark.parametrize(
    ("approximate", "x", "known"), [("none", -5.0, -1.4332586e-06), ("tanh", -5.0, -2.2917922e-07)]
)
def test_gelu_keeps_its_digits_in_the_tail(approximate, x, known):
    """-5 Phi(-5) from tables of the normal distribution; 1 + erf(-5 / sqrt 2) in float32 has two digits left."""
    assert F.gelu(np.float32([x]), approximate).data[0] == pytest.approx(known, rel=1e-5)


def test_sigmoid_keeps_its_digits_in_the_tail():
    x = np.float32([-80, -40, -20])
    assert F.sigmoid(x).data.tolist() == pytest.approx(np.exp(x.astype(np.float64)).tolist(), rel=1e-6)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_channels_last_stays_channels_last(name):
    x = F.Tensor(np.zeros((2, 6, 6, 8), np.float32).transpose(0, 3, 1, 2), requires_grad=True)
    y = ELEMENTWISE[name](x)
    y.backward(np.ones((2, 6, 6, 8), np.float32).transpose(0, 3, 1, 2))
    for array in (y.data, x.grad):
        assert array.transpose(0, 2, 3, 1).flags.c_contiguous


WRONG = {
    "leaky_relu": (lambda x: F.leaky_relu(x, np.nan), ArgumentError, r"leaky_relu: negative_slope .* finite .* nan"),
    "leaky_relu_text": (lambda x: F.leaky_relu(x, "steep"), ArgumentError, r"leaky_relu: negative_slope .*'steep'"),
    "gelu": (lambda x: F.gelu(x, "erf"), ArgumentError, r'gelu: approximate must be "none" or "tanh"; got \'erf\''),
    "logsumexp": (lambda x: F.logsumexp(x, 2), ShapeError, r"logsumexp: axis 2 does not exist.*\(2, 3\)"),
    "logsumexp_twice": (lambda x: F.logsumexp(x, (0, -2)), ShapeError, r"logsumexp: axis \(0, -2\) .*comes twice"),
    "logsumexp_none": (lambda x: F.logsumexp(x, None), ShapeError, r"logsumexp: axis must be an int or a tuple"),
    "logsumexp_no_axis": (lambda x: F.logsumexp(x, ()), ShapeError, r"logsumexp: axis \(\)"),
    "logsumexp_keepdims": (lambda x: F.logsumexp(x, 0, "yes"), ArgumentError, r"logsumexp: keepdims must be True"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_options(name):
    call, error, message = WRONG[name]
    with pytest.raises(error, match=message) as caught:
        call(F.tensor(np.zeros((2, 3), np.float32)))
    assert "\n" not in str(caught.value)
