"""Launching on a GPU, through CuPy: which GPU there is, loading machine code, and what may go wrong with either."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import BackendUnavailable, DeviceMemoryError
from . import nvrtc

if TYPE_CHECKING:
    from .source import Source

OLDEST = 80  # compute capability 8.0 (A100): the first with asynchronous copies and TF32 products
UNASKED = 48 * 1024  # bytes of shared memory that a block gets without asking for more
MOST_BLOCKS = (2**31 - 1, 65535, 65535)


@cache
def unavailable() -> str | None:
    """Why no GPU can be used here, or None."""
    if importlib.util.find_spec("cupy") is None:
        return "CuPy is not installed (pip install 'minitl[cuda13]', or minitl[cuda12] for a driver of CUDA 12)"
    try:
        from cupy.cuda import runtime
    except ImportError as error:
        return f"CuPy cannot be loaded: {str(error).strip().splitlines()[0]}"
    driver, built_for = runtime.driverGetVersion(), runtime.runtimeGetVersion()
    if driver == 0:
        return "no NVIDIA driver is installed (nvidia-smi would show it)"
    if driver // 1000 < built_for // 1000:
        return (
            f"the driver is for CUDA {_version(driver)}, but CuPy for CUDA {built_for // 1000}; update the driver, "
            f"or pip uninstall cupy-cuda{built_for // 1000}x and pip install 'minitl[cuda{driver // 1000}]'"
        )
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        return f"the driver (CUDA {_version(driver)}) gives no GPU: {error}"
    if count == 0:
        return "the driver finds no GPU; is CUDA_VISIBLE_DEVICES set?"
    return nvrtc.unavailable() or _too_new(driver) or _too_old()


def _version(number: int) -> str:
    """13.0 of 13000."""
    return f"{number // 1000}.{number % 1000 // 10}"


def _too_new(driver: int) -> str | None:
    major, minor = nvrtc.version()
    if major <= driver // 1000:
        return None
    return (
        f"the driver is for CUDA {_version(driver)} and does not load what NVRTC {major}.{minor} compiles; update the "
        f"driver, or pip install 'minitl[cuda{driver // 1000}]'"
    )


def _too_old() -> str | None:
    capability = _capability()
    if capability >= OLDEST:
        return None
    return f"this GPU has compute capability {capability / 10}; the kernels need {OLDEST / 10} (A100) or later"


def _capability() -> int:
    """The current device's, in tens: 90 for an H100."""
    import cupy

    return int(cupy.cuda.Device().compute_capability)


def architecture() -> str:
    """What the current device's kernels are compiled for, such as "sm_90"."""
    return nvrtc.for_capability(_capability())


@contextmanager
def session() -> Iterator[None]:
    """Entered round whatever takes memory on the GPU: turns its lack into a DeviceMemoryError."""
    import cupy

    try:
        yield
    except cupy.cuda.memory.OutOfMemoryError as error:
        raise _out_of_memory(error) from error


def _out_of_memory(error: BaseException) -> DeviceMemoryError:
    import cupy

    asked = re.search(r"allocating ([\d,]+) bytes", str(error))
    free, total = cupy.cuda.runtime.memGetInfo()
    wanted = f"{_gib(int(asked[1].replace(',', '')))} GiB" if asked else "some"
    used = cupy.get_default_memory_pool().used_bytes()
    return DeviceMemoryError(
        f"out of memory on the GPU: {wanted} asked for, {_gib(free)} of {_gib(total)} GiB free, {_gib(used)} held by "
        "arrays of this process; lower the batch size or the pictures' size, or freeze more layers"
    )


def _gib(count: int) -> str:
    return f"{count / 2**30:.2f}"


