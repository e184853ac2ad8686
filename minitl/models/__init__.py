"""Architectures, as tables that build Networks with freshly drawn parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ..errors import ArgumentError
from ..nn import Network
from . import table
from .alexnet import alexnet, alexnet_hidden
from .caffenet import alexnet_caffe, caffe_hidden, caffenet
from .lenet import lenet5
from .resnet import resnet18, resnet34, resnet50, resnet_hidden
from .small import small_vgg
from .squeezenet import squeezenet1_0, squeezenet1_0_caffe, squeezenet1_1, squeezenet1_1_caffe, squeezenet_hidden
from .vgg import vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn, vgg_hidden

ARCHITECTURES: dict[str, Callable[..., Network]] = {
    "alexnet": alexnet,
    "alexnet_caffe": alexnet_caffe,
    "caffenet": caffenet,
    "lenet5": lenet5,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "small_vgg": small_vgg,
    "squeezenet1_0": squeezenet1_0,
    "squeezenet1_0_caffe": squeezenet1_0_caffe,
    "squeezenet1_1": squeezenet1_1,
    "squeezenet1_1_caffe": squeezenet1_1_caffe,
    "vgg11": vgg11,
    "vgg11_bn": vgg11_bn,
    "vgg13": vgg13,
    "vgg13_bn": vgg13_bn,
    "vgg16": vgg16,
    "vgg16_bn": vgg16_bn,
    "vgg19": vgg19,
    "vgg19_bn": vgg19_bn,
}
# What stands between the features and the last dense layer: the papers' own, or where a paper has no hidden layer
# there, two on the global average that its network ends with
HIDDEN_LAYERS: dict[str, Callable[[], table.Chain]] = {
    "alexnet": alexnet_hidden,
    **dict.fromkeys(("alexnet_caffe", "caffenet"), caffe_hidden),
    **{name: partial(resnet_hidden, name) for name in ARCHITECTURES if name.startswith("resnet")},
    **{name: squeezenet_hidden for name in ARCHITECTURES if name.startswith("squeezenet")},
    **{name: vgg_hidden for name in ARCHITECTURES if name.startswith("vgg")},
}


def build(architecture: str, **options: Any) -> Network:
    """The network of that name, with the options of its function; ArgumentError, listing the names, on another one."""
    if architecture not in ARCHITECTURES:
        raise ArgumentError(f"models: no architecture {architecture!r}; there are {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[architecture](**options)


__all__ = [
    "ARCHITECTURES",
    "HIDDEN_LAYERS",
    "alexnet",
    "alexnet_caffe",
    "build",
    "caffenet",
    "lenet5",
    "resnet18",
    "resnet34",
    "resnet50",
    "small_vgg",
    "squeezenet1_0",
    "squeezenet1_0_caffe",
    "squeezenet1_1",
    "squeezenet1_1_caffe",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
]
