"""A small VGG for pictures of 28 to 64 pixels a side."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import ArgumentError
from ..images import Preprocessing
from ..nn import AdaptiveAvgPool2d, Conv2d, Flatten, Linear, Network, ReLU
from . import table
from .vgg import blocks

SIZES = (28, 64)


def small_vgg(
    num_classes: int | None = 10,
    classes: Iterable[str] | None = None,
    seed: int | None = 0,
    in_channels: int = 3,
    size: int = 32,
) -> Network:
    """Blocks of 16, 32 and 64 filters, two convolutions each, a global average, a dense layer: 73,000 parameters.

    in_channels: 3 (RGB) or 1 (grey). size: side of the input, 28 to 64; pictures are resized to it. num_classes: None
    ends the network at the global average, (64, 1, 1). classes, seed: as for the others.
    """
    if in_channels not in (1, 3):
        raise ArgumentError(f"small_vgg: in_channels must be 1 (grey) or 3 (RGB); got {in_channels!r}")
    if not isinstance(size, int) or not SIZES[0] <= size <= SIZES[1]:
        raise ArgumentError(f"small_vgg: size must be {SIZES[0]} to {SIZES[1]}; got {size!r}")
    num_classes, names = table.outputs(num_classes, classes)
    layers = blocks(((16, 2), (32, 2)), in_channels)
    layers += [
        ("conv3_1", Conv2d(32, 64, 3, padding=1)),
        ("relu3_1", ReLU()),
        ("conv3_2", Conv2d(64, 64, 3, padding=1)),
        ("relu3_2", ReLU()),
        ("avgpool", AdaptiveAvgPool2d(1)),
    ]
    if num_classes is not None:
        layers += [("flatten", Flatten()), ("fc", Linear(64, num_classes))]
    preprocessing = Preprocessing(
        channels="RGB" if in_channels == 3 else "L",
        mean=(0.5,) * in_channels,
        std=(0.5,) * in_channels,
        resize="exact",
        size=(size, size),
    )
    return table.sequential("small_vgg", layers, (in_channels, size, size), preprocessing, names, seed)
