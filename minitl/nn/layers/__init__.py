"""Layers: what a node of a network computes. A layer is data (its attributes) and one call into functional.

A layer holds no arrays: the network does, by name. So layers can be stored as JSON, compared, and shared. Write your
own by subclassing `Layer` as a frozen dataclass with an `op` name of its own.
"""

from .activation import GELU, LeakyReLU, LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from .base import INFERENCE, Layer, Mode, Shape
from .convolution import Conv2d
from .dense import Linear
from .dropout import Dropout
from .normalization import BatchNorm2d, LocalResponseNorm
from .pooling import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from .structure import Add, Concat, Flatten, Pad2d

__all__ = [
    "GELU",
    "INFERENCE",
    "AdaptiveAvgPool2d",
    "Add",
    "AvgPool2d",
    "BatchNorm2d",
    "Concat",
    "Conv2d",
    "Dropout",
    "Flatten",
    "Layer",
    "LeakyReLU",
    "Linear",
    "LocalResponseNorm",
    "LogSoftmax",
    "MaxPool2d",
    "Mode",
    "Pad2d",
    "ReLU",
    "Shape",
    "Sigmoid",
    "Softmax",
    "Tanh",
]
