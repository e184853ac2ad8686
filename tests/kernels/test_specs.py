"""Every version of every op in the register against the op's oracle, over drawn calls."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from minitl import kernels
from minitl.kernels import backends, precision
from minitl.kernels.verify import agreement, homes

SPECS = kernels.specs()
ON_GPU = {name for name, backend in backends.BACKENDS.items() if backend.home == "CuPy"}
SLOW = set(backends.WITHOUT_GPU.values())  # thread after thread: drawn half as many calls
CASES = settings.default.max_examples


def versions(slow):
    return [
        pytest.param(
            spec, version, id=f"{spec.name}-{version.name}", marks=[pytest.mark.gpu] * (version.backend in ON_GPU)
        )
        for spec in SPECS.values()
        for version in spec.versions
        if (version.backend in SLOW) == slow
    ]


def test_every_op_has_specs():
    assert {name.partition(".")[0] for name in SPECS} == set(kernels.OPS)


@pytest.mark.parametrize("spec", SPECS.values(), ids=list(SPECS))
def test_has_an_oracle_and_cases(spec):
    assert callable(spec.load(spec.oracle))
    assert isinstance(spec.load(spec.cases)(), st.SearchStrategy)
    assert spec.versions


def agrees(spec, version, data):
    missing = backends.BACKENDS[version.backend].unavailable()
    if missing:
        pytest.skip(missing)
    call = data.draw(spec.calls(version.name))
    spec.check(**call)
    with precision.as_needed(version.precision):
        assume(
            spec.reason_against(version, homes.moved(call, version)) is None
        )  # otherwise the register will not choose it
        agreement.agrees(spec, version, call)


@pytest.mark.parametrize(("spec", "version"), versions(slow=False))
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(data=st.data())
def test_agrees_with_the_oracle(spec, version, data):
    agrees(spec, version, data)


@pytest.mark.parametrize(("spec", "version"), versions(slow=True))
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], max_examples=CASES // 2)
@given(data=st.data())
def test_agrees_with_the_oracle_thread_after_thread(spec, version, data):
    agrees(spec, version, data)


BOUNDS = [(spec, spec.versions[-1]) for spec in SPECS.values()]  # the op's own
BOUNDS += [(spec, version) for spec in SPECS.values() for version in spec.versions if version.bound]


@pytest.mark.parametrize(("spec", "version"), BOUNDS, ids=[f"{spec.name}-{version.name}" for spec, version in BOUNDS])
@given(data=st.data())
def test_the_bound_does_not_swallow_everything(spec, version, data):
    """A bound is a number for every element, and far below what it bounds: a wrong result cannot hide in it."""
    call = data.draw(spec.calls(version.name))
    truth = spec.load(spec.oracle)(**call)
    bound = spec.bound_of(version, call, truth)
    truths, bounds = (truth, bound) if isinstance(truth, tuple) else ((truth,), (bound,))
    floats = [a for value in call.values() for a in agreement.arrays_in(value) if a.dtype.kind == "f"]
    largest = np.prod([np.abs(a[np.isfinite(a)]).max(initial=1) for a in floats])
    terms = max([a.size for a in floats] + [1])  # of one sum, at most
    eps = np.finfo(floats[0].dtype).eps
    most = max(np.sqrt(eps), terms * eps)  # half the digits, or what so long a sum may lose
    for true, allowed in zip(truths, bounds, strict=True):
        allowed, true = np.broadcast_to(allowed, true.shape)[np.isfinite(true)], true[np.isfinite(true)]
        assert np.isfinite(allowed).all()
        assert (allowed >= 0).all()
        assert allowed.max(initial=0) <= most * max(largest * terms, np.abs(true).max(initial=0))
