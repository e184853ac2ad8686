"""The interpreter finds every planted fault, whatever the schedule, and says where; what is allowed passes."""

import inspect

import numpy as np
import pytest

from minitl.errors import KernelFault
from minitl.kernels import emulator
from minitl.kernels.cuda import empty, zeros
from minitl.kernels.cuda.numba import cuda, device, kernel

pytest.importorskip("greenlet", reason="the interpreter runs CUDA threads as greenlets (pip install greenlet)")
TILE = 4
X = np.arange(1, 65, dtype=np.float32)


@pytest.fixture(params=["forward", "reverse", 0, 7], autouse=True)
def schedule(request):
    with emulator.schedule(request.param):
        yield request.param


def new(*shape, dtype=np.float32):
    return empty(shape, dtype, like=X)


@kernel(writes=["c"])
def product(a, b, c, first, second):
    """A product by tiles; `first` and `second`: whether its barriers are there."""
    a_tile, b_tile = cuda.shared.array((TILE, TILE), c.dtype), cuda.shared.array((TILE, TILE), c.dtype)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    column, row = cuda.grid(2)
    total = c.dtype.type(0)
    for start in range(0, a.shape[1], TILE):
        a_tile[ty, tx] = a[row, start + tx]
        b_tile[ty, tx] = b[start + ty, column]
        if first:
            cuda.syncthreads()
        for k in range(TILE):
            total += a_tile[ty, k] * b_tile[k, tx]
        if second:
            cuda.syncthreads()
    c[row, column] = total


@kernel(writes=["y"])
def waits_at_its_own(y):
    if cuda.threadIdx.x % 2:
        cuda.syncthreads()  # odd
    else:
        cuda.syncthreads()  # even
    y[cuda.threadIdx.x] = 0


@kernel(writes=["y"])
def leaves_early(y, last):
    if cuda.threadIdx.x == last:
        return
    cuda.syncthreads()  # wait
    y[cuda.threadIdx.x] = 0


@device
def before(x, i):
    return x[i - 1]  # before


@kernel(writes=["y"])
def left_neighbour(x, y):
    i = cuda.grid(1)
    y[i] = before(x, i)


@kernel(writes=["y"])
def no_guard(x, y):
    i = cuda.grid(1)
    y[i] = x[i % x.size]  # unguarded


@kernel(writes=["y"])
def too_few_indices(x, y):
    y[0] = x[0]  # a row


@kernel(writes=["y"])
def slices(x, y):
    y[0] = x[0:1]  # a slice


@kernel(writes=["y"])
def writes_to_x(x, y):
    x[cuda.threadIdx.x] = 1  # x


@kernel(writes=["y"])
def adds_to_x(x, y):
    cuda.atomic.add(x, 0, 1)  # x


@kernel(writes=["y"])
def never_written(y):
    tile = cuda.shared.array(8, np.float32)
    if cuda.threadIdx.x < 7:
        tile[cuda.threadIdx.x] = 1
    cuda.syncthreads()
    y[cuda.threadIdx.x] = tile[cuda.threadIdx.x]  # all


@kernel(writes=["y"])
def forgets_its_local(y):
    mine = cuda.local.array((2, 2), np.float32)
    mine[0, 0] = 1
    y[cuda.threadIdx.x] = mine[1, 1]  # mine


@kernel(writes=["y"])
def adds_to_nothing(y):
    y[cuda.threadIdx.x] += 1  # y


@kernel(writes=["y"])
def copies(x, y):
    if cuda.grid(1) < y.size:
        y[cuda.grid(1)] = x[cuda.grid(1)]  # copy


@kernel(writes=["y"])
def all_write_one_place(y):
    y[0] = cuda.threadIdx.x  # one place


@kernel(writes=["y"])
def counts(y):
    y[0] += 1  # no atomic


@kernel(writes=["y"])
def mixes(y):
    if cuda.threadIdx.x:
        cuda.atomic.add(y, 0, 1)
    else:
        y[0] = 5


@kernel(writes=["y"])
def reverses(x, y):
    i = cuda.threadIdx.x
    y[y.size - 1 - i] = x[i]  # in place


@kernel(writes=["y"])
def divides(y):
    y[0] = 1 // (cuda.threadIdx.x - cuda.threadIdx.x)  # zero


@kernel(writes=["y"])
def asks_for_more(y):
    y[0] = cuda.clock64()  # unknown


@kernel(writes=["y"])
def writes_once(y):
    y[0] = 1  # once


@kernel(writes=["y"])
def left_from_the_block_before(y):
    tile = cuda.shared.array(1, np.float32)
    if cuda.blockIdx.x == 0:
        tile[0] = 1
    y[cuda.blockIdx.x] = tile[0]  # another's


