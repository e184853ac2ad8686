"""benchmarks/gpu.py, as far as a machine without a GPU can tell: its logic, never a figure."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minitl import kernels
from minitl.kernels.cuda import device, nvrtc
from minitl.kernels.cuda.source import Source

FOLDER = Path(__file__).parents[2] / "benchmarks"
with_the_others = pytest.mark.skipif(
    not os.environ.get("MINITL_TEST_BENCHMARKS"), reason="takes long: MINITL_TEST_BENCHMARKS=1 pytest tests/benchmarks"
)
CEILINGS = {"copy": 1e12, "float32": 1e13, "tf32": 9e13, "bfloat16": 3e14}


@pytest.fixture
def part(monkeypatch):
    """A module of the benchmark by name."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


class Clock:
    """Gives each candidate the seconds that a test wants, and runs it."""

    def __init__(self, seconds):
        self.seconds, self.calls = seconds, []

    def __call__(self, candidate, sets, repeats):
        for i in range(repeats):
            candidate(i % sets)
        self.calls.append(repeats)
        return self.seconds


@pytest.mark.skipif(device.unavailable() is None, reason="there is a GPU here: the benchmark would run")
def test_without_a_gpu_it_says_so_and_ends_with_1():
    done = subprocess.run([sys.executable, FOLDER / "gpu.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"gpu.py: no GPU can be used here: {device.unavailable()}\n"


def test_candidates_take_turns_and_one_that_fails_is_left_out(part):
    timing = part("on_gpu.timing")
    order = []

    def fails(i):
        raise ValueError("no such\nthing")

    candidates = {"a": lambda i: order.append("a"), "bad": fails, "b": lambda i: order.append("b")}
    seconds, failed = timing.interleaved(candidates, 1, 3, Clock(1e-2), timing.Budget(1000))
    assert failed == {"bad": "ValueError: no such thing"}
    assert {name: len(found) for name, found in seconds.items()} == {"a": 3, "b": 3}
    assert order[-6:] == ["a", "b"] * 3


def test_short_calls_are_repeated_over_all_input_sets_and_slow_ones_timed_once(part):
    timing = part("on_gpu.timing")
    seen, clock = [], Clock(1e-3)
    timing.interleaved({"a": seen.append}, 3, 1, clock, timing.Budget(1000))
    assert clock.calls[-1] == 5
    assert set(seen) == {0, 1, 2}
    clock = Clock(2 * timing.TOO_SLOW)
    seconds, _ = timing.interleaved({"a": seen.append}, 3, 5, clock, timing.Budget(1000))
    assert len(seconds["a"]) == 1
    assert len(clock.calls) == 2


def test_a_spent_budget_leaves_one_round(part):
    timing = part("on_gpu.timing")
    seconds, _ = timing.interleaved({"a": lambda i: None}, 1, 9, Clock(1e-2), timing.Budget(0))
    assert len(seconds["a"]) == 1


def test_a_part_of_a_budget_is_no_more_than_what_is_left(part):
    timing = part("on_gpu.timing")
    now = [0.0]
    whole = timing.Budget(100, lambda: now[0])
    assert whole.part(30).left == 30
    now[0] = 90.0
    assert whole.part(30).left == whole.left == 10
    now[0] = 200.0
    assert whole.part(30).left == 0


def test_the_least_time_is_that_of_the_scarcer_of_bytes_and_operations(part):
    timing = part("on_gpu.timing")
    assert timing.floor(10**13, 1, CEILINGS, "float32") == 1
    assert timing.floor(1, 10**12, CEILINGS, "float32") == 1
    assert timing.floor(9 * 10**13, 1, CEILINGS, "tf32") == 1
    assert timing.floor(3 * 10**13, 1, CEILINGS, "tf32x3") == 1  # three products for one
    assert timing.floor(10**13, 10**12, {}, "float32") == 0


def test_every_case_is_a_call_of_its_op_and_every_layer_of_vgg16_is_there(part):
    ops = part("on_gpu.ops")
    found = ops.cases()
    for case in found:
        spec = kernels.spec(case.op)
        arguments = spec.example(np.dtype("float32"), **case.shapes)
        spec.check(**arguments)
        assert spec.cost(**arguments).bytes > 0
    import minitl as tl

    for name in ("vgg16", "alexnet"):
        net = tl.models.build(name, seed=None)
        wanted = {net[f"{node.name}.weight"].shape for node in net.graph if node.op == "conv2d"}
        have = {case.shapes["w_shape"] for case in found if case.op == "conv2d" and case.layer.startswith(name)}
        assert have == wanted or name == "alexnet"  # that of torchvision has other channels than the paper's
    assert len({(case.op, case.layer) for case in found}) == len(found)


SMALL = {
    "conv2d": {"x_shape": (2, 8, 9, 9), "w_shape": (16, 8, 3, 3), "padding": 1},
    "linear": {"x_shape": (3, 64), "w_shape": (32, 64)},
    "max_pool2d": {"x_shape": (2, 8, 12, 12), "kernel_size": 3, "stride": 2},
    "avg_pool2d": {"x_shape": (2, 8, 12, 12), "kernel_size": 2, "stride": 2},
    "local_response_norm": {"x_shape": (2, 8, 5, 5), "size": 5, "alpha": 1.0, "beta": 0.75, "k": 1.0},
    "softmax": {"x_shape": (4, 10)},
    "log_softmax": {"x_shape": (4, 10)},
    "cross_entropy": {"x_shape": (4, 10)},
}


@with_the_others
def test_every_op_is_timed_and_right_beside_pytorch(part):
    """At small sizes, with the versions for a CPU in the place of a GPU's: all serve, all agree, all get a row."""
    ops, home, timing = (part(f"on_gpu.{name}") for name in ("ops", "home", "timing"))
    chosen = {}
    for case in ops.cases():
        shapes = SMALL.get(case.op.partition(".")[0], {"x_shape": (2, 8, 6, 6)})
        chosen[case.op] = ops.Case(case.op, "small", shapes)
    rows, notes = ops.time_cases(
        list(chosen.values()), ("cpu", "reference"), home.Host(), Clock(1e-2), CEILINGS, timing.Budget(1000)
    )
    assert not notes
    assert {row["op"] for row in rows} == set(chosen)
    assert all(row["share"] > 0 for row in rows)
    json.dumps(rows)
    peers = {row["op"] for row in rows if row["version"].startswith("PyTorch")}
    if importlib.util.find_spec("torch") is None:
        assert not peers
    else:
        assert {"conv2d", "conv2d.grad_input", "conv2d.grad_weight", "linear", "relu", "max_pool2d"} <= peers
        assert all(
            row["times_pytorch"] == 1 for row in rows if row["op"] == "conv2d" and row["version"] in ("cpu.direct",)
        )


def test_a_wrong_version_is_not_timed(part):
    ops, home, timing = (part(f"on_gpu.{name}") for name in ("ops", "home", "timing"))
    kernels.version("relu", "reference.wrong")(lambda x: np.asarray(np.maximum(x, 0) + x.dtype.type(1)))
    try:
        case = ops.Case("relu", "small", {"x_shape": (2, 8, 6, 6)})
        rows, notes = ops.time_cases([case], ("reference",), home.Host(), Clock(1e-2), CEILINGS, timing.Budget(1000))
    finally:
        kernels.spec("relu").remove("reference.wrong")
    assert not [row for row in rows if row["version"] == "reference.wrong"]
    assert len(notes) == 1
    assert "relu of small: reference.wrong: is wrong by" in notes[0]


def test_what_no_time_is_left_for_is_told(part):
    ops, home, timing = (part(f"on_gpu.{name}") for name in ("ops", "home", "timing"))
    case = ops.Case("relu", "small", {"x_shape": (2, 8, 6, 6)})
    rows, notes = ops.time_cases([case], ("reference",), home.Host(), Clock(1e-2), CEILINGS, timing.Budget(0))
    assert not rows
    assert notes == ["no time was left for relu of small"]


@with_the_others
def test_pytorchs_networks_give_our_scores_and_losses(part):
    """The peer that is trained is the same network: the same scores, and after a step the same again."""
    torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
    import minitl as tl
    from minitl import functional as F
    from minitl import optim

    peers = part("on_gpu.torch_networks")
    net = tl.models.small_vgg(10, seed=0)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, *net.input_shape), dtype=np.float32)
    labels = rng.integers(0, 10, 4)
    model = peers._Model(net, torch.device("cpu"))
    given = torch.from_numpy(x)
    step = peers._training(model, model, given, torch.from_numpy(labels), 0.1, 0.9)
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for _ in range(2):
        with tl.no_grad():
            ours = net(x).numpy()
        with torch.inference_mode():
            theirs = model(given).numpy()
        assert np.allclose(ours, theirs, rtol=1e-3, atol=1e-4)
        step()
        optimizer.zero_grad()
        F.cross_entropy(net(x), labels).backward()
        optimizer.step()


