"""What minitl does in a comparison: a batch through a network, or a step of training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import minitl as tl
from minitl import functional as F
from minitl import optim

RATE, MOMENTUM = 1e-4, 0.9  # so small that the numbers stay ordinary over as many steps as are timed


def inference(net: tl.Network, x: np.ndarray) -> Callable[[], np.ndarray]:
    """A function that gives the scores."""

    def run() -> np.ndarray:
        with tl.no_grad():
            return net(x).data

    return run


class Step:
    """A step of SGD with momentum on one batch; calling it makes the step and returns the loss.

    after: the node whose value x is, where the layers below are not run again.
    """

    def __init__(self, net: tl.Network, x: np.ndarray, truth: np.ndarray, after: str = "input") -> None:
        self.net, self.x, self.truth, self.after = net, x, truth, after
        self.optimizer = optim.SGD(net.parameters(), lr=RATE, momentum=MOMENTUM)

    def __call__(self) -> float:
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.net.run(self.x, after=self.after, training=True), self.truth)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def numbers(self) -> dict[str, np.ndarray]:
        """Copies of the parameters that are trained, by name."""
        return {name: p.numpy() for name, p in self.net.named_parameters().items() if not p.frozen}


def passes(net: tl.Network, x: np.ndarray, grad: np.ndarray) -> Callable[[], dict[str, np.ndarray]]:
    """A function that runs the network forwards and backwards: the gradients of x and of the parameters, by name."""
    given = tl.tensor(x, requires_grad=True)

    def run() -> dict[str, np.ndarray]:
        given.grad = None
        for p in net.parameters():
            p.grad = None
        net(given, training=True).backward(grad)
        return {"input": given.grad, **{name: p.grad for name, p in net.named_parameters().items()}}

    return run
