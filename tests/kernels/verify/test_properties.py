"""Every kind of property catches a planted fault, one that the others may miss; and a right version passes them all."""

import itertools
import re

import numpy as np
import pytest

from minitl import kernels
from minitl.kernels import Version
from minitl.kernels.geometry import PoolGeometry
from minitl.kernels.verify import suite
from minitl.kernels.verify.agreement import Disagreement
from minitl.kernels.verify.properties import PROPERTIES, metamorphic, relations
from minitl.kernels.verify.properties.adjoint import ADJOINTS

pytest.importorskip("hypothesis", reason="calls are drawn by hypothesis (pip install '.[test]')")
KINDS = {kind.name: kind for kind in PROPERTIES}
CASES = 12


@pytest.fixture(autouse=True)
def not_made_smaller(monkeypatch):
    """Failures as they are met: test_suite.py has that they are made smaller, which takes most of the time."""
    monkeypatch.setattr(suite, "_smallest", lambda kind, kernel, version, failure, *drawn: failure)


def row(op, function, kind):
    """The row of one property for a function in place of a version."""
    subject = suite.Subject(kernels.spec(op), Version("reference.planted", function))
    return suite.held(KINDS[kind], subject, CASES)


def outcomes(op, function, *kinds):
    """By kind: of those named, or of all that the op has."""
    asked = kinds or [name for name, kind in KINDS.items() if kind.has(op)]
    return {name: row(op, function, name).outcome for name in asked}


def right(op):
    """The reference version of an op."""
    kernel = kernels.spec(op)
    return kernel.load(next(v for v in kernel.versions if v.backend == "reference").target)


@pytest.mark.parametrize("op", ["conv2d", "conv2d.grad_weight", "max_pool2d", "softmax", "batch_norm", "flatten"])
def test_a_right_version_passes(op):
    found = outcomes(op, right(op))
    assert set(found.values()) == {"passed"}
    assert {"bound", "metamorphic", "memory", "determinism"} <= set(found)


# One fault for each kind of property ---------------------------------------------------------------------------


def half_the_digits(x, w, b, geometry, relu=False):
    y = right("conv2d")(x, w, b, geometry, relu)
    return y.astype(np.float16).astype(y.dtype)


def test_bound_catches_what_whole_numbers_hide():
    found = outcomes("conv2d", half_the_digits, "bound", "exact integers", "adjoint", "determinism")
    assert found["bound"] == "failed"
    assert {found["exact integers"], found["adjoint"], found["determinism"]} == {"passed"}


def one_rounding_off(x, w, b, geometry, relu=False):
    y = right("conv2d")(x, w, b, geometry, relu)
    return np.nextafter(y, y.dtype.type(np.inf))


def test_exact_integers_catch_what_the_bound_allows():
    found = outcomes("conv2d", one_rounding_off, "exact integers", "determinism")
    assert found["exact integers"] == "failed"
    assert found["determinism"] == "passed"


@pytest.mark.parametrize("op", sorted(ADJOINTS))
def test_the_adjoint_identity_catches_a_gradient_that_does_not_fit(op):
    def off(**call):
        found = right(op)(**call)
        first = found[0] if isinstance(found, tuple) else found
        wrong = np.array(first)
        wrong += 1
        return (wrong, *found[1:]) if isinstance(found, tuple) else wrong

    assert row(op, right(op), "adjoint").outcome == "passed"
    found = row(op, off, "adjoint")
    assert found.outcome == "failed"
    assert f"{op} reference.planted" in found.why


def test_the_adjoint_identity_asks_no_oracle(monkeypatch):
    """Forward and backward that are wrong together, and an oracle that is wrong with one of them."""
    monkeypatch.setattr("minitl.kernels.verify.agreement.truth", lambda kernel, call: 1 / 0)
    assert row("linear.grad_input", right("linear.grad_input"), "adjoint").outcome == "passed"
    wrong = row("linear.grad_input", lambda grad, w: right("linear.grad_input")(-grad, w), "adjoint")
    assert wrong.outcome == "failed"


RUNS = itertools.count()


def sometimes_one_rounding_off(x, axis):
    y = right("softmax")(x, axis)
    return np.asarray(y * (1 - np.finfo(y.dtype).eps) if next(RUNS) % 2 else y)


def test_determinism_catches_other_bits_within_the_bound():
    found = outcomes("softmax", sometimes_one_rounding_off)
    assert found == {**dict.fromkeys(found, "passed"), "determinism": "failed"}


