"""Kernels from outside: verified as versions of an op, their planted faults found and shrunk, their mistakes told."""

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from minitl.errors import ArgumentError, BackendUnavailable, CompileError
from minitl.kernels import backends, emulator
from minitl.kernels.cuda import Source, nvrtc
from minitl.kernels.emulator import library
from minitl.kernels.verify import machine_code, report, suite
from minitl.kernels.verify.fitting import fitting
from minitl.kernels.verify.own import own
from minitl.kernels.verify.properties import PROPERTIES

pytest.importorskip("hypothesis", reason="calls are drawn by hypothesis (pip install '.[test]')")
REASON = emulator.unavailable()
needs_emulator = pytest.mark.skipif(REASON is not None, reason=str(REASON))
PLANTED = Path(__file__).with_name("planted.cu")
BOUND = PROPERTIES[0]


def planted(folder, *swaps):
    """planted.cu with some of its text replaced."""
    text = PLANTED.read_text(encoding="utf-8")
    for old, new in swaps:
        assert text.count(old) == 1
        text = text.replace(old, new)
    path = folder / "planted.cu"
    path.write_text(text, encoding="utf-8")
    return path


def python(folder, text):
    path = folder / "mine.py"
    path.write_text(text, encoding="utf-8")
    return path


@needs_emulator
def test_a_right_kernel_passes_every_property():
    rows = list(suite.verified([own(f"{PLANTED}:mine", "conv2d")], 4))
    assert [row.outcome for row in rows] == ["passed"] * len(PROPERTIES)
    assert {row.version for row in rows} == {f"{PLANTED}:mine"}


FAULTS = {
    "an out-of-bounds read": ([("h < g.H", "h <= g.H")], "out of bounds", "reads outside of every array; x is nearest"),
    "an out-of-bounds write": (
        [("y[at(ys, n, o, p, q)]", "y[at(ys, n, o, p, q) + 1]")],
        "out of bounds",
        "y is nearest",
    ),
    "a swapped stride": ([("group + c, h, v)]", "group + c, v, h)]")], "out of bounds", "x is nearest"),
    "a race": ([("__syncthreads();  // BARRIER", "")], "race|uninitialised", "shared memory"),
    "a divergent barrier": (
        [("    bool inside", "    if (i >= 5) return;\n    bool inside")],
        "divergence",
        "has ended without it",
    ),
    "a missing wait": ([("wait_async<0>();  // WAIT", "")], "race|uninitialised", ""),
}


@needs_emulator
@pytest.mark.parametrize(("swaps", "kinds", "message"), FAULTS.values(), ids=list(FAULTS))
def test_a_planted_fault_is_found_and_shrunk(swaps, kinds, message, tmp_path):
    row = suite.held(BOUND, own(f"{planted(tmp_path, *swaps)}:mine", "conv2d"), 40)
    assert row.outcome == "failed"
    assert any(f"mine: {kind}: planted.cu:" in row.why for kind in kinds.split("|"))
    assert message in row.why
    assert "smallest case: x=float32[1, 1, " in row.why
    assert "w=float32[1, 1, " in row.why
    assert "; schedule: forward" in row.why


@needs_emulator
def test_float_serves_float32_alone():
    subject = own(f"{PLANTED}:mine", "conv2d")
    x = np.zeros((1, 1, 2, 2))
    assert "takes float, not real" in subject.version.serves(x=x, w=x, b=None, geometry=None)


@needs_emulator
def test_launching_is_as_it_was_afterwards():
    plain = Source.launch
    subject = own(f"{PLANTED}:mine", "conv2d")
    suite.held(BOUND, subject, 2)
    assert Source.launch is plain


@needs_emulator
def test_a_file_that_does_not_compile_shows_the_line(tmp_path):
    path = planted(tmp_path, ("float first = copied[1];", "float first = copied[1]"))
    line = path.read_text(encoding="utf-8").splitlines().index("    float first = copied[1]") + 1
    with pytest.raises(CompileError, match=rf"planted\.cu:{line + 1}:.* error: expected"):
        own(f"{path}:mine", "conv2d")


