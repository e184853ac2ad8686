"""Losses against PyTorch with drawn options, and where nothing is to be averaged, or NaN and infinities go in."""

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
REDUCTIONS = st.sampled_from(["mean", "sum", "none"])
SMOOTHINGS = st.sampled_from([0.0, 0.1, 0.5, 1.0])
IGNORED = -100


def _rng(data):
    return np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))


def _tensor(values):
    return None if values is None else torch.tensor(values)


def _compare(ours, theirs, x):
    """Forward and gradient, for a fixed gradient of the result."""
    mine, other = F.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, want = ours(mine), theirs(other)
    seed = np.random.default_rng(1).uniform(0.5, 2, tuple(want.shape)).astype(x.dtype)
    y.backward(seed)
    want.backward(torch.tensor(seed))
    assert y.dtype == mine.grad.dtype == x.dtype
    assert relative_error(y, want.detach()) <= PROMISED[str(x.dtype)]
    assert relative_error(mine.grad, other.grad) <= PROMISED[str(x.dtype)]


@given(data=st.data(), reduction=REDUCTIONS, smoothing=SMOOTHINGS, weighted=st.booleans(), dtype=DTYPES)
def test_cross_entropy_of_labels_equals_pytorch(data, reduction, smoothing, weighted, dtype):
    rng = _rng(data)
    n, k = data.draw(st.integers(0, 6)), data.draw(st.integers(2, 7))
    rest = tuple(data.draw(st.lists(st.integers(1, 3), max_size=2)))
    x = (rng.standard_normal((n, k, *rest)) * data.draw(st.sampled_from([1, 10]))).astype(dtype)
    ignored = data.draw(st.sampled_from([IGNORED, -1, 0, 99]))
    labels = rng.integers(0, k, (n, *rest))
    labels[rng.random(labels.shape) < data.draw(st.sampled_from([0, 0.3, 1]))] = ignored
    if (labels != ignored).any():  # one picture that is far from certain: of tiny losses alone, few digits are right
        x[:1] /= 10
        labels[:1] = 1
    weight = rng.uniform(0.1, 2, k).astype(dtype) if weighted else None
    _compare(
        lambda x: F.cross_entropy(x, labels, weight, smoothing, ignored, reduction),
        lambda x: TF.cross_entropy(
            x,
            torch.tensor(labels),
            _tensor(weight),
            ignore_index=ignored,
            reduction=reduction,
            label_smoothing=smoothing,
        ),
        x,
    )


@given(data=st.data(), reduction=REDUCTIONS, smoothing=SMOOTHINGS, weighted=st.booleans(), dtype=DTYPES)
def test_cross_entropy_of_probabilities_equals_pytorch(data, reduction, smoothing, weighted, dtype):
    rng = _rng(data)
    n, k = data.draw(st.integers(0, 6)), data.draw(st.integers(2, 7))
    rest = tuple(data.draw(st.lists(st.integers(1, 3), max_size=2)))
    x = rng.standard_normal((n, k, *rest)).astype(dtype)
    p = rng.dirichlet(np.ones(k), (n, *rest))
    p = np.ascontiguousarray(np.moveaxis(p, -1, 1)).astype(dtype)
    weight = rng.uniform(0.1, 2, k).astype(dtype) if weighted else None
    _compare(
        lambda x: F.cross_entropy(x, p, weight, smoothing, reduction=reduction),
        lambda x: TF.cross_entropy(x, torch.tensor(p), _tensor(weight), reduction=reduction, label_smoothing=smoothing),
        x,
    )


@pytest.mark.parametrize("labels", [1, [0.2, 0.5, 0.3]], ids=["label", "probabilities"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_of_one_picture_equals_pytorch(labels, reduction):
    _compare(
        lambda x: F.cross_entropy(x, labels, reduction=reduction),
        lambda x: TF.cross_entropy(
            x, torch.tensor(labels, dtype=None if labels == 1 else x.dtype), reduction=reduction
        ),
        np.array([0.5, -1, 2]),
    )


@given(
    data=st.data(),
    reduction=REDUCTIONS,
    margin=st.sampled_from([1.0, 0.0, 0.4, -0.5]),
    p=st.sampled_from([1, 2]),
    weighted=st.booleans(),
    dtype=DTYPES,
)
def test_hinge_loss_equals_pytorch(data, reduction, margin, p, weighted, dtype):
    rng = _rng(data)
    n, k = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 7))  # over no row, PyTorch hands out old memory
    x = rng.standard_normal((n, k)).astype(dtype)
    labels = rng.integers(0, k, n)
    weight = rng.uniform(0.1, 2, k).astype(dtype) if weighted else None
    _compare(
        lambda x: F.hinge_loss(x, labels, margin, p, weight, reduction),
        lambda x: TF.multi_margin_loss(
            x, torch.tensor(labels), p=p, margin=margin, weight=_tensor(weight), reduction=reduction
        ),
        x,
    )


def _weights(data, rng, shape, dtype):
    """None, or weights that broadcast to `shape`."""
    if data.draw(st.booleans()):
        return None
    kept = shape[data.draw(st.integers(0, len(shape))) :]
    return np.asarray(rng.uniform(0.1, 3, [1 if data.draw(st.booleans()) else n for n in kept])).astype(dtype)


def _targets(data, rng, shape, dtype):
    targets = rng.random(shape)
    return np.asarray(np.round(targets) if data.draw(st.booleans()) else targets).astype(dtype)


