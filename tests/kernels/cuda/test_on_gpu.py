"""Launching on a real GPU: what a stand-in for CuPy cannot tell. `pytest -m gpu` runs these and all versions."""

from __future__ import annotations

import numpy as np
import pytest

from minitl import kernels
from minitl.errors import BackendUnavailable, DeviceMemoryError
from minitl.kernels import backends
from minitl.kernels.cuda import conv_struct, device, empty, zeros
from minitl.kernels.cuda.source import Source
from minitl.kernels.geometry import ConvGeometry
from minitl.kernels.verify import homes

pytestmark = pytest.mark.gpu

TEXT = """#include "minitl.cuh"
// What arrived: each field of the struct, the number, whether the pointer is null, and `real`'s size.
extern "C" __global__ void echo(Conv g, const real* none, int n, double x, double* to) {
    const int* fields = reinterpret_cast<const int*>(&g);
    int count = sizeof(Conv) / sizeof(int);
    for (int i = 0; i < count; i++) to[i] = fields[i];
    to[count] = n, to[count + 1] = x, to[count + 2] = none == nullptr, to[count + 3] = sizeof(real);
}
// Fills `count` numbers of dynamic shared memory, then writes them back in the opposite order.
extern "C" __global__ void turn(const float* from, float* to, int count) {
    DYNAMIC_SHARED(float, all);
    for (int i = threadIdx.x; i < count; i += blockDim.x) all[i] = from[i];
    __syncthreads();
    for (int i = threadIdx.x; i < count; i += blockDim.x) to[i] = all[count - 1 - i];
}
"""


@pytest.fixture(autouse=True)
def _gpu():
    reason = device.unavailable()
    if reason:
        pytest.skip(reason)


@pytest.fixture
def source(tmp_path):
    """The two kernels."""
    (tmp_path / "mine.cu").write_text(TEXT)
    return Source(tmp_path / "mine.cu")


@pytest.fixture
def cupy():
    """CuPy."""
    return pytest.importorskip("cupy", reason="a GPU's arrays are CuPy's, which is not installed")


@pytest.mark.parametrize(("real", "size"), [("float32", 4), ("float64", 8)])
def test_structs_numbers_and_null_arrive(source, cupy, real, size):
    geometry = conv_struct(ConvGeometry.infer((2, 3, 8, 9), (4, 3, 3, 2), stride=2, padding=1))
    fields = geometry.tobytes()
    count = len(fields) // 4
    to = cupy.zeros(count + 4, "float64")
    source.launch("echo", 1, 1, geometry, None, -7, 0.1, to, real=real)
    assert to.get().tolist() == [*np.frombuffer(fields, np.int32), -7, 0.1, 1, size]


def test_more_than_48_kib_of_shared_memory(source, cupy):
    count = 20_000
    given = cupy.arange(count, dtype="float32")
    to = empty((count,), "float32", like=given)
    source.launch("turn", 1, 256, given, to, count, shared=4 * count)
    assert np.array_equal(to.get(), np.arange(count)[::-1])
    with pytest.raises(BackendUnavailable, match="turn: a block needs 400000 bytes"):
        source.launch("turn", 1, 256, given, to, count, shared=400_000)


def test_the_current_stream_is_used(source, cupy):
    """What is queued in a stream of one's own comes after what stands there already, and is waited for with it."""
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        given = cupy.zeros(2**24, "float32")
        for _ in range(50):
            given += 1
        to = zeros((100,), "float32", like=given)
        source.launch("turn", 1, 256, given, to, 100, shared=400)
    stream.synchronize()
    assert np.array_equal(to.get(stream=stream), np.full(100, 50))


def test_a_version_can_be_captured_in_a_graph(cupy):
    stream = cupy.cuda.Stream(non_blocking=True)
    x = cupy.linspace(-1, 1, 64, dtype="float32")
    with stream:
        kernels.relu.forward(x)  # compiles and loads
        stream.synchronize()
        stream.begin_capture()
        y = kernels.relu.forward(x)
        graph = stream.end_capture()
        x *= -1
        graph.launch(stream)
    stream.synchronize()
    assert np.array_equal(y.get(), np.maximum(x.get(), 0))


def test_too_much_memory_tells_the_figures(cupy):
    with (
        pytest.raises(DeviceMemoryError, match=r"1048576\.00 GiB asked for, .* GiB free"),
        backends.BACKENDS["cuda"].session(),
    ):
        cupy.empty(2**50, "uint8")


def test_calls_are_moved_as_they_lie(cupy):
    """Strides, alignment and numbers, so that a version meets on a GPU what was drawn for it."""
    base = np.arange(4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6)
    version = next(v for v in kernels.spec("relu").versions if v.backend == "cuda")
    for array in (base, base[::2, ::-1, 1::2], base.T, np.broadcast_to(base[0, 0, 0], (3, 2)), base[:0], base[1:, 1:]):
        moved = homes.moved({"x": array}, version)["x"]
        assert np.array_equal(moved.get(), array)
        if array.size:
            assert moved.strides == array.strides
            assert moved.data.ptr % 16 == array.ctypes.data % 16
