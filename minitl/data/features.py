"""What the frozen layers make of each picture, computed once and kept in memory.

The layers up to `net.cut()` neither learn nor draw random numbers, so a picture's value there is the same in every
epoch. It is always computed in blocks of one fixed size (see nn.inference), kept or not: the results are the same
bit for bit.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import device
from ..errors import ArgumentError, DataError, WeightError
from ..images import CHANNELS, Augmentation
from ..nn.graph import INPUT
from ..nn.inference import positive, run_blocks
from ..weights import hdf5
from . import feature_file
from .dataset import Item, check_seed
from .loader import augmenting, load

if TYPE_CHECKING:
    from ..nn import Network
    from ..tensor import Buffer, Parameter

Name = tuple[str, int | None]  # of a value: the picture's name, and its variant or None


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
    they would take more, a warning says so and they are computed anew each time. augmentation: how pictures are
    changed in epochs (see `stream`), keyed by (seed, epoch, picture). variants: 0 for a new change in each epoch, of
    which nothing is kept; k for k changes of each picture that come in turn, the first k epochs', and are kept.
    skipped: (name, reason) of pictures that could not be read when their turn came; each is warned of once.
    """

    def __init__(
        self,
        net: Network,
        *,
        keep: bool = True,
        limit: int | None = None,
        workers: int = 2,
        augmentation: Augmentation | None = None,
        variants: int = 0,
        seed: int = 0,
    ) -> None:
        if net.preprocessing is None:
            raise DataError(f"{net.name}: has no preprocessing, so pictures cannot be fed to it; set net.preprocessing")
        if augmentation is not None and not isinstance(augmentation, Augmentation):
            raise ArgumentError(f"augmentation must be an images.Augmentation or None; got {augmentation!r:.60}")
        if variants and augmentation is None:
            raise ArgumentError(f"variants={variants} needs an augmentation, by which the variants differ")
        self.net = net
        self.keep = keep
        self.limit = available_memory() // 2 if limit is None else limit
        self.workers = workers
        self.augmentation = augmentation
        self.variants = 0 if variants == 0 else positive("variants", variants)
        self.seed = check_seed(seed)
        self.skipped: dict[str, str] = {}
        self._kept: dict[Name, tuple[Any, np.ndarray]] = {}  # the picture's stamp and its value
        self._made_by: Any = None

    @property
    def cut(self) -> str:
        """The node whose values these are; the scores at the latest."""
        cut = self.net.cut()
        return scores_node(self.net) if cut == self.net.graph.output else cut

    def _below(self) -> dict[str, Parameter | Buffer]:
        """The arrays by which the values are made."""
        below = set() if self.cut == INPUT else self.net.graph.ancestors(self.cut)
        return {name: p for name, p in self.net.named_arrays().items() if name.rpartition(".")[0] in below}

    def _current(self) -> dict[Name, tuple[Any, np.ndarray]]:
        """What is kept, emptied first if a layer below the cut, the cut or the preprocessing has changed since."""
        versions = tuple((name, p.version) for name, p in self._below().items())
        made_by = (self.cut, versions, self.net.preprocessing)
        if made_by != self._made_by:
            self._kept, self._made_by = {}, made_by
        return self._kept

    def _of(self, item: Item, variant: int | None = None) -> np.ndarray | None:
        """The value kept of a picture, unless the picture has changed since; a file that is gone has not."""
        stamp, value = self._kept.get((item.name, variant), (None, None))
        return value if item.stamp() in (stamp, None) else None

    @property
    def memory(self) -> int:
        """Bytes that the values kept take."""
        return sum(value.nbytes for _, value in self._kept.values())

    def fill(self, items: Sequence[Item], bar: Any = None, augmented: Sequence[Item] = ()) -> None:
        """Computes and keeps what is missing of the pictures as they are, if all that is to be kept fits.

        bar: a tqdm to move. augmented: pictures whose variants are to be kept too, as `stream` comes to them: they
        count here.
        """
        kept = self._current()
        missing = [item for item in items if self._of(item) is None and item.name not in self.skipped]
        count = self._count((item.name for item in items), (item.name for item in augmented))
        if not self.keep or (kept and missing and not self._fits(next(iter(kept.values()))[1], count)):
            return
        for item, value in self._computed(missing):
            if not self._hold(item, None, value, count):
                return
            if bar is not None:
                bar.update()

    def remember(self, items: Sequence[Item]) -> Iterator[tuple[Item, np.ndarray]]:
        """(item, value) of the pictures as they are, in the order given, computed now and kept, if all of it fits."""
        self._current()
        count = self._count((item.name for item in items), ())
        for item, value in self._computed(items):
            self._hold(item, None, value, count)
            yield item, value

    def _count(self, names: Iterable[str], augmented: Iterable[str]) -> int:
        """Values kept once those of the names and every variant of the augmented ones are there."""
        wanted: set[Name] = {(name, None) for name in names}
        wanted |= {(name, variant) for name in augmented for variant in range(self.variants)}
        return len(wanted | set(self._kept))

    def _hold(self, item: Item, variant: int | None, value: np.ndarray, count: int) -> bool:
        """Keeps a value, one of `count` in the end, if all of them fit."""
        if not self.keep or not self._fits(value, max(count, len(self._kept) + 1)):
            return False
        self._kept[item.name, variant] = item.stamp(), value
        return True

    def _fits(self, value: np.ndarray, count: int) -> bool:
        if value.nbytes * count <= self.limit:
            return True
        need, limit = megabytes(value.nbytes * count), megabytes(self.limit)
        those = f"{count} pictures" if not self.variants else f"{count} pictures and variants of them"
        warnings.warn(
            f"the values at {self.cut!r} of {those} would take {need}, more than the limit of {limit}: "
            "they are computed anew each epoch; raise cache_limit or free memory",
            stacklevel=4,
        )
        self.keep = False
        self._kept.clear()
        return False

    def stream(self, items: Iterable[Item], epoch: int | None = None) -> Iterator[tuple[Item, np.ndarray]]:
        """(item, value) in the order given, from memory where they are kept.

        epoch: in which the pictures are trained on, and so augmented, if they are to be at all; None: as they are.
        """
        items = [item for item in items if item.name not in self.skipped]
        self._current()
        draw = None if epoch is None or self.augmentation is None else epoch
        if draw is not None and self.variants:
            draw %= self.variants
        if not self.keep or (draw is not None and not self.variants):
            yield from self._computed(items, draw)
            return
        known = [self._of(item, draw) for item in items]
        count = 0 if draw is None else self._count((), (item.name for item in items))
        missing = [item for item, value in zip(items, known, strict=True) if value is None]
        computed, ahead = self._computed(missing, draw) if missing else iter(()), None
        for item, value in zip(items, known, strict=True):
            if value is None:
                ahead = ahead or next(computed, None)
                if ahead is None or ahead[0] is not item:  # it could not be read
                    continue
                value, ahead = ahead[1], None
                if draw is not None:
                    self._hold(item, draw, value, count)
            yield item, value

    def batches(
        self, items: Iterable[Item], size: int, epoch: int | None = None
    ) -> Iterator[tuple[list[Item], np.ndarray]]:
        """(items, values (n, …)) in the order given, `size` at a time; the last batch may be smaller. See `stream`."""
        held: list[tuple[Item, np.ndarray]] = []
        for pair in self.stream(items, epoch):
            held.append(pair)
            if len(held) == size:
                yield [item for item, _ in held], np.stack([value for _, value in held])
                held = []
        if held:
            yield [item for item, _ in held], np.stack([value for _, value in held])

    def _computed(self, items: Iterable[Item], draw: int | None = None) -> Iterator[tuple[Item, np.ndarray]]:
        """(item, value) in the order given, of the pictures as they are, or as augmented in epoch `draw`."""
        preprocessing, augment = self.net.preprocessing, None
        if draw is not None:
            augment = augmenting(self.augmentation, self.seed, draw, preprocessing)  # type: ignore[arg-type]
        loaded = load(items, preprocessing, self.workers, self._skip, augment)  # type: ignore[arg-type]
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
        if item.name not in self.skipped:  # one that comes more than once in an epoch is named once
            warnings.warn(f"a picture was left out: {reason}", stacklevel=2)
        self.skipped[item.name] = reason

    # Files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes what is kept beside `path` and renames; nothing where nothing is kept. `restore` takes it back.

        Raises WeightError, with the remedy, where it cannot be written.
        """
        kept = self._current()
        if kept:
            rows = [(name, variant, stamp) for (name, variant), (stamp, _) in kept.items()]
            feature_file.write(path, self._key(), rows, [value for _, value in kept.values()])

    def restore(self, path: str | os.PathLike[str]) -> bool:
        """Takes back what `save` wrote, and returns whether it did.

        Not where the file is not there or does not fit into `limit`; nor where the values were made otherwise: by
        other layers or weights below the cut, another preprocessing, augmentation or seed. A file that is damaged or
        no such file is warned of and left alone.
        """
        kept = self._current()
        if not self.keep or not os.path.exists(path):
            return False
        dtype = np.dtype(np.float32) if self.cut == INPUT else self.net.dtype
        try:
            found = feature_file.read(path, self._key(), self._shape(), dtype, self.limit - self.memory)
        except WeightError as error:
            reason = str(error).replace(hdf5.DAMAGED, "the file is damaged or not to be trusted")
            warnings.warn(f"{reason}. The values at {self.cut!r} are computed anew", stacklevel=2)
            return False
        if found is None:
            return False
        for (name, variant, stamp), value in zip(*found, strict=True):
            kept.setdefault((name, variant), (stamp, value))
        return True

    def _key(self) -> str:
        """sha256 of all that the values come from but the pictures themselves."""
        below = set() if self.cut == INPUT else self.net.graph.ancestors(self.cut)
        made_by = {
            "cut": self.cut,
            "nodes": [node for node in self.net.graph.to_json() if node["name"] in below],
            "arrays": {name: hdf5.array_sha256(device.to_host(p.data)) for name, p in self._below().items()},
            "preprocessing": self.net.preprocessing.to_dict(),  # type: ignore[union-attr]  # checked when made
            "augmentation": self.augmentation.to_dict() if self.augmentation and self.variants else None,
            "seed": self.seed if self.variants else None,
        }
        return hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()

    def _shape(self) -> tuple[int, ...] | None:
        """The shape of a value, where the preprocessing gives all pictures one size."""
        preprocessing = self.net.preprocessing
        assert preprocessing is not None  # checked when made
        if preprocessing.output_size is None:
            return None
        picture = (CHANNELS[preprocessing.channels], *preprocessing.output_size)
        return picture if self.cut == INPUT else self.net.graph.shapes(picture)[self.cut]
