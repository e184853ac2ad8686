"""LeNet-5: LeCun et al., "Gradient-based learning applied to document recognition" (1998), section II.B.

As it is usually built today: plain averages where the paper scales and shifts them, tanh where it scales that, all
channels joined in the second convolution, and a dense layer where it has Euclidean distances.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..images import Preprocessing
from ..nn import AvgPool2d, Conv2d, Flatten, Linear, Network, Tanh
from . import table

# Digits of 28 x 28 stand in the middle of 32 x 32, as in the paper; mean and deviation of MNIST's training pictures
_DIGITS = Preprocessing(channels="L", mean=(0.1307,), std=(0.3081,), resize="exact", size=(28, 28), crop=(32, 32))
_DRAWN = "glorot_normal"  # tanh, not ReLU


def lenet5(num_classes: int | None = 10, classes: Iterable[str] | None = None, seed: int | None = 0) -> Network:
    """LeNet-5 for (1, 32, 32), 61,706 parameters with 10 classes. Pictures are white on black.

    num_classes: None ends the network at tanh5, (120, 1, 1). classes: output names. seed: of the parameters; None
    leaves them zero, to be loaded.
    """
    num_classes, names = table.outputs(num_classes, classes)
    layers: table.Chain = [
        ("conv1", Conv2d(1, 6, 5, initializer=_DRAWN)),
        ("tanh1", Tanh()),
        ("pool2", AvgPool2d(2)),
        ("conv3", Conv2d(6, 16, 5, initializer=_DRAWN)),
        ("tanh3", Tanh()),
        ("pool4", AvgPool2d(2)),
        ("conv5", Conv2d(16, 120, 5, initializer=_DRAWN)),
        ("tanh5", Tanh()),
    ]
    if num_classes is not None:
        layers += [
            ("flatten", Flatten()),
            ("fc6", Linear(120, 84, initializer=_DRAWN)),
            ("tanh6", Tanh()),
            ("fc7", Linear(84, num_classes, initializer=_DRAWN)),
        ]
    return table.sequential("lenet5", layers, (1, 32, 32), _DIGITS, names, seed)