def test_precision_is_set_and_put_back(part):
    torch = pytest.importorskip("torch", reason="sets PyTorch's precision; PyTorch is not installed")
    peers = part("on_gpu.torch_peers")
    knobs = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)
    before = [knob.fp32_precision for knob in knobs]
    with peers.precision("tf32"):
        assert [knob.fp32_precision for knob in knobs] == ["tf32", "tf32"]
        with peers.precision("float32"):
            assert [knob.fp32_precision for knob in knobs] == ["ieee", "ieee"]
    assert [knob.fp32_precision for knob in knobs] == before


def test_a_check_passes_only_if_something_ran(part, tmp_path):
    checks, timing = part("on_gpu.checks"), part("on_gpu.timing")
    text = "import pytest\n{}def test_it():\n    assert {}\n"
    for mark, truth, passed in (("", 1, True), ("", 0, False), ("@pytest.mark.skip(reason='so')\n", 1, False)):
        (tmp_path / "test_it.py").write_text(text.format(mark, truth))
        found = checks.run_tests(timing.Budget(100), ["--rootdir", str(tmp_path), str(tmp_path / "test_it.py")])
        assert found["passed"] is passed, found
    assert "no test ran" in found["summary"]


def test_a_check_that_takes_too_long_is_stopped(part):
    checks, timing = part("on_gpu.checks"), part("on_gpu.timing")
    found = checks._run("slow", [sys.executable, "-c", "print('begun', flush=True); input()"], timing.Budget(0))
    assert found["passed"] is False