@pytest.mark.parametrize(
    ("planted", "arguments", "kind", "at", "message"),
    [
        (waits_at_its_own, [new(8)], "divergence", None, "waits at a barrier, and thread (0, 0, 0) at another"),
        (
            leaves_early,
            [new(8), 7],
            "divergence",
            "# wait",
            "waits at a barrier, but thread (7, 0, 0) ended without it",
        ),
        (left_neighbour, [X[:8], new(8)], "out of bounds", None, "x[-1] names no element; its shape is (8,)"),
        (no_guard, [X, new(7)], "out of bounds", "# unguarded", "y[7] names no element; its shape is (7,)"),
        (too_few_indices, [X.reshape(8, 8), new(8)], "out of bounds", "# a row", "x[0] names no element; its shape is"),
        (slices, [X, new(8)], "out of bounds", "# a slice", "x[slice(0, 1, None)] names no element"),
        (writes_to_x, [X.copy(), new(8)], "write to input", "# x", "which the kernel does not name in `writes`"),
        (adds_to_x, [X.copy(), new(8)], "write to input", "# x", "writes x[0], which"),
        (never_written, [new(8)], "uninitialised", "# all", "reads shared array tile[7], which nobody wrote"),
        (forgets_its_local, [new(8)], "uninitialised", "# mine", "reads local array mine[1, 1], which nobody wrote"),
        (adds_to_nothing, [new(8)], "uninitialised", "# y", ", which nobody wrote"),
        (copies, [new(8), new(8)], "uninitialised", "# copy", ", which nobody wrote"),
        (all_write_one_place, [new(1)], "race", "# one place", "writes y[0], which thread ("),
        (counts, [zeros(1, np.int32, like=X)], "race", "# no atomic", "reads y[0], which thread ("),
        (mixes, [zeros(1, np.int32, like=X)], "race", None, "writes y[0], which thread ("),
        (divides, [new(1)], "exception", "# zero", "ZeroDivisionError"),
        (asks_for_more, [new(1)], "unknown name", "# unknown", "the interpreter knows no cuda.clock64"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_planted_fault_is_found(planted, arguments, kind, at, message, schedule):
    with pytest.raises(KernelFault) as caught:
        planted.launch(1, 8, *arguments)
    text = str(caught.value)
    assert (caught.value.kind, caught.value.kernel) == (kind, planted.name)
    assert message in text
    assert text.endswith(f"(schedule {schedule})")
    if at:
        lines, first = inspect.getsourcelines(planted.function)
        number = first + next(i for i, line in enumerate(lines) if at in line)
        assert f"test_interpreter_faults.py:{number}, thread (" in text


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_product_needs_both_barriers(dtype):
    a, b = np.random.default_rng(0).integers(-4, 5, (2, 8, 8)).astype(dtype)
    c = new(8, 8, dtype=dtype)
    product.launch((2, 2), (TILE, TILE), a, b, c, True, True)
    assert np.array_equal(c, a @ b)
    with pytest.raises(KernelFault, match=r"reads shared array\[\d, \d\], which") as caught:
        product.launch((2, 2), (TILE, TILE), a, b, new(8, 8, dtype=dtype), False, True)
    assert caught.value.kind in ("race", "uninitialised")
    with pytest.raises(KernelFault, match=r"race: .*, with no barrier between them"):
        product.launch((2, 2), (TILE, TILE), a, b, new(8, 8, dtype=dtype), True, False)


def test_a_called_function_is_named_by_its_own_line():
    _, first = inspect.getsourcelines(before)
    with pytest.raises(KernelFault, match=f"left_neighbour: out of bounds: test_interpreter_faults.py:{first + 2},"):
        left_neighbour.launch(1, 8, X, new(8))


def test_blocks_are_never_ordered():
    writes_once.launch(1, 1, new(1))
    with pytest.raises(KernelFault, match=r"of block \([01], 0, 0\) writes too; nothing orders blocks"):
        writes_once.launch(2, 1, new(1))


def test_shared_memory_is_fresh_for_each_block():
    with pytest.raises(KernelFault, match=r"block \(1, 0, 0\): reads shared array tile\[0\], which nobody wrote"):
        left_from_the_block_before.launch(2, 1, new(2))


def test_an_output_that_is_also_an_input_is_watched():
    y = X[:8].copy()
    copies.launch(1, 8, y, y)
    assert np.array_equal(y, X[:8])
    with pytest.raises(KernelFault, match=r"race: .*, with no barrier between them"):
        reverses.launch(1, 8, y, y)


def test_what_an_earlier_kernel_wrote_can_be_read():
    y, z = new(2, 4), new(2, 4).T
    copies.launch(1, 8, X, y.reshape(8))
    copies.launch(1, 8, y.reshape(8), z.T.reshape(8))
    assert np.array_equal(z, X[:8].reshape(2, 4).T)
    part = new(8)
    copies.launch(1, 4, X[:4], part[:4])
    copies.launch(1, 4, part[:4], new(4))
    with pytest.raises(KernelFault, match=r"reads x\[\d\], which nobody wrote"):
        copies.launch(1, 8, part, new(8))
