"""Mutation testing: what is planted, what becomes of it, and that the few mutants of every day are all found."""

import functools
import json
import os
import signal
import subprocess
import sys

import pytest

from minitl.errors import ArgumentError
from minitl.kernels import emulator
from minitl.kernels.backends import BACKENDS
from minitl.kernels.emulator import library
from minitl.kernels.verify.mutation import engine, operators, python_operators
from minitl.kernels.verify.mutation.argued import EQUIVALENT
from minitl.kernels.verify.mutation.bench import Bench
from minitl.kernels.verify.mutation.fixed import FIXED, fixed
from minitl.kernels.verify.mutation.operators import applied
from minitl.kernels.verify.mutation.sampling import all_mutants, mutants_of, sample, sources

REASON = emulator.unavailable()
compiled = pytest.mark.skipif(REASON is not None, reason=str(REASON))
UNREACHED = BACKENDS["interpreter"].unavailable()
interpreted = pytest.mark.skipif(UNREACHED is not None, reason=f"no Numba-CUDA kernel is reached: {UNREACHED}")

# Operator: a line, and what it becomes. Every one that a line has room for must be among them.
CUDA = [
    ("dropped barrier", "    __syncthreads();", ["    ;"]),
    ("dropped barrier", "    __syncwarp();", ["    ;"]),
    ("missing wait", "    wait_async<STAGES - 2>();", ["    wait_async<STAGES - 2 + 1>();"]),
    ("missing wait", "    commit_async();", ["    ;"]),
    ("bound off by one", "    if (i < n) y[i] = 0;", ["    if (i <= n) y[i] = 0;"]),
    ("bound off by one", "    if (i >= n) y[i] = 0;", ["    if (i > n) y[i] = 0;"]),
    ("negated condition", "    if (i == 3) y[i] = 0;", ["    if (i != 3) y[i] = 0;"]),
    ("swapped logic", "    a = b && c || d;", ["    a = b || c || d;", "    a = b && c && d;"]),
    ("swapped axes", "    h = g.top;", ["    h = g.left;"]),
    ("swapped axes", "    h = p.h * g.stride_h;", ["    h = p.h * g.stride_w;", "    h = p.w * g.stride_h;"]),
    ("index off by one", "    y[i + 1] = x[i - 1];", ["    y[i + 0] = x[i - 1];", "    y[i + 1] = x[i - 0];"]),
    ("wrong sign", "    y = a + b;", ["    y = a - b;"]),
    ("wrong operation", "    y = a * b / c;", ["    y = a + b / c;", "    y = a * b * c;"]),
    ("forgotten sum", "    sum += x[i];", ["    sum = x[i];"]),
    ("wrong lane", "    lane = i % 32;", ["    lane = i % 16;"]),
    ("wrong lane", "    v = __shfl_xor_sync(m, v, 1);", ["    v = __shfl_down_sync(m, v, 1);"]),
    ("skipped guard", "    if (i >= n) return;", ["    if (false) return;"]),
]
PYTHON = [
    ("dropped barrier", "    cuda.syncthreads()", ["    pass"]),
    ("bound off by one", "    for k in range(n):", ["    for k in range(n + 1):", "    for k in range(n - 1):"]),
    ("bound off by one", "    if i < n:", ["    if i <= n:"]),
    ("negated condition", "    if i == n:", ["    if i != n:"]),
    ("swapped logic", "    a = b and c", ["    a = b or c"]),
    ("swapped axes", "    h = p * stride[0]", ["    h = p * stride[1]"]),
    ("swapped axes", "    h = x.shape[2]", ["    h = x.shape[3]"]),
    ("swapped axes", "    tile[ty, tx] = 0", ["    tile[tx, tx] = 0", "    tile[ty, ty] = 0"]),
    ("index off by one", "    i = j + 1", ["    i = j + 0"]),
    ("wrong sign", "    i = j - k", ["    i = j + k"]),
    ("wrong operation", "    i = j // k % l", ["    i = j * k % l", "    i = j // k // l"]),
    ("forgotten sum", "    total += x[i]", ["    total = x[i]"]),
    ("wrong lane", "    v = cuda.shfl_xor_sync(m, v, 16 >> s)", ["    v = cuda.shfl_down_sync(m, v, 16 >> s)"]),
    ("skipped guard", "    if i >= n:", ["    if False and (i >= n):"]),
]


@pytest.mark.parametrize(("language", "cases"), [(operators, CUDA), (python_operators, PYTHON)], ids=["CUDA", "Python"])
def test_every_operator_yields_what_it_says(language, cases):
    assert {name for name, _, _ in cases} == set(language.OPERATORS)
    for name, line, wanted in cases:
        text = f"{line}\nunchanged\n"
        planted = [m for m in language.mutants("file", text) if m.operator == name]
        assert {m.after for m in planted} >= set(wanted), name
        for mutant in planted:
            assert applied(mutant, text) == f"{mutant.after}\nunchanged\n"


