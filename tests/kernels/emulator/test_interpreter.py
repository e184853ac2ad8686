"""What interpreted kernels compute: indices, barriers, warps, atomics; and what a launch refuses."""

import subprocess
import sys

import numpy as np
import pytest

from minitl.errors import ArgumentError, BackendUnavailable, KernelFault
from minitl.kernels import emulator
from minitl.kernels.cuda import empty, zeros
from minitl.kernels.cuda.numba import Kernel, cuda, kernel
from minitl.kernels.emulator import endless, interpreter
from minitl.kernels.linear import cuda_numba as linear

pytest.importorskip("greenlet", reason="the interpreter runs CUDA threads as greenlets (pip install greenlet)")
ALL = 0xFFFFFFFF
X = np.arange(1, 65, dtype=np.float32)


@pytest.fixture(params=["forward", "reverse", 0, 7], autouse=True)
def schedule(request):
    with emulator.schedule(request.param):
        yield request.param


def new(*shape, dtype=np.float32):
    return empty(shape, dtype, like=X)


@kernel(writes=["y"])
def places(y):
    i, j, k = cuda.grid(3)
    width, height, _ = cuda.gridsize(3)
    y[k, j, i] = (k * height + j) * width + i


def test_every_thread_of_every_block_runs_once():
    y = new(4, 6, 10, dtype=np.int32)
    places.launch((5, 3, 2), (2, 2, 2), y)
    assert np.array_equal(y.ravel(), np.arange(240))


@kernel(writes=["y"])
def two_arrays_of_one_line(y):
    a, b = cuda.shared.array(8, np.float32), cuda.shared.array(8, np.float32)
    i = cuda.threadIdx.x
    a[i] = i
    b[i] = 10 * i
    cuda.syncthreads()
    y[i] = a[7 - i] + b[i]


@kernel(writes=["y"])
def one_place_two_shapes(y):
    i = cuda.threadIdx.x
    for size in (8, 16):
        tile = cuda.shared.array((size,), dtype=np.int32)
        if size == 8:
            tile[i] = i
        else:
            tile[8 + i] = -1
    cuda.syncthreads()
    y[i] = cuda.shared.array(1, np.float32).size + tile[8 + i]


def test_shared_arrays_do_not_alias():
    y = new(8)
    two_arrays_of_one_line.launch(1, 8, y)
    assert np.array_equal(y, 7 + 9 * np.arange(8))
    one_place_two_shapes.launch(1, 8, y)
    assert np.array_equal(y, np.zeros(8))


@kernel(writes=["y"])
def shuffles(y):
    lane = cuda.laneid
    y[0, lane] = cuda.shfl_sync(ALL, lane, 5)
    y[1, lane] = cuda.shfl_xor_sync(ALL, lane, 3)
    y[2, lane] = cuda.shfl_up_sync(ALL, lane, 2)
    y[3, lane] = cuda.shfl_down_sync(ALL, lane, 2)
    y[4, lane] = cuda.ballot_sync(ALL, lane % 4 == 1) % 1000
    y[5, lane] = cuda.any_sync(ALL, lane == 31) + 2 * cuda.all_sync(ALL, lane == 31)


def test_shuffles_and_votes():
    y = new(6, 32, dtype=np.int64)
    shuffles.launch(1, 32, y)
    lane = np.arange(32)
    up, down = np.where(lane < 2, lane, lane - 2), np.where(lane > 29, lane, lane + 2)
    assert np.array_equal(y, [lane * 0 + 5, lane ^ 3, up, down, lane * 0 + 0x22222222 % 1000, lane * 0 + 1])


@kernel(writes=["y"])
def counted_barriers(y):
    i = cuda.threadIdx.x
    y[i, 0] = cuda.syncthreads_count(i % 3 == 0)
    y[i, 1] = cuda.syncthreads_or(i == 40)
    y[i, 2] = cuda.syncthreads_and(i == 40)


