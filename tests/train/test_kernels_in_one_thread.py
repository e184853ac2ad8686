"""Compiled kernels run in the thread that trains or asks, never in those that load pictures beside it."""

import threading

import numpy as np
import pytest

from minitl.kernels.cpu import threads

pytest.importorskip("numba", reason="numba is not installed")


@pytest.fixture
def entered(monkeypatch):
    """The threads in which compiled kernels were entered."""
    seen = set()

    class Watched(type(threads.turn)):
        def __enter__(self):
            seen.add(threading.current_thread())
            super().__enter__()

    monkeypatch.setattr(threads, "turn", Watched())
    return seen


@pytest.mark.parametrize("augmentation", [None, "photos"])
@pytest.mark.parametrize("upto", [None, "conv1"])
def test_training_and_answering(entered, small, augmentation, upto):
    """With features of frozen layers kept and without, with pictures changed on the way and without."""
    net = small.network()
    trainer = small.trainer(net.freeze(upto=upto) if upto else net, augmentation=augmentation)
    trainer.fit(epochs=1)
    trainer.evaluate()
    net.features(np.zeros((3, 8, 8, 3), np.uint8), layer="conv1")
    assert entered == {threading.current_thread()}
