"""Launching on a GPU, tried on a stand-in for CuPy: what reaches it, and what is said of a GPU that cannot serve."""

from __future__ import annotations

import builtins
import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from minitl.errors import BackendUnavailable, CompileError, DeviceMemoryError
from minitl.kernels import backends
from minitl.kernels.cuda import conv_struct, device, nvrtc
from minitl.kernels.cuda.source import Source
from minitl.kernels.geometry import ConvGeometry

GEOMETRY = ConvGeometry.infer((2, 3, 8, 8), (4, 3, 3, 3))
TEXT = '#include "minitl.cuh"\nextern "C" __global__ void mine(const real* x, real* y, Conv g, int n, float scale) {}\n'
FREE, TOTAL = 2**30, 80 * 2**30


class DriverError(RuntimeError):
    pass


class RuntimeError_(RuntimeError):
    pass


class OutOfMemoryError(MemoryError):
    pass


class Array:
    """An array on a GPU, as far as a launch looks at it."""

    def __init__(self, dtype="float32", device=0):
        self.dtype, self.data = np.dtype(dtype), SimpleNamespace(device_id=device)


class Kernel:
    """A loaded kernel, which writes down its launches."""

    shared_size_bytes = 1024

    def __init__(self, path):
        self.path, self.launches, self.grants, self.refuse = path, [], [], False

    def compile(self):
        pass

    @property
    def max_dynamic_shared_size_bytes(self):
        return self.grants[-1]

    @max_dynamic_shared_size_bytes.setter
    def max_dynamic_shared_size_bytes(self, count):
        self.grants.append(count)

    def __call__(self, grid, block, arguments, shared_mem):
        if self.refuse:
            raise DriverError("CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES: too many resources requested for launch")
        self.launches.append((grid, block, arguments, shared_mem))


@pytest.fixture
def gpu(monkeypatch):
    """A stand-in for CuPy on a machine with two H100; `kernels` holds what was loaded, `runtime` may be changed."""
    runtime = SimpleNamespace(
        driverGetVersion=lambda: 13000,
        runtimeGetVersion=lambda: 13020,
        getDeviceCount=lambda: 2,
        getDevice=lambda: 0,
        cudaDevAttrMaxSharedMemoryPerBlockOptin=97,
        deviceGetAttribute=lambda attribute, number: 232448,
        memGetInfo=lambda: (FREE, TOTAL),
        CUDARuntimeError=RuntimeError_,
    )
    kernels = []

    def load(path):
        def get(name):
            kernels.append(Kernel(path))
            return kernels[-1]

        return SimpleNamespace(get_function=get)

    cuda = ModuleType("cupy.cuda")
    cuda.runtime, cuda.driver = runtime, SimpleNamespace(CUDADriverError=DriverError)
    cuda.memory = SimpleNamespace(OutOfMemoryError=OutOfMemoryError)
    cuda.Device = lambda: SimpleNamespace(compute_capability="90")
    cupy = ModuleType("cupy")
    cupy.__spec__ = importlib.util.spec_from_loader("cupy", None)
    cupy.cuda, cupy.RawModule, cupy.ndarray = cuda, load, Array
    cupy.get_default_memory_pool = lambda: SimpleNamespace(used_bytes=lambda: 70 * 2**30)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "cupy.cuda", cuda)
    monkeypatch.setattr(device, "_functions", {})
    device.unavailable.cache_clear()
    yield SimpleNamespace(runtime=runtime, kernels=kernels, cuda=cuda, cupy=cupy)
    device.unavailable.cache_clear()


@pytest.fixture
def source(tmp_path, nvrtc_or_skip):
    """A file with one kernel, `mine`."""
    (tmp_path / "mine.cu").write_text(TEXT)
    return Source(tmp_path / "mine.cu")


def launch(source, x=None, y=None, grid=1, block=32, **options):
    source.launch("mine", grid, block, x or Array(), y, conv_struct(GEOMETRY), 7, 0.5, **options)


def test_arguments_reach_cupy_as_declared(gpu, source):
    x = Array("float64")
    launch(source, x, None, grid=(5, 2), block=64, real=np.float64)
    ((grid, block, (first, null, geometry, n, scale), shared),) = gpu.kernels[0].launches
    assert (grid, block, shared) == ((5, 2, 1), (64, 1, 1), 0)
    assert first is x
    assert null == 0
    assert null.nbytes == 8
    assert isinstance(geometry, np.ndarray)  # CuPy passes an array of size 1 by value, but no NumPy scalar of a struct
    assert geometry.size == 1
    assert geometry.tobytes() == conv_struct(GEOMETRY).tobytes()
    assert (n.dtype, n) == (np.int32, 7)
    assert (scale.dtype, scale) == (np.float32, 0.5)


def test_a_kernel_is_loaded_once_for_each_device_real_and_macros(gpu, source):
    for _ in range(3):
        launch(source)
    assert len(gpu.kernels) == 1
    assert Path(gpu.kernels[0].path).read_bytes().startswith(b"\x7fELF")
    launch(source, Array("float64"), real=np.float64)
    launch(source, defines={"WIDTH": 3})
    gpu.runtime.getDevice = lambda: 1
    launch(source, Array(device=1))
    launch(source, Array(device=1))
    assert [len(kernel.launches) for kernel in gpu.kernels] == [3, 1, 1, 2]


