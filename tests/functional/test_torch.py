"""Every operation and its gradients against PyTorch, on identical inputs."""

import numpy as np
import pytest

from minitl import functional as F
from minitl.testing import relative_error

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
TF = torch.nn.functional

# What the project promises of every op and gradient: max|difference| / max|reference|.
PROMISED = {"float32": 1e-4, "float64": 1e-9}


def _conv(**options):
    return lambda x, w, b: F.conv2d(x, w, b, **options), lambda x, w, b: TF.conv2d(x, w, b, **options)


def _pool(**options):
    return lambda x: F.max_pool2d(x, **options), lambda x: TF.max_pool2d(x, **options)


LABELS = np.array([0, 4, 4, 2, 1, 0])
WEIGHT = np.array([1, 0.5, 0, 2, 3])


def _cross_entropy(weighted, smoothing):
    def theirs(x):
        weight = torch.tensor(WEIGHT, dtype=x.dtype) if weighted else None
        return TF.cross_entropy(x, torch.tensor(LABELS), weight, label_smoothing=smoothing)

    weight = WEIGHT if weighted else None
    return lambda x: F.cross_entropy(x, LABELS, class_weight=weight, label_smoothing=smoothing), theirs


# name: (ours, PyTorch's, shapes of the inputs)
CASES = {
    "conv2d": (*_conv(), (2, 3, 9, 8), (4, 3, 3, 3), (4,)),
    "conv2d_strided": (*_conv(stride=(2, 3), padding=(2, 1)), (2, 3, 11, 9), (6, 3, 5, 3), (6,)),
    "conv2d_grouped": (*_conv(groups=2, dilation=(2, 1), padding=1), (2, 4, 9, 8), (6, 2, 3, 3), (6,)),
    "conv2d_depthwise": (*_conv(groups=4, padding="same"), (2, 4, 7, 6), (4, 1, 3, 3), (4,)),
    "conv2d_pointwise": (*_conv(), (3, 8, 5, 5), (6, 8, 1, 1), (6,)),
    "max_pool2d": (*_pool(kernel_size=2), (2, 3, 8, 6)),
    "max_pool2d_overlapping": (*_pool(kernel_size=3, stride=2), (2, 40, 13, 13)),
    "max_pool2d_ceil": (*_pool(kernel_size=3, stride=2, ceil_mode=True, padding=1), (2, 3, 12, 14)),
    "max_pool2d_dilated": (*_pool(kernel_size=(2, 3), stride=1, dilation=(3, 1)), (2, 3, 9, 8)),
    "adaptive_avg_pool2d": (
        lambda x: F.adaptive_avg_pool2d(x, (6, 7)),
        lambda x: TF.adaptive_avg_pool2d(x, (6, 7)),
        (2, 3, 13, 5),
    ),
    "global_average": (lambda x: F.adaptive_avg_pool2d(x, 1), lambda x: TF.adaptive_avg_pool2d(x, 1), (2, 9, 13, 13)),
    "linear": (F.linear, TF.linear, (5, 33), (7, 33), (7,)),
    "relu": (F.relu, TF.relu, (3, 4, 5)),
    "softmax": (lambda x: F.softmax(x, axis=1), lambda x: torch.softmax(x, 1), (3, 7, 2)),
    "log_softmax": (lambda x: F.log_softmax(x, axis=-1), lambda x: torch.log_softmax(x, -1), (3, 7)),
    "cross_entropy": (*_cross_entropy(False, 0.0), (6, 5)),
    "cross_entropy_weighted": (*_cross_entropy(True, 0.0), (6, 5)),
    "cross_entropy_smoothed": (*_cross_entropy(False, 0.1), (6, 5)),
    "cross_entropy_weighted_smoothed": (*_cross_entropy(True, 0.3), (6, 5)),
    "concat": (lambda a, b: F.concat([a, b]), lambda a, b: torch.cat([a, b], 1), (2, 3, 4), (2, 5, 4)),
    "flatten": (F.flatten, lambda x: torch.flatten(x, 1), (2, 3, 4, 5)),
    "multiply": (lambda a, b: a * b, lambda a, b: a * b, (3, 1, 4), (2, 1)),
    "divide": (lambda a, b: a / (b * b + 1), lambda a, b: a / (b * b + 1), (3, 4), (3, 1)),
    "power": (lambda a: (a * a + 1) ** 1.5, lambda a: (a * a + 1) ** 1.5, (3, 4)),
    "exp_log": (lambda a: (a.exp() + 1).log(), lambda a: (a.exp() + 1).log(), (3, 4)),
    "matmul": (lambda a, b: a @ b, lambda a, b: a @ b, (2, 1, 3, 4), (5, 4, 6)),
    "mean": (lambda a: a.mean((0, 2)), lambda a: a.mean((0, 2)), (3, 4, 5)),
    "max": (lambda a: a.max(1), lambda a: a.max(1).values, (3, 4, 5)),
    "index": (lambda a: a[[0, 0, 1], 1:], lambda a: a[[0, 0, 1], 1:], (3, 4)),
}


