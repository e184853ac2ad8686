"""AlexNet as Caffe has it: Krizhevsky et al., "ImageNet classification with deep convolutional neural networks" (2012).

Two towers as groups of conv2, conv4 and conv5, local response normalization, ceiling pooling. It comes in two
orders: bvlc_alexnet normalizes before it pools, as the paper does; bvlc_reference_caffenet ("CaffeNet") pools first.
Their arrays have the same names and shapes, so weights of one load into the other and give wrong answers.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..nn import Conv2d, Flatten, Linear, LocalResponseNorm, MaxPool2d, Network, ReLU
from . import table

#        name    in  out kernel stride padding groups normalized pooled
_CONVOLUTIONS = (
    ("conv1", 3, 96, 11, 4, 0, 1, True, True),
    ("conv2", 96, 256, 5, 1, 2, 2, True, True),
    ("conv3", 256, 384, 3, 1, 1, 1, False, False),
    ("conv4", 384, 384, 3, 1, 1, 2, False, False),
    ("conv5", 384, 256, 3, 1, 1, 2, False, True),
)
GRID = 6  # side of pool5 for the input size of 227


def alexnet_caffe(
    num_classes: int | None = 1000, classes: Iterable[str] | None = None, seed: int | None = 0
) -> Network:
    """Caffe's AlexNet for (3, 227, 227), 60,965,224 parameters with 1000 classes: conv1, relu1, norm1, pool1, …

    num_classes: None ends the network at pool5, (256, 6, 6). classes: output names. seed: of the parameters; None
    leaves them zero, to be loaded. Pictures are BGR, 0 to 255, minus the mean pixel of ImageNet.
    """
    return _build("alexnet_caffe", num_classes, classes, seed, pool_first=False)


def caffenet(num_classes: int | None = 1000, classes: Iterable[str] | None = None, seed: int | None = 0) -> Network:
    """CaffeNet for (3, 227, 227), 60,965,224 parameters with 1000 classes: conv1, relu1, pool1, norm1, …

    Arguments and pictures as for `alexnet_caffe`.
    """
    return _build("caffenet", num_classes, classes, seed, pool_first=True)


def caffe_hidden() -> table.Chain:
    """What stands between pool5 and the last dense layer."""
    return [("flatten", Flatten()), *table.hidden_layers(256 * GRID * GRID, dropout="after")]


def _build(
    name: str, num_classes: int | None, classes: Iterable[str] | None, seed: int | None, pool_first: bool
) -> Network:
    num_classes, names = table.outputs(num_classes, classes)
    layers: table.Chain = []
    for conv, channels, filters, kernel, stride, padding, groups, normalized, pooled in _CONVOLUTIONS:
        number = conv[-1]
        layers += [(conv, Conv2d(channels, filters, kernel, stride, padding, groups=groups)), (f"relu{number}", ReLU())]
        norm: table.Chain = [(f"norm{number}", LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0))] * normalized
        pool: table.Chain = [(f"pool{number}", MaxPool2d(3, 2, ceil_mode=True))] * pooled
        layers += pool + norm if pool_first else norm + pool
    if num_classes is not None:
        layers += [*caffe_hidden(), ("fc8", Linear(table.HIDDEN, num_classes))]
    return table.sequential(name, layers, (3, 227, 227), table.CAFFE_MEAN_227, names, seed)
