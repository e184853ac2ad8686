"""The emulator finds every planted fault, whatever the schedule, and says where; what is allowed it leaves alone."""

import re
from pathlib import Path

import numpy as np
import pytest

from minitl.errors import ArgumentError, BackendUnavailable, CompileError, KernelFault
from minitl.kernels import emulator
from minitl.kernels.cuda import Source, empty, source, zeros

FAULTS = source(__file__, "faults.cu")
REASON = emulator.unavailable()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))
X = np.arange(1, 65, dtype=np.float32)


def new(*shape, dtype=np.float32):
    return empty(shape, dtype, like=X)


@pytest.fixture(params=["forward", "reverse", 0, 7], autouse=True)
def schedule(request):
    with emulator.schedule(request.param):
        yield request.param


def launch(kernel, *arguments, block=32, grid=1, **options):
    FAULTS.launch(kernel, grid, block, *arguments, **options)


def line(text):
    """The number of the line of faults.cu in which `text` stands first."""
    return next(i for i, row in enumerate(FAULTS.text.splitlines(), 1) if text in row)


@pytest.mark.parametrize(
    ("kernel", "arguments", "kind", "at", "message"),
    [
        ("all_write_one_place", lambda: [new(4)], "race", "y[0] = threadIdx.x", "two threads write to one place"),
        (
            "neighbour_in_global_memory",
            lambda: [zeros(32, np.float32, like=X), 32],
            "race",
            None,
            "no barrier between them; y, byte",
        ),
        ("some_wait", lambda: [new(32)], "divergence", "if (threadIdx.x < 3)", "has ended without it"),
        ("they_wait_apart", lambda: [new(32)], "divergence", None, "wait at different barriers"),
        ("some_leave_early", lambda: [new(32), 31], "divergence", None, "has ended without it"),
        ("lanes_missing", lambda: [new(32)], "deadlock", "if (threadIdx.x < 16)", "lanes of its mask that never come"),
        (
            "reads_behind",
            lambda: [X[:32], new(33), 32],
            "out of bounds",
            "i <= n; i +=",
            "x is nearest, it ended 0 bytes",
        ),
        ("reads_before", lambda: [X, new(32)], "out of bounds", "- 1]; }", "x is nearest, 4 bytes behind"),
        ("writes_at", lambda: [new(8), 8], "out of bounds", "y[where]", "y is nearest, it ended 0 bytes before"),
        ("writes_at", lambda: [new(8), -1], "out of bounds", "y[where]", "y is nearest, 4 bytes behind"),
        ("writes_at", lambda: [new(8), 10**9], "out of bounds", "y[where]", "y is nearest, it ended 3999999968 bytes"),
        ("writes_at", lambda: [None, 0], "out of bounds", "y[where]", "writes outside of every array"),
        ("behind_a_shared_array", lambda: [new(1), 4], "out of bounds", "= first[n]", "shared"),
        (
            "shared_never_written",
            lambda: [new(32)],
            "uninitialised",
            "= tile[threadIdx.x];",
            "shared memory, tile, byte 20 of 128",
        ),
        ("plain_shared", lambda: [new(32), 0], "race|uninitialised", None, "shared memory"),
        ("casts_const_away", lambda: [X], "write to input", "const_cast", "takes as const; x, byte 0 of 256"),
        ("misaligned", lambda: [X, new(4)], "misaligned", None, "no multiple of the access's size"),
        ("reads_before", lambda: [new(33)[1:], new(32)], "uninitialised", "- 1]; }", "reads what nobody wrote; x"),
        ("fifth_of_four", lambda: [new(1), 4], "out of bounds", "= mine[n]", "beyond the end of an array"),
        ("row_behind", lambda: [new(1), 4], "out of bounds", "= rows[0][n]", "beyond the end of an array"),
        ("gives_up", lambda: [4], "trap", "__trap", "the kernel gave up"),
        ("warp_exchange", lambda: [new(32), 0], "race|uninitialised", None, "shared memory"),
        ("counts", lambda: [zeros(1, np.int32, like=X), 0], "race", "else *y", "y, byte 0 of 4"),
    ],
)
def test_a_planted_fault_is_found(kernel, arguments, kind, at, message, schedule):
    with pytest.raises(KernelFault, match=message) as caught:
        launch(kernel, *arguments())
    assert caught.value.kind in kind.split("|")
    assert caught.value.kernel == kernel
    text = str(caught.value)
    assert f"(schedule {schedule})" in text
    assert "thread (" in text or "threads (" in text
    if at:
        assert f"faults.cu:{line(at)}," in text


def test_a_race_names_both_threads_and_both_lines(schedule):
    """The thread that was stopped, and where, comes first."""
    read, n = line("sum += left[threadIdx.y][k]"), 16
    written = {name: line(f"{name}[threadIdx.y][threadIdx.x] =") for name in ("left", "right")}
    a = np.ones((n, n), np.float32)
    with pytest.raises(KernelFault) as caught:
        launch("product", a, a, new(n, n), n, grid=(2, 2), block=(8, 8), defines={"NO_SECOND": 1})
    one = r"\(\d, \d, 0\)"
    message = (
        rf"product: race: faults\.cu:{read}, thread {one}, and line (\d+), thread {one}, of block {one}: "
        rf"a thread reads what another writes, with no barrier between them; shared memory, (\w+), byte \d+ of 256 "
        rf"\(schedule {schedule}\)"
    )
    found = re.fullmatch(message, str(caught.value))
    assert found
    assert int(found[1]) == written[found[2]]