def test_the_sanitizers_verdicts_are_read(part, tmp_path, monkeypatch):
    checks, timing = part("on_gpu.checks"), part("on_gpu.timing")
    monkeypatch.setattr(checks.shutil, "which", lambda name: None)
    monkeypatch.setattr(checks, "_beside_nvcc", lambda: None)
    (row,) = checks.sanitize(timing.Budget(100))
    assert (row["passed"], row["summary"]) == (None, "not installed")
    fake = tmp_path / "compute-sanitizer"
    fake.write_text(
        "#!/bin/sh\necho '75 versions ran'\n"
        'if [ $2 = racecheck ]; then echo "========= RACECHECK SUMMARY: 2 hazards displayed"; exit 9; fi\n'
        'echo "========= ERROR SUMMARY: 0 errors"\n'
    )
    fake.chmod(0o755)
    monkeypatch.setattr(checks.shutil, "which", lambda name: str(fake))
    rows = {row["name"]: row for row in checks.sanitize(timing.Budget(100))}
    assert {name: row["passed"] for name, row in rows.items()} == {
        "memcheck": True,
        "racecheck": False,
        "initcheck": True,
        "synccheck": True,
    }
    assert rows["racecheck"]["summary"] == "RACECHECK SUMMARY: 2 hazards displayed"


