"""Activations against PyTorch: shapes and options drawn, NaN and infinities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitl import functional as F
from minitl.testing import relative_error

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
TF = torch.nn.functional

# What the project promises of every op and gradient: max|difference| / max|reference|.
PROMISED = {"float32": 1e-4, "float64": 1e-9}

DTYPES = st.sampled_from(list(PROMISED))
SHAPES = st.lists(st.integers(0, 5), max_size=4).map(tuple)
SCALES = st.sampled_from([0.01, 1.0, 10.0])

ELEMENTWISE = {
    "sigmoid": (F.sigmoid, torch.sigmoid),
    "tanh": (F.tanh, torch.tanh),
    "gelu": (F.gelu, TF.gelu),
    "gelu_tanh": (lambda x: F.gelu(x, approximate="tanh"), lambda x: TF.gelu(x, approximate="tanh")),
    "leaky_relu": (F.leaky_relu, TF.leaky_relu),
}


def _compare(ours, theirs, x, dtype):
    """Forward and gradient, for a drawn gradient of the result."""
    mine, other = F.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, want = ours(mine), theirs(other)
    seed = np.random.default_rng(1).uniform(0.5, 2, tuple(want.shape)).astype(dtype)
    y.backward(seed)
    want.backward(torch.tensor(seed))
    assert y.dtype == mine.grad.dtype == dtype
    assert relative_error(y, want.detach()) <= PROMISED[dtype]
    assert relative_error(mine.grad, other.grad) <= PROMISED[dtype]


def _draw(data, shape):
    """Numbers of a drawn size, one of them moderate: where all are in the tails, PyTorch's own digits are few."""
    dtype = data.draw(DTYPES)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    x = np.asarray(rng.standard_normal(shape) * data.draw(SCALES)).astype(dtype)
    x.flat[:1] = 0.5
    return x, dtype


@pytest.mark.parametrize("name", ELEMENTWISE)
@given(data=st.data())
def test_elementwise_equals_pytorch(name, data):
    x, dtype = _draw(data, data.draw(SHAPES))
    _compare(*ELEMENTWISE[name], x, dtype)


@given(data=st.data(), slope=st.sampled_from([0.0, 0.01, 0.3, 1.0, 3.0, -0.7]) | st.floats(-2, 2))
def test_leaky_relu_of_any_slope_equals_pytorch(data, slope):
    x, dtype = _draw(data, data.draw(SHAPES))
    _compare(lambda x: F.leaky_relu(x, slope), lambda x: TF.leaky_relu(x, slope), x, dtype)


@given(data=st.data())
def test_logsumexp_equals_pytorch(data):
    x, dtype = _draw(data, tuple(data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=4))))
    axes = tuple(data.draw(st.lists(st.integers(0, x.ndim - 1), min_size=1, unique=True)))
    axes = axes[0] if len(axes) == 1 else tuple(a - x.ndim for a in axes)
    keep = data.draw(st.booleans())
    _compare(
        lambda x: F.logsumexp(x, axis=axes, keepdims=keep), lambda x: torch.logsumexp(x, axes, keepdim=keep), x, dtype
    )


SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e30, -1e30, 88.0, -88.0, 104.0, -104.0, 3.0, -3.0], np.float32)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "leaky_relu"])
def test_nan_and_infinity_as_in_pytorch(name):
    _compare(*ELEMENTWISE[name], SPECIAL, "float32")


@pytest.mark.parametrize("slope", [0.0, -1.0, 2.0])
def test_leaky_relu_of_infinity_as_in_pytorch(slope):
    _compare(lambda x: F.leaky_relu(x, slope), lambda x: TF.leaky_relu(x, slope), SPECIAL, "float32")


@pytest.mark.parametrize(
    "row",
    [
        [-np.inf, -np.inf, -np.inf],
        [np.inf, 1, 2],
        [np.inf, np.inf, 1],
        [np.inf, -np.inf, np.nan],
        [np.nan, 1, 1],
        [-np.inf, 1, 2],
        [1e4, -1e4, 0],
        [3e38, 3e38, -3e38],
    ],
)
def test_logsumexp_of_special_rows_as_in_pytorch(row):
    _compare(lambda x: F.logsumexp(x, 0), lambda x: torch.logsumexp(x, 0), np.array(row, np.float32), "float32")