PICTURES = [name for name, (_, _, *shapes) in CASES.items() if any(len(shape) == 4 for shape in shapes)]


@pytest.mark.parametrize("dtype", PROMISED)
@pytest.mark.parametrize(("name", "layout"), [(n, "rows") for n in CASES] + [(n, "channels_last") for n in PICTURES])
def test_equals_pytorch(name, dtype, layout):
    ours, theirs, *shapes = CASES[name]
    rng = np.random.default_rng(len(name))
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    if layout == "channels_last":
        arrays = [np.moveaxis(np.moveaxis(a, 1, -1).copy(), -1, 1) if a.ndim == 4 else a for a in arrays]
    mine = [F.Tensor(a, requires_grad=True) for a in arrays]
    other = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, want = ours(*mine), theirs(*other)
    seed = rng.standard_normal(y.shape).astype(dtype)
    y.backward(seed)
    want.backward(torch.tensor(seed))

    assert y.dtype == dtype
    assert relative_error(y, want.detach()) <= PROMISED[dtype]
    for i, (a, b) in enumerate(zip(mine, other, strict=True)):
        assert a.grad.dtype == dtype
        assert relative_error(a.grad, b.grad) <= PROMISED[dtype], f"gradient of input {i}"


SPECIAL = np.array(
    [[np.nan, 1, 2], [1, np.inf, 0], [-np.inf, 0, 1], [-np.inf, -np.inf, -np.inf], [1e4, -1e4, 0], [np.inf, np.nan, 1]],
    np.float32,
)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (F.relu, TF.relu),
        (F.softmax, lambda x: torch.softmax(x, -1)),
        (F.log_softmax, lambda x: torch.log_softmax(x, -1)),
        (lambda x: F.max_pool2d(x.reshape(1, 1, 6, 3), 2, 1), lambda x: TF.max_pool2d(x.reshape(1, 1, 6, 3), 2, 1)),
        (lambda x: x.max(1), lambda x: x.max(1).values),
    ],
    ids=["relu", "softmax", "log_softmax", "max_pool2d", "max"],
)
def test_nan_and_infinity_as_in_pytorch(ours, theirs):
    x, other = F.Tensor(SPECIAL, requires_grad=True), torch.tensor(SPECIAL, requires_grad=True)
    y, want = ours(x), theirs(other)
    y.backward(np.ones(y.shape))
    want.backward(torch.ones_like(want))
    assert relative_error(y, want.detach()) <= PROMISED["float32"]
    assert relative_error(x.grad, other.grad) <= PROMISED["float32"]


def test_cross_entropy_over_no_picture_is_nan_as_in_pytorch():
    ours = F.cross_entropy(np.zeros((0, 3)), np.zeros(0, int))
    theirs = TF.cross_entropy(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long))
    assert np.isnan(ours.item())
    assert theirs.isnan()
