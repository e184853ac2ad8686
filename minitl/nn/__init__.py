"""Layers, initializers, and Network: the graph of named nodes with its freezing, rates and plan."""

from . import init
from .graph import Graph, Node
from .layers import (
    AdaptiveAvgPool2d,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    Linear,
    LogSoftmax,
    MaxPool2d,
    Mode,
    ReLU,
    Softmax,
)
from .network import Network, Sequential

__all__ = [
    "AdaptiveAvgPool2d",
    "Concat",
    "Conv2d",
    "Dropout",
    "Flatten",
    "Graph",
    "Layer",
    "Linear",
    "LogSoftmax",
    "MaxPool2d",
    "Mode",
    "Network",
    "Node",
    "ReLU",
    "Sequential",
    "Softmax",
    "init",
]
