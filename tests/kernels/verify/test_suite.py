"""The suite: what a row says, that a failure comes with its smallest case and schedule, and the reports."""

import json

import numpy as np
import pytest

from minitl import kernels
from minitl.errors import ArgumentError, KernelFault
from minitl.kernels import Version, backends, emulator
from minitl.kernels.verify import report, suite
from minitl.kernels.verify.properties import PROPERTIES

pytest.importorskip("hypothesis", reason="calls are drawn by hypothesis (pip install '.[test]')")
BOUND = PROPERTIES[0]


def conv(x, w, b, geometry, relu=False):
    return kernels.spec("conv2d").load("reference:forward")(x, w, b, geometry, relu)


def planted(op, function, backend="reference"):
    return suite.Subject(kernels.spec(op), Version(f"{backend}.planted", function))


def test_subjects():
    every = suite.subjects()
    assert {subject.kernel.name for subject in every} == set(kernels.specs())
    assert {s.kernel.name for s in suite.subjects("conv2d")} == {n for n in kernels.specs() if n.startswith("conv2d")}
    assert [s.version.name for s in suite.subjects("relu.grad_input", backend="cuda")] == ["cuda.vector", "cuda.naive"]
    assert {s.label for s in suite.subjects("relu", version="emulator.naive")} == {"emulator.naive"}
    assert {s.version.backend for s in suite.subjects("relu", version="vector")} == {"cuda", "emulator"}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"op": "conv3d"}, "no kernel 'conv3d'"),
        ({"backend": "tpu"}, "no backend 'tpu'; there are cpu, reference"),
        ({"op": "tanh", "version": "winograd"}, "no version 'winograd' of tanh; there are reference."),
        ({"op": "tanh", "backend": "cpu"}, "no version 'cpu' of tanh"),
    ],
)
def test_what_is_not_there(asked, message):
    with pytest.raises(ArgumentError, match=message):
        suite.subjects(**asked)


@pytest.mark.parametrize("op", ["max_pool2d", "linear", "cross_entropy.grad_input"])
def test_versions_of_the_register_pass(op):
    rows = [row for backend in ("cpu", "reference") for row in suite.verified(matching(op, backend), 2)]
    assert rows
    assert {row.outcome for row in rows} == {"passed"}
    assert all(row.cases == 2 and 0 <= row.worst <= 1 for row in rows)


def matching(op, backend):
    return [s for s in suite.subjects(op) if s.version.backend == backend]


def test_a_failure_comes_with_its_smallest_case():
    def no_corner(x, w, b, geometry, relu=False):
        y = conv(x, w, b, geometry, relu)
        if geometry.dilation[1] > 1 and geometry.groups == 2:
            y = y + 1
        return y

    row = suite.held(BOUND, planted("conv2d", no_corner), 20)
    assert row.outcome == "failed"
    assert "from the truth; bound" in row.why
    assert "smallest case: x=float32[1, 2, 1, 1]" in row.why
    assert "kernel (1, 1)" in row.why
    assert "dilation (2, 2), groups 2)" in row.why
    assert "stride" not in row.why
    repeat = f"minitl verify conv2d --version reference.planted --cases {row.cases}"
    assert report.failures([row]) == [f"conv2d reference.planted: bound: {row.why}\nrepeat: {repeat}"]


def test_a_failure_names_its_schedule():
    def backwards(x):
        y = np.asarray(np.where(x <= 0, x.dtype.type(0), x))
        return y + 1 if emulator.current_schedule() == 3 else y

    row = suite.held(BOUND, planted("relu", backwards, "emulator"), 40)
    assert row.why.endswith("smallest case: x=float32[] [0.12573022]; schedule: 3")
    repeat = f"minitl verify relu --version emulator.planted --cases {row.cases}"
    assert row.case == {"call": "x=float32[] [0.12573022]", "schedule": 3, "repeat": repeat}


def test_the_schedule_of_a_fault_is_the_one_that_it_happened_under():
    """Determinism runs a call under others than its own."""

    def raced(x):
        if emulator.current_schedule() == "reverse":
            raise KernelFault("k", "race", "k.cu:3, threads (0, 0, 0) and (1, 0, 0): both (schedule reverse)")
        return np.asarray(np.where(x <= 0, x.dtype.type(0), x))

    determinism = next(kind for kind in PROPERTIES if kind.name == "determinism")
    row = suite.held(determinism, planted("relu", raced), 3)
    assert row.why.count("schedule") == 1
    assert row.why.endswith("; schedule: reverse")
    assert row.case["schedule"] == "reverse"