@needs_emulator
@pytest.mark.parametrize(
    ("swaps", "name", "op", "message"),
    [
        ([], "yours", "conv2d", r"has no kernel extern \"C\" __global__ void yours\(…\); there are mine"),
        (
            [],
            "mine",
            "relu",
            r"as relu it must take the parameters of relu_naive in kernels/relu/relu\.cu: \(const real",
        ),
        ([], "mine", "flatten.grad_input", "flatten.grad_input: has no CUDA C.. kernel whose place another could take"),
        ([('#include "minitl.cuh"', "")], "mine", "conv2d", "must begin with #include"),
    ],
)
def test_a_kernel_that_does_not_fit(swaps, name, op, message, tmp_path):
    with pytest.raises((ArgumentError, CompileError), match=message):
        own(f"{planted(tmp_path, *swaps)}:{name}", op)


@needs_emulator
def test_every_op_with_a_kernel_lends_its_launcher(tmp_path):
    """The op's own kernel, copied into a file of its own, passes as a kernel from outside."""
    for op, kernel, file in (
        ("linear", "linear_naive", "linear/linear.cu"),
        ("cross_entropy", "cross_entropy_naive", "cross_entropy/cross_entropy.cu"),
        ("softmax.grad_input", "softmax_grad_naive", "softmax/softmax.cu"),
    ):
        copy = shutil.copy(library.ROOT / file, tmp_path / Path(file).name)
        row = suite.held(BOUND, own(f"{copy}:{kernel}", op), 2)
        assert (row.op, row.outcome) == (op, "passed"), row.why


def test_a_numpy_function(tmp_path):
    path = python(
        tmp_path,
        "import numpy as np\n"
        "def right(v):\n    return np.where(v <= 0, v.dtype.type(0), v)\n"
        "def wrong(x):\n    return np.fmax(x, x.dtype.type(0))\n",
    )
    assert {row.outcome for row in suite.verified([own(f"{path}:right", "relu")], 4)} == {"passed"}
    failed = [row.property for row in suite.verified([own(f"{path}:wrong", "relu")], 4) if row.outcome == "failed"]
    assert "special values" in failed


LAUNCHER = """
from minitl.kernels.cuda import conv_struct, empty, source, strides

def conv(x, w, b, geometry, relu=False):
    y = empty(geometry.y_shape, x.dtype, like=x)
    arrays = x, w, b, y, conv_struct(geometry), strides(x), strides(w), strides(y), relu
    source(__file__, "planted.cu").launch("mine", -(-y.size // 64), 64, *arrays)
    return y

def serving_all(x, w, b, geometry, relu=False):
    x, w, b = (None if a is None else a.astype("float32") for a in (x, w, b))
    return conv(x, w, b, geometry, relu)
"""


@needs_emulator
def test_a_launcher_of_ones_own(tmp_path):
    planted(tmp_path, ("h < g.H", "h <= g.H"))
    path = python(tmp_path, LAUNCHER)
    row = suite.held(BOUND, own(f"{path}:serving_all", "conv2d"), 20)
    assert "mine: out of bounds: planted.cu:" in row.why
    assert row.why.endswith(f"; schedule: {row.case['schedule']}")
    assert row.case["repeat"] == f"minitl verify {path}:serving_all --as conv2d --cases {row.cases}"


@needs_emulator
@pytest.mark.parametrize(
    ("swap", "line", "message"),
    [
        (("empty(geometry", "emty(geometry"), "y = emty", "NameError: name 'emty' is not defined"),
        (("strides(y), relu", "strides(y)"), ".launch(", "ArgumentError: mine: takes 9 arguments (x, w, b, y, g, xs, "),
    ],
)
def test_an_exception_in_the_users_file_names_its_line(swap, line, message, tmp_path):
    planted(tmp_path)
    text = LAUNCHER.replace(*swap)
    row = suite.held(BOUND, own(f"{python(tmp_path, text)}:serving_all", "conv2d"), 1)
    number = next(n for n, words in enumerate(text.splitlines(), 1) if line in words)
    assert row.why.startswith(f"mine.py:{number}: {message}")


@needs_emulator
def test_all_properties_that_fail_at_one_line_are_told_once(tmp_path):
    path = planted(tmp_path, ("y[at(ys, n, o, p, q)]", "y[at(ys, n, o, p, q) + 1]"))
    rows = list(suite.verified([own(f"{path}:mine", "conv2d")], 1))
    assert {row.outcome for row in rows} == {"failed"}
    (told,) = report.failures(rows)
    assert told.startswith(f"conv2d {path}:mine: {', '.join(kind.name for kind in PROPERTIES)}: mine: out of bounds: ")


