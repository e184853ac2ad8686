"""Memory that is used again: never while anybody sees it, always once nobody does."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from minitl.kernels.cpu import memory

SIZE = memory.LEAST // 4 * 8  # float32 numbers that are worth keeping


@pytest.fixture(autouse=True)
def nothing_kept():
    memory.release()
    yield
    memory.release()


def place(array):
    return array.__array_interface__["data"][0]


def new(shape=(SIZE,), dtype=np.float32):
    return memory.empty(shape, np.dtype(dtype))


@pytest.mark.parametrize("shape", [(SIZE,), (3,), (0, 4), (7, 5, 3, 1001)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_arrays_begin_with_a_cache_line(shape, dtype):
    array = new(shape, dtype)
    assert (array.shape, array.dtype) == (shape, dtype)
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert place(array) % memory.LINE == 0


def test_what_nobody_sees_is_used_again():
    first = place(new())
    assert place(new()) == first
    assert place(new((SIZE // 2,), np.float64)) == first


HOLDERS = {
    "itself": lambda a: a,
    "a part": lambda a: a[5:],
    "a view of a view": lambda a: a.reshape(2, -1).T[1:],
    "other numbers": lambda a: a.view(np.uint8),
    "raw memory": memoryview,
    "numpy's own reading": lambda a: np.frombuffer(memoryview(a), np.float32),
    "an iterator": lambda a: a.flat,
}


@pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS)
def test_what_anybody_sees_is_not(hold):
    held = hold(new())
    others = [new() for _ in range(3)]
    for other in others:
        other[...] = 1
    assert len({place(other) for other in others}) == 3
    seen = np.asarray(memoryview(held) if not hasattr(held, "base") else held)
    assert not any(np.may_share_memory(other, seen) for other in others)


def test_a_much_larger_one_is_not_wasted_on_a_small_array():
    large = new((int(4 * memory.ROOM) * SIZE,))
    assert large.base.size >= large.nbytes
    del large
    small = new()
    assert small.base.size <= memory.ROOM * (small.nbytes + memory.LINE)


def test_what_is_kept_has_a_limit(monkeypatch):
    monkeypatch.setattr(memory, "KEPT", 3 * 4 * SIZE)
    arrays = [new() for _ in range(6)]
    del arrays
    last = new()
    assert sum(len(buffer) for buffer in memory._buffers) <= 4 * 4 * SIZE + 6 * memory.LINE
    assert last.size == SIZE


def test_threads_do_not_get_the_same():
    wrong = []

    def work(number):
        for _ in range(300):
            array = new()
            array[...] = number
            if not (array == number).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_who_asks_in_the_midst_of_asking_does_not_wait():
    """As a signal's handler does, which interrupts the thread that holds the lock."""
    with memory._lock:
        assert new().size == SIZE
        memory.release()


FORKED = """
import os
from minitl.kernels.cpu import memory
import numpy as np
memory._lock.acquire()  # as another thread might have, at this moment
child = os.fork()
if not child:
    with memory._lock:
        memory.empty((1 << 20,), np.dtype("f4"))
    os._exit(0)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_a_lock_of_its_own():
    assert subprocess.run([sys.executable, "-c", FORKED], timeout=60).returncode == 0