def failed(op, version, name, why, **case):
    return suite.Row(op, version, name, 1, None, "failed", why, case)


def test_what_fails_for_one_reason_is_told_once():
    versions = [f"emulator.{name}" for name in "abcde"]
    rows = [
        failed("relu", version, name, f"k: race: k.cu:3, found with {name} by {version}", reason="k: race: k.cu:3")
        for version in versions
        for name in ("bound", "memory")
    ]
    other = failed("relu", "emulator.a", "adjoint", "at [0]: 1 instead of 2", repeat="minitl verify relu")
    assert report.failures([rows[0], other, *rows[1:]]) == [
        "relu emulator.a: bound, memory; relu emulator.b: bound, memory; relu emulator.c: bound, memory; "
        "and 2 more versions: k: race: k.cu:3, found with bound by emulator.a",
        "relu emulator.a: adjoint: at [0]: 1 instead of 2\nrepeat: minitl verify relu",
    ]


def test_a_failure_of_what_was_planted_shows_the_planting():
    """Not the drawn call, on which nothing is wrong; and where, and in which of several answers."""

    def last_of_equals(x, geometry):
        y, indices = kernels.specs()["max_pool2d"].load("reference:forward")(x, geometry)
        return y, indices + np.int32(bool(x.size) and bool(np.all(x == 1)))

    special = next(kind for kind in PROPERTIES if kind.name == "special values")
    row = suite.held(special, planted("max_pool2d", last_of_equals), 20)
    assert "ties: answer 2 of 2: at [0, 0, 0, 0]: 1 instead of 0, 1 from the truth; bound 0; " in row.why
    assert "[1." in row.case["call"]


def test_a_failure_does_not_spoil_the_next_version():
    """Drawn arrays are shared; what writes to them gets copies."""

    def doubles(x):
        x += x
        return np.maximum(x, 0)

    before = suite.held(BOUND, planted("relu", kernels.spec("relu").load("reference:forward")), 10)
    assert suite.held(BOUND, planted("relu", doubles), 10).outcome == "failed"
    after = suite.held(BOUND, planted("relu", kernels.spec("relu").load("reference:forward")), 10)
    assert before == after


def test_an_exception_is_a_failure():
    row = suite.held(BOUND, planted("relu", lambda x: x[0]), 10)
    assert "IndexError" in row.why
    assert row.worst is None


def test_the_worst_share():
    def off(x, axis):
        y = kernels.spec("softmax").load("reference:forward")(x, axis)
        return np.asarray(y * y.dtype.type(1.5))

    row = suite.held(BOUND, planted("softmax", off), 10)
    assert row.worst > 1
    assert suite.held(BOUND, planted("relu", lambda x: np.asarray(x)), 10).worst == np.inf


def test_a_missing_backend_is_one_row(monkeypatch):
    monkeypatch.setitem(backends.BACKENDS, "cpu", backends.Backend("NumPy", lambda: "numba is not installed"))
    (row,) = suite.verified(matching("max_pool2d.grad_input", "cpu"), 2)
    assert (row.property, row.outcome, row.why) == ("all", "not served", "numba is not installed")
    assert report.missing([row]) == ["cpu: 1 version not verified here: numba is not installed"]


def test_reports():
    good = list(suite.verified(matching("relu", "reference"), 2))
    bad = suite.held(BOUND, planted("relu", lambda x: np.asarray(x)), 10)
    read = json.loads(report.as_json([*good, bad], 2))
    assert read["outcomes"] == {"passed": len(good), "failed": 1, "not served": 0}
    assert read["rows"][0]["op"] == "relu"
    assert read["rows"][-1]["worst"] == "inf"
    assert read["rows"][-1]["case"]["call"].startswith("x=float32")
    page = report.as_html([*good, bad])
    assert "relu reference.planted: bound: at" in page
    assert "<script" not in page
    assert "http" not in page
    assert page.count("<tr>") == len(good) + 2
