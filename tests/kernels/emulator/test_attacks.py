"""What a compiler could hide from the emulator is found, what could end the process is a fault, plain CUDA runs."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from minitl.errors import ArgumentError, CompileError, KernelFault
from minitl.kernels import emulator
from minitl.kernels.cuda import Source, empty, source

ATTACKS = source(__file__, "attacks.cu")
LEGAL = source(__file__, "legal.cu")
REASON = emulator.unavailable()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))
X = np.arange(1, 65, dtype=np.float32)


def new(n, dtype=np.float32):
    return empty((n,), dtype, like=X)


def ints(n):
    return np.zeros(n, np.int32)


@pytest.mark.parametrize(
    ("kernel", "block", "arguments", "kind", "message"),
    [
        ("behind_a_row", 4, lambda: [new(4), 8], "out of bounds", r"index 8, beyond .* 'float \[8\]'"),
        ("behind_a_local_array", 1, lambda: [X.copy(), 5], "out of bounds", r"index 5, beyond .* 'float \[4\]'"),
        ("behind_a_table", 1, lambda: [new(1, np.int32), 4], "out of bounds", r"index 4, beyond .* 'int \[4\]'"),
        ("copies_too_much", 1, lambda: [X[:32], new(33), 33], "out of bounds", "across the end of an array; x"),
        ("copies_too_much", 1, lambda: [X, new(33), 34], "out of bounds", "across the end of an array; y"),
        ("clears_too_much", 1, lambda: [new(8), 9], "out of bounds", "across the end of an array; y"),
        ("moves_too_much", 1, lambda: [new(8), new(9), 8], "uninitialised", "reads what nobody wrote; x"),
        ("assigns_a_struct", 1, lambda: [np.arange(64, dtype=np.int32), ints(64), 1], "out of bounds", "y, byte 4"),
        ("vector_by_cast", 1, lambda: [X, new(4), 1], "misaligned", "no multiple"),
        ("half_a_vector_by_cast", 1, lambda: [X, new(4), 1], "misaligned", "no multiple"),
        ("fields_of_bits", 32, lambda: [new(1, np.uint32)], "race", "shared memory, flags, byte 0 of 4"),
        ("pointer_in_shared_memory", 32, lambda: [new(1)], "race", "two threads write to one place"),
        ("volatile_exchange", 32, lambda: [new(32)], "race|uninitialised", "shared memory"),
        ("through_a_template", 32, lambda: [np.zeros(33)], "race", "y, byte"),
        (
            "first_reader_forgotten",
            64,
            lambda: [new(64)],
            "race",
            r"\(33, 0, 0\),.* \(0, 0, 0\),|\(0, 0, 0\),.* \(33, 0, 0\),",
        ),
        ("half_a_warp_waits", 32, lambda: [new(32)], "race|uninitialised", "tile, byte"),
        ("two_barriers_on_a_line", 32, lambda: [new(32)], "divergence", "wait at different barriers"),
        ("too_small_a_warp", 16, lambda: [new(16)], "deadlock", "fewer than 32 threads"),
        ("copies_into_global_memory", 1, lambda: [X, new(4)], "out of bounds", "to what is not shared memory"),
        ("copies_more_than_fits", 1, lambda: [X, new(4), 20], "out of bounds", "of more than fit"),
        ("copies_more_than_fits", 1, lambda: [X, new(4), -4], "out of bounds", "of fewer than no bytes"),
        ("copy_not_committed", 1, lambda: [X, new(4)], "race", "still to write"),
        ("divides", 1, lambda: [new(1, np.int32), 0], "division by zero", "divided by zero"),
        ("remainder_of", 1, lambda: [new(1, np.int64), 0], "division by zero", "divided by zero"),
        ("calls", 1, lambda: [0], "out of bounds", "calls what is no function"),
        ("recurses", 64, lambda: [new(64, np.int32), 25_000], "stack overflow", "512 KB"),
        ("recurses", 2, lambda: [new(2, np.int32), 100_000], "stack overflow", "512 KB"),
        ("asserts", 1, lambda: [new(1, np.int32), 5], "assertion", r"assert\(n < 3\) does not hold"),
        ("leaves", 1, lambda: [0], "trap", "the kernel called exit"),
        ("leaves", 1, lambda: [1], "trap", "the kernel called _Exit"),
        ("writes_nowhere", 1, lambda: [None], "out of bounds", "outside of every array: to a null pointer"),
        ("gives_up_abruptly", 1, lambda: [], "trap", "the kernel gave up"),
    ],
)
@pytest.mark.parametrize("schedule", ["forward", "reverse"])
def test_what_might_be_hidden_is_found(kernel, block, arguments, kind, message, schedule):
    with emulator.schedule(schedule), pytest.raises(KernelFault, match=message) as caught:
        ATTACKS.launch(kernel, 1, block, *arguments())
    assert caught.value.kind in kind.split("|")
    assert "attacks.cu:" in str(caught.value)


@pytest.mark.parametrize(("how", "schedule"), [(0, "forward"), (2, "reverse")])
def test_a_loop_that_does_nothing_is_found(how, schedule):
    """By the clock, a second each."""
    with emulator.schedule(schedule), pytest.raises(KernelFault, match="a loop that does nothing never ends") as caught:
        ATTACKS.launch("spins", 1, 1, how)
    assert caught.value.kind == "hang"
    assert "attacks.cu:" in str(caught.value)


def test_blocks_are_kept_apart_whichever_thread_reads():
    with pytest.raises(KernelFault, match="of different blocks"):
        ATTACKS.launch("read_by_one_block_written_by_another", 2, 1, np.zeros(3, np.float32))
    with pytest.raises(KernelFault, match="of different blocks"):
        ATTACKS.launch("read_while_others_add", 2, 1, np.zeros(3, np.float32))


def test_waiting_for_a_thread_that_never_has_its_turn(monkeypatch):
    monkeypatch.setattr(emulator.library, "MOST_STEPS", 10_000)
    with pytest.raises(KernelFault, match=r"hang: .*more steps than a kernel can need"):
        ATTACKS.launch("spins", 1, 1, 1)
    with pytest.raises(KernelFault, match="hang"):
        ATTACKS.launch("waits_for_a_flag", 1, 2, ints(1))


def test_a_fault_leaves_nothing_behind():
    y = new(1, np.int32)
    for _ in range(3):
        with pytest.raises(KernelFault, match="division by zero"):
            ATTACKS.launch("divides", 1, 1, y, 0)
        ATTACKS.launch("divides", 1, 1, y, 2)
        assert y[0] == 3


def test_as_much_local_memory_as_a_gpu_has():
    y = new(1, np.int32)
    ATTACKS.launch("large_local_array", 1, 1, y, 99_999)
    assert y[0] == 99_999


@pytest.mark.parametrize("schedule", ["forward", "reverse", 5])
def test_ordinary_cuda(schedule):
    with emulator.schedule(schedule):
        y, z = new(32), new(32, np.int32)
        LEGAL.launch("shared_in_a_template", 1, 32, X[:32], y, z)
        assert np.array_equal(y, X[31::-1])
        assert np.array_equal(z, np.arange(32)[::-1])
        y = new(32)
        LEGAL.launch("dynamic_in_its_own_words", 1, 32, X[:32], y, 32, shared=256)
        assert np.array_equal(y, X[31::-1])
        y = new(2)
        LEGAL.launch("sum_of_a_block", 2, 64, np.arange(100, dtype=np.float32), y, 100)
        assert np.array_equal(y, [31.5, 81.5])
        y, lane = new(32, np.int32), np.arange(32)
        LEGAL.launch("partial_masks", 1, 32, y)
        eight = np.where(lane % 8 < 4, lane + 4, lane)
        assert np.array_equal(y, (lane // 16 * 16 + 15 - lane % 16) * 10000 + eight * 100 + lane // 16 * 16)
        y = new(128, np.int32)
        LEGAL.launch("copies", 1, 1, np.arange(64, dtype=np.int32), y)
        assert np.array_equal(y, [*[0] * 64, *range(64)])
        y = new(5, np.int32)
        LEGAL.launch("counts_votes", 1, 32, y, 5)
        assert np.array_equal(y, [11] * 5)


def test_dynamic_memory_in_its_own_words_ends_where_the_launch_said():
    with pytest.raises(KernelFault, match="beyond the end of the dynamic shared memory"):
        LEGAL.launch("dynamic_in_its_own_words", 1, 32, X[:32], new(32), 32, shared=252)


def test_names_that_cuda_has():
    y, d, k, u = new(30), np.zeros(1), np.zeros(20, np.int32), np.zeros(1, np.uint64)
    LEGAL.launch("names", 1, 1, np.array([-1.5, 2], np.float32), y, d, k, u)
    a, b = -1.5, 2.0
    expected = [1.5, 4, 4, 2**-0.5, np.exp(a), -2, a, -2, a / b, 2 * a, 1, np.log(b), 8, 0.5, 1, a * b + 1, 100, -b]
    expected += [np.sin(a), np.cos(a), -2, -1]
    assert [round(float(v), 4) for v in y[:22]] == [round(float(np.float32(v)), 4) for v in expected]
    assert d[0] == 2.5
    assert u[0] == 5
    assert k[:17].tolist() == [-8, 6, 1, 2, 63, 3, 1, 12, 3, 7, -2, 4, 0, 6, 3, 4, 15]


def test_what_numpy_wrote_is_written():
    y = new(32)
    y[:] = X[:32]
    z = new(32)
    LEGAL.launch("dynamic_in_its_own_words", 1, 32, y, z, 32, shared=256)
    assert np.array_equal(z, X[31::-1])


def test_two_parts_of_one_allocation():
    y = new(64)
    y[:32] = X[:32]
    LEGAL.launch("dynamic_in_its_own_words", 1, 32, y[:32], y[32:], 32, shared=256)
    assert np.array_equal(y[32:], X[31::-1])


def test_an_array_that_may_not_be_written():
    y = np.zeros(1, np.int32)
    y.flags.writeable = False
    with pytest.raises(ArgumentError, match="y is written to, but the array is read-only"):
        ATTACKS.launch("divides", 1, 1, y, 1)


@pytest.mark.parametrize("n", [2**31, 1.5, "three", None])
def test_numbers_that_do_not_fit(n):
    with pytest.raises(ArgumentError, match="divides: n must be a number that fits int32; got"):
        ATTACKS.launch("divides", 1, 1, new(1, np.int32), n)


@pytest.mark.parametrize("grid", [-1, 1.5, "1", None, (), (1, 1, 1, 1), (1, None)], ids=lambda given: f"grid {given!r}")
def test_what_is_no_number_of_blocks(grid):
    with pytest.raises(ArgumentError, match="divides: grid must be one to three numbers, numbers of blocks; got"):
        ATTACKS.launch("divides", grid, 1, new(1, np.int32), 1)


def test_more_blocks_than_can_be_shuffled():
    with emulator.schedule(3), pytest.raises(ArgumentError, match="divides: 2147483647 blocks are too many to shuffle"):
        ATTACKS.launch("divides", 2**31 - 1, 1, new(1, np.int32), 1)


def test_less_than_no_shared_memory():
    with pytest.raises(ArgumentError, match="divides: shared must be a number of bytes from 0; got -1"):
        ATTACKS.launch("divides", 1, 1, new(1, np.int32), 1, shared=-1)


def test_a_real_that_kernels_do_not_know():
    with pytest.raises(ArgumentError, match="divides: real must be float32 or float64; got float16"):
        ATTACKS.launch("divides", 1, 1, new(1, np.int32), 1, real=np.float16)


@pytest.mark.parametrize(("grid", "block"), [(2**31, 1), ((1, 65536), 1), ((1, 1, 65536), 1), (1, (1, 1, 65))])
def test_more_than_a_gpu_takes(grid, block):
    with pytest.raises(ArgumentError, match=r"divides: (a grid of .* a GPU takes at most 2147|block must be)"):
        ATTACKS.launch("divides", grid, block, new(1, np.int32), 1)


@pytest.mark.parametrize("name", ["it's a kernel", 'a "quoted" one', "Fünf größe", "back\\slash $HOME `x`"])
def test_odd_paths(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    shutil.copy(LEGAL.path, folder / f"{name}.cu")
    shutil.copy(LEGAL.path.with_name("own header.cuh"), folder)
    y = new(5, np.int32)
    Source(folder / f"{name}.cu").launch("counts_votes", 1, 32, y, 5)
    assert np.array_equal(y, [11] * 5)


def test_a_function_that_is_nowhere(tmp_path):
    path = tmp_path / "k.cu"
    path.write_text('__device__ int nowhere(int);\nextern "C" __global__ void f(int* y) { y[0] = nowhere(1); }\n')
    with pytest.raises(CompileError, match="undefined reference to `nowhere"):
        Source(path).launch("f", 1, 1, new(1, np.int32))


def test_a_damaged_library_is_made_again(tmp_path):
    """Cut off, as after a full disk; by another process, since one keeps what it loaded."""
    script = (
        "import sys, numpy as np; from pathlib import Path; from minitl.kernels.cuda import Source\n"
        "y = np.zeros(5, np.int32); Source(Path(sys.argv[1])).launch('counts_votes', 1, 32, y, 5); print(y.sum())"
    )
    home = tmp_path / "a cache 'with \"quotes"
    environment = {**os.environ, "MINITL_CACHE": str(home)}

    def run():
        return subprocess.run(
            [sys.executable, "-c", script, LEGAL.path], env=environment, capture_output=True, text=True
        )

    assert run().stdout == "55\n"
    (library,) = (home / "minitl" / "kernels").glob("*.so")
    whole = library.read_bytes()
    library.write_bytes(whole[:5000])
    again = run()
    assert again.stdout == "55\n", again.stderr


def test_ctrl_c_ends_a_launch():
    """Within a second or so, not when the kernel ends; and the emulator works afterwards."""
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals come to the main thread alone")
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        ATTACKS.launch("spins", 1, 1, 1)
    timer.join()
    test_as_much_local_memory_as_a_gpu_has()


def test_launches_from_several_threads():
    found = []

    def work(n):
        for _ in range(20):
            y = new(1, np.int32)
            ATTACKS.launch("divides", 1, 1, y, n)
            z = new(32), new(32, np.int32)
            LEGAL.launch("shared_in_a_template", 1, 32, X[:32], *z)
            found.append(y[0] == 7 // n and np.array_equal(z[0], X[31::-1]))

    threads = [threading.Thread(target=work, args=(n,)) for n in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 60


def test_a_child_launches_too():
    y = new(1, np.int32)
    ATTACKS.launch("divides", 1, 1, y, 2)
    child = os.fork()
    if child == 0:
        ATTACKS.launch("divides", 1, 1, y, 7)
        os._exit(0 if y[0] == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert y[0] == 3


def test_the_place_is_in_the_users_file(tmp_path):
    """A barrier in a header: the line of the kernel's own file that led there."""
    (tmp_path / "head.cuh").write_text("\n\n\n__device__ inline void meet() { __syncthreads(); }\n")
    path: Path = tmp_path / "k.cu"
    path.write_text('#include "head.cuh"\nextern "C" __global__ void f() {\n    if (threadIdx.x) meet();\n}\n')
    with pytest.raises(KernelFault, match=r"k\.cu:3, thread"):
        Source(path).launch("f", 1, 2)
