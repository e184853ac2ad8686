"""`minitl bench`, its clock and its ceilings: what they tell, never how long something takes."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest

from minitl import kernels
from minitl.cli import bench, calls, ceilings, clock


@pytest.fixture(autouse=True)
def measured(monkeypatch):
    """Ceilings that take no time to measure."""
    found = {"our tile": 1e11, "BLAS": 2e11, "copy": 1e10}
    monkeypatch.setattr(ceilings, "measure", lambda threads: found)


QUICK = ("--rounds", 1, "--seconds", 0)


def test_every_version_of_an_op_and_of_its_gradients_has_a_row(minitl):
    outcome = minitl("bench", "max_pool2d", "x_shape=2,16,9,9", "kernel_size=2", "stride=2", *QUICK, "--json")
    assert outcome.status == 0, outcome.err
    found = json.loads(outcome.out)
    assert found["notes"] == []
    timed = {(row["op"], row["version"]) for row in found["rows"]}
    for op in ("max_pool2d", "max_pool2d.grad_input"):
        for version in kernels.spec(op).versions:
            if version.backend == "reference":
                assert (op, version.name) in timed
    assert "emulator" not in {version.partition(".")[0] for _, version in timed}
    row = found["rows"][0]
    assert row["shapes"]["x"] == [2, 16, 9, 9]
    assert row["of_peak"] * row["seconds"] == pytest.approx(max(row["flops"] / 2e11, row["bytes"] / 1e10))


def test_one_gradient_can_be_asked_for(minitl):
    outcome = minitl("bench", "relu.grad_input", "x_shape=2,3", *QUICK)
    assert outcome.status == 0
    assert outcome.out.splitlines()[0] == "x_shape=2,3"
    assert outcome.out.splitlines()[2].startswith("relu.grad_input")
    assert "products 200 GFLOP/s" in outcome.out


@pytest.mark.parametrize("name", kernels.specs())
def test_every_op_has_a_usual_call(name, monkeypatch):
    spec = kernels.spec(name)
    usual = calls.usual(name)
    small = {key: _smaller(value) for key, value in usual.items()}
    monkeypatch.setattr(calls, "usual", lambda op: small)
    call = calls.call(spec, {})
    spec.check(**call)
    assert spec.choose(call)
    assert all(np.isfinite(a).all() for a in call.values() if isinstance(a, np.ndarray))


def _smaller(value):
    """Shapes of few numbers that fit each other as the usual ones do."""
    if isinstance(value, tuple) and value and isinstance(value[0], tuple):
        return tuple(map(_smaller, value))
    if isinstance(value, tuple) and max(value) > 8:
        return tuple(min(n, 16) for n in value)
    return value


def test_a_network_is_timed_beside_pytorch_where_that_is_installed(minitl):
    outcome = minitl("bench", "small_vgg", "--batch", 1, 2, *QUICK, "--json")
    assert outcome.status == 0, outcome.err
    rows = json.loads(outcome.out)["rows"]
    peers = {"PyTorch", "PyTorch channels-last"} if importlib.util.find_spec("torch") else set()
    assert {(row["batch"], row["candidate"]) for row in rows} == {(n, c) for n in (1, 2) for c in {"minitl", *peers}}


def test_a_network_is_timed_without_pytorch(minitl, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(bench.importlib.util, "find_spec", lambda name: None if name == "torch" else find(name))
    outcome = minitl("bench", "small_vgg_mnist", "--batch", 1, *QUICK)
    assert outcome.status == 0, outcome.err
    assert "PyTorch" not in outcome.out


def test_what_disagrees_is_told_and_not_timed(minitl):
    kernels.version("relu", "reference.wrong", first=True)(lambda x: np.maximum(x, 0) * x.dtype.type(1.01))
    try:
        outcome = minitl("bench", "relu", "x_shape=2,3", *QUICK, "--json")
    finally:
        kernels.spec("relu").remove("reference.wrong")
    assert outcome.status == 1
    found = json.loads(outcome.out)
    assert "reference.wrong" not in {row["version"] for row in found["rows"]}
    assert found["notes"][0].startswith("relu: reference.wrong differs by 1.0e-02")


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (
            ("conv3d",),
            2,
            "'conv3d' is no op, no architecture such as vgg16, and no weight file; did you mean 'conv2d'?",
        ),
        (("small_vgg", "x_shape=3"), 2, "shapes go with an op; small_vgg is none"),
        (("relu", "--batch", 3), 2, "--batch goes with a network"),
        (("relu", "foo"), 2, "'foo': shapes and attributes look like"),
        (("relu", "x=3"), 2, "relu: got an unexpected keyword argument 'x'; it takes x_shape"),
        (("relu", "--rounds", 0), 2, "at least 1"),
        (("conv2d", "x_shape=1,3,4,4", "w_shape=1,2,3,3"), 1, "has 3 channels"),
    ],
)
def test_mistakes_are_one_line(minitl, words, status, said):
    outcome = minitl("bench", *words)
    assert outcome.status == status
    assert said in outcome.err


def test_every_version_of_convolution_agrees_on_packed_weights(minitl):
    """Asked twice in one process: the second call has the packed weights of the first, if it keeps any."""
    call = calls.call(kernels.spec("conv2d"), {"x_shape": (2, 16, 9, 9), "w_shape": (16, 16, 3, 3), "padding": 1})
    first = kernels.spec("conv2d")(**call)
    assert np.array_equal(kernels.spec("conv2d")(**call), first)
    with kernels.using("reference"):
        assert np.allclose(kernels.spec("conv2d")(**call), first, atol=bench.AGREE * np.abs(first).max())


def test_candidates_take_turns_and_each_begins_once():
    order = []
    candidates = {name: (lambda name=name: order.append(name)) for name in "abc"}
    found = clock.interleaved(candidates, rounds=3, budget=1e9)
    assert {name: len(timing.samples) for name, timing in found.items()} == {"a": 3, "b": 3, "c": 3}
    firsts = [name for i, name in enumerate(order) if i == 0 or order[i - 1] != name]
    assert firsts == list("abcbcacab")


def test_a_spent_budget_leaves_the_least_rounds_and_laggards_stop_there(monkeypatch):
    monkeypatch.setattr(clock, "rest", lambda: 0.0)
    monkeypatch.setattr(clock, "_sample", lambda candidate: candidate())
    found = clock.interleaved({"quick": lambda: 1.0, "slow": lambda: 3.0}, rounds=7, budget=1e9, least=2)
    assert {name: len(timing.samples) for name, timing in found.items()} == {"quick": 7, "slow": 2}
    found = clock.interleaved({"quick": lambda: 1.0, "slow": lambda: 3.0}, rounds=7, budget=1e9)
    assert len(found["slow"].samples) == 2
    found = clock.interleaved({"quick": lambda: 0.1, "slow": lambda: 0.3}, rounds=7, budget=1e9)
    assert len(found["slow"].samples) == clock.LEAST_ROUNDS
    found = clock.interleaved({"quick": lambda: 1.0}, rounds=7, budget=0.0, least=2)
    assert len(found["quick"].samples) == 2


def test_quartiles_are_those_of_the_samples():
    timing = clock.Timing([4.0, 1.0, 3.0, 2.0, 5.0])
    assert (timing.median, timing.quartiles) == (3.0, (2.0, 4.0))
    assert clock.Timing([2.0]).quartiles == (2.0, 2.0)


def test_the_tile_multiplies():
    """What is timed as the peak of products is one."""
    y, a, b, bias = (np.zeros(n, np.float32) for n in (ceilings.ROWS * ceilings._COLUMNS, ceilings.ROWS * 4, 0, 0))
    b, bias = np.arange(4 * ceilings._COLUMNS, dtype=np.float32), np.ones(ceilings._COLUMNS, np.float32)
    a[:] = np.arange(ceilings.ROWS * 4) % 3
    ceilings._tiles(y, a, b, bias, np.zeros(1, np.int64), 4, ceilings._COLUMNS, 1)
    expected = 1 + a.reshape(ceilings.ROWS, 4) @ b.reshape(4, -1)
    assert np.array_equal(y.reshape(expected.shape), expected)


def test_the_least_time_is_that_of_the_scarcer_of_operations_and_bytes():
    found = {"our tile": 1e11, "BLAS": 2e11, "copy": 1e10}
    assert ceilings.floor(4e11, 1, found) == 2
    assert ceilings.floor(1, 3e10, found) == 3
