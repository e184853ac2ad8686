"""Losses on a device: nobody waits for it to check what is there already, so the kernels define what is impossible."""

import numpy as np
import pytest

from minitl import functional as F
from minitl.errors import ArgumentError, ShapeError

from . import stand_in

RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 3)).astype(np.float32)
SHARES = RNG.dirichlet(np.ones(3), 4).astype(np.float32)
WEIGHT = np.array([1, 0.5, 2], np.float32)
LABELS = np.array([0, 2, 1, 2])

LOSSES = {
    "cross_entropy": lambda x, put: F.cross_entropy(x, put(LABELS), put(WEIGHT), 0.1),
    "probabilities": lambda x, put: F.cross_entropy(x, put(SHARES), put(WEIGHT)),
    "hinge_loss": lambda x, put: F.hinge_loss(x, put(LABELS), class_weight=put(WEIGHT)),
    "binary_cross_entropy": lambda x, put: F.binary_cross_entropy(x * 0 + 0.5, put(SHARES), put(WEIGHT)),
    "with_logits": lambda x, put: F.binary_cross_entropy_with_logits(x, put(SHARES), put(WEIGHT), put(WEIGHT)),
}


def there(array, **options):
    return F.tensor(array, **options).to("cuda")


@pytest.mark.parametrize("name", LOSSES)
def test_forward_and_backward_never_wait(pretended_gpu, monkeypatch, name):
    """Waiting is what reads a number: bool(), float(), int(), item() and get()."""
    x = there(X, requires_grad=True)
    arguments = {id(a): pretended_gpu.asarray(a) for a in (LABELS, WEIGHT, SHARES)}

    def wait(self, *_):
        raise AssertionError("waits for the device")

    with monkeypatch.context() as patch:
        for reads in ("__bool__", "__float__", "__int__", "item", "get"):
            patch.setattr(stand_in.ndarray, reads, wait)
        LOSSES[name](x, lambda a: arguments[id(a)]).backward()
        LOSSES[name](x, lambda a: a).backward()  # from the host, where it may be looked at
    assert np.isfinite(x.grad.get()).all()


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("wrong", [-1, 3, 2**40])
@pytest.mark.parametrize("loss", [F.cross_entropy, F.hinge_loss])
def test_an_impossible_label_is_nan(loss, wrong, reduction):
    x, labels = there(X, requires_grad=True), np.array([0, wrong, 1, 2])
    values = loss(x, there_labels(labels), reduction=reduction)
    values.backward(np.ones(values.shape, np.float32))
    found, rows = values.numpy(), np.isnan(x.grad.get())
    if reduction == "none":
        assert np.isnan(found).tolist() == [False, True, False, False]
    else:
        assert np.isnan(found)
    assert rows[1].all()
    if reduction != "mean":  # whose divisor may be the weights of all labels
        assert not rows[[0, 2, 3]].any()


def there_labels(labels):
    import cupy

    return cupy.asarray(labels)


def test_ignored_labels_are_not_impossible():
    x = there(X, requires_grad=True)
    loss = F.cross_entropy(x, there_labels(np.array([0, -100, 1, 7])), ignore_index=7, reduction="none")
    assert np.isnan(loss.numpy()).tolist() == [False, True, False, False]
    assert loss.numpy()[3] == 0


def test_what_is_no_probability_is_nan():
    p = there(np.array([0.5, -0.25, 1.5, 0, 1], np.float32), requires_grad=True)
    loss = F.binary_cross_entropy(p, there(np.array([1, 0, 1, 1, 0], np.float32)), reduction="none")
    loss.backward(np.ones(5, np.float32))
    assert np.isnan(loss.numpy()).tolist() == [False, True, True, False, False]
    assert np.isnan(p.grad.get()).tolist() == [False, True, True, False, False]


def test_what_comes_from_the_host_is_refused_as_ever():
    x = there(X)
    with pytest.raises(ShapeError, match=r"cross_entropy: label 3 of picture 1 is outside 0 .. 2"):
        F.cross_entropy(x, [0, 3, 1, 2])
    with pytest.raises(ShapeError, match=r"label 9 of picture 0"):
        F.hinge_loss(x, [9, 0, 1, 2], class_weight=there(WEIGHT))
    with pytest.raises(ArgumentError, match=r"class_weight must not be negative; class 2 has -1"):
        F.cross_entropy(x, there_labels(LABELS), class_weight=[1, 1, -1])
    with pytest.raises(ArgumentError, match=r"targets must lie between 0 and 1; got 2.0 at \(0, 0\)"):
        F.binary_cross_entropy_with_logits(x, 2 * np.ones((4, 3)))
    with pytest.raises(ShapeError, match=r"labels must have shape \(4,\)"):
        F.hinge_loss(x, there_labels(LABELS[:3]))
