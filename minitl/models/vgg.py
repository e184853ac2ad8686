"""VGG: Simonyan & Zisserman, "Very deep convolutional networks for large-scale image recognition" (2015), table 1."""

from __future__ import annotations

from collections.abc import Iterable

from ..nn import AdaptiveAvgPool2d, Conv2d, Flatten, Linear, MaxPool2d, Network, ReLU
from . import table

_D = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # configuration D: (filters, convolutions) of each block
GRID = 7  # the classifier sees 7 x 7 means, whatever the input size


def blocks(plan: Iterable[tuple[int, int]], channels: int = 3) -> table.Chain:
    """Blocks of 3 x 3 convolutions with ReLU, each ended by a 2 x 2 max-pooling: conv1_1, relu1_1, …, pool1, …"""
    layers: table.Chain = []
    for block, (filters, count) in enumerate(plan, 1):
        for i in range(1, count + 1):
            layers += [(f"conv{block}_{i}", Conv2d(channels, filters, 3, padding=1)), (f"relu{block}_{i}", ReLU())]
            channels = filters
        layers.append((f"pool{block}", MaxPool2d(2)))
    return layers


def vgg16(num_classes: int | None = 1000, classes: Iterable[str] | None = None, seed: int | None = 0) -> Network:
    """VGG-16 for (3, 224, 224), 138,357,544 parameters with 1000 classes (550 MB; drawing them takes seconds).

    num_classes: None ends the network at pool5, (512, 7, 7). classes: output names. seed: of the parameters; None
    leaves them zero, to be loaded.
    """
    num_classes, names = table.outputs(num_classes, classes)
    layers = blocks(_D)
    if num_classes is not None:
        layers += vgg16_hidden()
        layers.append(("fc8", Linear(table.HIDDEN, num_classes)))
    return table.sequential("vgg16", layers, (3, 224, 224), table.IMAGENET, names, seed)


def vgg16_hidden() -> table.Chain:
    """What stands between pool5 and the last dense layer."""
    pooled: table.Chain = [("avgpool", AdaptiveAvgPool2d(GRID)), ("flatten", Flatten())]
    return pooled + table.hidden_layers(512 * GRID * GRID, dropout="after")
