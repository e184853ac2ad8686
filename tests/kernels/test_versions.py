"""Versions from outside an op's folder: registered, chosen, checked against the oracle, and taken out again."""

import numpy as np
import pytest

from minitl import functional as F
from minitl import kernels, nn, no_grad
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


def test_a_version_need_not_know_what_callers_lend():
    """Neither its function nor what decides on it: networks keep packed filters, and ask for less of a pooling."""
    x, w = np.zeros((1, 2, 6, 6), np.float32), nn.Conv2d(2, 3, 3)
    net = nn.Sequential(w, nn.ReLU(), nn.MaxPool2d(2), input_shape=x.shape[1:])
    conv2d, pool = kernels.spec("conv2d"), kernels.spec("max_pool2d")

    @kernels.version("conv2d", "reference.mine", serves=lambda x, w, b, geometry, relu=False: None, first=True)
    def ones(x, w, b, geometry, relu=False):
        return np.ones(geometry.y_shape, x.dtype)

    @kernels.version("max_pool2d", "reference.mine", serves=lambda x, geometry: None, first=True)
    def twos(x, geometry):
        return np.full(geometry.y_shape, 2, x.dtype), np.zeros(geometry.y_shape, np.int32)

    try:
        with no_grad():
            assert (net(x).data == 2).all()
            assert (net.run(x, upto="relu1").data == 1).all()
        assert (net(x).data == 2).all()
    finally:
        conv2d.remove("reference.mine")
        pool.remove("reference.mine")


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
