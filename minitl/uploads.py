"""Arrays on their way to a GPU: from pinned memory, on a stream of their own, while the batch before is worked on.

A copy from ordinary memory keeps the host waiting, and the GPU with it. From pinned (page-locked) memory it runs beside
the kernels. Source: CUDA C++ Best Practices Guide, "Asynchronous and Overlapping Transfers with Computation".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import numpy as np

from . import device
from .tensor import Tensor

T = TypeVar("T")


def ahead(batches: Iterable[tuple[T, np.ndarray]], where: str, dtype: Any) -> Iterator[tuple[T, Any]]:
    """(anything, array) pairs in the order given; on a GPU each array is a Tensor there, on the CPU it stays as it is.

    where: a device as `device.resolve` names it; the GPU must be the current one. dtype: of the Tensors. On a GPU the
    next batch is asked for, and its copy begun, before one is handed out. The numbers are those of `tensor(array)`.
    """
    if where == device.CPU:
        yield from batches
        return
    upload, held = _Upload(), None
    try:
        for key, array in batches:
            coming = key, *upload.begin(array, np.dtype(dtype))
            if held is not None:
                yield held[0], upload.arrived(*held[1:])
            held = coming
        if held is not None:
            yield held[0], upload.arrived(*held[1:])
    finally:  # a reader that stops early leaves a copy under way, whose memory must not be given to others yet
        upload.finish()


class _Upload:
    """Copies through two pinned buffers in turn, on a stream beside the current one."""

    def __init__(self) -> None:
        import cupy

        self._stream = cupy.cuda.Stream(non_blocking=True)
        self._buffers: list[tuple[np.ndarray | None, Any]] = [(None, None), (None, None)]  # and the copy out of each

    def begin(self, array: np.ndarray, dtype: np.dtype) -> tuple[Any, Any]:
        """An array on the GPU, and the event after which it holds the numbers of `array`."""
        import cupy

        pinned = self._pinned(array.size * dtype.itemsize)
        source = pinned[: array.size * dtype.itemsize].view(dtype).reshape(array.shape)
        np.copyto(source, array, casting="same_kind")
        target = device.empty(array.shape, dtype)
        # Its memory may have been another array's, which kernels under way still read.
        self._stream.wait_event(cupy.cuda.get_current_stream().record())
        target.set(source, stream=self._stream)
        copied = self._stream.record()
        self._buffers.append((pinned, copied))
        return target, copied

    def _pinned(self, size: int) -> np.ndarray:
        """A buffer of at least so many bytes whose last copy is done."""
        buffer, copied = self._buffers.pop(0)
        if copied is not None:
            copied.synchronize()
        if buffer is None or buffer.nbytes < size:
            import cupyx

            buffer = cupyx.empty_pinned((max(size, 1),), np.uint8)
        return buffer

    def arrived(self, array: Any, copied: Any) -> Tensor:
        """The array as a Tensor; what the current stream does from now on comes after the copy."""
        import cupy

        cupy.cuda.get_current_stream().wait_event(copied)
        return Tensor(array)

    def finish(self) -> None:
        """Waits for the copies under way."""
        self._stream.synchronize()
