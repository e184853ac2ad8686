"""What a training is at a moment, between two steps: all that it takes to go on to the same bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import device
from ..tensor import Buffer, Parameter

if TYPE_CHECKING:
    from ..nn import Network
    from .best import Best
    from .history import History

Arrays = dict[str, np.ndarray]  # by path, such as "now/conv1.weight"


def changing(net: Network) -> dict[str, Parameter | Buffer]:
    """The arrays that training changes: parameters and buffers that are not frozen."""
    return {name: owner for name, owner in net.named_arrays().items() if not owner.frozen}


@dataclass
class Progress:
    """Where a fit stands.

    first, last: its epochs, both included. lr: the base rate. epoch: the one under way. position: pictures of its
    order that are done with, steps: the updates they made; loss, right, count: sums over them; seconds: spent on it.
    patience_from: the epoch from which early stopping counts. finished: whether nothing is left to do.
    """

    first: int
    last: int
    lr: float
    epoch: int
    position: int = 0
    steps: int = 0
    loss: float = 0.0
    right: int = 0
    count: int = 0
    seconds: float = 0.0
    patience_from: int = 0
    finished: bool = False

    def next_epoch(self) -> None:
        """Goes to the start of the next epoch."""
        self.epoch += 1
        self.position, self.steps, self.loss, self.right, self.count, self.seconds = 0, 0, 0.0, 0, 0, 0.0

    def extend(self, last: int) -> None:
        """Asks for epochs up to `last`; early stopping counts from here."""
        if self.finished:
            self.patience_from, self.finished = self.epoch - 1, False
        self.last = last


@dataclass
class Training:
    """A fit under way: the network, what moves it, and what it has come to. ema: None where no average is kept."""

    net: Network
    progress: Progress
    optimizer: Any
    ema: Any
    schedule: Any
    history: History
    best: Best
    skipped: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """All but the arrays."""
        return {
            "progress": asdict(self.progress),
            "history": self.history.to_json(),
            "best": self.best.to_json(),
            "skipped": dict(self.skipped),
        }

    def arrays(self) -> Arrays:
        """Every array that the rest of the training depends on, by path; views, not copies."""
        found = {f"now/{name}": device.to_host(owner.data) for name, owner in changing(self.net).items()}
        found |= {f"best/{name}": array for name, array in self.best.arrays.items()}
        found |= _flat("optimizer", self.optimizer.state())
        if self.ema is not None:
            found |= _flat("ema", self.ema.state())
        return found

    def take(self, stored: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Becomes what `to_json` and `arrays` gave."""
        self.progress = Progress(**stored["progress"])
        self.history.take(stored["history"])
        for name, owner in changing(self.net).items():
            owner.assign(arrays[f"now/{name}"])
        self.best.take(stored["best"], {name: arrays[f"best/{name}"] for name in self.best.arrays})
        self.skipped.clear()
        self.skipped.update(stored["skipped"])
        self.optimizer.load_state(_nested(arrays, "optimizer"))
        if self.ema is not None:
            self.ema.load_state(_nested(arrays, "ema"))


def _flat(path: str, tree: Any) -> Arrays:
    """The arrays of nested dicts by path."""
    if not isinstance(tree, Mapping):
        return {path: np.asarray(tree)}
    return {name: array for key, value in tree.items() for name, array in _flat(f"{path}/{key}", value).items()}


def _nested(arrays: Mapping[str, np.ndarray], path: str) -> dict[str, Any]:
    """The inverse of `_flat`."""
    tree: dict[str, Any] = {}
    for name, array in arrays.items():
        top, *inner, leaf = name.split("/")
        if top == path:
            place = tree
            for key in inner:
                place = place.setdefault(key, {})
            place[leaf] = array
    return tree