@pytest.mark.parametrize(
    ("target", "ops"),
    [
        (f"{PLANTED}:mine", ["conv2d"]),
        ("mine.py:relu", ["relu", "conv2d.grad_bias", "linear.grad_bias", "softmax"]),  # of as many parameters
        ("mine.py:three", ["relu.grad_input", "softmax.grad_input"]),
        ("mine.py:pooled", ["max_pool2d"]),
        ("mine.py:odd", []),
    ],
)
def test_which_ops_fit(target, ops, tmp_path, monkeypatch):
    pytest.importorskip("greenlet", reason="the interpreter switches threads by greenlet (pip install '.[verify]')")
    monkeypatch.chdir(tmp_path)
    python(tmp_path, NUMBA + "\ndef pooled(x, geometry): pass\ndef odd(one): pass\n")
    assert fitting(target) == ops


def compiled_by_nvrtc(path, cases=1):
    subject = own(f"{path}:mine", "conv2d")
    suite.held(BOUND, subject, cases)
    return machine_code.compiled(subject)


@needs_emulator
def test_a_kernel_is_compiled_for_a_gpu_too(tmp_path):
    reason = nvrtc.unavailable()
    if reason:
        pytest.skip(reason)
    row = compiled_by_nvrtc(planted(tmp_path))
    assert (row.property, row.cases, row.outcome) == ("compiled by NVRTC", 1, "passed")
    assert re.fullmatch(r"mine \(float32, sm_80\): \d+ registers a thread, no spills, 20 bytes of shared .*", row.why)
    assert row.case["usage"][0]["registers"] > 0
    assert report.compilations([row]) == [f"compiled by NVRTC: {row.why}"]
    path = planted(tmp_path, ('#include "minitl.cuh"', '#include "minitl.cuh"\n#include <stdio.h>'))
    row = compiled_by_nvrtc(path)  # g++ has that header
    assert row.outcome == "failed"
    assert "planted.cu:3: NVRTC refuses it: cannot open source file" in row.why


@needs_emulator
def test_without_nvrtc_a_row_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(nvrtc, "unavailable", lambda: "cuda-bindings is not installed")
    row = compiled_by_nvrtc(PLANTED)
    assert (row.outcome, row.why) == ("not served", "cuda-bindings is not installed")
    assert report.compilations([row]) == ["not compiled by NVRTC: cuda-bindings is not installed"]
    path = python(tmp_path, "def relu(x):\n    return x\n")
    assert machine_code.compiled(own(f"{path}:relu", "relu")) is None  # nothing of CUDA C++ in it


NUMBA = """
from minitl.kernels.cuda.numba import cuda, kernel

@kernel(writes=["b"])
def relu(a, b):
    i = cuda.grid(1)
    if i < a.size:
        b[i] = a.dtype.type(0) if a[i] < 0 else a[i]

@kernel(writes=["b"])
def unguarded(a, b):
    i = cuda.grid(1)
    b[i] = a.dtype.type(0) if a[i] < 0 else a[i]

@kernel(writes=["c"])
def three(a, b, c):
    pass
"""


def test_a_numba_cuda_kernel(tmp_path):
    pytest.importorskip("greenlet", reason="the interpreter switches threads by greenlet (pip install '.[verify]')")
    path = python(tmp_path, NUMBA)
    assert {row.outcome for row in suite.verified([own(f"{path}:relu", "relu")], 4)} == {"passed"}
    row = suite.held(BOUND, own(f"{path}:unguarded", "relu"), 4)
    assert "unguarded: out of bounds: mine.py:" in row.why
    with pytest.raises(ArgumentError, match=r"three: as relu it must take the parameters of relu: \(x, y\)"):
        own(f"{path}:three", "relu")


