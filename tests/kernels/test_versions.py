"""Versions from outside an op's folder: registered, chosen, checked against the oracle, and taken out again."""

import numpy as np
import pytest

from minitl import functional as F
from minitl import kernels
from minitl.errors import ArgumentError, BackendUnavailable
from minitl.kernels.verify import agreement, check

RELU = kernels.spec("relu")


@pytest.fixture
def register():
    """kernels.version for relu; what it adds is taken out at the end."""
    before = RELU.versions
    yield lambda name, **options: kernels.version("relu", name, **options)
    for version in set(RELU.versions) - set(before):
        RELU.remove(version.name)
    assert RELU.versions == before


def choose(x):
    return np.asarray(np.where(x <= 0, x.dtype.type(0), x))  # a NaN is not <= 0


def test_a_version_serves_where_it_is_asked_for_or_comes_first(register):
    calls = []

    @register("reference.mine")
    def mine(x):
        calls.append(x.shape)
        return choose(x)

    x = np.array([-1.0, 2.0, np.nan], np.float32)
    F.relu(x)
    assert not calls
    with kernels.using(relu="reference.mine"):
        assert np.array_equal(F.relu(x).data, [0, 2, np.nan], equal_nan=True)
    assert calls == [(3,)]
    assert "comes first" in kernels.why("relu", x_shape=(3,)).reasons["reference.mine"]
    register("reference.first", first=True)(choose)
    assert kernels.why("relu", x_shape=(3,)).chosen == "reference.first"


def test_a_right_version_passes_the_check(register):
    register("reference.mine")(choose)
    assert check("relu", "reference.mine", cases=30) > 0


@pytest.mark.parametrize(
    ("function", "fault"),
    [
        (lambda x: np.asarray(np.fmax(x, x.dtype.type(0))), "NaN or infinity in the wrong place"),
        (lambda x: np.asarray(choose(x) * x.dtype.type(1.001)), "from the truth"),
        (lambda x: choose(x).astype(np.float64), "dtype"),
        (lambda x: choose(x).ravel(), "shape"),
        (lambda x: None, "0 results"),
        (lambda x: np.maximum(x, 0, out=x), "an input was written to"),
    ],
    ids=["forgets NaN", "inexact", "widens", "flattens", "returns nothing", "in place"],
)
def test_a_wrong_version_is_found_out(register, function, fault):
    register("reference.wrong")(function)
    with pytest.raises(AssertionError, match=fault):
        check("relu", "reference.wrong", cases=200)


def test_a_version_that_never_serves_is_no_proof(register):
    register("reference.shy", serves=lambda x: "not today")(choose)
    with pytest.raises(BackendUnavailable, match=r"reference\.shy served none of 20 calls; not today"):
        check("relu", "reference.shy", cases=20)


def test_names_are_checked(register):
    with pytest.raises(ArgumentError, match="a version is named cpu"):
        register("mine")(choose)
    register("reference.mine")(choose)
    with pytest.raises(ArgumentError, match="already"):
        register("reference.mine")(choose)
    with pytest.raises(ArgumentError, match=r"no version 'cpu\.none'"):
        RELU.remove("cpu.none")
    with pytest.raises(ArgumentError, match=r"no version 'cpu\.none'; there are"):
        check("relu", "cpu.none")
    with pytest.raises(ArgumentError, match="no kernel 'swish'"):
        kernels.version("swish", "cpu.mine")(choose)


def test_infinities_are_compared():
    with pytest.raises(AssertionError, match=r"infinity in the wrong place: at \[1\]: inf instead of -inf"):
        agreement.within(np.array([np.inf, np.inf]), np.array([np.inf, -np.inf]), 0)
    agreement.within(np.array([np.inf, np.nan, 1.0]), np.array([np.inf, np.nan, 1.0]), 0)
