"""What every layer is: data (its attributes), shapes, and one call into functional."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import numpy as np

from ...errors import ArgumentError, GraphError
from ...tensor import Tensor
from ..init import INITIALIZERS

Shape = tuple[int, ...]  # of one picture: without the batch axis


@dataclass(frozen=True)
class Mode:
    """How a network is run.

    training: dropout is active and batch statistics are used. keys: uint64 (N,), one random key a picture.
    """

    training: bool = False
    keys: Any = None


INFERENCE = Mode()


@dataclass(frozen=True)
class Window:
    """The pixels that one output pixel sees: kernel x kernel of them, `dilation` apart, `stride` from the next's."""

    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)


def plain(value: Any) -> Any:
    """Lists and arrays as tuples, so that layers stay hashable, and NumPy's numbers as Python's, for JSON."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    return tuple(plain(v) for v in value) if isinstance(value, (list, tuple)) else value


class Layer:
    """Base of all layers.

    op: the name in weight files; defining a subclass with a new `op` makes it loadable. keeps: what is kept for its
    gradient, of "inputs", "inputs if trained" (those of a layer with frozen parameters are let go), "output" and
    "scratch". temporaries: how many arrays of its output's size its gradient makes on the way, besides its result.
    Subclasses are frozen dataclasses whose fields are JSON values, and define `forward` and `output_shape`, and
    `parameter_shapes` (`buffer_shapes`) and `initializers` if they have arrays.
    """

    op: ClassVar[str] = ""
    keeps: ClassVar[tuple[str, ...]] = ("inputs", "output")
    temporaries: ClassVar[int] = 0
    _known: ClassVar[dict[str, type[Layer]]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.op:
            Layer._known[cls.op] = cls

    def forward(self, *inputs: Tensor, parameters: Mapping[str, Tensor], mode: Mode, stream: int) -> Tensor:
        """The node's value. parameters: parameters and buffers by role ("weight", "bias", "running_mean").

        stream: the node's own number, for random draws.
        """
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

    def buffer_shapes(self) -> dict[str, Shape]:
        """Shapes by role of the arrays that `forward` keeps up to date and no optimizer trains (running statistics).

        `forward` moves one by its `assign(array)`, and only where mode.training is set and its `frozen` is not.
        """
        return {}

    def array_shapes(self) -> dict[str, Shape]:
        """Shapes of all its arrays by role: parameters, then buffers."""
        return {**self.parameter_shapes(), **self.buffer_shapes()}

    def initializers(self) -> dict[str, str]:
        """Names in nn.init.INITIALIZERS by role, buffers included."""
        drawn = set(self.parameter_shapes()) - {"bias"}
        return {role: "he_normal" if role in drawn else "zeros" for role in self.array_shapes()}

    def flops(self, *shapes: Shape) -> int:
        """Floating-point operations for one picture in inference; a multiplication and an addition count as two."""
        return math.prod(self.output_shape(*shapes))

    def window(self) -> Window | None:
        """What one output pixel sees of each input; None for the whole of it."""
        return Window()

    def workspace(self, batch: int, dtype: Any, *shapes: Shape, gradients: bool) -> int:
        """Bytes that its kernels take while they run on `batch` pictures, forward or (`gradients`) backward."""
        return 0

    def packed(self, batch: int, dtype: Any, *shapes: Shape) -> int:
        """Bytes of its weights in the form that its kernels want, kept beside them until they change."""
        return 0

    def scratch(self, *shapes: Shape) -> int:
        """Numbers held beside inputs and output while it runs, for one picture."""
        return 0

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
            return kind(**{name: plain(value) for name, value in attributes.items()})
        except (TypeError, ArgumentError) as error:
            raise GraphError(f"{where}: {op} cannot be made from {dict(attributes)}: {error}") from None


class Elementwise(Layer):
    """A layer whose output has the shape of its input."""

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]


def make_plain(layer: Any) -> None:
    """Each setting in the one form in which it is stored, so that equal layers are equal."""
    for setting in fields(layer):
        object.__setattr__(layer, setting.name, plain(getattr(layer, setting.name)))


def check_number(layer: Any, name: str, least: float, most: float) -> None:
    """ArgumentError unless that setting is a finite number from `least` to `most`; it becomes a float."""
    value = getattr(layer, name)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not least <= value <= most or abs(value) == np.inf:
        bounds = [f"at least {least:g}"] * (least > -np.inf) + [f"at most {most:g}"] * (most < np.inf)
        domain = f" of {' and '.join(bounds)}" if bounds else ""
        raise ArgumentError(f"{type(layer).__name__}: {name} must be a finite number{domain}; got {value!r}")
    object.__setattr__(layer, name, float(value))


def check_positive(layer: Any, *names: str) -> None:
    """ArgumentError unless those settings are ints of at least 1."""
    for name in names:
        value = getattr(layer, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ArgumentError(f"{type(layer).__name__}: {name} must be a positive int; got {value!r}")


def check_flag(layer: Any, name: str) -> None:
    """ArgumentError unless that setting is True or False."""
    value = getattr(layer, name)
    if not isinstance(value, bool):
        raise ArgumentError(f"{type(layer).__name__}: {name} must be True or False; got {value!r}")


def check_initializer(layer: Any) -> None:
    """ArgumentError unless the layer's initializer is a known one."""
    if not isinstance(layer.initializer, str) or layer.initializer not in INITIALIZERS:
        known = ", ".join(INITIALIZERS)
        raise ArgumentError(f"{type(layer).__name__}: no initializer {layer.initializer!r}; there are {known}")
