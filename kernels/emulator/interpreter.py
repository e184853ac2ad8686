"""The interpreter: runs a Numba-CUDA kernel's own Python function on a CPU, one greenlet a CUDA thread, and watches it.

The threads of a block run one after the other, in the order that `schedule` chooses, each until it waits for others (a
barrier, a warp operation) or ends. Arrays are handed over watched (watched.py): an index out of bounds (a negative one
too), a write to an input, a read of what nobody wrote and a race raise KernelFault, whatever the order; so do threads
of a block that part at a barrier. As on the emulator, only `syncthreads` orders the memory of a block and only
`syncwarp` that of a warp.

Arithmetic is NumPy's, in the arrays' dtype; numbers without one (literals, results of `math`) do not widen it, as they
would where Numba compiles the kernel.
"""

from __future__ import annotations

import contextvars
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NoReturn

import numpy as np

from ...errors import ArgumentError, BackendUnavailable, KernelFault, MinitlError
from . import current_schedule
from .endless import Endless, ended
from .numba_names import WARP, Index, cuda
from .watched import Input, Output, Touch, Watched

READY, AT_BARRIER, AT_WARP, ENDED = range(4)
MOST_ROUNDS = 20_000  # of a block's threads, before it is taken for one that never ends
Size = tuple[int, int, int]

_turn = threading.Lock()  # `cuda` is one object


class Thread:
    """A CUDA thread. known: by lane of its warp, how many warp barriers of that lane it knows to have passed."""

    __slots__ = ("frame", "given", "index", "known", "lane", "mask", "orders", "others", "run", "state", "warp")

    def __init__(self, number: int, index: Index, run: Any) -> None:
        self.index, self.run, self.state = index, run, READY
        self.warp, self.lane = divmod(number, WARP)
        self.known = [0] * WARP
        self.frame: FrameType | None = None  # where it waits,
        self.mask, self.orders = 0, False  # for which lanes, and whether that orders memory,
        self.given: Any = None  # what it brings there,
        self.others: Any = None  # and what the others brought

    @property
    def line(self) -> tuple[str, int] | None:
        """Where it waits."""
        return (self.frame.f_code.co_filename, self.frame.f_lineno) if self.frame else None


class Launch:
    """One launch of a kernel. thread: the one that runs. now: its present moment. shared: the block's arrays."""

    thread: Thread
    now: Touch

    def __init__(self, kernel: str, grid: Size, block: Size) -> None:
        self.kernel, self.grid, self.block, self.schedule = kernel, Index(*grid), Index(*block), current_schedule()
        self.shared: dict[Any, Watched] = {}
        self._random = np.random.default_rng(self.schedule) if isinstance(self.schedule, int) else None
        self._hub: Any = None
        self._number = self._clock = self._turns = 0

    def run(self, function: Callable[..., None], arguments: Sequence[Any]) -> None:
        """Runs every block."""
        from greenlet import getcurrent

        self._hub = getcurrent()
        cuda.launch, cuda.blockDim, cuda.gridDim = self, self.block, self.grid
        try:
            with np.errstate(all="ignore"), ended(lambda: self._turns):  # a GPU does not warn
                for number in self._ordered(self.grid.x * self.grid.y * self.grid.z):
                    self._run_block(number, function, arguments)
        finally:
            del cuda.launch

    def block_index(self, number: int) -> Index:
        """Of the block of this number."""
        return _unravel(number, self.grid)

    def _ordered(self, count: int) -> list[int]:
        if self._random is not None:
            return self._random.permutation(count).tolist()
        return list(range(count))[:: -1 if self.schedule == "reverse" else 1]

    def _run_block(self, number: int, function: Callable[..., None], arguments: Sequence[Any]) -> None:
        from greenlet import greenlet

        self._number, self._clock, self.shared = number, self._clock + 1, {}
        cuda.blockIdx = self.block_index(number)
        context = contextvars.copy_context()  # a greenlet begins with an empty one, which knows no errstate
        threads = []
        for i in range(self.block.x * self.block.y * self.block.z):
            run = greenlet(function)
            run.gr_context = context
            threads.append(Thread(i, _unravel(i, self.block), run))
        for i in self._ordered(len(threads)):
            self._resume(threads[i], *arguments)
        for _ in range(MOST_ROUNDS):
            if all(thread.state == ENDED for thread in threads):
                return
            if not self._release_warps(threads):
                self._release_block(threads)
            for i in self._ordered(len(threads)):
                if threads[i].state == READY:
                    self._resume(threads[i])
        raise self._described("hang", f"the block's threads still wait for each other after {MOST_ROUNDS} times", None)

    def _resume(self, thread: Thread, *arguments: Any) -> None:
        self.thread, self.now = thread, Touch(self._number, self._clock, thread)
        self._turns += 1
        cuda.threadIdx = thread.index
        try:
            thread.run.switch(*arguments)
        except MinitlError:
            raise
        except (Exception, SystemExit, Endless) as error:
            places = [(step.tb_frame, step.tb_lineno) for step in _steps(error.__traceback__)]
            frame, line = [place for place in places if not _is_own(place[0])][-1]
            kind, what = "exception", f"{type(error).__name__}: {error}"
            if isinstance(error, Endless):
                kind, what = "hang", "a loop that neither ends nor waits"
            raise self._described(kind, what, f"{Path(frame.f_code.co_filename).name}:{line}") from error
        if thread.run.dead:
            thread.state = ENDED

    # What a thread waits for

    def wait_for_block(self, frame: FrameType, given: Any = None) -> list[Any]:
        """A barrier; what each thread of the block brought to it."""
        return self._wait(AT_BARRIER, frame, given)

    def wait_for_warp(self, frame: FrameType, mask: int, given: Any, orders: bool = False) -> dict[int, Any]:
        """An operation of the warp's lanes that `mask` names; by lane what each brought."""
        thread = self.thread
        if not mask >> thread.lane & 1:
            self.fault("deadlock", f"lane {thread.lane} is not in the mask {mask:#x} that it waits for")
        thread.mask, thread.orders = mask, orders
        return self._wait(AT_WARP, frame, given)

    def _wait(self, state: int, frame: FrameType, given: Any) -> Any:
        thread = self.thread
        thread.state, thread.frame, thread.given = state, frame, given
        self._hub.switch()
        return thread.others

    def _release_warps(self, threads: list[Thread]) -> bool:
        """Lets the lanes go on whose operation has all that its mask names."""
        released = False
        for first in range(0, len(threads), WARP):
            warp = threads[first : first + WARP]
            for thread in warp:
                if thread.state != AT_WARP:
                    continue
                named = [other for other in warp if thread.mask >> other.lane & 1]
                if any((o.state, o.mask) != (AT_WARP, thread.mask) or o.line != thread.line for o in named):
                    continue
                given = {other.lane: other.given for other in named}
                if thread.orders:
                    for other in named:
                        other.known[other.lane] += 1
                    known = [max(counts) for counts in zip(*(other.known for other in named), strict=True)]
                for other in named:
                    other.state, other.others = READY, given
                    if thread.orders:
                        other.known = list(known)
                released = True
        return released

    def _release_block(self, threads: list[Thread]) -> None:
        """Lets the block pass its barrier; raises where its threads cannot."""
        stuck = [thread for thread in threads if thread.state == AT_WARP]
        waiting = [thread for thread in threads if thread.state == AT_BARRIER]
        ended = [thread for thread in threads if thread.state == ENDED]
        if stuck:
            self._blame(stuck[0], "deadlock", f"waits for lanes of the mask {stuck[0].mask:#x} that never come")
        if ended:
            self._blame(waiting[0], "divergence", f"waits at a barrier, but thread {ended[0].index} ended without it")
        for thread in waiting:
            if thread.line != waiting[0].line:
                other = f"thread {waiting[0].index} at another, {_line(waiting[0].frame)}"
                self._blame(thread, "divergence", f"waits at a barrier, and {other}")
        self._clock += 1
        given = [thread.given for thread in threads]
        for thread in threads:
            thread.state, thread.others, thread.known = READY, given, [0] * WARP

    # What goes wrong

    def _blame(self, thread: Thread, kind: str, what: str) -> NoReturn:
        self.thread = thread
        raise self._described(kind, what, _line(thread.frame))

    def fault(self, kind: str, what: str) -> NoReturn:
        """KernelFault about what the thread that runs does at the line where it is."""
        raise self._described(kind, what, _line(sys._getframe(1)))

    def _described(self, kind: str, what: str, line: str | None) -> KernelFault:
        where = f"{line}, " if line else ""
        block = self.block_index(self._number)
        message = f"{where}thread {self.thread.index} of block {block}: {what} (schedule {self.schedule})"
        return KernelFault(self.kernel, kind, message)


