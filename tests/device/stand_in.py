"""A stand-in for CuPy on a machine without a GPU: arrays that behave as CuPy's, strictly, and live in NumPy.

What CuPy refuses is refused: functions and options that it lacks (the tables below, which test_stand_in.py holds
against an installed CuPy), turning into a NumPy array unasked, mixing with one, arrays of a GPU that is not current.
Copies on a stream of their own land as late as they may. Kernels on such arrays run on the emulator.
"""

from __future__ import annotations

import types
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from minitl.kernels.emulator import memory

COUNT = 2  # pretended GPUs

# What the package calls, with the options that CuPy 14.2 takes, in its order.
FUNCTIONS = {
    "all": ("a", "axis", "out", "keepdims"),
    "argwhere": ("a",),
    "atleast_1d": ("arys",),
    "broadcast_to": ("array", "shape"),
    "clip": ("a", "a_min", "a_max", "out"),
    "dot": ("a", "b", "out"),
    "empty_like": ("prototype", "dtype", "order", "subok", "shape"),
    "flatnonzero": ("a",),
    "put_along_axis": ("arr", "indices", "values", "axis"),
    "take_along_axis": ("a", "indices", "axis"),
    "where": ("condition", "x", "y"),
}
METHODS = {
    "all": ("axis", "out", "keepdims"),
    "any": ("axis", "out", "keepdims"),
    "argmax": ("axis", "out", "dtype", "keepdims"),
    "astype": ("dtype", "order", "casting", "subok", "copy"),
    "copy": ("order",),
    "max": ("axis", "out", "keepdims"),
    "mean": ("axis", "dtype", "out", "keepdims"),
    "ravel": ("order",),
    "reshape": ("shape", "order", "copy"),
    "sum": ("axis", "dtype", "out", "keepdims"),
    "swapaxes": ("axis1", "axis2"),
    "transpose": ("axes",),
    "view": ("dtype", "type"),
}
VARIADIC = ("reshape", "transpose")  # their first parameter is *shape, *axes
MAKERS = {
    "zeros": ("shape", "dtype", "order"),
    "empty": ("shape", "dtype", "order"),
    "asarray": ("a", "dtype"),
    "array": ("obj", "dtype"),
    "copyto": ("dst", "src", "casting"),
    "may_share_memory": ("a", "b", "max_work"),
    "from_dlpack": ("array",),
}
UFUNCS = (
    "absolute", "add", "bitwise_and", "bitwise_or", "divide", "equal", "exp", "greater", "greater_equal",
    "isfinite", "isnan", "less", "less_equal", "log", "logical_and", "logical_not", "logical_or", "matmul",
    "maximum", "minimum", "multiply", "negative", "not_equal", "power", "sqrt", "square", "subtract", "tanh",
    "invert",
)  # fmt: skip
UFUNC_OPTIONS = ("out", "casting", "dtype")
ATTRIBUTES = ("shape", "dtype", "ndim", "size", "nbytes", "itemsize", "strides")
CURRENT = [0]  # the GPU that is current


