"""Geometry of windows and borders: the only place where the output size of convolution, pooling or padding is computed.

Letters of the shape algebra: N batch, C channels in, H x W input; O channels out, P x Q output;
R x S filter. Formulas: Dumoulin & Visin, "A guide to convolution arithmetic for deep learning" (2016).
"""

from __future__ import annotations

import marshal
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from ..errors import ShapeError

Pair = tuple[int, int]
Sides = tuple[Pair, Pair]  # ((top, bottom), (left, right))

PADDING_MODES = ("zeros", "replicate")  # that convolutions know; the others need a picture with a border of its own
PAD_MODES = ("constant", "reflect", "replicate", "circular")
MOST = 2**16 - 1  # of any window setting: a larger one is a mistake, or an attack in a weight file


def output_size(
    size: int, kernel: int, stride: int, before: int, after: int, dilation: int, ceil_mode: bool = False
) -> int:
    """Number of window positions along one axis; 0 or less means that no window fits.

    With `ceil_mode` a last partial window counts too, provided that it starts inside the input or
    the padding before it (PyTorch's and Caffe's rule).
    """
    room = before + size + after - (dilation * (kernel - 1) + 1)
    if room < 0 and not ceil_mode:
        return 0
    count = (-(-room // stride) if ceil_mode else room // stride) + 1
    if ceil_mode and (count - 1) * stride >= size + before:
        count -= 1
    return count


def pair(value: Any, *, op: str, name: str, least: int) -> Pair:
    """An int or a pair of ints as (vertical, horizontal), each at least `least`."""
    if hasattr(value, "tolist"):  # an array or a NumPy number
        value = value.tolist()
    values = value if isinstance(value, (tuple, list)) else (value, value)
    try:
        numbers = () if any(isinstance(v, bool) for v in values) else tuple(operator.index(v) for v in values)
    except TypeError:
        numbers = ()
    if len(numbers) != 2 or min(numbers) < least or max(numbers) > MOST:
        raise ShapeError(
            f"{op}: {name} must be an int or a pair of ints, each from {least} to {MOST}; got {value!r:.80}"
        )
    return numbers[0], numbers[1]


def sides(padding: Any, *, op: str, size: Pair, kernel: Pair, stride: Pair, dilation: Pair) -> Sides:
    """Any form of `padding` as ((top, bottom), (left, right)).

    Forms: int; (vertical, horizontal); ((top, bottom), (left, right)); "valid" (none); "same"
    (output = ceil(input / stride), the odd pixel at the end: Keras, ONNX SAME_UPPER).
    """
    if hasattr(padding, "tolist"):
        padding = padding.tolist()
    if isinstance(padding, str) and padding == "valid":
        return (0, 0), (0, 0)
    if isinstance(padding, str) and padding == "same":
        both = []
        for n, k, s, d in zip(size, kernel, stride, dilation, strict=True):
            total = max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
            pair(total, op=op, name="padding 'same' in all", least=0)
            both.append((total // 2, total - total // 2))
        return both[0], both[1]
    if isinstance(padding, str):
        raise ShapeError(
            f"{op}: padding {padding!r} is not known; use an int, a pair, "
            '((top, bottom), (left, right)), "valid" or "same"'
        )
    if isinstance(padding, (tuple, list)) and any(isinstance(p, (tuple, list)) for p in padding):
        if len(padding) != 2:
            raise ShapeError(f"{op}: padding must be ((top, bottom), (left, right)); got {padding!r}")
        vertical, horizontal = (pair(p, op=op, name="padding", least=0) for p in padding)
        return vertical, horizontal
    v, h = pair(padding, op=op, name="padding", least=0)
    return (v, v), (h, h)


def _image_shape(op: str, name: str, shape: tuple[int, ...]) -> None:
    if len(shape) != 4:
        raise ShapeError(f"{op}: {name} must have 4 axes (N, C, H, W); got shape {tuple(shape)}")


@lru_cache(maxsize=1024, typed=True)
def _known(infer: Callable[..., Any], text: bytes, *asked: Any) -> Any:
    """infer(*asked), kept for the next batch. text: tells apart what is equal but of different types, as 1 and True."""
    return infer(*asked)


@dataclass(frozen=True)
class ConvGeometry:
    """Everything about a 2-D convolution but the numbers. Make one with `ConvGeometry.infer`."""

    batch: int
    in_channels: int
    size: Pair
    out_channels: int
    kernel: Pair
    stride: Pair
    padding: Sides
    dilation: Pair
    groups: int
    padding_mode: str
    output: Pair

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.x_shape, self.w_shape, *self.settings[:-1]))  # numbers: the same in every process

    @classmethod
    def infer(
        cls,
        x_shape: tuple[int, ...],
        w_shape: tuple[int, ...],
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        padding_mode: str = "zeros",
    ) -> ConvGeometry:
        """The geometry of x (N, C, H, W) convolved with w (O, C / groups, R, S); ShapeError if there is none."""
        asked = (x_shape, w_shape, stride, padding, dilation, groups, padding_mode)
        try:
            text = marshal.dumps(asked, 2)
            hash(asked)
        except (TypeError, ValueError):  # lists and arrays are not kept
            return cls._inferred(*asked)
        return _known(cls._inferred, text, *asked)

    @classmethod
    def _inferred(
        cls,
        x_shape: tuple[int, ...],
        w_shape: tuple[int, ...],
        stride: Any,
        padding: Any,
        dilation: Any,
        groups: int,
        padding_mode: str,
    ) -> ConvGeometry:
        op = "conv2d"
        _image_shape(op, "x", x_shape)
        if len(w_shape) != 4:
            raise ShapeError(f"{op}: weight must have 4 axes (O, C / groups, R, S); got shape {tuple(w_shape)}")
        n, c, h, w = x_shape
        o, c_group, r, s = w_shape
        stride = pair(stride, op=op, name="stride", least=1)
        dilation = pair(dilation, op=op, name="dilation", least=1)
        if min(o, c_group, r, s) < 1:
            raise ShapeError(f"{op}: weight must not be empty; got shape {tuple(w_shape)}")
        if not isinstance(groups, (int, np.integer)) or isinstance(groups, bool) or groups < 1 or o % groups:
            raise ShapeError(f"{op}: groups must be a positive int that divides {o} output channels; got {groups!r}")
        if c != c_group * groups:
            raise ShapeError(
                f"{op}: x of shape {tuple(x_shape)} has {c} channels, but weight of shape {tuple(w_shape)} "
                f"with groups={groups} expects {c_group * groups}; pass an input or a weight that agrees"
            )
        if padding_mode not in PADDING_MODES:
            raise ShapeError(f"{op}: padding_mode must be one of {PADDING_MODES}; got {padding_mode!r}")
        around = sides(padding, op=op, size=(h, w), kernel=(r, s), stride=stride, dilation=dilation)
        if padding_mode == "replicate" and min(h, w) < 1:
            raise ShapeError(f"{op}: padding_mode='replicate' needs an edge to repeat; x has shape {tuple(x_shape)}")
        out = tuple(
            output_size(size, k, st, *p, d)
            for size, k, st, p, d in zip((h, w), (r, s), stride, around, dilation, strict=True)
        )
        if min(out) < 1:
            raise ShapeError(
                f"{op}: a {r}x{s} kernel with dilation {dilation} and padding {around} does not fit into "
                f"x of shape {tuple(x_shape)}; use a larger input or more padding"
            )
        return cls(n, c, (h, w), o, (r, s), stride, around, dilation, groups, padding_mode, (out[0], out[1]))

    @cached_property
    def x_shape(self) -> tuple[int, int, int, int]:
        return (self.batch, self.in_channels, *self.size)

    @cached_property
    def w_shape(self) -> tuple[int, int, int, int]:
        return (self.out_channels, self.in_channels // self.groups, *self.kernel)

    @cached_property
    def y_shape(self) -> tuple[int, int, int, int]:
        return (self.batch, self.out_channels, *self.output)

    @cached_property
    def depth(self) -> int:
        """Products summed into one output element."""
        return self.in_channels // self.groups * self.kernel[0] * self.kernel[1]

    @cached_property
    def settings(self) -> tuple[Any, ...]:
        """All that is not a size: what packed filters may depend on."""
        return self.stride, self.padding, self.dilation, self.groups, self.padding_mode

    @cached_property
    def flops(self) -> int:
        """Two per multiply-add; the same for the forward pass and either gradient."""
        return 2 * self.batch * self.out_channels * self.output[0] * self.output[1] * self.depth

    @cached_property
    def numbers(self) -> int:
        """In x, w and y together."""
        return sum(math.prod(shape) for shape in (self.x_shape, self.w_shape, self.y_shape))


def _every_window_holds_a_pixel(size: int, before: int, count: int, kernel: int, stride: int, dilation: int) -> bool:
    if (count - 1) * stride - before >= size:  # the last window starts behind the input
        return False
    if -(-before // dilation) >= kernel:  # the first one, which starts farthest out, ends before it
        return False
    if dilation <= size:
        return True
    # Taps may step over the input. A window's first tap that is not in the padding before it lies at start mod
    # dilation, which repeats: so many windows show every case.
    inside = min(count, -(-before // stride), dilation // math.gcd(stride, dilation))
    return bool(np.all((np.arange(inside) * stride - before) % dilation < size))


@dataclass(frozen=True)
class PoolGeometry:
    """Everything about a 2-D pooling but the numbers. Make one with `PoolGeometry.infer`."""

    batch: int
    channels: int
    size: Pair
    kernel: Pair
    stride: Pair
    padding: Sides
    dilation: Pair
    ceil_mode: bool
    output: Pair

    @classmethod
    def infer(
        cls,
        x_shape: tuple[int, ...],
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        op: str = "max_pool2d",
    ) -> PoolGeometry:
        """The geometry of pooling x (N, C, H, W); `stride` is `kernel_size` unless given. Raises ShapeError."""
        _image_shape(op, "x", x_shape)
        if not isinstance(ceil_mode, (bool, np.bool_)):
            raise ShapeError(f"{op}: ceil_mode must be True or False; got {ceil_mode!r}")
        n, c, h, w = x_shape
        kernel = pair(kernel_size, op=op, name="kernel_size", least=1)
        stride = kernel if stride is None else pair(stride, op=op, name="stride", least=1)
        dilation = pair(dilation, op=op, name="dilation", least=1)
        around = sides(padding, op=op, size=(h, w), kernel=kernel, stride=stride, dilation=dilation)
        out = tuple(
            output_size(size, k, st, *p, d, ceil_mode)
            for size, k, st, p, d in zip((h, w), kernel, stride, around, dilation, strict=True)
        )
        if min(out) < 1:
            raise ShapeError(
                f"{op}: a {kernel[0]}x{kernel[1]} window with dilation {dilation} and padding {around} "
                f"does not fit into x of shape {tuple(x_shape)}; use a larger input or a smaller window"
            )
        for axis in (0, 1):
            positions = (around[axis][0], out[axis], kernel[axis], stride[axis], dilation[axis])
            if not _every_window_holds_a_pixel((h, w)[axis], *positions):
                raise ShapeError(
                    f"{op}: with padding {around} some {kernel[0]}x{kernel[1]} window lies wholly in the padding "
                    f"of x of shape {tuple(x_shape)} and has no value; use less padding or a larger kernel"
                )
        return cls(n, c, (h, w), kernel, stride, around, dilation, bool(ceil_mode), (out[0], out[1]))

    @cached_property
    def x_shape(self) -> tuple[int, int, int, int]:
        return (self.batch, self.channels, *self.size)

    @cached_property
    def y_shape(self) -> tuple[int, int, int, int]:
        return (self.batch, self.channels, *self.output)


def _negative(padding: Any) -> bool:
    if isinstance(padding, (tuple, list)):
        return any(_negative(part) for part in padding)
    return isinstance(padding, (int, np.integer)) and padding < 0


@dataclass(frozen=True)
class PadGeometry:
    """Everything about a border around pictures but the numbers. Make one with `PadGeometry.infer`."""

    batch: int
    channels: int
    size: Pair
    padding: Sides
    mode: str
    output: Pair

    @classmethod
    def infer(cls, x_shape: tuple[int, ...], padding: Any, mode: str = "constant", op: str = "pad") -> PadGeometry:
        """The geometry of x (N, C, H, W) with a border of an int, a pair, or ((top, bottom), (left, right)).

        Raises ShapeError where the picture is too small for what its border is to show.
        """
        _image_shape(op, "x", x_shape)
        n, c, *size = x_shape
        if hasattr(padding, "tolist"):
            padding = padding.tolist()
        if isinstance(padding, str):
            raise ShapeError(
                f"{op}: padding {padding!r} is not known; use an int, a pair or ((top, bottom), (left, right))"
            )
        if _negative(padding):
            raise ShapeError(
                f"{op}: padding must not be negative; got {padding!r:.80}; "
                "to take a border away, slice: x[:, :, 1:-1, 1:-1]"
            )
        around = sides(padding, op=op, size=(size[0], size[1]), kernel=(1, 1), stride=(1, 1), dilation=(1, 1))
        if not isinstance(mode, str) or mode not in PAD_MODES:
            raise ShapeError(f"{op}: mode must be one of {', '.join(PAD_MODES)}; got {mode!r:.80}")
        if mode != "constant" and min(size) < 1:
            raise ShapeError(f"{op}: a {mode} border needs a pixel to show; x has shape {tuple(x_shape)}")
        most = {"reflect": [side - 1 for side in size], "circular": size}.get(mode)
        if most is not None and any(max(pads) > limit for pads, limit in zip(around, most, strict=True)):
            raise ShapeError(
                f"{op}: a {mode} border of x of shape {tuple(x_shape)} can be {most[0]} pixels high and {most[1]} wide "
                f"at most; got padding {around}; use less, or a replicate border"
            )
        out = tuple(side + sum(pads) for side, pads in zip(size, around, strict=True))
        return cls(n, c, (size[0], size[1]), around, mode, (out[0], out[1]))

    @cached_property
    def x_shape(self) -> tuple[int, int, int, int]:
        return (self.batch, self.channels, *self.size)

    @cached_property
    def y_shape(self) -> tuple[int, int, int, int]:
        return (self.batch, self.channels, *self.output)


def adaptive_output(x_shape: tuple[int, ...], output_size: Any, *, op: str = "adaptive_avg_pool2d") -> Pair:
    """P and Q of an adaptive pooling of x (N, C, H, W): an int for both, or a pair; None keeps that side of x."""
    _image_shape(op, "x", x_shape)
    values = output_size if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    if len(values) == 2 and None in values:
        # A side without pixels is for the op to refuse: it says so more plainly.
        output_size = tuple(max(n, 1) if v is None else v for v, n in zip(values, x_shape[2:], strict=True))
    return pair(output_size, op=op, name="output_size", least=1)


@lru_cache(maxsize=1024)
def adaptive_windows(size: int, bins: int) -> tuple[Pair, ...]:
    """(start, stop) of each bin of an adaptive pooling along one axis: floor(i n / b), ceil((i + 1) n / b)."""
    return tuple((i * size // bins, -(-(i + 1) * size // bins)) for i in range(bins))
