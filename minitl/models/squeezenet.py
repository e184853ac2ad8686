"""SqueezeNet 1.0: Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters" (2016), table 1.

Caffe's version, as its authors released it: no padding at conv1, ceiling pooling, and conv10 with padding 1, so
that a border of cells that see nothing but its bias enters the mean.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..nn import AdaptiveAvgPool2d, Concat, Conv2d, Dropout, Flatten, Layer, MaxPool2d, Network, Node, ReLU
from . import table

#       fire  squeeze expand
_FIRES = ((2, 16, 64), (3, 16, 64), (4, 32, 128), (5, 32, 128), (6, 48, 192), (7, 48, 192), (8, 64, 256), (9, 64, 256))
_POOLED = (4, 8)  # a pooling follows these


class _Nodes(list[Node]):
    """A growing list of nodes, each by default taking the one before."""

    def put(self, name: str, layer: Layer, *inputs: str) -> str:
        self.append(Node(name, layer, inputs or ((self[-1].name,) if self else ("input",))))
        return name


def squeezenet1_0_caffe(
    num_classes: int | None = 1000, classes: Iterable[str] | None = None, seed: int | None = 0
) -> Network:
    """Caffe's SqueezeNet 1.0 for (3, 227, 227), 1,248,424 parameters with 1000 classes; output (N, classes).

    num_classes: None ends the network at fire9.concat, (512, 13, 13). classes: output names. seed: of the
    parameters; None leaves them zero, to be loaded.
    """
    num_classes, names = table.outputs(num_classes, classes)
    nodes = _Nodes()
    nodes.put("conv1", Conv2d(3, 96, 7, 2))
    nodes.put("relu1", ReLU())
    nodes.put("pool1", MaxPool2d(3, 2, ceil_mode=True))
    channels = 96
    for number, squeeze, expand in _FIRES:
        channels = _fire(nodes, f"fire{number}", channels, squeeze, expand)
        if number in _POOLED:
            nodes.put(f"pool{number}", MaxPool2d(3, 2, ceil_mode=True))
    if num_classes is not None:
        nodes.put("drop9", Dropout(0.5))
        nodes.put("conv10", Conv2d(channels, num_classes, 1, padding=1))
        nodes.put("relu10", ReLU())
        nodes.put("pool10", AdaptiveAvgPool2d(1))
        nodes.put("flatten", Flatten())
    return Network(
        nodes,
        name="squeezenet1_0_caffe",
        input_shape=(3, 227, 227),
        classes=names,
        preprocessing=table.CAFFE_227,
        seed=seed,
    )


def _fire(nodes: _Nodes, name: str, channels: int, squeeze: int, expand: int) -> int:
    """Squeezes to few channels, then expands them by 1 x 1 and by 3 x 3 filters side by side; returns the channels."""
    nodes.put(f"{name}.squeeze1x1", Conv2d(channels, squeeze, 1))
    squeezed = nodes.put(f"{name}.relu_squeeze1x1", ReLU())
    nodes.put(f"{name}.expand1x1", Conv2d(squeeze, expand, 1), squeezed)
    one = nodes.put(f"{name}.relu_expand1x1", ReLU())
    nodes.put(f"{name}.expand3x3", Conv2d(squeeze, expand, 3, padding=1), squeezed)
    three = nodes.put(f"{name}.relu_expand3x3", ReLU())
    nodes.put(f"{name}.concat", Concat(), one, three)
    return 2 * expand
