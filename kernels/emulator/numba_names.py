"""What an interpreted kernel knows as `cuda`: the part of Numba's module of that name that the interpreter understands.

Everything here acts for the thread that runs at the moment (`launch`).
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable
from functools import lru_cache
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np

from .watched import ATOMIC, Local, Shared

if TYPE_CHECKING:
    from .interpreter import Launch

WARP = 32
FULL_WARP = 0xFFFFFFFF


class Index(NamedTuple):
    """A thread, a block, or how many there are, along each axis."""

    x: int
    y: int
    z: int

    def __str__(self) -> str:
        return f"({self.x}, {self.y}, {self.z})"


class _Arrays:
    """`cuda.shared` or `cuda.local`."""

    def __init__(self, cuda: Cuda, place: str) -> None:
        self._cuda, self._place = cuda, place

    def array(self, shape: Any, dtype: Any) -> Any:
        frame, launch = sys._getframe(1), self._cuda.launch
        shape = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
        kind = np.dtype(dtype if isinstance(dtype, (np.dtype, type)) else str(dtype))  # str: Numba's own types
        name = f"{self._place} array {_target(frame.f_code, frame.f_lasti)}".rstrip()
        if self._place == "local":
            return Local(launch, name, shape, kind)
        # One array for each place in the code that asks for it, shared by the block's threads.
        site = (frame.f_code, frame.f_lasti, shape, kind)
        if site not in launch.shared:
            launch.shared[site] = Shared(launch, name, shape, kind)
        return launch.shared[site]


class _Atomic:
    """`cuda.atomic`."""

    def __init__(self, cuda: Cuda) -> None:
        for name, operation in ATOMIC.items():
            setattr(self, name, self._performer(cuda, operation))

    @staticmethod
    def _performer(cuda: Cuda, operation: Callable[[Any, Any], Any]) -> Callable[..., Any]:
        def perform(array: Any, index: Any, value: Any) -> Any:
            if not isinstance(array, Shared):
                array[index] = value  # an input: refused there
            return array.atomically(operation, index, value)

        return perform


class Cuda:
    """The names; one object, `cuda`, stands for the module in every kernel."""

    threadIdx: Index
    blockIdx: Index
    blockDim: Index
    gridDim: Index
    launch: Launch
    warpsize = WARP

    def __init__(self) -> None:
        self.shared, self.local, self.atomic = _Arrays(self, "shared"), _Arrays(self, "local"), _Atomic(self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "launch" not in self.__dict__:
            return object.__getattribute__(self, name)
        return self.launch.fault("unknown name", f"the interpreter knows no cuda.{name}")

    @property
    def laneid(self) -> int:
        """The thread's place in its warp."""
        return self.launch.thread.lane

    def grid(self, axes: int) -> Any:
        """The thread's index in the whole grid along one, two or three axes."""
        at = [b * d + t for b, d, t in zip(self.blockIdx, self.blockDim, self.threadIdx, strict=True)]
        return at[0] if axes == 1 else tuple(at[:axes])

    def gridsize(self, axes: int) -> Any:
        """How many threads the grid has along one, two or three axes."""
        sizes = [g * d for g, d in zip(self.gridDim, self.blockDim, strict=True)]
        return sizes[0] if axes == 1 else tuple(sizes[:axes])

    def syncthreads(self) -> None:
        """Waits for all threads of the block; orders their accesses to memory."""
        self.launch.wait_for_block(sys._getframe(1))

    def syncthreads_count(self, predicate: Any) -> int:
        """A barrier that tells how many threads came with a true predicate."""
        return sum(map(bool, self.launch.wait_for_block(sys._getframe(1), predicate)))

    def syncthreads_and(self, predicate: Any) -> int:
        """A barrier that tells whether all threads came with a true predicate."""
        return int(all(self.launch.wait_for_block(sys._getframe(1), predicate)))

    def syncthreads_or(self, predicate: Any) -> int:
        """A barrier that tells whether any thread came with a true predicate."""
        return int(any(self.launch.wait_for_block(sys._getframe(1), predicate)))

    def syncwarp(self, mask: int = FULL_WARP) -> None:
        """Waits for the lanes of the mask; orders their accesses to memory."""
        self.launch.wait_for_warp(sys._getframe(1), mask, None, orders=True)

    def shfl_sync(self, mask: int, value: Any, lane: int) -> Any:
        """The value that `lane` gives."""
        return self._shuffle(sys._getframe(1), mask, value, lane % WARP)

    def shfl_xor_sync(self, mask: int, value: Any, bits: int) -> Any:
        """The value of the lane whose number differs in these bits."""
        return self._shuffle(sys._getframe(1), mask, value, self.laneid ^ bits)

    def shfl_up_sync(self, mask: int, value: Any, by: int) -> Any:
        """The value of the lane `by` before this one; the first ones keep their own."""
        return self._shuffle(sys._getframe(1), mask, value, self.laneid - by if self.laneid >= by else self.laneid)

    def shfl_down_sync(self, mask: int, value: Any, by: int) -> Any:
        """The value of the lane `by` behind this one; the last ones keep their own."""
        lane = self.laneid + by
        return self._shuffle(sys._getframe(1), mask, value, lane if lane < WARP else self.laneid)

    def ballot_sync(self, mask: int, predicate: Any) -> int:
        """A bit for each lane, set where its predicate is true."""
        votes = self.launch.wait_for_warp(sys._getframe(1), mask, bool(predicate))
        return sum(1 << lane for lane, vote in votes.items() if vote)

    def all_sync(self, mask: int, predicate: Any) -> bool:
        """Whether the predicate is true in every lane."""
        return all(self.launch.wait_for_warp(sys._getframe(1), mask, bool(predicate)).values())

    def any_sync(self, mask: int, predicate: Any) -> bool:
        """Whether the predicate is true in some lane."""
        return any(self.launch.wait_for_warp(sys._getframe(1), mask, bool(predicate)).values())

    def threadfence(self) -> None:
        """Orders one thread's own writes; the interpreter performs them in order anyway."""

    threadfence_block = threadfence

    def _shuffle(self, frame: FrameType, mask: int, value: Any, lane: int) -> Any:
        given = self.launch.wait_for_warp(frame, mask, value)
        if lane not in given:
            self._absent(lane)
        return given[lane]

    def _absent(self, lane: int) -> NoReturn:
        self.launch.fault("deadlock", f"a shuffle reads lane {lane}, which is not in its mask or not in the block")


@lru_cache(maxsize=1024)
def _target(code: CodeType, offset: int) -> str:
    """The variable that the result of the call at `offset` is assigned to, or ""."""
    for instruction in dis.get_instructions(code):
        if instruction.offset > offset and instruction.opname != "CACHE":
            if not instruction.opname.startswith("STORE_FAST"):
                return ""
            names = instruction.argval  # several where the instruction does more than store (Python 3.13)
            return names[0] if isinstance(names, tuple) else names
    return ""


cuda = Cuda()
