"""AlexNet as torchvision has it: Krizhevsky, "One weird trick for parallelizing CNNs" (2014), section 5.

One tower without groups and without local response normalization; five convolutions of 64, 192, 384, 256
and 256 filters. It is not the network of 2012 that Caffe distributes, and weights of one do not fit the other.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..nn import AdaptiveAvgPool2d, Conv2d, Flatten, Linear, MaxPool2d, Network, ReLU
from . import table

#        name     in  out kernel stride padding pooled
_CONVOLUTIONS = (
    ("conv1", 3, 64, 11, 4, 2, True),
    ("conv2", 64, 192, 5, 1, 2, True),
    ("conv3", 192, 384, 3, 1, 1, False),
    ("conv4", 384, 256, 3, 1, 1, False),
    ("conv5", 256, 256, 3, 1, 1, True),
)
GRID = 6  # the classifier sees 6 x 6 means, whatever the input size


def alexnet(num_classes: int | None = 1000, classes: Iterable[str] | None = None, seed: int | None = 0) -> Network:
    """torchvision's AlexNet for (3, 224, 224), 61,100,840 parameters with 1000 classes.

    num_classes: None ends the network at pool5, (256, 6, 6). classes: output names. seed: of the parameters; None
    leaves them zero, to be loaded. Dropout stands before fc6 and before fc7, as in torchvision, not after them.
    """
    num_classes, names = table.outputs(num_classes, classes)
    layers: table.Chain = []
    for name, channels, filters, kernel, stride, padding, pooled in _CONVOLUTIONS:
        number = name[-1]
        layers += [(name, Conv2d(channels, filters, kernel, stride, padding)), (f"relu{number}", ReLU())]
        if pooled:
            layers.append((f"pool{number}", MaxPool2d(3, 2)))
    if num_classes is not None:
        layers += alexnet_hidden()
        layers.append(("fc8", Linear(table.HIDDEN, num_classes)))
    return table.sequential("alexnet", layers, (3, 224, 224), table.IMAGENET, names, seed)


def alexnet_hidden() -> table.Chain:
    """What stands between pool5 and the last dense layer."""
    pooled: table.Chain = [("avgpool", AdaptiveAvgPool2d(GRID)), ("flatten", Flatten())]
    return pooled + table.hidden_layers(256 * GRID * GRID, dropout="before")