@given(data=st.data(), reduction=REDUCTIONS, dtype=DTYPES)
def test_binary_cross_entropy_with_logits_equals_pytorch(data, reduction, dtype):
    rng, shape = _rng(data), tuple(data.draw(st.lists(st.integers(0, 4), max_size=3)))
    x = np.asarray(rng.standard_normal(shape) * data.draw(st.sampled_from([1, 10]))).astype(dtype)
    x.flat[:1] = 0.5  # one logit that is far from certain: of tiny losses alone, PyTorch's own digits are few
    targets, weight = _targets(data, rng, shape, dtype), _weights(data, rng, shape, dtype)
    pos_weight = _weights(data, rng, shape, dtype)
    _compare(
        lambda x: F.binary_cross_entropy_with_logits(x, targets, weight, pos_weight, reduction),
        lambda x: TF.binary_cross_entropy_with_logits(
            x, torch.tensor(targets), _tensor(weight), reduction=reduction, pos_weight=_tensor(pos_weight)
        ),
        x,
    )


@given(data=st.data(), reduction=REDUCTIONS, dtype=DTYPES)
def test_binary_cross_entropy_equals_pytorch(data, reduction, dtype):
    rng, shape = _rng(data), tuple(data.draw(st.lists(st.integers(0, 4), max_size=3)))
    p = np.asarray(rng.random(shape)).astype(dtype)
    p[rng.random(shape) < data.draw(st.sampled_from([0, 0.3]))] = data.draw(st.sampled_from([0, 1]))
    targets, weight = _targets(data, rng, shape, dtype), _weights(data, rng, shape, dtype)
    _compare(
        lambda p: F.binary_cross_entropy(p, targets, weight, reduction),
        lambda p: TF.binary_cross_entropy(p, torch.tensor(targets), _tensor(weight), reduction=reduction),
        p,
    )


class TestNothingToAverage:
    """The mean over nothing is NaN and its gradient 0."""

    @pytest.mark.parametrize("smoothing", [0.0, 0.2])
    @pytest.mark.parametrize("weight", [None, [1.0, 2.0, 3.0]])
    def test_all_labels_ignored_as_in_pytorch(self, smoothing, weight):
        x = np.arange(6, dtype=np.float32).reshape(2, 3)
        theirs = _tensor(weight)
        for reduction in ("mean", "sum", "none"):
            _compare(
                lambda x, r=reduction: F.cross_entropy(x, [IGNORED] * 2, weight, smoothing, reduction=r),
                lambda x, r=reduction: TF.cross_entropy(
                    x, torch.tensor([IGNORED] * 2), theirs, label_smoothing=smoothing, reduction=r
                ),
                x,
            )

    def test_classes_that_weigh_nothing_as_in_pytorch(self):
        _compare(
            lambda x: F.cross_entropy(x, [0, 0], [0, 1, 1]),
            lambda x: TF.cross_entropy(x, torch.tensor([0, 0]), torch.tensor([0.0, 1, 1])),
            np.ones((2, 3), np.float32),
        )


SPECIAL = [np.nan, np.inf, 1e4, -1e4, 100.0, -100.0, 0.0]


@pytest.mark.parametrize("target", [0.0, 1.0, 0.5])
@pytest.mark.parametrize("pos_weight", [None, [2.0]])
def test_logits_far_out_as_in_pytorch(target, pos_weight):
    targets = np.full(len(SPECIAL), target, np.float32)
    theirs = _tensor(pos_weight)
    _compare(
        lambda x: F.binary_cross_entropy_with_logits(x, targets, pos_weight=pos_weight, reduction="none"),
        lambda x: TF.binary_cross_entropy_with_logits(x, torch.tensor(targets), pos_weight=theirs, reduction="none"),
        np.array(SPECIAL, np.float32),
    )


@pytest.mark.parametrize("dtype", PROMISED)
@pytest.mark.parametrize("target", [0.0, 1.0, 0.5])
def test_probabilities_at_the_ends_as_in_pytorch(target, dtype):
    p = np.array([0, 1, 1e-44, 1e-30, 1 - 2**-24, 0.5], dtype)
    targets = np.full(len(p), target, dtype)
    _compare(
        lambda p: F.binary_cross_entropy(p, targets, reduction="none"),
        lambda p: TF.binary_cross_entropy(p, torch.tensor(targets), reduction="none"),
        p,
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("label", [0, 1, IGNORED])
@pytest.mark.parametrize("logits", [[-np.inf, 1, 2], [np.nan, 1, 2], [np.inf, 1, 2], [3e4, -3e4, 0]])
def test_cross_entropy_of_special_logits_as_in_pytorch(logits, label, smoothing):
    _compare(
        lambda x: F.cross_entropy(x, [label, 1], label_smoothing=smoothing, reduction="none"),
        lambda x: TF.cross_entropy(x, torch.tensor([label, 1]), label_smoothing=smoothing, reduction="none"),
        np.array([logits, [0, 1, 2]], np.float32),
    )


@pytest.mark.parametrize("p", [1, 2])
def test_infinite_scores_in_a_hinge_loss_as_in_pytorch(p):
    for scores, label in [([np.inf, 1, 2], 0), ([np.inf, 1, 2], 1), ([-np.inf, 1, 2], 0), ([-np.inf, 1, 2], 1)]:
        _compare(
            lambda x, label=label: F.hinge_loss(x, [label], p=p),
            lambda x, label=label: TF.multi_margin_loss(x, torch.tensor([label]), p=p),
            np.array([scores], np.float32),
        )
