"""A learning rate that suits the network and the data, measured rather than guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..data.dataset import key
from ..errors import ArgumentError

if TYPE_CHECKING:
    from ..nn import Network

PICTURES = 8  # that the curvature is averaged over


def measured_rate(net: Network, values: np.ndarray, after: str, upto: str, momentum: float, seed: int = 0) -> float:
    """The base rate at which the steepest direction is stepped down in one go: (1 - momentum) / L.

    L estimates the curvature of the mean cross-entropy along the trainable parameters. The Hessian of softmax
    cross-entropy in the logits is at most 1/2 (Böhning 1992, "Multinomial logistic regression algorithm"), and in the
    Gauss-Newton approximation L = 1/2 mean over pictures of trace(J D J^T) / K, with J the Jacobian of the K logits
    by the parameters and D their rate multipliers: the mean eigenvalue, where a bound would take the largest. For a
    single dense layer all are alike, |x|^2 + 1, so there it is a bound, and the rate follows the scale of the
    features; for deeper trainable parts it is a guess that `lr` may have to lower. The trace is had by one backward
    pass a picture of random signs u, as E |J^T u|^2 (Hutchinson 1990). 1 / (1 - momentum) is what momentum
    multiplies a steady step by.

    values: (n, …), the pictures' values at node `after`. Raises ArgumentError where nothing moves the output.
    """
    parameters = [p for p in net.parameters() if not p.frozen]
    total = 0.0
    for i, value in enumerate(values):
        scores = net.run(value[None], after=after, upto=upto)
        signs = np.random.default_rng([seed, key("signs", i)]).choice((-1.0, 1.0), scores.shape)
        scores.backward(signs.astype(scores.dtype))
        for p in parameters:
            if p.grad is not None:
                flat = p.grad.reshape(-1)
                total += p.lr_mult * float(np.dot(flat, flat)) / scores.size
            p.grad = None
    trace = total / len(values)
    if not np.isfinite(trace) or trace <= 0:
        raise ArgumentError(
            f"{net.name}: no learning rate can be measured (sensitivity of the outputs to what trains: {trace:g}); "
            "give lr=, and check the weights for zeros and NaN"
        )
    return (1 - momentum) * 2 / trace