def test_barriers_that_count():
    y = new(48, 3, dtype=np.int32)
    counted_barriers.launch(1, 48, y)
    assert np.array_equal(np.unique(y, axis=0), [[16, 1, 0]])


@kernel(writes=["y"])
def reversed_by(y, how, mask):
    tile = cuda.shared.array(64, np.float32)
    i = cuda.threadIdx.x
    tile[i] = i
    if how == "warp":
        cuda.syncwarp(mask)
    elif how == "shuffle":
        cuda.shfl_sync(mask, i, 0)
    elif how == "block":
        cuda.syncthreads()
    y[i] = tile[i // 32 * 32 + 31 - i % 32]


def test_what_orders_the_memory_of_a_warp():
    for how in ("warp", "block"):
        y = new(64)
        reversed_by.launch(1, 64, y, how, ALL)
        assert np.array_equal(y.reshape(2, 32)[:, ::-1].ravel(), np.arange(64))
    for how in ("shuffle", "nothing"):  # a shuffle orders nothing
        with pytest.raises(KernelFault, match=r"race|uninitialised") as caught:
            reversed_by.launch(1, 64, new(64), how, ALL)
        assert caught.value.kind in ("race", "uninitialised")


@kernel(writes=["y"])
def halves(y):
    tile = cuda.shared.array(32, np.float32)
    i = cuda.threadIdx.x
    tile[i] = i
    cuda.syncwarp(0xFFFF if i < 16 else 0xFFFF0000)
    y[i] = tile[(i + 1) % 32]


@kernel(writes=["y"])
def across_warps(y):
    tile = cuda.shared.array(64, np.float32)
    i = cuda.threadIdx.x
    tile[i] = i
    cuda.syncwarp()
    y[i] = tile[(i + 32) % 64]


@pytest.mark.parametrize(("planted", "threads"), [(halves, 32), (across_warps, 64)])
def test_a_warp_barrier_orders_its_own_lanes_alone(planted, threads):
    with pytest.raises(KernelFault, match=r"tile\[\d+\], which") as caught:
        planted.launch(1, threads, new(threads))
    assert caught.value.kind in ("race", "uninitialised")


@kernel(writes=["y"])
def lanes_missing(y):
    if cuda.threadIdx.x < 16:
        y[cuda.threadIdx.x] = cuda.shfl_sync(ALL, 1, 0)


@kernel(writes=["y"])
def lane_not_in_the_mask(y):
    y[cuda.threadIdx.x] = cuda.shfl_sync(0xFF, 1, 0)


@kernel(writes=["y"])
def reads_a_lane_that_is_not_there(y):
    y[cuda.threadIdx.x] = cuda.shfl_sync(ALL, 1, 20)


@pytest.mark.parametrize(
    ("planted", "threads", "message"),
    [
        (lanes_missing, 32, "waits for lanes of the mask 0xffffffff that never come"),
        (lane_not_in_the_mask, 32, "is not in the mask 0xff that it waits for"),
        (reads_a_lane_that_is_not_there, 16, "a shuffle reads lane 20, which is not in its mask or not in the block"),
    ],
)
def test_lanes_that_never_come(planted, threads, message):
    with pytest.raises(KernelFault, match=message) as caught:
        planted.launch(1, threads, new(32))
    assert caught.value.kind == "deadlock"


@kernel(writes=["y"])
def counts(y):
    cuda.atomic.add(y, 0, 1)
    cuda.atomic.max(y, 1, cuda.grid(1))
    tile = cuda.shared.array(1, np.int32)
    if cuda.threadIdx.x == 0:
        tile[0] = 0
    cuda.syncthreads()
    cuda.atomic.add(tile, 0, cuda.threadIdx.x)
    cuda.syncthreads()
    y[2 + cuda.grid(1)] = tile[0]


def test_atomics():
    y = zeros((26,), np.int32, like=X)
    counts.launch(3, 8, y)
    assert np.array_equal(y, [24, 23, *[28] * 24])


@kernel(writes=["y"])
def never_ends(y):
    while y.size:
        cuda.syncthreads()


def test_a_kernel_that_never_ends(monkeypatch):
    monkeypatch.setattr(interpreter, "MOST_ROUNDS", 50)
    with pytest.raises(KernelFault, match=r"hang: .*still wait for each other after 50 times"):
        never_ends.launch(1, 2, new(1))


@kernel(writes=["y"])
def goes_round(y, careful):
    while y.size:
        try:
            y[0] = 1
        except Exception:
            y.size += careful


def test_a_loop_that_never_waits(monkeypatch):
    monkeypatch.setattr(endless, "MOST_SECONDS", 0.1)
    with pytest.raises(KernelFault, match=r"hang: test_interpreter\.py:\d+, .*a loop that neither ends nor waits"):
        goes_round.launch(1, 2, new(1), 1)
    y = new(4, 6, 10, dtype=np.int32)
    places.launch((5, 3, 2), (2, 2, 2), y)
    assert np.array_equal(y.ravel(), np.arange(240))


TRACED = """
import sys
from minitl.kernels.emulator import endless

with endless.ended(lambda: 0):
    pass
sys.settrace(lambda *told: None)
(lambda: None)()
"""


def test_a_function_may_be_traced_afterwards():
    subprocess.run([sys.executable, "-c", TRACED], check=True, timeout=60)


def test_an_interruption_that_comes_too_late_reaches_nobody(monkeypatch):
    monkeypatch.setattr(endless, "MOST_SECONDS", 0.001)
    interrupted = 0
    for length in range(0, 60_000, 300):  # of work that ends before the interruption, after it, and as it comes
        try:
            with endless.ended(lambda: 0):
                for _ in range(length):
                    pass
        except endless.Endless:
            interrupted += 1
        for _ in range(1000):
            pass
    assert interrupted < 200


def test_overflow_is_silent_and_keeps_the_dtype():
    @kernel(writes=["y"])
    def overflows(x, y, factor):
        y[cuda.threadIdx.x] = x[cuda.threadIdx.x] * x[cuda.threadIdx.x] * factor

    y = new(2)
    overflows.launch(1, 2, np.array([3e38, 1 / 3], np.float32), y, 1)
    assert np.array_equal(y, np.array([np.inf, np.float32(1 / 3) * np.float32(1 / 3)], np.float32))


def test_strides_are_free_and_the_schedule_changes_no_bit():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 20, 18)).astype(np.float32)
    y = linear.forward_tiled(a[::-1, ::2], b[::2, ::-2], None)
    with emulator.schedule("forward"):
        assert y.tobytes() == linear.forward_tiled(a[::-1, ::2].copy(), b[::2, ::-2].copy(), None).tobytes()


def test_what_a_launch_refuses():
    @kernel(writes=["y"])
    def copies(x, y):
        y[cuda.grid(1)] = x[cuda.grid(1)]

    with pytest.raises(ArgumentError, match=r"copies: takes 2 arguments \(x, y\); got 1"):
        copies.launch(1, 8, X)
    with pytest.raises(ArgumentError, match="copies: block must be one to three numbers"):
        copies.launch(1, 1025, X, new(64))
    y = new(16)
    with pytest.raises(ArgumentError, match="copies: x overlaps y, which is written; pass an array of its own"):
        copies.launch(1, 8, y[:8], y[4:12])
    with pytest.raises(ArgumentError, match=r"copies: writes names \['z'\]; its parameters are"):
        Kernel(copies.function, writes=["z"])
    y = new(64)
    copies.launch(0, 8, X, y)
    assert np.isnan(y).all()


def test_without_greenlet_it_says_so(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "greenlet", None)
    with pytest.raises(BackendUnavailable, match=r"greenlet, which is not installed \(pip install greenlet\)"):
        places.launch(1, 1, new(1, 1, 1))