def test_shared_memory_is_granted_where_it_is_more_than_48_kib(gpu, source):
    sizes = [48 * 1024 - Kernel.shared_size_bytes, 48 * 1024, 100_000, 50_000, 120_000]
    for shared in sizes:
        launch(source, shared=shared)
    assert gpu.kernels[0].grants == [48 * 1024, 100_000, 120_000]  # what the source declares counts too
    assert [shared for *_, shared in gpu.kernels[0].launches] == sizes
    with pytest.raises(BackendUnavailable, match=r"mine: a block needs 232448 bytes .*; this GPU gives 231424"):
        launch(source, shared=232448)


def test_a_grid_beyond_the_gpus_limits_is_refused(gpu, source):
    launch(source, grid=2**31 - 1)
    for grid in (2**31, (1, 65536), (1, 1, 65536)):
        with pytest.raises(BackendUnavailable, match=r"mine: a grid of .* a GPU takes at most 2147483647 x 65535"):
            launch(source, grid=grid)


def test_an_empty_grid_launches_nothing(gpu, source):
    launch(source, grid=(3, 0))
    assert not gpu.kernels


def test_an_array_on_another_gpu_is_named(gpu, source):
    with pytest.raises(BackendUnavailable, match="mine: an array lies on GPU 1, but GPU 0 is current"):
        launch(source, Array(device=1))


def test_a_stranger_among_the_arrays_is_named(gpu, source):
    stranger = SimpleNamespace(dtype=np.dtype("float32"))
    with pytest.raises(BackendUnavailable, match=r"mine: takes CuPy arrays, not types\.SimpleNamespace"):
        launch(source, stranger)


def test_a_refused_launch_tells_what_was_asked(gpu, source):
    launch(source)
    gpu.kernels[0].refuse = True
    with pytest.raises(BackendUnavailable, match=r"mine: the GPU refuses 1 x 1 x 1 blocks of 32 .*too many resources"):
        launch(source)


def test_code_that_the_driver_does_not_load_is_told(gpu, source, monkeypatch):
    def refuse(path):
        raise DriverError("CUDA_ERROR_INVALID_IMAGE")

    monkeypatch.setattr(gpu.cupy, "RawModule", refuse)
    with pytest.raises(BackendUnavailable, match=r"mine\.cu: the driver \(CUDA 13\.0\) does not load .*sm_90.*INVALID"):
        launch(source)


def test_the_compilers_words_reach_the_user(gpu, source):
    source.path.write_text(TEXT.replace("{}", "{ nonsense }"))
    with pytest.raises(CompileError, match=r"mine\.cu:2: NVRTC refuses it: .*nonsense"):
        launch(Source(source.path))


@pytest.mark.parametrize("backend", ["cuda", "numba_cuda"])
def test_lack_of_memory_tells_the_figures(gpu, backend):
    with (
        pytest.raises(DeviceMemoryError, match=r"12\.00 GiB asked for, 1\.00 of 80\.00 GiB free, 70\.00 held") as found,
        backends.BACKENDS[backend].session(),
    ):
        raise OutOfMemoryError("Out of memory allocating 12,884,901,888 bytes (allocated so far: 5 bytes).")
    assert "lower the batch size" in str(found.value)
    assert isinstance(found.value, MemoryError)


def raising(error):
    def function():
        raise error

    return function


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"driverGetVersion": lambda: 0}, "no NVIDIA driver is installed"),
        ({"driverGetVersion": lambda: 12040}, r"driver is for CUDA 12\.4, but CuPy for CUDA 13; .*minitl\[cuda12\]"),
        ({"getDeviceCount": raising(RuntimeError_("cudaErrorNoDevice: no CUDA-capable device"))}, "cudaErrorNoDevice"),
        ({"getDeviceCount": lambda: 0}, "CUDA_VISIBLE_DEVICES"),
        ({"driverGetVersion": lambda: 12040, "runtimeGetVersion": lambda: 12060}, r"does not load what NVRTC 13\.\d"),
    ],
    ids=["no driver", "an old driver", "no device", "hidden devices", "a newer NVRTC"],
)
def test_why_no_gpu_can_be_used(gpu, source, monkeypatch, changes, told):
    monkeypatch.setattr(nvrtc, "version", lambda: (13, 0))
    for name, function in changes.items():
        setattr(gpu.runtime, name, function)
    device.unavailable.cache_clear()
    with pytest.raises(BackendUnavailable, match=f"mine: .*{told}"):
        launch(source)


def test_a_gpu_that_is_too_old_is_told(gpu, nvrtc_or_skip):
    gpu.cuda.Device = lambda: SimpleNamespace(compute_capability="75")
    assert "compute capability 7.5; the kernels need 8.0" in device.unavailable()


def test_a_gpu_that_serves_has_no_reason_against_it(gpu, nvrtc_or_skip):
    assert device.unavailable() is None
    assert device.architecture() == "sm_90"


def test_without_cupy_the_remedy_is_told(gpu, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "CuPy is not installed (pip install 'minitl[cuda13]'" in device.unavailable()


def test_a_cupy_that_does_not_load_is_told(gpu, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy.cuda", None)
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: "here")
    assert device.unavailable().startswith("CuPy cannot be loaded: ")


def test_without_nvrtc_the_remedy_is_told(tmp_path, monkeypatch):
    (tmp_path / "mine.cu").write_text(TEXT)
    whole = builtins.__import__

    def without(name, *arguments, **options):
        if name.partition(".")[0] == "cuda":
            raise ImportError(name)
        return whole(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    nvrtc.unavailable.cache_clear()
    try:
        with pytest.raises(BackendUnavailable, match=r"cannot be compiled: cuda-bindings is not installed \(pip"):
            nvrtc.compiled(Source(tmp_path / "mine.cu"), "sm_90")
    finally:
        nvrtc.unavailable.cache_clear()