def test_every_version_runs_on_small_calls(part, monkeypatch, capsys):
    every = part("on_gpu.every_kernel")
    monkeypatch.setattr(sys, "argv", ["every_kernel.py", "--backend", "reference", "--calls", "1"])
    monkeypatch.setattr(every.kernels, "specs", lambda: {"relu": kernels.spec("relu"), "pad": kernels.spec("pad")})
    assert every.main() == 0
    assert capsys.readouterr().out == "2 versions ran\n"


def _result(**parts):
    gpu = {"name": "A GPU", "architecture": "sm_90", "driver": 13000}
    return {"device": gpu, "machine": {}, "ceilings": CEILINGS, "notes": [], "failures": [], **parts}


def test_the_tables_show_all_and_name_what_naive_beats(part):
    report = part("on_gpu.report")
    base = {"op": "relu", "layer": "small", "precision": "float32", "flops": 10**9, "bytes": 10**9, "share": 0.5}
    rows = [
        {**base, "version": "cuda.vector", "seconds": 2e-3, "times_pytorch": 2.0},
        {**base, "version": "cuda.naive", "seconds": 1e-3, "times_pytorch": 1.0},
        {**base, "version": "PyTorch float32", "seconds": 1e-3, "times_pytorch": None},
    ]
    network = {"network": "vgg16", "task": "training", "precision": "tf32", "candidate": "minitl", "seconds": 0.5}
    check = {"name": "tests", "passed": False, "seconds": 3.0, "summary": "1 failed", "output": "whole"}
    text = report.tables(
        _result(
            ops=rows,
            networks=[{**network, "pictures_per_second": 64.0, "times_pytorch": 1.5}],
            tests=check,
            failures=["tests: 1 failed\nwhole"],
            notes=["something was left out"],
        )
    )
    assert report.slower_than_naive(rows) == ["relu of small"]
    for said in ("FAILED tests: 1 failed", "note: something", "cuda.vector", "1000", "50%", "vgg16", "64", "1.50"):
        assert said in text
    last = text.splitlines()[-3:]
    assert last[1:] == ["not faster than naive: relu of small", "1 failures, 1 notes"]
    assert report.slower_than_naive([row | {"seconds": 1 / (i + 1)} for i, row in enumerate(rows[::-1])]) == []


def test_a_part_that_fails_does_not_stop_the_others(part, monkeypatch):
    gpu = part("gpu")
    calls = []

    def fails(*arguments, **options):
        raise RuntimeError("broken")

    monkeypatch.setattr(gpu, "describe_device", lambda: {"name": "none", "architecture": "sm_90", "driver": 0})
    monkeypatch.setattr(gpu.inventory, "compiled", fails)
    monkeypatch.setattr(gpu.device, "architecture", lambda: "sm_90")
    monkeypatch.setattr(gpu.checks, "run_tests", fails)
    monkeypatch.setattr(gpu.checks, "sanitize", lambda budget: calls.append(budget.left) or [])
    monkeypatch.setattr(gpu, "_timings", fails)
    result = gpu.run(list(gpu.SHARES), gpu.Budget(100))
    assert [failure.partition(":")[0] for failure in result["failures"]] == ["compiling", "tests", "timings"]
    assert all("broken" in failure for failure in result["failures"])
    assert len(calls) == 1
    assert calls[0] <= gpu.SHARES["sanitizer"]
    json.dumps(result)


def test_the_waiting_kernel_compiles(part):
    reason = nvrtc.unavailable()
    if reason:
        pytest.skip(reason)
    assert nvrtc.usage(nvrtc.compiled(Source(FOLDER / "on_gpu" / "spin.cu"), "sm_90").log)["spin"].spill_stores == 0


def test_all_parts_together_take_less_than_eight_minutes(part):
    gpu = part("gpu")
    assert sum(gpu.SHARES.values()) + 30 < 8 * 60  # 30: compiling, and the ceilings
