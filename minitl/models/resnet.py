"""ResNet: He et al., "Deep residual learning for image recognition" (2016), table 1, as torchvision has it.

A block adds to its input what two convolutions ("basic") or three ("bottleneck") make of it; where the shape changes,
the input goes through a 1 x 1 convolution. The stride of a bottleneck stands at its 3 x 3 convolution (torchvision's
"v1.5"), not at its first as in the paper.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..nn import AdaptiveAvgPool2d, Add, BatchNorm2d, Conv2d, Flatten, Linear, MaxPool2d, Network, ReLU
from ..weights.names import RESNET_BLOCKS
from . import table

_WIDTHS = (64, 128, 256, 512)  # of each stage
_EXPANSION = {"basic": 1, "bottleneck": 4}  # a block's output has so many times its width

Classes = Iterable[str] | None


def resnet18(num_classes: int | None = 1000, classes: Classes = None, seed: int | None = 0) -> Network:
    """ResNet-18 for (3, 224, 224), 11,689,512 parameters with 1000 classes.

    num_classes: None ends the network at the output of layer4, (512, 7, 7). classes: output names. seed: of the
    parameters; None leaves them zero, to be loaded.
    """
    return _build("resnet18", num_classes, classes, seed)


def resnet34(num_classes: int | None = 1000, classes: Classes = None, seed: int | None = 0) -> Network:
    """ResNet-34, 21,797,672 parameters with 1000 classes; arguments as for `resnet18`."""
    return _build("resnet34", num_classes, classes, seed)


def resnet50(num_classes: int | None = 1000, classes: Classes = None, seed: int | None = 0) -> Network:
    """ResNet-50, 25,557,032 parameters with 1000 classes; layer4 gives (2048, 7, 7); arguments as for `resnet18`."""
    return _build("resnet50", num_classes, classes, seed)


def resnet_hidden(name: str) -> table.Chain:
    """What a head with hidden layers puts on layer4 of the network of that name."""
    return table.averaged_hidden(_WIDTHS[-1] * _EXPANSION[RESNET_BLOCKS[name][0]])


def _build(name: str, num_classes: int | None, classes: Classes, seed: int | None) -> Network:
    num_classes, names = table.outputs(num_classes, classes)
    kind, counts = RESNET_BLOCKS[name]
    channels = _WIDTHS[0]
    nodes = table.Branches()
    nodes.put("conv1", Conv2d(3, channels, 7, 2, 3, bias=False))
    nodes.put("bn1", BatchNorm2d(channels))
    nodes.put("relu", ReLU())
    nodes.put("maxpool", MaxPool2d(3, 2, 1))
    for stage, (width, count) in enumerate(zip(_WIDTHS, counts, strict=True), 1):
        for i in range(count):
            stride = 2 if stage > 1 and i == 0 else 1
            channels = _block(nodes, f"layer{stage}.{i}", kind, channels, width, stride)
    if num_classes is not None:
        nodes.put("avgpool", AdaptiveAvgPool2d(1))
        nodes.put("flatten", Flatten())
        nodes.put("fc", Linear(channels, num_classes))
    return table.network(name, nodes, (3, 224, 224), table.IMAGENET, names, seed)


def _block(nodes: table.Branches, name: str, kind: str, channels: int, width: int, stride: int) -> int:
    """One residual block; returns the channels of its output."""
    given, out = nodes.last, width * _EXPANSION[kind]
    # (channels in, channels out, kernel size, stride) of each convolution
    path = [(channels, width, 3, stride), (width, out, 3, 1)]
    if kind == "bottleneck":
        path = [(channels, width, 1, 1), (width, width, 3, stride), (width, out, 1, 1)]
    for i, (into, filters, kernel, step) in enumerate(path, 1):
        if i > 1:
            nodes.put(f"{name}.relu{i - 1}", ReLU())
        nodes.put(f"{name}.conv{i}", Conv2d(into, filters, kernel, step, kernel // 2, bias=False))
        nodes.put(f"{name}.bn{i}", BatchNorm2d(filters))
    changed = nodes.last
    if stride != 1 or channels != out:
        nodes.put(f"{name}.downsample.conv", Conv2d(channels, out, 1, stride, bias=False), given)
        given = nodes.put(f"{name}.downsample.bn", BatchNorm2d(out))
    nodes.put(f"{name}.add", Add(), changed, given)
    nodes.put(f"{name}.relu{len(path)}", ReLU())
    return out
