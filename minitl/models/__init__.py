"""Architectures, as tables that build Networks with freshly drawn parameters."""

from __future__ import annotations

from typing import Any

from ..errors import ArgumentError
from ..nn import Network
from .alexnet import alexnet, alexnet_hidden
from .small import small_vgg
from .squeezenet import squeezenet1_0_caffe
from .vgg import vgg16, vgg16_hidden

ARCHITECTURES = {
    "alexnet": alexnet,
    "small_vgg": small_vgg,
    "squeezenet1_0_caffe": squeezenet1_0_caffe,
    "vgg16": vgg16,
}
# What stands between the features and the last dense layer in the papers' classifiers
HIDDEN_LAYERS = {"alexnet": alexnet_hidden, "vgg16": vgg16_hidden}


def build(architecture: str, **options: Any) -> Network:
    """The network of that name, with the options of its function; ArgumentError, listing the names, on another one."""
    if architecture not in ARCHITECTURES:
        raise ArgumentError(f"models: no architecture {architecture!r}; there are {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[architecture](**options)


__all__ = ["ARCHITECTURES", "HIDDEN_LAYERS", "alexnet", "build", "small_vgg", "squeezenet1_0_caffe", "vgg16"]