class ndarray(NDArrayOperatorsMixin):
    """An array on a pretended GPU."""

    __array_priority__ = 100

    def __init__(self, host: np.ndarray, number: int | None = None) -> None:
        self.host = host
        self.device = Device(CURRENT[0] if number is None else number)

    def get(self) -> np.ndarray:
        """A copy on the host."""
        return self.host.copy()

    def set(self, array: np.ndarray, stream: Any = None) -> None:
        """A copy from the host: at once, or on a stream, which is late."""
        if not isinstance(array, np.ndarray) or array.dtype != self.dtype or array.shape != self.shape:
            raise TypeError("set: needs a NumPy array of this dtype and shape")
        source = np.ascontiguousarray(array)
        if stream is None:
            np.copyto(self.host, source)
        else:
            stream.enqueue(lambda: _land(self.host, source))

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or ufunc.__name__ not in UFUNCS:
            return NotImplemented
        _check(ufunc.__name__, UFUNC_OPTIONS, (), options)
        out = options.pop("out", (None,))[0]
        for x in (*inputs, *options.values()):
            if isinstance(x, np.ndarray):
                raise TypeError(f"Unsupported type {type(x)}")
        result = ufunc(*map(host, inputs), **({} if out is None else {"out": host(out)}), **options)
        return wrap(result) if out is None else out

    def __array_function__(self, function: Any, _: Any, arguments: Any, options: Any) -> Any:
        if function.__name__ not in FUNCTIONS:
            return NotImplemented
        _check(function.__name__, FUNCTIONS[function.__name__], arguments, options)
        return wrap(function(*map(host, arguments), **{name: host(value) for name, value in options.items()}))

    def __getattr__(self, name: str) -> Any:
        if name in ATTRIBUTES:
            return getattr(self.host, name)
        if name not in METHODS:
            raise AttributeError(f"'cupy.ndarray' object has no attribute {name!r}")

        def method(*given: Any, **options: Any) -> Any:
            if name in VARIADIC:
                numbers = given[0] if len(given) == 1 and isinstance(given[0], (tuple, list)) else given
                if not all(isinstance(n, (int, np.integer)) for n in numbers):
                    raise TypeError(f"{name}: an integer is required; got {given!r}")
                _check(name, METHODS[name], (), options)
            else:
                _check(name, METHODS[name], given, options)
            if name == "astype" and (len(given) > 2 or {"casting", "subok"} & set(options)):
                raise TypeError("casting is not supported yet")
            if name == "copy" and not given and not options:
                return ndarray(self.host.copy(order="C"))  # of any GPU, on the current one
            held = {key: host(value) for key, value in options.items()}
            return wrap(getattr(host(self), name)(*map(host, given), **held))

        return method

    @property
    def flags(self) -> Any:
        flags = self.host.flags
        return types.SimpleNamespace(
            c_contiguous=flags.c_contiguous, f_contiguous=flags.f_contiguous, owndata=flags.owndata
        )

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        known = self.host.__array_interface__
        return {"shape": self.shape, "typestr": known["typestr"], "strides": self.strides, "version": 3} | {
            "data": (known["data"][0], False)
        }

    def __dlpack__(
        self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: Any = None
    ) -> Any:
        return self.host.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, self.device.id

    @property
    def T(self) -> ndarray:
        return wrap(host(self).T)

    def item(self) -> Any:
        return self.host.item()

    def __getitem__(self, key: Any) -> Any:
        return wrap(self.host[host(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.host[host(key)] = host(value)

    def __len__(self) -> int:
        return len(self.host)

    def __iter__(self) -> Any:
        return (wrap(row) for row in self.host)

    def __bool__(self) -> bool:
        return bool(self.host)

    def __float__(self) -> float:
        return float(self.host)

    def __int__(self) -> int:
        return int(self.host)

    def __format__(self, spec: str) -> str:
        return format(self.host[()], spec)

    def __deepcopy__(self, _: Any) -> ndarray:
        return ndarray(self.host.copy(), self.device.id)


ndarray.__module__ = "cupy"


def _check(name: str, parameters: tuple[str, ...], given: Any, options: Any) -> None:
    """TypeError for more arguments, or others, than CuPy takes."""
    if len(given) > len(parameters) or not set(options) <= set(parameters[len(given) :]):
        raise TypeError(f"cupy.{name}: takes {', '.join(parameters)}; got {len(given)} arguments and {list(options)}")


def _land(target: np.ndarray, source: np.ndarray) -> None:
    np.copyto(target, source)
    known = memory.written(target)
    if known is not None:
        known.flags[:] = 1


def wrap(x: Any) -> Any:
    """A result as CuPy gives it: arrays, even those without axes; tuples of them; other things as they are."""
    if isinstance(x, (np.ndarray, np.generic)):
        return ndarray(np.asarray(x))
    return tuple(map(wrap, x)) if isinstance(x, (tuple, list)) else x


def host(x: Any) -> Any:
    """What lies behind an argument; an error for a NumPy array, or for one that is not on the current GPU."""
    if isinstance(x, ndarray):
        if x.device.id != CURRENT[0]:
            raise ValueError(f"Array device must be same as the current device: {x.device.id} and {CURRENT[0]}")
        return x.host
    if isinstance(x, np.ndarray):
        raise TypeError(f"Unsupported type {type(x)}: a NumPy array among CuPy's")
    return type(x)(map(host, x)) if type(x) in (tuple, list) else x


class Device:
    """One pretended GPU, which a `with` block makes current."""

    def __init__(self, number: int = 0) -> None:
        if not 0 <= number < COUNT:
            raise ValueError(f"cudaErrorInvalidDevice: {number}")
        self.id = number
        self._before: list[int] = []

    def use(self) -> None:
        CURRENT[0] = self.id

    def __enter__(self) -> Device:
        self._before.append(CURRENT[0])
        self.use()
        return self

    def __exit__(self, *_: Any) -> None:
        CURRENT[0] = self._before.pop()


class Stream:
    """Work in order; that of the current stream is done at once, of any other when somebody waits for it."""

    def __init__(self, null: bool = False, non_blocking: bool = False) -> None:
        self._work: list[Any] = []
        self._done = 0

    def enqueue(self, work: Any) -> None:
        self._work.append(work)

    def record(self) -> Event:
        return Event(self, len(self._work))

    def wait_event(self, event: Event) -> None:
        event.synchronize()

    def synchronize(self) -> None:
        self.run(len(self._work))

    def run(self, upto: int) -> None:
        while self._done < upto:
            self._work[self._done]()
            self._done += 1


class Event:
    """A place in a stream's work."""

    def __init__(self, stream: Stream, place: int) -> None:
        self._stream, self._place = stream, place

    def synchronize(self) -> None:
        self._stream.run(self._place)


class _Foreign:
    """Memory that somebody else owns, as NumPy reads it."""

    def __init__(self, interface: dict[str, Any]) -> None:
        self.__array_interface__ = {**interface, "version": 3}


class _Capsule:
    def __init__(self, capsule: Any) -> None:
        self._capsule = capsule

    def __dlpack__(self, **_: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


def _read(x: Any) -> Any:
    if isinstance(x, ndarray):
        return host(x)
    return np.asarray(_Foreign(x.__cuda_array_interface__)) if hasattr(x, "__cuda_array_interface__") else x


def _from_dlpack(array: Any) -> ndarray:
    if array.__dlpack_device__()[0] != 2:
        raise BufferError("from_dlpack: the array is not on a GPU")
    return ndarray(np.from_dlpack(_Capsule(array.__dlpack__())))


def _empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    return ndarray(memory.empty(tuple(int(n) for n in np.atleast_1d(shape)), np.dtype(dtype)))


class OutOfMemoryError(MemoryError):
    """As cupy.cuda.memory has it."""


def modules() -> dict[str, types.ModuleType]:
    """What `import cupy` and `import cupyx` give."""
    cupy, cuda, cupyx = (types.ModuleType(name) for name in ("cupy", "cupy.cuda", "cupyx"))
    cupy.ndarray = ndarray  # type: ignore[attr-defined]
    makers = {
        "zeros": lambda shape, dtype=float, order="C": ndarray(np.zeros(shape, dtype, order)),
        "empty": _empty,
        "asarray": lambda a, dtype=None: ndarray(np.asarray(_read(a), dtype)),
        "array": lambda obj, dtype=None: ndarray(np.array(_read(obj), dtype)),
        "copyto": lambda dst, src, casting="same_kind": np.copyto(host(dst), host(src), casting),
        "may_share_memory": lambda a, b, max_work=None: np.may_share_memory(host(a), host(b)),
        "from_dlpack": _from_dlpack,
        "get_default_memory_pool": lambda: types.SimpleNamespace(used_bytes=lambda: 3 << 30),
    }
    for name, maker in makers.items():
        setattr(cupy, name, maker)
    current = Stream()
    runtime = types.SimpleNamespace(getDevice=lambda: CURRENT[0], getDeviceCount=lambda: COUNT)
    runtime.memGetInfo = lambda: (1 << 30, 16 << 30)
    cuda.Device, cuda.Stream, cuda.Event = Device, Stream, Event  # type: ignore[attr-defined]
    cuda.get_current_stream = lambda: current  # type: ignore[attr-defined]
    cuda.runtime, cuda.memory = runtime, types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError)  # type: ignore[attr-defined]
    cupy.cuda = cuda  # type: ignore[attr-defined]
    cupyx.empty_pinned = lambda shape, dtype=float, order="C": np.empty(shape, dtype, order)  # type: ignore[attr-defined]
    return {"cupy": cupy, "cupy.cuda": cuda, "cupyx": cupyx}
