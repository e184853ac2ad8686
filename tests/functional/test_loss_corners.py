"""Corners of losses that need no PyTorch: gradients, empty batches, NaN and infinities, and what is refused."""

import numpy as np
import pytest

from minitl import functional as F
from minitl.errors import ArgumentError, ShapeError
from minitl.testing import gradcheck


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_gradients_by_central_differences(reduction):
    rng = np.random.default_rng(0)
    x, labels, weight = rng.standard_normal((4, 3)), np.array([0, 2, -100, 1]), np.array([1, 0.5, 2])
    shares = rng.dirichlet(np.ones(3), 4)
    options = {"reduction": reduction}
    gradcheck(lambda x: F.cross_entropy(x, labels, weight, 0.1, **options), x)
    gradcheck(lambda x: F.cross_entropy(x, labels, **options), x)
    gradcheck(lambda x: F.cross_entropy(x, shares, weight, 0.1, **options), x)
    for p in (1, 2):
        gradcheck(lambda x, p=p: F.hinge_loss(x, [0, 2, 2, 1], 0.7, p, weight, **options), x)
    gradcheck(lambda x: F.binary_cross_entropy_with_logits(x, shares, weight, 2 * weight, **options), x)
    gradcheck(lambda x: F.binary_cross_entropy(x, shares, weight, **options), rng.uniform(0.1, 0.9, (4, 3)))


@pytest.mark.parametrize(
    "loss",
    [
        lambda x, r: F.cross_entropy(x, np.zeros(0, int), reduction=r),
        lambda x, r: F.cross_entropy(x, np.zeros((0, 3), np.float32), reduction=r),
        lambda x, r: F.hinge_loss(x, np.zeros(0, int), reduction=r),
        lambda x, r: F.binary_cross_entropy(x, np.zeros((0, 3)), reduction=r),
        lambda x, r: F.binary_cross_entropy_with_logits(x, np.zeros((0, 3)), reduction=r),
    ],
    ids=["labels", "probabilities", "hinge", "binary", "logits"],
)
def test_empty_batches(loss):
    """The mean over nothing is NaN, the sum 0."""
    x = F.Tensor(np.zeros((0, 3), np.float32), requires_grad=True)
    assert np.isnan(loss(x, "mean").item())
    assert loss(x, "sum").item() == 0
    assert loss(x, "none").shape[0] == 0
    loss(x, "mean").backward()
    assert x.grad.shape == (0, 3)


def test_a_logit_of_minus_infinity_is_the_mirror_image_of_infinity():
    """PyTorch's is NaN whatever the target."""
    x = F.tensor(np.full(3, -np.inf), requires_grad=True)
    loss = F.binary_cross_entropy_with_logits(x, [1.0, 0.5, 0.0], reduction="none")
    loss.backward(np.ones(3))
    assert np.array_equal(loss.data, [np.inf, np.inf, np.nan], equal_nan=True)
    assert x.grad.tolist() == [-1, -0.5, 0]


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("label", [0, 1])
def test_a_nan_score_is_not_hidden_by_a_hinge_loss(p, label):
    x = F.tensor(np.array([[np.nan, 1, 2]], np.float32), requires_grad=True)
    loss = F.hinge_loss(x, [label], p=p)
    loss.backward()
    assert np.isnan(loss.item())
    assert np.isnan(x.grad[0, label])


def test_a_score_at_the_margin_has_slope_zero():
    x = F.tensor(np.array([[2.0, 1.0, 0.0]]), requires_grad=True)
    F.hinge_loss(x, [0]).backward()
    assert not x.grad.any()


def test_the_caller_may_use_its_arrays_again():
    """Targets and weights belong to the call, not to the buffer they came in."""

    def gradient(spoil):
        x = F.tensor(np.linspace(0.1, 0.9, 6).reshape(2, 3), requires_grad=True)
        targets, weight, labels = np.full((2, 3), 0.25), np.array([1.0, 2, 3]), np.array([0, 1])
        loss = F.binary_cross_entropy(x, targets, weight) + F.hinge_loss(x, labels, class_weight=weight)
        loss = loss + F.binary_cross_entropy_with_logits(x, targets, weight, weight) + F.cross_entropy(x, targets)
        if spoil:
            targets[:], weight[:], labels[:] = 0.75, 7, 2
        loss.backward()
        return x.grad

    assert np.array_equal(gradient(False), gradient(True))


def _zeros(*shape):
    return F.tensor(np.zeros(shape, np.float32))