def test_blocks_are_never_ordered():
    launch("blocks_write_one_place", new(1))
    with pytest.raises(KernelFault, match=r"of different blocks, which nothing orders") as caught:
        launch("blocks_write_one_place", new(1), grid=2)
    assert re.search(r", thread \(0, 0, 0\) of block \([01], 0, 0\): two threads write", str(caught.value))


def test_shared_memory_is_fresh_for_each_block(schedule):
    launch("left_from_the_block_before", new(1), block=1)
    with pytest.raises(KernelFault, match="no thread of this block wrote"):
        launch("left_from_the_block_before", new(2), block=1, grid=2)


def test_a_kernel_that_never_ends(monkeypatch):
    monkeypatch.setattr(emulator.library, "MOST_STEPS", 10_000)
    with pytest.raises(KernelFault, match=r"hang: .*more steps than"):
        launch("never_ends", new(4), 1, block=1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 7, 8, 19])
def test_a_product_needs_both_barriers(dtype, n):
    rng = np.random.default_rng(n)
    a, b = rng.integers(-4, 5, (2, n, n)).astype(dtype)
    grid = (-(-n // 8), -(-n // 8))
    c = new(n, n, dtype=dtype)
    launch("product", a, b, c, n, grid=grid, block=(8, 8), real=dtype)
    assert np.array_equal(c, a @ b)
    with pytest.raises(KernelFault, match=r"race: faults.cu|uninitialised: faults.cu"):
        launch("product", a, b, new(n, n, dtype=dtype), n, grid=grid, block=(8, 8), real=dtype, defines={"NO_FIRST": 1})
    if n > 8:  # one tile needs no second barrier
        with pytest.raises(KernelFault, match=r"race: faults.cu"):
            launch("product", a, b, c, n, grid=grid, block=(8, 8), real=dtype, defines={"NO_SECOND": 1})


def test_what_is_allowed():
    y = new(64)
    launch("reversed_by_dynamic_memory", X, y, block=64, shared=256)
    assert np.array_equal(y, X[::-1])
    y = new(32)
    launch("warp_exchange", y, 1)
    assert np.array_equal(y, np.arange(32)[::-1])
    y = new(32)
    launch("plain_shared", y, 1)
    assert np.array_equal(y, np.arange(32)[::-1])
    y = new(4)
    launch("sums", X, y, block=64)
    assert np.array_equal(y, [X[:32].sum(), 32, X[32:].sum(), 64])
    y = zeros(1, np.int32, like=X)
    launch("counts", y, 1, grid=3)
    assert y[0] == 96


def test_dynamic_memory_ends_where_the_launch_said():
    with pytest.raises(KernelFault, match="out of bounds"):
        launch("reversed_by_dynamic_memory", X, new(64), block=64, shared=252)
    with pytest.raises(KernelFault, match="more shared memory than a GPU has"):
        launch("reversed_by_dynamic_memory", X, new(64), block=64, shared=1 << 20)


def test_inputs_are_not_written_to_and_poison_shows():
    x = X.copy()
    y = new(64)
    assert np.isnan(y).all()
    launch("reversed_by_dynamic_memory", x, y, block=64, shared=256)
    assert np.array_equal(x, X)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X,), r"takes 2 arguments \(y, where\); got 1"),
        ((X.astype(np.float64), 1), "y must be an array of float32; got float64"),
        (([1.0], 1), "y must be an array of float32; got list"),
    ],
)
def test_arguments_that_do_not_fit(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        launch("writes_at", *arguments)


@pytest.mark.parametrize(("grid", "block"), [(1, 1025), (1, 0), (-1, 1), ((1, 1, 1, 1), 1), (1, (32, 33))])
def test_sizes_that_no_gpu_takes(grid, block):
    with pytest.raises(ArgumentError, match=r"writes_at: (grid|block) must be"):
        FAULTS.launch("writes_at", grid, block, new(1), 0)


def test_no_blocks_no_work():
    FAULTS.launch("gives_up", (3, 0), 1, 9)


@pytest.mark.parametrize("order", ["backward", -1, True, 1.5])
def test_an_unknown_schedule(order):
    with pytest.raises(ArgumentError, match="schedule must be"), emulator.schedule(order):
        pass


def test_sources_that_cannot_be_compiled(tmp_path):
    broken = tmp_path / "my kernel.cu"
    broken.write_text('#include "minitl.cuh"\nextern "C" __global__ void f(real* y) {\n    y[0] = undeclared;\n}\n')
    with pytest.raises(CompileError, match=r"my kernel\.cu:3:.*undeclared"):
        Source(broken).launch("f", 1, 1, new(1))
    with pytest.raises(CompileError, match=r'has no kernel extern "C" __global__ void g\(…\); there are f'):
        Source(broken).launch("g", 1, 1, new(1))
    with pytest.raises(CompileError, match="cannot be read"):
        Source(Path(tmp_path / "none.cu")).launch("f", 1, 1, new(1))
    broken.write_text('extern "C" __global__ void f(std::string s) {}')
    with pytest.raises(CompileError, match="'std::string s' has a type that a launch cannot pass"):
        Source(broken).launch("f", 1, 1, "x")


def test_without_a_compiler(monkeypatch):
    emulator.unavailable.cache_clear()
    monkeypatch.setenv("PATH", "/nowhere")
    try:
        assert emulator.unavailable() == "g++ is not installed (apt-get install g++)"
        with pytest.raises(BackendUnavailable, match=r"faults\.cu: g\+\+ is not installed"):
            launch("writes_at", new(1), 0, defines={"UNUSED": 1})
    finally:
        emulator.unavailable.cache_clear()
