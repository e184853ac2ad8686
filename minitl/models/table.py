"""What the tables of the architectures share: named layers in a row or in branches, classifiers, preprocessing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..errors import ArgumentError
from ..images import Preprocessing
from ..nn import AdaptiveAvgPool2d, Dropout, Flatten, Layer, Linear, Network, Node, ReLU
from ..nn.graph import INPUT, chain
from ..weights.convert import squeezenet_deepcompressed, torchvision

Chain = list[tuple[str, Layer]]
HIDDEN = 4096  # width of fc6 and fc7 in AlexNet and VGG

# What the published weights expect is stated where those are read
IMAGENET = Preprocessing.from_dict(torchvision.PREPROCESSING)
CAFFE_227 = Preprocessing.from_dict(squeezenet_deepcompressed.PREPROCESSING)
# Caffe's own networks subtract the mean picture of ILSVRC 2012, or the mean of its pixels (caffe/imagenet
# /ilsvrc_2012_mean.npy), as here; what came later rounds it.
CAFFE_MEAN_227 = replace(CAFFE_227, mean=(104.007, 116.669, 122.679))


class Branches(list[Node]):
    """A growing list of nodes, each by default taking the one before."""

    def put(self, name: str, layer: Layer, *inputs: str) -> str:
        """Adds a node; returns its name."""
        self.append(Node(name, layer, inputs or (self.last,)))
        return name

    @property
    def last(self) -> str:
        """The name of the newest node."""
        return self[-1].name if self else INPUT


def hidden_layers(features: int, dropout: str) -> Chain:
    """fc6 and fc7 on flat `features`, with dropout "before" each dense layer or "after" each ReLU."""
    layers: Chain = []
    for number, width in ((6, features), (7, HIDDEN)):
        block: Chain = [(f"fc{number}", Linear(width, HIDDEN)), (f"relu{number}", ReLU())]
        drop: Chain = [(f"drop{number}", Dropout(0.5))]
        layers += drop + block if dropout == "before" else block + drop
    return layers


def averaged_hidden(channels: int) -> Chain:
    """fc6 and fc7 on the global average, for networks whose own classifier stands on that and has no hidden layer."""
    pooled: Chain = [("avgpool", AdaptiveAvgPool2d(1)), ("flatten", Flatten())]
    return pooled + hidden_layers(channels, dropout="after")


def outputs(num_classes: int | None, classes: Iterable[str] | None) -> tuple[int | None, list[str] | None]:
    """(number of outputs, their names), which must agree; ArgumentError if they do not."""
    names = None if classes is None else list(classes)
    if num_classes is None:
        if names is not None:
            raise ArgumentError("models: num_classes=None ends before the classifier, so classes must be left out")
        return None, None
    if not isinstance(num_classes, int) or isinstance(num_classes, bool) or num_classes < 1:
        raise ArgumentError(f"models: num_classes must be a positive int, or None (features only); got {num_classes!r}")
    if names is not None and len(names) != num_classes:
        raise ArgumentError(f"models: {len(names)} names in classes for num_classes={num_classes}; they must agree")
    return num_classes, names


def sequential(
    name: str,
    layers: Chain,
    size: tuple[int, int, int],
    preprocessing: Preprocessing,
    classes: list[str] | None,
    seed: int | None,
) -> Network:
    """A Network of the layers one after the other."""
    return network(name, chain(layers), size, preprocessing, classes, seed)


def network(
    name: str,
    nodes: list[Node],
    size: tuple[int, int, int],
    preprocessing: Preprocessing,
    classes: list[str] | None,
    seed: int | None,
) -> Network:
    """A Network of the nodes."""
    return Network(nodes, name=name, input_shape=size, classes=classes, preprocessing=preprocessing, seed=seed)