class _Function:
    """A kernel on one device, and how much shared memory it was granted."""

    def __init__(self, source: Source, kernel: str, real: str, defines: Mapping[str, str]) -> None:
        import cupy

        machine_code = nvrtc.compiled(source, architecture(), real, defines)
        try:
            self.call = cupy.RawModule(path=str(machine_code.path)).get_function(kernel)
            self.call.compile()  # that is, loads it: for the current device
        except cupy.cuda.driver.CUDADriverError as error:
            raise BackendUnavailable(
                f"{source.path.name}: the driver (CUDA {_version(cupy.cuda.runtime.driverGetVersion())}) does not load "
                f"what NVRTC {'.'.join(map(str, nvrtc.version()))} compiled for {architecture()}: {error}"
            ) from error
        self.granted = UNASKED - self.call.shared_size_bytes  # the two together count

    def grant(self, kernel: str, shared: int) -> None:
        """Permits blocks with `shared` bytes of dynamic shared memory; BackendUnavailable where the GPU has less."""
        import cupy

        runtime = cupy.cuda.runtime
        most = runtime.deviceGetAttribute(runtime.cudaDevAttrMaxSharedMemoryPerBlockOptin, runtime.getDevice())
        most -= self.call.shared_size_bytes  # declared in the source: it counts too
        if shared > most:
            raise BackendUnavailable(
                f"{kernel}: a block needs {shared} bytes of dynamic shared memory; this GPU gives {most}"
            )
        self.call.max_dynamic_shared_size_bytes = shared
        self.granted = shared


_functions: dict[tuple[Any, ...], _Function] = {}


def launch(
    source: Source,
    kernel: str,
    grid: tuple[int, int, int],
    block: tuple[int, int, int],
    values: list[Any],
    defines: Mapping[str, str],
    real: np.dtype,
    shared: int,
) -> None:
    """Runs one kernel on CuPy arrays, in CuPy's current stream. See Source.launch; `values` are its arguments, checked.

    Raises BackendUnavailable where no GPU can be used, an array lies on another device, or the GPU is too small for
    the launch.
    """
    reason = unavailable()
    if reason:
        raise BackendUnavailable(f"{kernel}: {reason}")
    import cupy

    device = cupy.cuda.runtime.getDevice()
    key = (device, source, kernel, real.char, *sorted(defines.items()))
    function = _functions.get(key)
    if function is None:
        function = _functions[key] = _Function(source, kernel, real.name, defines)
    if any(count > most for count, most in zip(grid, MOST_BLOCKS, strict=True)):
        raise BackendUnavailable(
            f"{kernel}: a grid of {' x '.join(map(str, grid))} blocks; a GPU takes at most "
            f"{' x '.join(map(str, MOST_BLOCKS))}: use a smaller batch"
        )
    if shared > function.granted:
        function.grant(kernel, shared)
    arguments = tuple(_argument(cupy, kernel, value, device) for value in values)
    try:
        function.call(grid, block, arguments, shared_mem=shared)
    except cupy.cuda.driver.CUDADriverError as error:
        raise BackendUnavailable(
            f"{kernel}: the GPU refuses {' x '.join(map(str, grid))} blocks of {' x '.join(map(str, block))} threads "
            f"with {shared} bytes of dynamic shared memory: {error}"
        ) from error


def _argument(cupy: Any, kernel: str, value: Any, device: int) -> Any:
    """An argument in the form that CuPy passes: arrays by address, numbers as they are, structs by value."""
    if isinstance(value, np.void):
        return np.array(value)
    if isinstance(value, np.generic):
        return value
    if value is None:
        return np.uintp(0)
    if not isinstance(value, cupy.ndarray):
        raise BackendUnavailable(
            f"{kernel}: takes CuPy arrays, not {type(value).__module__}.{type(value).__qualname__}; cupy.asarray "
            "makes one of any array on the GPU, without a copy"
        )
    if value.data.device_id != device:
        raise BackendUnavailable(
            f"{kernel}: an array lies on GPU {value.data.device_id}, but GPU {device} is current; move it, or enter "
            f"`with cupy.cuda.Device({value.data.device_id})`"
        )
    return value
