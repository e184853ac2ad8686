"""Small pictures and networks to train in milliseconds, and ways to compare what came of it."""

from __future__ import annotations

import contextlib
import os
import signal
from types import SimpleNamespace

import numpy as np
import pytest

from minitl import data, nn
from minitl.images import Preprocessing
from minitl.train import Trainer
from minitl.train.loop import Loop


def _pictures(count=26, seed=0, noise=90, **options):
    """Dark and bright pictures, some hard to tell."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    x = rng.normal(100 + 60 * labels[:, None, None, None], noise, (count, 8, 8, 3))
    return data.arrays(
        x.clip(0, 255).astype(np.uint8), labels, **{"classes": ["dark", "bright"], "val": 0.4, **options}
    )


def _network(seed=0, dtype="float32"):
    """Convolutions, batch normalization, dropout, a dense layer; nothing frozen."""
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 5, 3),
        nn.BatchNorm2d(5),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(20, 2),
        input_shape=(3, 8, 8),
        preprocessing=Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3),
        seed=seed,
    )
    return net if dtype == "float32" else net.astype(dtype)


def _arrays(net):
    return {name: (owner.dtype.name, owner.data.tobytes()) for name, owner in net.named_arrays().items()}


def _rows(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


def _trainer(net=None, found=None, **settings):
    settings = {"lr": 0.02, "batch_size": 4, "progress": False, **settings}
    return Trainer(_network() if net is None else net, _pictures() if found is None else found, **settings)


@contextlib.contextmanager
def _stopped(number):
    """Ctrl-C comes in the middle of the number-th step of the trainings within; 0: never."""
    plain = Loop._step
    seen = 0

    def step(self, group, epoch):
        nonlocal seen
        seen += 1
        if seen == number:
            os.kill(os.getpid(), signal.SIGINT)
        plain(self, group, epoch)

    Loop._step = step
    try:
        yield
    finally:
        Loop._step = plain


@pytest.fixture(scope="session")
def small():
    """Makers: pictures, network, trainer. Takers: arrays (bits by name), rows (a history without its times).

    stopped(n): a context in which Ctrl-C comes in the middle of the n-th step.
    """
    return SimpleNamespace(
        pictures=_pictures, network=_network, trainer=_trainer, arrays=_arrays, rows=_rows, stopped=_stopped
    )
