"""A loss that is no number: where it came from, as far as that is cheaply found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import device
from ..autograd import no_grad
from ..data import Item
from ..tensor import Parameter, Tensor

if TYPE_CHECKING:
    from ..nn import Network


def gradient_norm(parameters: Iterable[Parameter]) -> Any:
    """The Euclidean norm of all gradients together; of those on a device a number there, which nobody waits for."""
    total = 0.0
    for p in parameters:
        if p.grad is not None:
            flat = p.grad.reshape(-1)
            total = total + np.dot(flat, flat).astype(np.float64)
    return total**0.5


def origin(net: Network, items: Sequence[Item], values: Any, after: str, upto: str) -> str:
    """What first turned into NaN or Inf: a picture's value at `after`, a parameter, or a layer's output; "" if none.

    values: (n, …), those of `items` at node `after`. The layers are run once more, in inference mode.
    """
    values = values.numpy() if isinstance(values, Tensor) else values
    for item, value in zip(items, values, strict=True):
        if not np.all(np.isfinite(value)):
            return f"the value of the picture {item.name!r} at {after!r}"
    for name, owner in net.named_arrays().items():
        if not np.all(np.isfinite(device.to_host(owner.data))):
            return f"the numbers of {name}"
    single = set(net.graph.bottlenecks())
    given, value = after, values
    for node in net.graph.segment(after, upto):
        if node.name in single or node.name == upto:
            with no_grad():
                value = net.run(value, after=given, upto=node.name).numpy()
            given = node.name
            if not np.all(np.isfinite(value)):
                return f"the output of layer {node.name!r}"
    return ""
