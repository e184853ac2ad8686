"""Every version of every op in the register against the op's oracle, over drawn calls."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from minitl import kernels

SPECS = kernels.specs()
VERSIONS = [(spec, version) for spec in SPECS.values() for version in spec.versions]


def arrays_in(value):
    """The arrays of an argument or a result: itself, or those of a tuple."""
    if isinstance(value, np.ndarray):
        return [value]
    return [a for part in value for a in arrays_in(part)] if isinstance(value, tuple) else []


def assert_within(got, truth, bound):
    """|got - truth| <= bound elementwise; NaN is met by NaN alone, an infinity by the same infinity."""
    finite = np.isfinite(truth)
    assert np.array_equal(got[~finite], truth[~finite], equal_nan=True), "NaN or infinity in the wrong place"
    error = np.abs(got[finite].astype(np.float64) - truth[finite])
    allowed = np.broadcast_to(bound, truth.shape)[finite]
    passes = error <= allowed  # false wherever a NaN is involved
    if not passes.all():
        worst = np.flatnonzero(~passes)[0]
        at = np.argwhere(finite)[worst].tolist()
        raise AssertionError(f"at {at}: {got[tuple(at)]!r} is {error[worst]} from the truth; bound {allowed[worst]}")


def test_every_op_has_specs():
    assert {name.partition(".")[0] for name in SPECS} == set(kernels.OPS)


@pytest.mark.parametrize("spec", SPECS.values(), ids=list(SPECS))
def test_has_an_oracle_and_cases(spec):
    assert callable(spec.load(spec.oracle))
    assert isinstance(spec.load(spec.cases)(), st.SearchStrategy)
    assert spec.versions


@pytest.mark.parametrize(("spec", "version"), VERSIONS, ids=[f"{s.name}-{v.name}" for s, v in VERSIONS])
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(data=st.data())
def test_agrees_with_the_oracle(spec, version, data):
    call = data.draw(spec.load(spec.cases)())
    spec.check(**call)
    assume(spec.reason_against(version, call) is None)  # otherwise the register will not choose it
    inputs = [a for value in call.values() for a in arrays_in(value)]
    before = [a.tobytes() for a in inputs]

    got = spec.run(version, call)

    assert [a.tobytes() for a in inputs] == before, "an input was written to"
    truth = spec.load(spec.oracle)(**call)
    bound = spec.bound(call, truth)
    parts = arrays_in(got)
    truths, bounds = (truth, bound) if isinstance(truth, tuple) else ((truth,), (bound,))
    assert len(parts) == len(truths)
    dtype = next(a.dtype for a in inputs if a.dtype.kind == "f")
    for part, true, allowed in zip(parts, truths, bounds, strict=True):
        assert part.shape == true.shape
        assert part.dtype == (dtype if true.dtype.kind == "f" else true.dtype)
        assert_within(part, true, allowed)


@pytest.mark.parametrize("spec", SPECS.values(), ids=list(SPECS))
@given(data=st.data())
def test_the_bound_does_not_swallow_everything(spec, data):
    """A bound is a number for every element, and far below what it bounds: a wrong result cannot hide in it."""
    call = data.draw(spec.load(spec.cases)())
    truth = spec.load(spec.oracle)(**call)
    bound = spec.bound(call, truth)
    truths, bounds = (truth, bound) if isinstance(truth, tuple) else ((truth,), (bound,))
    floats = [a for value in call.values() for a in arrays_in(value) if a.dtype.kind == "f"]
    largest = np.prod([np.abs(a[np.isfinite(a)]).max(initial=1) for a in floats])
    terms = max([a.size for a in floats] + [1])  # of one sum, at most
    half_the_digits = np.sqrt(np.finfo(floats[0].dtype).eps)
    for true, allowed in zip(truths, bounds, strict=True):
        allowed = np.broadcast_to(allowed, true.shape)[np.isfinite(true)]
        assert np.isfinite(allowed).all()
        assert (allowed >= 0).all()
        assert allowed.max(initial=0) <= half_the_digits * largest * terms
