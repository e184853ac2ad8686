"""Prints two numbers of bytes: the memory that a network's summary predicts, and what running or training it takes.

    python tests/nn/peak_memory.py NETWORK inference|training BATCH [LAYER to freeze up to]

The measure is the rise of the process's peak resident memory (Linux), once everything has been compiled and loaded.
"""

import ctypes
import gc
import sys
from pathlib import Path

import numpy as np

import minitl as tl
from minitl import functional as F
from minitl import optim
from minitl.kernels.cpu import memory


def status(key: str) -> int:
    """A line of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def settle() -> int:
    """Gives back what is free, starts the peak anew, and returns the memory now resident."""
    gc.collect()
    memory.release()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return status("VmRSS")


def use(net: tl.Network, batch: int, mode: str) -> None:
    """Two batches of noise forward, or two training steps."""
    x = np.random.default_rng(0).standard_normal((batch, *net.input_shape)).astype(np.float32)
    if mode == "inference":
        with tl.no_grad():
            for _ in range(2):  # packed filters are there from the second on, while early layers run
                net(x)
        return
    optimizer = optim.SGD(net.parameters(), 1e-6, momentum=0.9)
    for _ in range(2):  # the velocity is there from the second step on
        logits = net(x, training=True, keys=np.arange(batch, dtype=np.uint64))
        F.cross_entropy(logits, np.zeros(batch, int)).backward()
        optimizer.step()
        optimizer.zero_grad()


def main(name: str, mode: str, batch: str, upto: str = "") -> None:
    """See above."""
    small = tl.models.build(name, num_classes=2, seed=None)
    for way in ("inference", "training"):
        use(small, 1, way)
    del small
    before = settle()
    net = tl.models.build(name, num_classes=2, seed=0)
    if upto:
        net.freeze(upto=upto)
    settle()
    use(net, int(batch), mode)
    print(getattr(net.summary(int(batch)).memory, mode), status("VmHWM") - before)


if __name__ == "__main__":
    main(*sys.argv[1:])