def test_a_kernel_compiled_by_numba_itself(tmp_path):
    pytest.importorskip("greenlet", reason="the interpreter switches threads by greenlet (pip install '.[verify]')")
    pytest.importorskip("numba_cuda", reason="the kernel is one of Numba-CUDA's (pip install '.[cuda13]')")
    text = NUMBA.replace("from minitl.kernels.cuda.numba import cuda, kernel", "from numba import cuda")
    path = python(tmp_path, text.replace('@kernel(writes=["b"])', "@cuda.jit").replace('@kernel(writes=["c"])', ""))
    assert suite.held(BOUND, own(f"{path}:relu", "relu"), 4).outcome == "passed"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ny = 1 / 0\n", r"mine\.py:2: ZeroDivisionError"),
        ("def relu(:\n", r"mine\.py:1: SyntaxError"),
        ("raise SystemExit(0)\n", r"mine\.py:1: SystemExit: 0"),
        ("x = 1\n", r"mine\.py: has no function relu; there are none"),
        ("def rely(x): pass\n", r"mine\.py: has no function relu; there are rely"),
        (
            "from minitl.kernels.cuda.numba import kernel\n@kernel\ndef relu(x, y): pass\n",
            r"mine\.py:2: ArgumentError: relu: say what it may write to: @kernel\(writes=\[\.\.\.\]\)",
        ),
        (
            "def relu(a, b): pass\n",
            r"mine\.py: relu\(a, b\) must take the arguments of relu: \(x\); a Numba-CUDA kernel",
        ),
    ],
)
def test_a_python_file_that_does_not_fit(text, message, tmp_path):
    with pytest.raises(ArgumentError, match=message):
        own(f"{python(tmp_path, text)}:relu", "relu")


def test_a_file_may_import_its_neighbours(tmp_path):
    (tmp_path / "neighbour_of_mine.py").write_text(
        "import numpy as np\ndef relu(x): return np.where(x <= 0, x.dtype.type(0), x)\n", encoding="utf-8"
    )
    path = python(tmp_path, "from neighbour_of_mine import relu\n")
    before = list(sys.path)
    assert suite.held(BOUND, own(f"{path}:relu", "relu"), 2).outcome == "passed"
    assert sys.path == before


@needs_emulator
@pytest.mark.parametrize("loop", ["while (true) {}", "while (true) __syncthreads();"])
def test_a_kernel_that_never_ends_is_asked_once(loop, tmp_path, monkeypatch):
    """The first property tells; the case is not made smaller, and no other property is tried."""
    monkeypatch.setattr(suite, "MOST_STEPS", 1_000_000)
    path = planted(tmp_path, ("    bool inside", f"    {loop}\n    bool inside"))
    (row,) = suite.verified([own(f"{path}:mine", "conv2d")], 3)
    assert (row.property, row.outcome, row.case["fault"]) == ("bound", "failed", "hang")
    assert "mine: hang: planted.cu:" in row.why


@pytest.mark.parametrize("how", ["raise ValueError", "raise SystemExit(0)", "return None", "return x.tolist()"])
def test_a_function_that_gives_no_array_passes_nothing(how, tmp_path):
    path = python(tmp_path, f"def relu(x):\n    {how}\n")
    assert {row.outcome for row in suite.verified([own(f"{path}:relu", "relu")], 2)} == {"failed"}


def test_a_numba_kernel_that_raises_passes_nothing(tmp_path):
    """Empty arrays show nothing: no kernel is launched on them."""
    pytest.importorskip("greenlet", reason="the interpreter switches threads by greenlet (pip install '.[verify]')")
    path = python(
        tmp_path, NUMBA.replace("    i = cuda.grid(1)\n    if i < a.size:", "    raise ValueError\n    if i:")
    )
    assert {row.outcome for row in suite.verified([own(f"{path}:relu", "relu")], 2)} == {"failed"}


@pytest.mark.parametrize(
    ("target", "backend", "message"),
    [
        ("nowhere.cu:mine", None, "nowhere.cu: no such file"),
        ("mine.c:mine", None, "give a kernel as file.cu:name or file.py:name"),
        (str(PLANTED), None, f"give a kernel as file.cu:name or file.py:name; there are {PLANTED}:mine"),
        (f"{PLANTED}:mine", "cpu", "runs as emulator or as cuda; got --backend cpu"),
    ],
)
def test_what_cannot_be_verified(target, backend, message):
    with pytest.raises(ArgumentError, match=message):
        own(target, "conv2d", backend)


def test_a_missing_backend_says_why(monkeypatch):
    gone = backends.Backend("NumPy", lambda: "g++ is not installed (apt-get install g++)")
    monkeypatch.setitem(backends.BACKENDS, "emulator", gone)
    with pytest.raises(BackendUnavailable, match=r"conv2d: emulator: g\+\+ is not installed"):
        own(f"{PLANTED}:mine", "conv2d")