WRONG = {
    "reduction": (lambda: F.cross_entropy(_zeros(1, 3), [1], reduction="avg"), r"reduction must be .*got 'avg'"),
    "hinge_reduction": (lambda: F.hinge_loss(_zeros(1, 3), [1], reduction=None), r"hinge_loss: reduction .* None"),
    "ignore_index": (lambda: F.cross_entropy(_zeros(1, 3), [1], ignore_index=1.5), r"ignore_index .*integer.* 1.5"),
    "ignored_probabilities": (
        lambda: F.cross_entropy(_zeros(1, 3), np.ones((1, 3)) / 3, ignore_index=1),
        r"ignore_index=1 .* probabilities",
    ),
    "probabilities": (
        lambda: F.cross_entropy(_zeros(1, 3), [[0.5, 2, -1.0]]),
        r"labels must lie between 0 and 1; got 2.0 at \(0, 1\)",
    ),
    "margin": (lambda: F.hinge_loss(_zeros(1, 3), [1], margin=np.inf), r"hinge_loss: margin .*finite.* inf"),
    "p": (lambda: F.hinge_loss(_zeros(1, 3), [1], p=3), r"hinge_loss: p must be 1 or 2; got 3"),
    "class_weight": (
        lambda: F.hinge_loss(_zeros(1, 3), [1], class_weight=[1, np.nan, 1]),
        r"hinge_loss: class_weight must not be negative; class 1 has nan",
    ),
    "class_weight_text": (
        lambda: F.cross_entropy(_zeros(1, 3), [1], class_weight="auto"),
        r"cross_entropy: class_weight must be an array of numbers; got 'auto'",
    ),
    "targets": (
        lambda: F.binary_cross_entropy_with_logits(_zeros(2), [-1, 1]),
        r"with_logits: targets must lie between 0 and 1; got -1.0 at \(0,\)",
    ),
    "targets_nan": (lambda: F.binary_cross_entropy(_zeros(2), [0, np.nan]), r"targets must lie .* nan at \(1,\)"),
    "no_probability": (
        lambda: F.binary_cross_entropy(_zeros(2) + 1.5, [0, 1]),
        r"probabilities must lie between 0 and 1; got 1.5",
    ),
    "pos_weight": (
        lambda: F.binary_cross_entropy_with_logits(_zeros(2), [0, 1], pos_weight=[-2.0]),
        r"pos_weight must be 0 or more; got -2.0 at \(0,\)",
    ),
    "gradient": (
        lambda: F.binary_cross_entropy(_zeros(2), F.tensor([0.0, 1.0], requires_grad=True)),
        r"binary_cross_entropy: targets gets no gradient, .* pass targets.detach\(\)",
    ),
}

MISFITS = {
    "label": (lambda: F.hinge_loss(_zeros(2, 5), [1, 7]), r"hinge_loss: label 7 of picture 1 is outside 0 .. 4"),
    "label_of_a_pixel": (
        lambda: F.cross_entropy(_zeros(1, 5, 1, 2), [[[0, 9]]]),
        r"cross_entropy: label 9 at \(0, 0, 1\) is outside 0 .. 4",
    ),
    "label_unlike_the_ignored": (
        lambda: F.cross_entropy(_zeros(2, 5), [-100, 0], ignore_index=-1),
        r"label -100 of picture 0",
    ),
    "pixels": (lambda: F.cross_entropy(_zeros(2, 5, 3), [1, 2]), r"labels must have shape \(2, 3\)"),
    "probabilities": (
        lambda: F.cross_entropy(_zeros(2, 3), np.zeros((2, 4))),
        r"labels must have shape \(2, 3\).*got \(2, 4\)",
    ),
    "scores": (lambda: F.hinge_loss(_zeros(3), [1]), r"hinge_loss: scores must have shape \(N, classes\)"),
    "targets": (
        lambda: F.binary_cross_entropy_with_logits(_zeros(2, 3), [0, 1]),
        r"targets must have shape \(2, 3\) .*got \(2,\)",
    ),
    "weight": (
        lambda: F.binary_cross_entropy(_zeros(2, 3), np.zeros((2, 3)), weight=[1, 2]),
        r"weight of shape \(2,\) does not broadcast to probabilities of shape \(2, 3\)",
    ),
    "weight_too_deep": (
        lambda: F.binary_cross_entropy(_zeros(3), np.zeros(3), weight=[[1, 2, 3]]),
        r"weight of shape \(1, 3\) does not broadcast",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_options_outside_their_domain(name):
    call, message = WRONG[name]
    with pytest.raises(ArgumentError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", MISFITS)
def test_shapes_that_do_not_fit(name):
    call, message = MISFITS[name]
    with pytest.raises(ShapeError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
