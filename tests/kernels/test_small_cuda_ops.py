"""What the oracles of single calls do not show of the small CUDA kernels: bits, orders, layouts, axes, refusals."""

import itertools

import numpy as np
import pytest

from minitl import kernels
from minitl.errors import ArgumentError, ShapeError
from minitl.kernels import emulator
from minitl.kernels.cuda import elementwise, rows, total
from minitl.kernels.verify import agreement

pytestmark = pytest.mark.skipif(emulator.unavailable() is not None, reason=f"the emulator: {emulator.unavailable()}")


def run(op, version, **call):
    spec = kernels.spec(op)
    return spec.run(next(v for v in spec.versions if v.name == f"emulator.{version}"), call)


def numbers(*shape, dtype=np.float32):
    return np.random.default_rng(3).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("version", ["naive", "vector"])
@pytest.mark.parametrize("shape", [(3, 7), (2, 8), (2, 3, 5, 4)])
def test_dropout_has_the_bits_of_the_reference(version, shape):
    x, keys = numbers(*shape), np.array([1, 2**40, 2**64 - 1], np.uint64)[: shape[0]]
    call = {"x": x, "p": 0.3, "keys": keys, "stream": 2**32 - 1}
    assert run("dropout", version, **call).tobytes() == kernels.dropout.forward(**call).tobytes()


@pytest.mark.parametrize("version", ["naive", "vector"])
def test_arrays_of_many_axes_that_lie_anyhow(version):
    x = numbers(2, 3, 2, 2, 3, 2).transpose(4, 2, 0, 5, 1, 3)[::-1, :, :, ::-1]
    grad = numbers(*x.shape)[..., ::-1]
    y = run("relu", version, x=x)
    assert np.array_equal(y, np.maximum(x, 0))
    assert np.array_equal(run("relu.grad_input", version, grad=grad, y=y), np.where(y > 0, grad, 0))


def test_weights_are_repeated_along_many_axes():
    shape = (2, 3, 2, 3, 2, 3)
    p = np.random.default_rng(1).random(shape)
    call = {"probabilities": p, "targets": np.round(p), "reduction": "none"}
    call["weight"] = np.random.default_rng(2).random((3, 1, 3, 1, 3))
    op = kernels.spec("binary_cross_entropy")
    truth = op.load(op.oracle)(**call)
    agreement.within(run("binary_cross_entropy", "naive", **call), truth, op.bound(call, truth))


@pytest.mark.parametrize("op", ["relu", "dropout"])
@pytest.mark.parametrize("off", range(4))
def test_arrays_may_begin_anywhere(op, off):
    held = numbers(40)
    x = held[off : off + 36].reshape(3, 12)
    call = {"x": x} if op == "relu" else {"x": x, "p": 0.5, "keys": np.arange(3, dtype=np.uint64), "stream": 1}
    expected = kernels.spec(op).load(kernels.spec(op).versions[0].target)(**call)
    assert np.array_equal(run(op, "vector", **call), expected)


def test_results_lie_in_memory_as_the_input():
    x = numbers(2, 4, 4, 3).transpose(0, 3, 1, 2)
    for version in ("naive", "vector"):
        assert run("tanh", version, x=x).strides == x.strides


def test_channels_last_rows_are_not_copied():
    x = numbers(2, 4, 4, 3).transpose(0, 3, 1, 2)
    found = rows.Rows(x, 1)
    assert (found.count, found.n, found.inner) == (32, 3, 1)
    assert np.shares_memory(found.given(x), x)
    ordered = rows.Rows(np.ascontiguousarray(x), 1)
    assert (ordered.count, ordered.n, ordered.inner) == (32, 3, 16)
    assert "16 apart" in rows.refusal(np.ascontiguousarray(x), 1)
    assert rows.refusal(x, 1) is None
    assert "at most 2" in rows.refusal(x, 1, longest=2)


@pytest.mark.parametrize(
    ("op", "version"), list(itertools.product(["softmax", "logsumexp", "cross_entropy"], ["naive", "warp", "block"]))
)
def test_the_order_of_threads_leaves_no_trace(op, version):
    x = numbers(3, 200)
    call = {"x": x, "axis": 1} if op != "cross_entropy" else {"logits": x, "labels": np.array([5, 199, 0])}
    call |= {"keepdims": False} if op == "logsumexp" else {}
    if op == "cross_entropy":
        call |= {"class_weight": None, "label_smoothing": 0.1, "ignore_index": 0, "reduction": "mean"}
    found = set()
    for order in ("forward", "reverse", 1, 2):
        with emulator.schedule(order):
            result = run(op, version, **call)
        found.add(b"".join(part.tobytes() for part in agreement.arrays_in(result)))
    assert len(found) == 1