def forgets_the_last_row(x):
    y = np.empty_like(x)
    y[: len(x) // 3 * 3] = np.where(x <= 0, 0, x)[: len(x) // 3 * 3]
    return y


def test_memory_and_determinism_see_what_nobody_wrote():
    def shaped(x):
        return forgets_the_last_row(x) if x.ndim else np.asarray(np.where(x <= 0, x.dtype.type(0), x))

    assert row("relu", shaped, "memory").outcome == "failed"
    assert row("relu", shaped, "determinism").outcome == "failed"


def beside(x, write):
    """The element of memory behind the last of x, read or written to."""
    flat = np.lib.stride_tricks.as_strided(x, (x.size + 1,), (x.itemsize,))
    if write:
        flat[x.size] = 0
    return flat[x.size]


@pytest.mark.parametrize("write", [True, False])
def test_memory_catches_what_is_touched_beside_an_input(write):
    def reaches(x):
        y = np.where(x <= 0, x.dtype.type(0), x)
        if x.flags.c_contiguous and x.size:
            return np.asarray(y + 0 * beside(x, write))
        return np.asarray(y)

    found = row("relu", reaches, "memory")
    assert found.outcome == "failed"
    assert ("memory beside an input" in found.why) == write


def test_memory_catches_an_input_that_was_written_to():
    found = row("relu", lambda x: np.maximum(x, 0, out=x), "memory")
    assert "an input was written to" in found.why


# Special values ---------------------------------------------------------------------------------------------------


def flushed(x, value):
    return np.where(np.abs(x) < np.finfo(x.dtype).tiny, x.dtype.type(value), x)


def winner_at_minus_one(x, geometry):
    y, indices = right("max_pool2d")(x, geometry)
    return y, np.where(np.isnan(y), np.int32(-1), indices)


SPECIAL = {
    "NaN becomes 0": ("relu", lambda x: np.asarray(np.fmax(x, x.dtype.type(0))), "nan in x"),
    "-0.0 loses its sign": ("flatten", lambda x: right("flatten")(x) + x.dtype.type(0), "-0.0"),
    "small numbers are flushed": (
        "conv2d",
        lambda x, w, b, geometry, relu=False: right("conv2d")(flushed(x, 0), w, b, geometry, relu),
        "below the smallest normal one",
    ),
    "no maximum is taken off": (
        "softmax",
        lambda x, axis: np.asarray(np.exp(x) / np.exp(x).sum(axis, keepdims=True)),
        "numbers near 10000",
    ),
    "0 for a row of -inf": (
        "softmax",
        lambda x, axis: np.where((x == -np.inf).all(axis, keepdims=True), 0, right("softmax")(x, axis)).astype(x.dtype),
        "-inf in x|nothing but -inf",
    ),
    "no winner among NaN": ("max_pool2d", winner_at_minus_one, "nan in x|nothing but NaN"),
}


@pytest.mark.parametrize(("op", "function", "what"), SPECIAL.values(), ids=list(SPECIAL))
def test_special_values_catch(op, function, what):
    found = row(op, function, "special values")
    assert found.outcome == "failed"
    assert any(text in found.why for text in what.split("|")), found.why


def test_special_values_catch_a_tie_won_by_the_last():
    def last(x, geometry):
        y, indices = right("max_pool2d")(x, geometry)
        same = np.ptp(x) == 0 if x.size else False
        return y, (indices + (1 if same and geometry.size[1] > 1 else 0)).astype(np.int32)

    assert "ties" in row("max_pool2d", last, "special values").why


@pytest.mark.parametrize(("pixel", "what"), [((3, 3), "window"), ((4, 4), "plane")])
def test_special_values_catch_a_nan_that_is_passed_over_at_an_end(pixel, what):
    """Windows of 2x3 side by side: the middle one ends at (3, 3), the last one at (4, 4), the last pixel."""

    def blind(x, geometry):
        alone = np.isnan(x) & (np.isnan(x).sum((2, 3), keepdims=True) == 1)
        there = np.zeros((5, 5), bool)
        there[pixel] = True
        return right("max_pool2d")(np.where(alone & there, x.dtype.type(-np.inf), x), geometry)

    x = np.random.default_rng(0).standard_normal((1, 2, 5, 5)).astype(np.float32)
    call = {"x": x, "geometry": PoolGeometry.infer(x.shape, (2, 3), 1)}
    holds = KINDS["special values"].holds
    assert holds(kernels.spec("max_pool2d"), Version("reference.right", right("max_pool2d")), call) == 0
    with pytest.raises(Disagreement, match=f"^nan at the last of a {what}: "):
        holds(kernels.spec("max_pool2d"), Version("reference.blind", blind), call)


def test_nan_reaches_exactly_the_receptive_field():
    def spread(x, w, b, geometry, relu=False):
        """As a transform of tiles does: every pixel of a picture knows of every other."""
        return right("conv2d")(x, w, b, geometry, relu) + 0 * x.sum((1, 2, 3), keepdims=True)

    why = row("conv2d", spread, "special values").why
    assert re.match("(nan|inf) in x: (NaN or infinity in the wrong place|at .*: nan instead of )", why)


# Metamorphic relations --------------------------------------------------------------------------------------------


def changed(geometry, **changes):
    return type(geometry)(**{**vars(geometry), **changes})


def conv(x, w, b, geometry, relu=False):
    return right("conv2d")(x, w, b, geometry, relu)


def first_group_for_all(x, w, b, g, relu=False):
    if g.groups == 1:
        return conv(x, w, b, g, relu)
    count = g.in_channels // g.groups
    return conv(np.concatenate([x[:, :count]] * g.groups, 1), w, b, g, relu)


def no_left_padding(x, w, b, g, relu=False):
    y = conv(x, w, b, g, relu)
    return np.where(np.arange(y.shape[3]) * g.stride[1] < g.padding[1][0], y.dtype.type(0), y)


METAMORPHIC = {
    "explicit = implicit padding": ("conv2d", no_left_padding),
    "groups = blocks": ("conv2d", first_group_for_all),
    "dilation = zero-stuffed filter": (
        "conv2d",
        lambda x, w, b, g, relu=False: conv(x, w if g.dilation == (1, 1) else w[:, :, ::-1], b, g, relu),
    ),
    "stride = subsampling": (
        "conv2d",
        lambda x, w, b, g, relu=False: conv(x if g.stride == (1, 1) else x[:, :, ::-1], w, b, g, relu),
    ),
    "1x1 = matrix product": (
        "conv2d",
        lambda x, w, b, g, relu=False: conv(x, w if g.kernel != (1, 1) else w[::-1], b, g, relu),
    ),
    "bias and ReLU fused = apart": (
        "conv2d",
        lambda x, w, b, g, relu=False: conv(x, w, b, g, relu) if b is None or not relu else conv(x, w, None, g, relu),
    ),
    "linearity": ("linear.grad_input", lambda grad, w: right("linear.grad_input")(np.abs(grad), w)),
    "permutation of the batch": (
        "avg_pool2d",
        lambda x, **rest: right("avg_pool2d")(x, **rest) + np.arange(len(x), dtype=x.dtype)[:, None, None, None],
    ),
    "permutation of channels": (
        "batch_norm",
        lambda x, **rest: right("batch_norm")(x[:, ::-1], **rest),
    ),
    "shift": ("softmax", lambda x, axis: np.asarray(np.abs(x) / np.maximum(np.abs(x).sum(axis, keepdims=True), 1))),
    "classes renamed": (
        "hinge_loss",
        lambda scores, labels, **rest: right("hinge_loss")(scores, np.zeros_like(labels), **rest),
    ),
    "batch = sum of pictures": (
        "conv2d.grad_weight",
        lambda grad, x, geometry: right("conv2d.grad_weight")(grad, x, geometry) // max(geometry.batch, 1),
    ),
}


@pytest.mark.parametrize("name", METAMORPHIC)
def test_a_relation_catches(name):
    op, function = METAMORPHIC[name]
    relation = relations.RELATIONS[op][name]
    assert fails(op, right(op), relation) is None
    assert fails(op, function, relation)


def fails(op, function, relation):
    """What a relation says of a function over drawn calls, or None."""
    from minitl.kernels.verify.properties import Property

    def alone(kernel, version, call):
        return metamorphic_of(kernel, version, call, relation)

    subject = suite.Subject(kernels.spec(op), Version("reference.planted", function))
    found = suite.held(Property("one relation", alone), subject, 40)
    assert found.outcome != "not served"
    return found.why or None


def metamorphic_of(kernel, version, call, relation):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(metamorphic.__globals__, "RELATIONS", {kernel.name: {"the relation": relation}})
        return metamorphic(kernel, version, call)


def test_every_op_has_relations():
    assert set(relations.RELATIONS) == set(kernels.specs())


def test_every_relation_is_asked_for():
    """None of them is passed over in every call: it would prove nothing."""
    never = [
        f"{op}: {name}"
        for op, known in relations.RELATIONS.items()
        for name, relation in known.items()
        if fails_to_apply(op, relation)
    ]
    assert not never


def fails_to_apply(op, relation):
    from minitl.kernels.verify.properties import Property

    subject = suite.Subject(kernels.spec(op), Version("reference.plain", right(op)))

    def alone(kernel, version, call):
        return metamorphic_of(kernel, version, call, relation)

    return suite.held(Property("one relation", alone), subject, 1).outcome != "passed"


# Traps ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, 0.0], ids=["NaN", "zeros"])
@pytest.mark.parametrize("op", ["conv2d", "linear.grad_weight", "avg_pool2d", "softmax"])
def test_answers_that_say_nothing_pass_nothing(op, value):
    """NaN compares to nothing, and what is drawn is never all zeros."""

    def empty(**call):
        return np.full_like(right(op)(**call), value)

    for kind in ("bound", "memory"):
        assert row(op, empty, kind).outcome == "failed"


def test_empty_calls_are_no_proof():
    found = suite.held(
        KINDS["bound"], suite.Subject(kernels.spec("relu"), Version("reference.shy", right("relu"), lambda x: "no")), 3
    )
    assert (found.outcome, found.cases, found.why) == ("not served", 0, "no")
