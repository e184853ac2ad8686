"""SqueezeNet: Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters" (2016), table 1.

Version 1.1 has a smaller conv1 and pools earlier, for less than half of the work (the authors' repository). conv1 is
not padded and pooling rounds up, in Caffe's networks and in torchvision's. They differ in their pictures, and in
Caffe's 1.0 conv10 is padded by 1, so that a border of cells that see nothing but its bias enters the mean.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..images import Preprocessing
from ..nn import AdaptiveAvgPool2d, Concat, Conv2d, Dropout, Flatten, MaxPool2d, Network, ReLU
from . import table

# (squeeze, expand) widths of the fire modules; each expands to 1 x 1 and 3 x 3 alike
_FIRES = {
    "fire2": (16, 64),
    "fire3": (16, 64),
    "fire4": (32, 128),
    "fire5": (32, 128),
    "fire6": (48, 192),
    "fire7": (48, 192),
    "fire8": (64, 256),
    "fire9": (64, 256),
}
CHANNELS = 512  # of fire9's output


@dataclass(frozen=True)
class _Version:
    """conv1: (filters, kernel size). pooled: the fire modules that a pooling follows. padding: of conv10."""

    conv1: tuple[int, int]
    pooled: tuple[str, ...]
    side: int
    preprocessing: Preprocessing
    padding: int = 0


_VERSIONS = {
    "squeezenet1_0": _Version((96, 7), ("fire4", "fire8"), 224, table.IMAGENET),
    "squeezenet1_0_caffe": _Version((96, 7), ("fire4", "fire8"), 227, table.CAFFE_227, padding=1),
    "squeezenet1_1": _Version((64, 3), ("fire3", "fire5"), 224, table.IMAGENET),
    "squeezenet1_1_caffe": _Version((64, 3), ("fire3", "fire5"), 227, table.CAFFE_227),
}

Classes = Iterable[str] | None


def squeezenet1_0(num_classes: int | None = 1000, classes: Classes = None, seed: int | None = 0) -> Network:
    """torchvision's SqueezeNet 1.0 for (3, 224, 224), 1,248,424 parameters with 1000 classes; output (N, classes).

    num_classes: None ends the network at fire9.concat, (512, 13, 13). classes: output names. seed: of the
    parameters; None leaves them zero, to be loaded.
    """
    return _build("squeezenet1_0", num_classes, classes, seed)


def squeezenet1_0_caffe(num_classes: int | None = 1000, classes: Classes = None, seed: int | None = 0) -> Network:
    """Caffe's SqueezeNet 1.0 for (3, 227, 227), 1,248,424 parameters with 1000 classes; output (N, classes).

    num_classes: None ends the network at fire9.concat, (512, 13, 13). classes, seed: as for `squeezenet1_0`.
    """
    return _build("squeezenet1_0_caffe", num_classes, classes, seed)


def squeezenet1_1(num_classes: int | None = 1000, classes: Classes = None, seed: int | None = 0) -> Network:
    """torchvision's SqueezeNet 1.1 for (3, 224, 224), 1,235,496 parameters with 1000 classes.

    Arguments as for `squeezenet1_0`; fire9.concat is (512, 13, 13) here, too.
    """
    return _build("squeezenet1_1", num_classes, classes, seed)


def squeezenet1_1_caffe(num_classes: int | None = 1000, classes: Classes = None, seed: int | None = 0) -> Network:
    """Caffe's SqueezeNet 1.1 for (3, 227, 227), 1,235,496 parameters with 1000 classes; fire9.concat is (512, 14, 14).

    Arguments as for `squeezenet1_0`. Beside the size, pictures alone tell it from torchvision's: BGR, 0 to 255.
    """
    return _build("squeezenet1_1_caffe", num_classes, classes, seed)


def squeezenet_hidden() -> table.Chain:
    """What a head with hidden layers puts on fire9."""
    return table.averaged_hidden(CHANNELS)


def _build(name: str, num_classes: int | None, classes: Classes, seed: int | None) -> Network:
    num_classes, names = table.outputs(num_classes, classes)
    version = _VERSIONS[name]
    channels, kernel = version.conv1
    nodes = table.Branches()
    nodes.put("conv1", Conv2d(3, channels, kernel, 2))
    nodes.put("relu1", ReLU())
    nodes.put("pool1", MaxPool2d(3, 2, ceil_mode=True))
    for fire, (squeeze, expand) in _FIRES.items():
        channels = _fire(nodes, fire, channels, squeeze, expand)
        if fire in version.pooled:
            nodes.put(f"pool{fire[-1]}", MaxPool2d(3, 2, ceil_mode=True))
    if num_classes is not None:
        nodes.put("drop9", Dropout(0.5))
        nodes.put("conv10", Conv2d(channels, num_classes, 1, padding=version.padding, initializer="normal_001"))
        nodes.put("relu10", ReLU())
        nodes.put("pool10", AdaptiveAvgPool2d(1))
        nodes.put("flatten", Flatten())
    return table.network(name, nodes, (3, version.side, version.side), version.preprocessing, names, seed)


def _fire(nodes: table.Branches, name: str, channels: int, squeeze: int, expand: int) -> int:
    """Squeezes to few channels, then expands them by 1 x 1 and by 3 x 3 filters side by side; returns the channels."""
    nodes.put(f"{name}.squeeze1x1", Conv2d(channels, squeeze, 1))
    squeezed = nodes.put(f"{name}.relu_squeeze1x1", ReLU())
    nodes.put(f"{name}.expand1x1", Conv2d(squeeze, expand, 1), squeezed)
    one = nodes.put(f"{name}.relu_expand1x1", ReLU())
    nodes.put(f"{name}.expand3x3", Conv2d(squeeze, expand, 3, padding=1), squeezed)
    three = nodes.put(f"{name}.relu_expand3x3", ReLU())
    nodes.put(f"{name}.concat", Concat(), one, three)
    return 2 * expand
