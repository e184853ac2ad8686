"""What the frozen layers make of each picture, computed once and kept in memory.

The layers up to `net.cut()` neither learn nor draw random numbers, so a picture's value there is the same in every
epoch. It is always computed in blocks of one fixed size (see nn.inference), kept or not: the results are the same
bit for bit.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..nn.graph import INPUT
from ..nn.inference import run_blocks
from .dataset import Item
from .loader import load

if TYPE_CHECKING:
    from ..nn import Network


def available_memory() -> int:
    """Bytes that can still be had without swapping; 4 GiB where the system does not say."""
    try:
        with open("/proc/meminfo") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 4 << 30


def megabytes(count: float) -> str:
    """Bytes for people to read."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def scores_node(net: Network) -> str:
    """The node whose value the loss takes: the output, or what enters it where it is a softmax."""
    last = net.graph[net.graph.output]
    return last.inputs[0] if last.op in ("softmax", "log_softmax") else last.name


class FrozenValues:
    """The value of each picture at the last node that stays fixed (`net.cut()`; "input" is the preprocessed picture).

    keep: whether values are kept in memory. limit: bytes that they may take; default half of the free memory. Where
    they would take more, a warning says so and they are computed anew each time. skipped: (name, reason) of pictures
    that could not be read when their turn came; each is warned of once.
    """

    def __init__(self, net: Network, *, keep: bool = True, limit: int | None = None, workers: int = 2) -> None:
        if net.preprocessing is None:
            raise DataError(f"{net.name}: has no preprocessing, so pictures cannot be fed to it; set net.preprocessing")
        self.net = net
        self.keep = keep
        self.limit = available_memory() // 2 if limit is None else limit
        self.workers = workers
        self.skipped: dict[str, str] = {}
        self._kept: dict[str, tuple[Any, np.ndarray]] = {}  # by name: the picture's stamp and its value
        self._made_by: Any = None

    @property
    def cut(self) -> str:
        """The node whose values these are; the scores at the latest."""
        cut = self.net.cut()
        return scores_node(self.net) if cut == self.net.graph.output else cut

    def _current(self) -> dict[str, tuple[Any, np.ndarray]]:
        """What is kept, emptied first if a layer below the cut, the cut or the preprocessing has changed since."""
        cut = self.cut
        below = set() if cut == INPUT else self.net.graph.ancestors(cut)
        versions = tuple(
            (name, p.version) for name, p in self.net.named_parameters().items() if name.rpartition(".")[0] in below
        )
        made_by = (cut, versions, self.net.preprocessing)
        if made_by != self._made_by:
            self._kept, self._made_by = {}, made_by
        return self._kept

    def _of(self, item: Item) -> np.ndarray | None:
        """The value kept of a picture, unless the picture has changed since; a file that is gone has not."""
        stamp, value = self._kept.get(item.name, (None, None))
        return value if item.stamp() in (stamp, None) else None

    @property
    def memory(self) -> int:
        """Bytes that the values kept take."""
        return sum(value.nbytes for _, value in self._kept.values())

    def fill(self, items: Sequence[Item], bar: Any = None) -> None:
        """Computes and keeps what is missing, if all of it fits. bar: a tqdm to move."""
        kept = self._current()
        missing = [item for item in items if self._of(item) is None and item.name not in self.skipped]
        if not self.keep or (
            kept and missing and not self._fits(next(iter(kept.values()))[1], len(kept) + len(missing))
        ):
            return
        for _ in self.remember(missing):
            if not self.keep:
                return
            if bar is not None:
                bar.update()

    def remember(self, items: Sequence[Item]) -> Iterator[tuple[Item, np.ndarray]]:
        """(item, value) in the order given, computed now and kept, if all of it fits."""
        kept = self._current()
        for item, value in self._computed(items):
            if self.keep and (kept or self._fits(value, len(items))):
                kept[item.name] = item.stamp(), value
            yield item, value

    def _fits(self, value: np.ndarray, count: int) -> bool:
        if value.nbytes * count <= self.limit:
            return True
        need, limit = megabytes(value.nbytes * count), megabytes(self.limit)
        warnings.warn(
            f"the values at {self.cut!r} of {count} pictures would take {need}, more than the limit of {limit}: "
            "they are computed anew each epoch; raise cache_limit or free memory",
            stacklevel=3,
        )
        self.keep = False
        self._kept.clear()
        return False

    def stream(self, items: Iterable[Item]) -> Iterator[tuple[Item, np.ndarray]]:
        """(item, value) in the order given, from memory where they are kept."""
        items = [item for item in items if item.name not in self.skipped]
        self._current()
        known = [self._of(item) for item in items] if self.keep else [None]
        if any(value is None for value in known):
            yield from self._computed(items)
        else:
            yield from zip(items, known, strict=True)

    def batches(self, items: Iterable[Item], size: int) -> Iterator[tuple[list[Item], np.ndarray]]:
        """(items, values (n, …)) in the order given, `size` at a time; the last batch may be smaller."""
        held: list[tuple[Item, np.ndarray]] = []
        for pair in self.stream(items):
            held.append(pair)
            if len(held) == size:
                yield [item for item, _ in held], np.stack([value for _, value in held])
                held = []
        if held:
            yield [item for item, _ in held], np.stack([value for _, value in held])

    def _computed(self, items: Iterable[Item]) -> Iterator[tuple[Item, np.ndarray]]:
        loaded = load(items, self.net.preprocessing, self.workers, self._skip)  # type: ignore[arg-type]
        cut = self.cut
        if cut == INPUT:
            yield from loaded
            return
        waiting: list[Item] = []

        def inputs() -> Iterator[np.ndarray]:
            for item, array in loaded:
                waiting.append(item)
                yield array

        for block in run_blocks(self.net, inputs(), cut):
            count = len(block)
            yield from zip(waiting[:count], block, strict=True)
            del waiting[:count]

    def _skip(self, item: Item, reason: str) -> None:
        self.skipped[item.name] = reason
        warnings.warn(f"a picture was left out: {reason}", stacklevel=2)
