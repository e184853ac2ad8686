"""Layers: what a node of a network computes. A layer is data (its attributes) and one call into functional.

A layer holds no arrays: the network does, by name. So layers can be stored as JSON, compared, and
shared. Write your own by subclassing `Layer` as a frozen dataclass with an `op` name of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import numpy as np

from .. import functional as F
from ..errors import ArgumentError, GraphError, ShapeError
from ..kernels.geometry import ConvGeometry, PoolGeometry, pair
from ..tensor import Tensor
from .init import INITIALIZERS

Shape = tuple[int, ...]  # of one picture: without the batch axis


@dataclass(frozen=True)
class Mode:
    """How a network is run. training: dropout is active. keys: uint64 (N,), one random key a picture."""

    training: bool = False
    keys: Any = None


INFERENCE = Mode()


def _plain(value: Any) -> Any:
    """Lists and arrays as tuples, so that layers stay hashable, and NumPy's numbers as Python's, for JSON."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    return tuple(_plain(v) for v in value) if isinstance(value, (list, tuple)) else value


class Layer:
    """Base of all layers.

    op: the name in weight files; defining a subclass with a new `op` makes it loadable. Subclasses are
    frozen dataclasses whose fields are JSON values, and define `forward` and `output_shape`, and
    `parameter_shapes` and `initializers` if they have parameters.
    """

    op: ClassVar[str] = ""
    _known: ClassVar[dict[str, type[Layer]]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.op:
            Layer._known[cls.op] = cls

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        """The node's value. parameters: by role ("weight", "bias"). stream: the node's own number, for random draws."""
        raise TypeError(f"{type(self).__name__} must define forward")

    @property
    def random(self) -> bool:
        """Whether `forward` draws random numbers in training, so that its value differs from epoch to epoch."""
        return False

    def output_shape(self, *shapes: Shape) -> Shape:
        """Shape of one picture's output, given those of its inputs; ShapeError if they do not fit."""
        raise TypeError(f"{type(self).__name__} must define output_shape")

    def parameter_shapes(self) -> dict[str, Shape]:
        """Shapes of the parameters by role, in order."""
        return {}

    def initializers(self) -> dict[str, str]:
        """Names in nn.init.INITIALIZERS by role."""
        return {role: "zeros" if role == "bias" else "he_normal" for role in self.parameter_shapes()}

    def attributes(self) -> dict[str, Any]:
        """The fields, as stored in a weight file."""
        return asdict(self)  # type: ignore[call-overload]

    @staticmethod
    def from_attributes(op: str, attributes: Mapping[str, Any], where: str) -> Layer:
        """The layer stored as (op, attributes); GraphError naming `where` if there is no such layer."""
        if op not in Layer._known:
            raise GraphError(
                f"{where}: no layer has op {op!r}; known are {', '.join(sorted(Layer._known))}. "
                "Import the module that defines it before loading"
            )
        kind = Layer._known[op]
        try:
            return kind(**{name: _plain(value) for name, value in attributes.items()})
        except (TypeError, ArgumentError) as error:
            raise GraphError(f"{where}: {op} cannot be made from {dict(attributes)}: {error}") from None


def _make_plain(layer: Any) -> None:
    """Each setting in the one form in which it is stored, so that equal layers are equal."""
    for setting in fields(layer):
        object.__setattr__(layer, setting.name, _plain(getattr(layer, setting.name)))


def _positive(layer: Any, *names: str) -> None:
    for name in names:
        value = getattr(layer, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ArgumentError(f"{type(layer).__name__}: {name} must be a positive int; got {value!r}")


def _flag(layer: Any, name: str) -> None:
    value = getattr(layer, name)
    if not isinstance(value, bool):
        raise ArgumentError(f"{type(layer).__name__}: {name} must be True or False; got {value!r}")


def _initializer(layer: Any) -> None:
    if not isinstance(layer.initializer, str) or layer.initializer not in INITIALIZERS:
        known = ", ".join(INITIALIZERS)
        raise ArgumentError(f"{type(layer).__name__}: no initializer {layer.initializer!r}; there are {known}")


@dataclass(frozen=True)
class Conv2d(Layer):
    """Convolution of (C, H, W) with `out_channels` filters; arguments as in functional.conv2d."""

    op: ClassVar[str] = "conv2d"
    in_channels: int
    out_channels: int
    kernel_size: Any
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    groups: int = 1
    bias: bool = True
    padding_mode: str = "zeros"
    initializer: str = "he_normal"

    def __post_init__(self) -> None:
        _make_plain(self)
        _positive(self, "in_channels", "out_channels", "groups")
        _flag(self, "bias")
        _initializer(self)
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ArgumentError(
                f"Conv2d: groups={self.groups} must divide in_channels={self.in_channels} "
                f"and out_channels={self.out_channels}"
            )

    def parameter_shapes(self) -> dict[str, Shape]:
        kernel = pair(self.kernel_size, op="Conv2d", name="kernel_size", least=1)
        shapes: dict[str, Shape] = {"weight": (self.out_channels, self.in_channels // self.groups, *kernel)}
        return {**shapes, "bias": (self.out_channels,)} if self.bias else shapes

    def initializers(self) -> dict[str, str]:
        return {**super().initializers(), "weight": self.initializer}

    def _geometry(self) -> dict[str, Any]:
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
            "padding_mode": self.padding_mode,
        }

    def output_shape(self, *shapes: Shape) -> Shape:
        weight = self.parameter_shapes()["weight"]
        return ConvGeometry.infer((1, *shapes[0]), weight, **self._geometry()).y_shape[1:]

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        return F.conv2d(inputs[0], parameters["weight"], parameters.get("bias"), **self._geometry())


@dataclass(frozen=True)
class Linear(Layer):
    """y = x weight.T + bias for flat inputs (in_features,)."""

    op: ClassVar[str] = "linear"
    in_features: int
    out_features: int
    bias: bool = True
    initializer: str = "he_normal"

    def __post_init__(self) -> None:
        _make_plain(self)
        _positive(self, "in_features", "out_features")
        _flag(self, "bias")
        _initializer(self)

    def parameter_shapes(self) -> dict[str, Shape]:
        shapes: dict[str, Shape] = {"weight": (self.out_features, self.in_features)}
        return {**shapes, "bias": (self.out_features,)} if self.bias else shapes

    def initializers(self) -> dict[str, str]:
        return {**super().initializers(), "weight": self.initializer}

    def output_shape(self, *shapes: Shape) -> Shape:
        if shapes[0] != (self.in_features,):
            raise ShapeError(
                f"linear: expects {self.in_features} features a picture, but its input has shape {shapes[0]}; "
                "use the input size that the network was made for, or a head that pools (head='gap')"
            )
        return (self.out_features,)

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        return F.linear(inputs[0], parameters["weight"], parameters.get("bias"))


@dataclass(frozen=True)
class MaxPool2d(Layer):
    """Maximum of each window; arguments as in functional.max_pool2d."""

    op: ClassVar[str] = "max_pool2d"
    kernel_size: Any
    stride: Any = None
    padding: Any = 0
    dilation: Any = 1
    ceil_mode: bool = False

    def __post_init__(self) -> None:
        _make_plain(self)
        _flag(self, "ceil_mode")

    def output_shape(self, *shapes: Shape) -> Shape:
        return PoolGeometry.infer((1, *shapes[0]), **self.attributes()).y_shape[1:]

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        return F.max_pool2d(inputs[0], **self.attributes())


@dataclass(frozen=True)
class AdaptiveAvgPool2d(Layer):
    """Means over a grid of `output_size` (int or pair) windows; 1 is the global average."""

    op: ClassVar[str] = "adaptive_avg_pool2d"
    output_size: Any = 1

    def __post_init__(self) -> None:
        _make_plain(self)

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(shapes[0]) != 3:
            raise ShapeError(f"adaptive_avg_pool2d: needs an input (C, H, W); got {shapes[0]}")
        return (shapes[0][0], *pair(self.output_size, op=self.op, name="output_size", least=1))

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        return F.adaptive_avg_pool2d(inputs[0], self.output_size)


class _Elementwise(Layer):
    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]


@dataclass(frozen=True)
class ReLU(_Elementwise):
    """max(x, 0)."""

    op: ClassVar[str] = "relu"

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        return F.relu(inputs[0])


@dataclass(frozen=True)
class Softmax(_Elementwise):
    """Probabilities over the channels (the first axis of a picture)."""

    op: ClassVar[str] = "softmax"

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        return F.softmax(inputs[0], axis=1)


@dataclass(frozen=True)
class LogSoftmax(_Elementwise):
    """Logarithms of the probabilities over the channels."""

    op: ClassVar[str] = "log_softmax"

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        return F.log_softmax(inputs[0], axis=1)


@dataclass(frozen=True)
class Dropout(_Elementwise):
    """In training, sets each element to zero with probability p and scales the rest by 1 / (1 - p)."""

    op: ClassVar[str] = "dropout"
    p: float = 0.5

    def __post_init__(self) -> None:
        _make_plain(self)
        if not isinstance(self.p, (int, float)) or isinstance(self.p, bool) or not 0 <= self.p < 1:
            raise ArgumentError(f"Dropout: p must be a number in [0, 1); got {self.p!r}")

    @property
    def random(self) -> bool:
        return self.p > 0

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        if not mode.training or self.p == 0:
            return inputs[0]
        if mode.keys is None:
            raise ArgumentError("Dropout: training needs keys=, one uint64 a picture, so that its mask is reproducible")
        return F.dropout(inputs[0], self.p, mode.keys, stream)


@dataclass(frozen=True)
class Flatten(Layer):
    """(C, H, W) -> (C H W,), in row-major order."""

    op: ClassVar[str] = "flatten"

    def output_shape(self, *shapes: Shape) -> Shape:
        return (math.prod(shapes[0]),)

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        return F.flatten(inputs[0])


@dataclass(frozen=True)
class Concat(Layer):
    """Joins its inputs along the channels."""

    op: ClassVar[str] = "concat"

    def output_shape(self, *shapes: Shape) -> Shape:
        if len({shape[1:] for shape in shapes}) > 1:
            raise ShapeError(f"concat: inputs must agree in all axes but the channels; got {list(shapes)}")
        return (sum(shape[0] for shape in shapes), *shapes[0][1:])

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        return F.concat(inputs, axis=1)
