"""VGG: Simonyan & Zisserman, "Very deep convolutional networks for large-scale image recognition" (2015), table 1.

Configurations A, B, D and E, by their number of layers with weights; those that end in _bn are torchvision's, with
batch normalization (Ioffe & Szegedy 2015) between each convolution and its ReLU.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..nn import AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Flatten, Linear, MaxPool2d, Network, ReLU
from ..weights.names import VGG_BLOCKS
from . import table

_FILTERS = (64, 128, 256, 512, 512)  # of each block
GRID = 7  # the classifier sees 7 x 7 means, whatever the input size

Classes = Iterable[str] | None


def blocks(plan: Iterable[tuple[int, int]], channels: int = 3, batch_norm: bool = False) -> table.Chain:
    """Blocks of (filters, convolutions): 3 x 3 with ReLU, each block ended by a 2 x 2 max-pooling.

    Named conv1_1, (bn1_1,) relu1_1, …, pool1, …
    """
    layers: table.Chain = []
    for block, (filters, count) in enumerate(plan, 1):
        for i in range(1, count + 1):
            layers.append((f"conv{block}_{i}", Conv2d(channels, filters, 3, padding=1)))
            if batch_norm:
                layers.append((f"bn{block}_{i}", BatchNorm2d(filters)))
            layers.append((f"relu{block}_{i}", ReLU()))
            channels = filters
        layers.append((f"pool{block}", MaxPool2d(2)))
    return layers


def vgg11(num_classes: int | None = 1000, classes: Classes = None, seed: int | None = 0) -> Network:
    """VGG-11 (A), 132,863,336 parameters with 1000 classes; arguments as for `vgg16`."""
    return _build("vgg11", num_classes, classes, seed)


def vgg13(num_classes: int | None = 1000, classes: Classes = None, seed: int | None = 0) -> Network:
    """VGG-13 (B), 133,047,848 parameters with 1000 classes; arguments as for `vgg16`."""
    return _build("vgg13", num_classes, classes, seed)


def vgg16(num_classes: int | None = 1000, classes: Classes = None, seed: int | None = 0) -> Network:
    """VGG-16 (D) for (3, 224, 224), 138,357,544 parameters with 1000 classes (550 MB; drawing them takes seconds).

    num_classes: None ends the network at pool5, (512, 7, 7). classes: output names. seed: of the parameters; None
    leaves them zero, to be loaded.
    """
    return _build("vgg16", num_classes, classes, seed)


def vgg19(num_classes: int | None = 1000, classes: Classes = None, seed: int | None = 0) -> Network:
    """VGG-19 (E), 143,667,240 parameters with 1000 classes; arguments as for `vgg16`."""
    return _build("vgg19", num_classes, classes, seed)


def vgg11_bn(num_classes: int | None = 1000, classes: Classes = None, seed: int | None = 0) -> Network:
    """VGG-11 (A) with batch normalization, 132,868,840 parameters with 1000 classes; arguments as for `vgg16`."""
    return _build("vgg11_bn", num_classes, classes, seed)


def vgg13_bn(num_classes: int | None = 1000, classes: Classes = None, seed: int | None = 0) -> Network:
    """VGG-13 (B) with batch normalization, 133,053,736 parameters with 1000 classes; arguments as for `vgg16`."""
    return _build("vgg13_bn", num_classes, classes, seed)


def vgg16_bn(num_classes: int | None = 1000, classes: Classes = None, seed: int | None = 0) -> Network:
    """VGG-16 (D) with batch normalization, 138,365,992 parameters with 1000 classes; arguments as for `vgg16`."""
    return _build("vgg16_bn", num_classes, classes, seed)


def vgg19_bn(num_classes: int | None = 1000, classes: Classes = None, seed: int | None = 0) -> Network:
    """VGG-19 (E) with batch normalization, 143,678,248 parameters with 1000 classes; arguments as for `vgg16`."""
    return _build("vgg19_bn", num_classes, classes, seed)


def vgg_hidden() -> table.Chain:
    """What stands between pool5 and the last dense layer."""
    pooled: table.Chain = [("avgpool", AdaptiveAvgPool2d(GRID)), ("flatten", Flatten())]
    return pooled + table.hidden_layers(512 * GRID * GRID, dropout="after")


def _build(name: str, num_classes: int | None, classes: Classes, seed: int | None) -> Network:
    num_classes, names = table.outputs(num_classes, classes)
    plan = zip(_FILTERS, VGG_BLOCKS[name.removesuffix("_bn")], strict=True)
    layers = blocks(plan, batch_norm=name.endswith("_bn"))
    if num_classes is not None:
        layers += [*vgg_hidden(), ("fc8", Linear(table.HIDDEN, num_classes))]
    return table.sequential(name, layers, (3, 224, 224), table.IMAGENET, names, seed)
