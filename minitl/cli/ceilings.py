"""What this machine can do at most, measured: operations of a matrix product, and bytes copied, a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from threading import Thread
from typing import Any

import numpy as np

from ..kernels.cpu.compiled import compiled
from ..kernels.cpu.vectors import BYTES, ROWS, WIDEST, product

SIDE = 1536  # of the matrices that BLAS multiplies
COPIED = 2**27  # bytes: more than caches hold, but for the largest
DEPTH = 192  # of our tile's product: its columns stay in the first-level cache or the second
_tile = product(WIDEST)
_COLUMNS = WIDEST * BYTES // 4


@compiled
def _tiles(y, a, b, bias, offsets, depth, columns, repeats):  # pragma: no cover - compiled
    for _ in range(repeats):
        _tile(y, 0, columns, bias, 0, 0, a, 0, depth, 1, offsets, 1, b, 0, columns, 0, depth, ROWS, False)


def measure(threads: int, seconds: float = 4.0) -> dict[str, float]:
    """Operations a second of "our tile" and of "BLAS" on so many threads, and bytes read and written of a "copy".

    A share of the peak is taken of the larger of the two products: see `peak`. seconds: about what it may take, beside
    compiling the tile once.
    """
    found = {"our tile": _of_tile(threads, seconds / 3), "BLAS": _of_blas(seconds / 3)}
    return {**found, "copy": _of_copy(threads, seconds / 3)}


def peak(ceilings: Mapping[str, float]) -> float:
    """The measured peak of float32 products, in operations a second."""
    return max(ceilings["our tile"], ceilings["BLAS"])


def floor(flops: float, count: float, ceilings: Mapping[str, float]) -> float:
    """Seconds that so many operations and bytes take at least, done as the formula says, at the measured rates.

    Winograd's convolutions do fewer operations than the formula, and may be quicker than this.
    """
    return max(flops / peak(ceilings), count / ceilings["copy"])


def _of_tile(threads: int, seconds: float) -> float:
    rng = np.random.default_rng(0)

    def operands() -> tuple[Any, ...]:
        sizes = ROWS * _COLUMNS, ROWS * DEPTH, DEPTH * _COLUMNS, _COLUMNS
        return *(rng.standard_normal(n, dtype=np.float32) for n in sizes), np.zeros(1, np.int64)

    sets = [operands() for _ in range(threads)]
    repeats = 20000

    def work(given: tuple[Any, ...]) -> None:
        _tiles(*given, DEPTH, _COLUMNS, repeats)

    work(sets[0])  # compiles
    took = _best(lambda: _together([lambda g=g: work(g) for g in sets]), seconds)  # type: ignore[misc]
    return 2.0 * ROWS * _COLUMNS * DEPTH * repeats * threads / took


def _of_blas(seconds: float) -> float:
    a, b = (np.random.default_rng(i).standard_normal((SIDE, SIDE), dtype=np.float32) for i in (1, 2))
    out = np.empty_like(a)
    return 2.0 * SIDE**3 / _best(lambda: np.dot(a, b, out), seconds)


def _of_copy(threads: int, seconds: float) -> float:
    source, target = np.ones(COPIED // 4, np.float32), np.zeros(COPIED // 4, np.float32)
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    took = _best(lambda: _together([lambda t=t, s=s: np.copyto(t, s) for t, s in parts]), seconds)  # type: ignore[misc]
    return 2.0 * COPIED / took


def _together(works: list[Callable[[], object]]) -> None:
    """Runs all at once, each in a thread; they leave Python's lock while they work."""
    threads = [Thread(target=work) for work in works[1:]]
    for thread in threads:
        thread.start()
    works[0]()
    for thread in threads:
        thread.join()


def _best(work: Callable[[], object], seconds: float) -> float:
    """The shortest of as many calls as fit: a ceiling is what was possible once."""
    end, best = time.perf_counter() + seconds, float("inf")
    while best == float("inf") or time.perf_counter() < end:
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best