CUDA_TEXT = """// a < b, a + 1
#define TWICE(a) \\
    (a * 2 + 1)
__device__ int helper(int a) {
    return a / 3;  // a - b
}
template <int N>
extern "C" __global__ void __launch_bounds__(8 * N)
    kernel(int n) {
#ifdef MINITL_EMULATED
    first(n + n);
#else
    hidden(n + n);
#endif
#ifndef MINITL_EMULATED
    hidden(n + n);
#else
    second(n + n);
#endif
#ifndef TILE
    third(n + n);
#endif
}
"""


def test_nothing_is_planted_where_it_would_not_be_run():
    planted = list(operators.mutants("file", CUDA_TEXT))
    assert [(m.before.split("(")[0].strip(), m.function) for m in planted] == [
        ("return a / 3;  // a - b", "helper"), ("first", "kernel"), ("second", "kernel"), ("third", "kernel"),
    ]  # fmt: skip
    assert planted[0].after.endswith("a * 3;  // a - b")
    text = 'from a import b\n\n\ndef f(x):\n    """a + b\n\n    a - b"""\n    return x - 2  # a + b\n'
    assert [m.after for m in python_operators.mutants("file", text)] == ["    return x + 2  # a + b"]


def test_a_mutant_of_a_text_that_has_changed_is_refused():
    (mutant,) = operators.mutants("file", "    a = b / c;")
    with pytest.raises(ArgumentError, match="no longer"):
        applied(mutant, "    a = b;")


every_mutant = functools.cache(all_mutants)


def test_a_sample_takes_some_of_every_file_and_is_the_same_for_a_seed():
    planted = every_mutant()
    drawn = sample(planted, 200, 1)
    assert drawn == sample(planted, 200, 1) != sample(planted, 200, 2)
    assert {m.file for m in drawn} == {m.file for m in planted}
    assert len(set(drawn)) == len(drawn) < len(planted)


def test_what_is_argued_for_is_still_there():
    """An argument is about a line as it stands; where the line has changed, the argument must be made anew."""
    there = {mutant.key for mutant in every_mutant()}
    assert [key for key in EQUIVALENT if key not in there] == []
    assert all(len(reason) > 20 for reason in EQUIVALENT.values())


def find(file, before, after):
    return next(m for m in mutants_of(file, sources()[file]) if before in m.before and after in m.after)


@compiled
@pytest.mark.parametrize(
    ("mutant", "result", "by"),
    [
        (("cuda/include/philox.cuh", "+ ", "- "), "killed", "from the truth"),
        (("relu/relu.cu", "return y <= 0", "return y < 0"), "killed", "from the truth"),
        (("flatten/flatten.cu", "pixel + i < plane && c + lane < C", "c + lane <= C"), "killed", "out of bounds"),
        pytest.param(
            ("linear/cuda_numba.py", "if i >= y.size:", "if False and"), "killed", "out of bounds", marks=interpreted
        ),
    ],
    ids=["header", "helper", "kernel", "Numba"],
)
def test_a_planted_fault_is_found(tmp_path, mutant, result, by):
    outcome = Bench(20).attempt(find(*mutant), tmp_path)
    assert outcome.result == result
    assert by in outcome.by
    assert library.overlay is None


def test_a_process_that_ends_or_never_ends_has_noticed_its_mutant():
    def well(folder):
        return "survived", str(os.getpid())

    def endless(folder):
        while True:
            pass

    def crashes(folder):
        os.kill(os.getpid(), signal.SIGSEGV)

    def wrong(folder):
        raise ArgumentError("what the bench did not expect")

    told = {n: (result, by) for n, result, by in engine.apart(iter([well, endless, crashes, wrong]), 2, seconds=1)}
    assert told[0][0] == "survived"
    assert told[0][1] != str(os.getpid())
    assert told[1] == ("killed", "it did not end")
    assert told[2] == ("killed", "the process ended by SIGSEGV")
    assert told[3] == ("could not be tried", "ArgumentError: what the bench did not expect")


@compiled
@interpreted
def test_the_fixed_sample_is_found(tmp_path):
    assert len({operator for _, operator in FIXED}) >= 10
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "minitl.kernels.verify.mutation", "--fixed", "--cases", "30", "--processes", "2"]
    done = subprocess.run([*command, "--json", str(report)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(report.read_text())["results"] == {"killed": len(fixed())}


@compiled
@pytest.mark.skipif(os.environ.get("HYPOTHESIS_PROFILE") != "deep", reason="hours: all mutants, in the deep profile")
def test_all_mutants_are_found_or_argued_for():
    command = [sys.executable, "-m", "minitl.kernels.verify.mutation"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
