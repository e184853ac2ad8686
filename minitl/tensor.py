"""Tensor: an array that remembers how it was made. Parameter: a named leaf that can be trained or frozen. Buffer: one
that is kept up to date, not trained.

Operators (+, @, indexing, sum, …) are given to Tensor by minitl.functional.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import autograd
from .errors import ArgumentError, AutogradError, ShapeError

DEFAULT_DTYPE = np.dtype("float32")


def _read_only(array: np.ndarray) -> np.ndarray:
    view = np.asarray(array).view()  # NumPy turns arrays without axes into scalars
    view.flags.writeable = False
    return view


class Tensor:
    """An n-dimensional float array (float32 or float64) with an optional place in the autograd graph.

    data: the numbers, a read-only view. grad: their gradient after backward(), an array or None.
    requires_grad: whether gradients flow here. Make one with `minitl.tensor(array)`.
    """

    __slots__ = ("__weakref__", "_array", "_requires_grad", "grad", "node", "version")
    __array_priority__ = 1000  # NumPy lets `array + tensor` be ours
    __array_ufunc__ = None

    def __init__(self, array: Any, requires_grad: bool = False, node: autograd.Node | None = None) -> None:
        self._array = array
        self._requires_grad = bool(requires_grad)
        self.grad: np.ndarray | None = None
        self.node = node
        self.version: int | None = None  # only parameters change

    @property
    def requires_grad(self) -> bool:
        return self._requires_grad or self.node is not None

    @property
    def data(self) -> np.ndarray:
        return _read_only(self._array)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape

    @property
    def ndim(self) -> int:
        return self._array.ndim

    @property
    def size(self) -> int:
        return self._array.size

    @property
    def dtype(self) -> np.dtype:
        return self._array.dtype

    def __contains__(self, number: Any) -> bool:
        return number in self._array

    def __len__(self) -> int:
        if not self.ndim:
            raise ShapeError("len() of a tensor without axes")
        return self.shape[0]

    def numpy(self) -> np.ndarray:
        """A copy of the numbers as a NumPy array."""
        return np.array(self._array)

    def item(self) -> float:
        """The one number of a tensor of size 1."""
        if self.size != 1:
            raise ShapeError(f"item: needs a tensor of one element; this one has shape {self.shape}")
        return self._array.item()

    def detach(self) -> Tensor:
        """The same numbers, cut off from the graph."""
        return Tensor(self._array)

    def backward(self, grad: Any = None, retain_graph: bool = False) -> None:
        """Adds to `.grad` of every leaf below the gradient of this tensor, weighted by `grad` (1 for a scalar)."""
        if grad is None:
            if self.size != 1:
                raise AutogradError(
                    f"backward: needs grad= of shape {self.shape}, since only a scalar has a gradient of its own; "
                    "or reduce with .sum() or .mean() first"
                )
            grad = np.ones(self.shape, self.dtype)
        # A copy: `.grad` of a leaf may share its memory.
        grad = np.array(grad.data if isinstance(grad, Tensor) else grad, dtype=self.dtype)
        if grad.shape != self.shape:
            raise ShapeError(f"backward: grad must have shape {self.shape}; got {grad.shape}")
        autograd.backward(self, grad, retain_graph)

    def accumulate(self, grad: np.ndarray) -> None:
        """Adds to `.grad`. Read-only, since an array may be shared between leaves."""
        self.grad = _read_only(grad if self.grad is None else self.grad + grad)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            return np.asarray(self.data, dtype=dtype, copy=False)
        return np.array(self._array, dtype=dtype)

    def __dlpack__(self, **options: Any) -> Any:
        return self.numpy().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()

    def __bool__(self) -> bool:
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __repr__(self) -> str:
        numbers = np.array2string(self._array, separator=", ", threshold=20, prefix="tensor(")
        return f"tensor({numbers}, shape={self.shape}, dtype={self.dtype})"


class _Kept(Tensor):
    """An array that a network keeps by name; `assign` alone changes its numbers."""

    __slots__ = ("frozen", "name")

    def __init__(self, array: Any, name: str = "", frozen: bool = False) -> None:
        array = np.array(array)  # owned: nobody else can write to it
        if array.dtype not in (np.float32, np.float64):
            raise ShapeError(f"{self._kind} {name!r}: needs float32 or float64; got {array.dtype}")
        super().__init__(array)
        self.version = 0
        self.name = name
        self.frozen = frozen

    @property
    def _kind(self) -> str:
        return type(self).__name__.lower()

    def assign(self, array: Any) -> None:
        """Overwrites the numbers, the one way to do so. Raises the version, so packed copies are made anew."""
        new = np.asarray(array)
        if new.dtype.kind not in "fiub":
            raise ShapeError(f"{self._kind} {self.name!r}: assign needs numbers; got {new.dtype}")
        if new.shape != self.shape:
            raise ShapeError(f"{self._kind} {self.name!r}: assign needs shape {self.shape}; got {new.shape}")
        np.copyto(self._array, new, casting="same_kind")
        self.version = (self.version or 0) + 1

    def __repr__(self) -> str:
        state = ", frozen" if self.frozen else ""
        return f"{type(self).__name__}({self.name!r}, shape={self.shape}, dtype={self.dtype}{state})"


class Parameter(_Kept):
    """A trainable array, owned by a network.

    name: "layer.role", such as "conv1.weight". frozen: if set, no gradient is computed for it and no
    optimizer touches it; takes effect at once. lr_mult: multiplier of the optimizer's base rate; lr_from:
    the pattern that set it, or "base" (see `Network.set_lr`, `Network.plan`).
    """

    __slots__ = ("lr_from", "lr_mult")

    def __init__(self, array: Any, name: str = "", frozen: bool = False) -> None:
        super().__init__(array, name, frozen)
        self.lr_mult = 1.0
        self.lr_from = "base"

    @property
    def requires_grad(self) -> bool:
        return not self.frozen


class Buffer(_Kept):
    """An array that a layer keeps up to date in training and no optimizer touches, such as a running mean.

    frozen: if set, the layer uses it as it is and leaves it so, in training too.
    """

    __slots__ = ()


def tensor(data: Any, requires_grad: bool = False, dtype: Any = None) -> Tensor:
    """A Tensor holding a copy of `data` (numbers, nested lists, any array). float64 stays; all else becomes float32."""
    try:
        array = np.array(data)
    except ValueError as error:  # nested lists of unequal lengths
        raise ShapeError(f"tensor: the numbers must form one shape; {error}") from None
    if array.dtype.kind not in "fiub":
        raise ShapeError(f"tensor: needs numbers; got dtype {array.dtype}")
    if dtype is None:
        wide = array.dtype.kind == "f" and array.dtype.itemsize == 8 and _is_array(data)  # in any byte order
        dtype = np.float64 if wide else DEFAULT_DTYPE
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ArgumentError(f"tensor: dtype must be float32 or float64; got {dtype}")
    return Tensor(array.astype(dtype, copy=False), requires_grad)


def _is_array(data: Any) -> bool:
    """Python floats have no dtype of their own; arrays do."""
    return hasattr(data, "dtype")


def from_dlpack(array: Any) -> Tensor:
    """A Tensor with a copy of any array that speaks DLPack (PyTorch, CuPy, JAX …), on the CPU."""
    return tensor(np.from_dlpack(array))
