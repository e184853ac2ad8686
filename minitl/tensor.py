"""Tensor: an array that remembers how it was made. Parameter: a named leaf that can be trained or frozen. Buffer: one
that is kept up to date, not trained.

Operators (+, @, indexing, sum, …) are given to Tensor by minitl.functional.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import autograd, device
from .errors import ArgumentError, AutogradError, ShapeError

DEFAULT_DTYPE = np.dtype("float32")
ON_CUDA = 2  # DLPack's number of the device


def _read_only(array: Any) -> Any:
    """A view that cannot be written to; CuPy knows no such thing, so there it is a plain one."""
    if device.on_gpu(array):
        return array.view()
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

    @property
    def device(self) -> str:
        """Where the numbers live: "cpu" or "cuda:0", "cuda:1" …"""
        return device.of(self._array)

    def to(self, name: str) -> Tensor:
        """The same numbers on another device ("cpu", "cuda", "cuda:1", "auto"), cut off from the graph.

        Itself where it is there already. Raises BackendUnavailable, with the reason, where there is no such device, and
        AutogradError for the result of a computation whose gradient is wanted: move what it was computed from.
        """
        wanted = device.resolve(name)
        if wanted == self.device:
            return self
        if self.node is not None:
            raise AutogradError(
                f"to({name!r}): this tensor was computed, and its gradient cannot follow it; move its inputs, or detach"
            )
        device.use(wanted)
        return Tensor(device.to(self._array, wanted), self._requires_grad)

    def __contains__(self, number: Any) -> bool:
        return bool((self._array == number).any())

    def __len__(self) -> int:
        if not self.ndim:
            raise ShapeError("len() of a tensor without axes")
        return self.shape[0]

    def numpy(self) -> np.ndarray:
        """A copy of the numbers as a NumPy array."""
        return device.to_host(self._array).copy()

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
        grad = device.library(self._array).array(
            device.beside(grad._array if isinstance(grad, Tensor) else grad, self._array), dtype=self.dtype
        )
        if grad.shape != self.shape:
            raise ShapeError(f"backward: grad must have shape {self.shape}; got {grad.shape}")
        autograd.backward(self, grad, retain_graph)

    def accumulate(self, grad: np.ndarray) -> None:
        """Adds to `.grad`. Read-only, since an array may be shared between leaves."""
        self.grad = _read_only(grad if self.grad is None else self.grad + grad)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if device.on_gpu(self._array):
            raise ArgumentError(f"this tensor is on {self.device}; bring it to NumPy with .numpy()")
        if copy is False:
            return np.asarray(self.data, dtype=dtype, copy=False)
        return np.array(self._array, dtype=dtype)

    def __dlpack__(self, **options: Any) -> Any:
        array = self._array.copy() if device.on_gpu(self._array) else self.numpy()
        return array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()

    @property
    def __cuda_array_interface__(self) -> Any:
        """How PyTorch, Numba and others read an array on the GPU, without a copy; AttributeError on the CPU."""
        if not device.on_gpu(self._array):
            raise AttributeError(
                'this tensor is on cpu, so it has no __cuda_array_interface__; move it with .to("cuda")'
            )
        return self._array.__cuda_array_interface__

    def __bool__(self) -> bool:
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __repr__(self) -> str:
        numbers = np.array2string(device.to_host(self._array), separator=", ", threshold=20, prefix="tensor(")
        where = "" if self.device == device.CPU else f", device={self.device}"
        return f"tensor({numbers}, shape={self.shape}, dtype={self.dtype}{where})"


class _Kept(Tensor):
    """An array that a network keeps by name; `assign` alone changes its numbers.

    forms: what kernels have made of the numbers (packed filters); emptied when they change.
    """

    __slots__ = ("forms", "frozen", "name")

    def __init__(self, array: Any, name: str = "", frozen: bool = False) -> None:
        array = device.library(array).array(array)  # owned: nobody else can write to it
        if array.dtype not in (np.float32, np.float64):
            raise ShapeError(f"{self._kind} {name!r}: needs float32 or float64; got {array.dtype}")
        super().__init__(array)
        self.version = 0
        self.forms: dict[Any, Any] = {}
        self.name = name
        self.frozen = frozen

    def __getstate__(self) -> Any:
        # A copy makes its own forms: they are large, and those of another machine may suit its registers alone.
        state: Any = super().__getstate__()  # type: ignore[misc]  # (None, slots), for there is no __dict__
        return state[0], {**state[1], "forms": {}}

    @property
    def _kind(self) -> str:
        return type(self).__name__.lower()

    def assign(self, array: Any) -> None:
        """Overwrites the numbers, the one way to do so. Raises the version, so packed copies are made anew."""
        new = array._array if isinstance(array, Tensor) else array
        new = device.beside(new if device.is_array(new) else np.asarray(new), self._array)
        if new.dtype.kind not in "fiub":
            raise ShapeError(f"{self._kind} {self.name!r}: assign needs numbers; got {new.dtype}")
        if new.shape != self.shape:
            raise ShapeError(f"{self._kind} {self.name!r}: assign needs shape {self.shape}; got {new.shape}")
        device.library(self._array).copyto(self._array, new, casting="same_kind")
        self._changed()

    def overwrite(self, function: Callable[[Any], bool]) -> bool:
        """Lets `function` change the numbers in place, for optimizers; it says whether it has."""
        done = function(self._array)
        if done:
            self._changed()
        return done

    def _changed(self) -> None:
        self.version = (self.version or 0) + 1
        self.forms = {}  # whoever is packing at this moment keeps the old one

    def moved(self, name: str) -> tuple[Any, Any]:
        """The numbers and the gradient on a device as `device.resolve` names it, for `settle`; nothing moves yet."""
        return device.to(self._array, name), None if self.grad is None else device.to(self.grad, name)

    def settle(self, array: Any, grad: Any) -> None:
        """Lives from now on where `moved` has taken the numbers and the gradient."""
        if array is not self._array:
            self._changed()
        self._array, self.grad = array, grad

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
    if device.on_gpu(data) or (hasattr(data, "__cuda_array_interface__") and not isinstance(data, np.ndarray)):
        return _on_gpu(data, requires_grad, dtype)
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


def _on_gpu(data: Any, requires_grad: bool, dtype: Any) -> Tensor:
    """A Tensor with a copy of an array on the GPU, which stays there."""
    device.resolve("cuda")  # says why, where there is none
    import cupy

    array = cupy.array(data)
    if dtype is None:
        dtype = array.dtype if array.dtype == np.float64 else DEFAULT_DTYPE
    if array.dtype.kind not in "fiub" or np.dtype(dtype) not in (np.float32, np.float64):
        raise ArgumentError(f"tensor: dtype must be float32 or float64, of numbers; got {array.dtype} as {dtype}")
    return Tensor(array.astype(dtype, copy=False), requires_grad)


def _is_array(data: Any) -> bool:
    """Python floats have no dtype of their own; arrays do."""
    return hasattr(data, "dtype")


def from_dlpack(array: Any) -> Tensor:
    """A Tensor with a copy of any array that speaks DLPack (PyTorch, CuPy, JAX …), on the device where it lives.

    Raises ArgumentError for what does not speak it, BackendUnavailable for an array on a GPU that cannot be used here.
    """
    if not hasattr(array, "__dlpack_device__"):
        raise ArgumentError(
            f"from_dlpack: needs an array with __dlpack__, such as PyTorch's; got {type(array).__name__}"
        )
    if array.__dlpack_device__()[0] == ON_CUDA:
        device.resolve("cuda")  # says why, where there is none
        import cupy

        return tensor(cupy.from_dlpack(array))
    return tensor(np.from_dlpack(array))