@pytest.mark.parametrize("count", [0, 1, 1024, 1025, 5000, 150_000])  # the last: more partial sums than threads
def test_totals(count):
    values, weights = np.arange(count, dtype=np.float32), np.full(count, 2, np.float32)
    assert total.total(values) == np.float32(count * (count - 1) // 2)
    mean = total.reduced(values, "mean")
    assert mean == np.float32((count - 1) / 2) if count else np.isnan(mean)
    assert np.array_equal(
        total.total(values, weights), np.float32((count - 1) / 4) if count else np.nan, equal_nan=True
    )


WRONG_LABELS = np.array([4, -5, 2, -100, 2**40])  # of 4 classes; -100 is ignored


@pytest.mark.parametrize("weight", [None, np.ones(4, np.float32)])
@pytest.mark.parametrize("version", ["naive", "warp", "block"])
def test_an_impossible_label_is_nan_and_leads_out_of_no_array(version, weight):
    """Nobody looks at labels on a GPU before a kernel does."""
    options = {"labels": WRONG_LABELS, "class_weight": weight, "label_smoothing": 0.0, "ignore_index": -100}
    losses, log_p = run("cross_entropy", version, logits=numbers(5, 4), reduction="none", **options)
    assert np.isnan(losses).tolist() == [True, True, False, False, True]
    assert losses[3] == 0 < losses[2]
    given = {"log_probabilities": log_p, **options}
    gx = run("cross_entropy.grad_input", version, grad=np.ones(5, np.float32), reduction="none", **given)
    assert np.isnan(gx).all(axis=1).tolist() == np.isnan(gx).any(axis=1).tolist() == np.isnan(losses).tolist()
    assert not gx[3].any()
    mean, _ = run("cross_entropy", version, logits=numbers(5, 4), reduction="mean", **options)
    assert np.isnan(mean)
    gx = run("cross_entropy.grad_input", version, grad=np.array(1, np.float32), reduction="mean", **given)
    assert np.isnan(gx[[0, 1, 4]]).all()


@pytest.mark.parametrize("weight", [None, np.ones(4, np.float32)])
def test_a_hinge_loss_of_an_impossible_label_is_nan(weight):
    call = {"scores": numbers(5, 4), "labels": WRONG_LABELS, "margin": 1.0, "p": 1, "class_weight": weight}
    losses = run("hinge_loss", "naive", reduction="none", **call)
    gx = run("hinge_loss.grad_input", "naive", grad=np.ones(5, np.float32), reduction="none", **call)
    wrong = [True, True, False, True, True]
    assert np.isnan(losses).tolist() == np.isnan(gx).all(axis=1).tolist() == np.isnan(gx).any(axis=1).tolist() == wrong


def test_an_ignored_label_that_no_label_can_be():
    """Cut down to int64, it must not become another label: that of a wrong one, which is NaN."""
    call = {"logits": numbers(1, 4), "class_weight": None, "label_smoothing": 0.0, "reduction": "none"}
    wraps = np.array([2**64 - 100], np.uint64)
    losses, _ = run("cross_entropy", "naive", labels=wraps, ignore_index=-100, **call)
    assert np.isnan(losses).all()
    losses, _ = run("cross_entropy", "naive", labels=np.array([2**63 - 1]), ignore_index=2**70, **call)
    assert np.isnan(losses).all()
    losses, _ = run("cross_entropy", "naive", labels=wraps, ignore_index=2**64 - 100, **call)
    assert losses.tolist() == [0]


def test_labels_of_every_integer_type():
    logits = numbers(3, 4)
    call = {"logits": logits, "class_weight": None, "label_smoothing": 0.0, "ignore_index": 2**63, "reduction": "none"}
    each = [run("cross_entropy", "naive", labels=np.array([3, 0, 1], kind), **call)[0] for kind in ("i1", "u8", "i8")]
    assert all(np.array_equal(losses, each[0]) for losses in each)
    ignored = np.array([3, 2**63, 1], "u8")
    losses, _ = run("cross_entropy", "naive", labels=ignored, **call)
    assert losses[1] == 0
    assert np.array_equal(losses[::2], each[0][::2])


def test_axes_that_lie_evenly_become_one():
    x = numbers(2, 3, 4)
    assert elementwise.merged(x.shape, range(3), [elementwise.steps(x, x.shape)]) == ([24], [[1]])
    column = numbers(3, 1)
    each = [elementwise.steps(x, x.shape), elementwise.steps(column, x.shape)]
    assert elementwise.merged(x.shape, range(3), each) == ([2, 3, 4], [[12, 4, 1], [0, 1, 0]])


@pytest.mark.parametrize(
    ("op", "change", "says"),
    [
        ("sgd_step", {"velocity": None}, "velocity is an array with momentum"),
        ("sgd_step", {"grad": numbers(3)}, r"grad must have shape \(2,\)"),
        ("sgd_step", {"rate": -1.0}, "rate must be a finite number of 0 or more; got -1.0"),
        ("adam_step", {"betas": (0.9, 1.0)}, "betas must be two numbers below 1"),
        ("adam_step", {"step": 0}, "step must be a whole number from 1; got 0"),
        ("adam_step", {"second_moment": numbers(1)}, "second_moment must have shape"),
        ("rmsprop_step", {"alpha": 1.0}, "alpha must be below 1"),
        ("rmsprop_step", {"momentum": 0.5}, "velocity is an array with momentum"),
    ],
)
def test_steps_that_make_no_sense(op, change, says):
    spec = kernels.spec(op)
    call = spec.example(np.dtype("float32"), x_shape=(2,))
    spec.check(**call)
    with pytest.raises((ArgumentError, ShapeError), match=says):
        spec(**{**call, **change})