def launch(
    kernel: str, function: Callable[..., None], writes: frozenset[str], names: Sequence[str],
    grid: Size, block: Size, arguments: Sequence[Any],
) -> None:  # fmt: skip
    """Runs a kernel on NumPy arrays. names: of its parameters; writes: those that it may write to.

    Raises KernelFault for what the kernel does wrong, and BackendUnavailable where greenlet is missing.
    """
    try:
        import greenlet  # noqa: F401
    except ImportError:
        raise BackendUnavailable(
            f"{kernel}: the interpreter needs greenlet, which is not installed (pip install greenlet)"
        ) from None
    with _turn:
        running = Launch(kernel, grid, block)
        handed = _handed(running, writes, dict(zip(names, arguments, strict=True)))
        running.run(function, handed)
        for argument in handed:
            if isinstance(argument, Output):
                argument.finish()


def _handed(running: Launch, writes: frozenset[str], arguments: dict[str, Any]) -> list[Any]:
    """The arguments as the kernel sees them; an array that is also an output is that output."""
    outputs = {
        name: Output(running, name, given)
        for name, given in arguments.items()
        if name in writes and isinstance(given, np.ndarray)
    }
    handed: list[Any] = []
    for name, given in arguments.items():
        if name in outputs:
            handed.append(outputs[name])
        elif isinstance(given, np.ndarray):
            same = [output for other, output in outputs.items() if _same(running, name, given, other, arguments[other])]
            handed.append(same[0] if same else Input(running, name, given))
        else:
            handed.append(np.float64(given) if type(given) is float else given)
    return handed


def _same(running: Launch, name: str, array: np.ndarray, other: str, output: np.ndarray) -> bool:
    """Whether an input is the output itself; ArgumentError where they merely overlap."""
    if not np.may_share_memory(array, output) or not np.shares_memory(array, output):
        return False
    if array.__array_interface__["data"] == output.__array_interface__["data"] and (
        (array.shape, array.strides, array.dtype) == (output.shape, output.strides, output.dtype)
    ):
        return True
    raise ArgumentError(f"{running.kernel}: {name} overlaps {other}, which is written; pass an array of its own")


def _unravel(number: int, size: Index) -> Index:
    return Index(number % size.x, number // size.x % size.y, number // (size.x * size.y))


def _line(frame: FrameType | None) -> str | None:
    """file:line of the kernel's code that is being run in or above a frame."""
    while frame is not None and _is_own(frame):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}" if frame else None


def _is_own(frame: FrameType) -> bool:
    """Whether it runs code of the interpreter, not of the kernel."""
    return frame.f_globals.get("__name__", "").rpartition(".")[0] == __name__.rpartition(".")[0]


def _steps(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next
