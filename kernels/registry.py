"""The register: what every op is, which versions compute it, and which of them serves a call.

An op's folder declares one `KernelSpec` for its forward pass and one for each gradient. A spec names
its versions in order of preference; a call runs the first that serves. Nothing falls back in silence:
`why` tells the reason for every version that was passed over, and forcing one that cannot serve raises.
"""

from __future__ import annotations

import importlib
import inspect
import math
import numbers
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cache, cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from ..errors import ArgumentError, BackendUnavailable, MinitlError, ShapeError
from . import backends, precision
from .cpu import room, threads

FLOAT_DTYPES = (np.dtype("float32"), np.dtype("float64"))

# Arguments by which a version may spare itself work, or which it may pass over. "out": an array to write to and to
# return; any other answer is copied there. "where": False if nobody needs the indices of maxima: they may be None.
HINTS = ("out", "where")
LENT = ("packed", *HINTS)  # what a caller may have besides an op's arguments, and a version of one's own need not know

_specs: dict[str, KernelSpec] = {}
_edits = 0  # versions added and removed
_forced: ContextVar[Mapping[str, str]] = ContextVar("forced_versions", default=MappingProxyType({}))


def always(**arguments: Any) -> None:
    """The `serves` of a version that takes every valid call."""


def never(*arguments: Any) -> bool:
    """The `pools` of a version that writes its whole result."""
    return False


def no_workspace(**arguments: Any) -> int:
    """The `workspace` of a version that needs none worth counting."""
    return 0


@dataclass(frozen=True)
class Version:
    """One way of computing an op.

    name: "backend.version". target: "module:function", relative to the op's folder, imported when first
    used, so that nothing is compiled or imported that is not needed; or the function itself. serves:
    given the call's arguments by name, None if this version can take it, otherwise the reason why not;
    looks at shapes and dtypes, never at values. workspace: likewise, the bytes that it takes while it runs,
    besides arguments and results. precision: what its products are rounded to (see `precision`). pack: the target of
    a function of the same arguments that brings the weights into the form that this version wants; its answer comes as
    the argument `packed`, made once where the caller keeps a `packed` dictionary with the weights. packed: likewise,
    its bytes, which `workspace` leaves out. exact: whether it multiplies and adds the numbers themselves, so that small
    whole numbers come out exact and what is not finite reaches only what depends on it; False for transforms. bound:
    this version's own error bound, where the op's is too narrow. heeds: the `HINTS` that it makes use of. pools: given
    a PoolGeometry, whether it can give the maxima of its result in these windows at once, without writing it; they come
    as the argument `pool` (conv2d). cases: the target of its own strategy of calls, where it takes too few of the op's.
    """

    name: str
    target: str | Callable[..., Any]
    serves: Callable[..., str | None] = always
    workspace: Callable[..., int] = no_workspace
    precision: str = "float32"
    pack: str | Callable[..., Any] | None = None
    packed: Callable[..., int] = no_workspace
    exact: bool = True
    bound: Callable[..., Any] | None = None
    heeds: tuple[str, ...] = ()
    pools: Callable[..., bool] = never
    cases: str = ""

    @cached_property
    def backend(self) -> str:
        return self.name.partition(".")[0]


def without_gpu(version: Version) -> Version:
    """The version that runs the same kernel on NumPy arrays: emulator.x for cuda.x, interpreter.x for numba_cuda.x."""
    backend, _, name = version.name.partition(".")
    return replace(version, name=f"{backends.WITHOUT_GPU[backend]}.{name}")


@dataclass(frozen=True)
class Cost:
    """What a call must at least do: floating-point operations, and bytes read and written once."""

    flops: int
    bytes: int


@dataclass(frozen=True, eq=False)
class KernelSpec:
    """An op: its signature and checks, its truth, its cost, its error bound, and its versions.

    check: its parameters are the op's parameters; raises ShapeError on a call that makes no sense.
    oracle: "module:function", the float64 loops. cost: arguments -> Cost. bound: (arguments, truth)
    -> largest permitted |difference| from the truth, elementwise (see verify.bounds). cases:
    "module:function", a hypothesis strategy of argument dictionaries. dummies: shapes and attributes
    by name -> arguments (of the gradients too), for `example`. versions: in order of preference.
    """

    name: str
    package: str
    check: Callable[..., None]
    cost: Callable[..., Cost]
    bound: Callable[..., Any]
    dummies: Callable[..., Mapping[str, Any]]
    versions: tuple[Version, ...]
    oracle: str
    cases: str

    def bound_of(self, version: Version, arguments: Mapping[str, Any], truth: Any) -> Any:
        """The bound of one version: wider where it computes in less than float32, or by transforms."""
        if version.bound is not None:
            return version.bound(arguments, truth)
        if version.precision == "float32":
            return self.bound(arguments, truth)
        return self.bound(arguments, truth, version.precision)

    def __post_init__(self) -> None:
        twins = tuple(without_gpu(version) for version in self.versions if version.backend in backends.WITHOUT_GPU)
        object.__setattr__(self, "versions", (*self.versions, *twins))
        _specs[self.name] = self

    @property
    def signature(self) -> inspect.Signature:
        return inspect.signature(self.check)

    @property
    def keywords(self) -> list[str]:
        """The shapes and attributes of which `example` makes a call."""
        parameters = inspect.signature(self.dummies).parameters.values()
        window = "and the window's, such as stride and padding"
        return [window if p.kind is p.VAR_KEYWORD else p.name for p in parameters if p.name != "dtype"]

    def calls(self, version: str = "") -> Any:
        """The hypothesis strategy of calls, as argument dictionaries, for the version of that name or for any."""
        own = next((known.cases for known in self.versions if known.name == version), "")
        return self.load(own or self.cases)()

    def load(self, target: str | Callable[..., Any]) -> Callable[..., Any]:
        """The function at "module:function" in this op's folder; a function is handed back."""
        return target if callable(target) else _load(self.package, target)

    def example(self, dtype: np.dtype, **shapes: Any) -> dict[str, Any]:
        """The arguments of a call of these shapes, with arrays that take no memory."""
        every = self.dummies(dtype=dtype, **shapes)
        return {name: every[name] for name in _signature(self.check).parameters if name in every}

    def add(self, version: Version, first: bool = False) -> None:
        """Registers a version from elsewhere, behind all others or before them; ArgumentError if it cannot be one."""
        if version.backend not in backends.BACKENDS:
            known = " or ".join(f"{name}.…" for name in backends.BACKENDS)
            raise ArgumentError(f"{self.name}: a version is named {known}, by its backend; got {version.name!r}")
        if any(version.name == known.name for known in self.versions):
            raise ArgumentError(f"{self.name}: has a version {version.name!r} already; choose another name")
        others = self.versions
        self._edit((version, *others) if first else (*others, version))

    def remove(self, name: str) -> None:
        """Takes a version out of the register; ArgumentError if there is none of that name."""
        kept = tuple(version for version in self.versions if version.name != name)
        if len(kept) == len(self.versions):
            raise ArgumentError(f"{self.name}: no version {name!r}; there are {', '.join(v.name for v in kept)}")
        self._edit(kept)

    def _edit(self, versions: tuple[Version, ...]) -> None:
        global _edits
        object.__setattr__(self, "versions", versions)
        _edits += 1

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Checks the call, chooses a version by `using`, array home and geometry, and runs it."""
        given = self._named(arguments, named)
        self.check(**given)
        hints = {name: given.pop(name) for name in HINTS if name in given}
        return self.run(self.choose(given), given, hints)

    def _named(self, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call by name, in order, with defaults; TypeError if they are none of this op's."""
        defaults = _defaults(self.check)
        in_order = dict(zip(defaults, arguments, strict=False))
        given = {**defaults, **in_order, **named}
        unknown = len(given) > len(defaults) or len(in_order) < len(arguments) or in_order.keys() & named.keys()
        if unknown or any(value is _MISSING for value in given.values()):
            _signature(self.check).bind(*arguments, **named)  # says what is wrong
        return given

    def run(
        self, version: Version, arguments: Mapping[str, Any], hints: Mapping[str, Any] = MappingProxyType({})
    ) -> Any:
        """Runs one version on checked arguments, by name."""
        given = dict(arguments)
        forms, out = given.pop("packed", None), hints.get("out")
        backend = backends.BACKENDS[version.backend]
        on_cpu = backend.home == "NumPy"
        with backend.session():
            if on_cpu and self.cost(**given).bytes >= room.LARGE:
                room.check(self.name, given, self._memory(version, given, hints))
            try:
                if version.pack is not None and forms is not None:
                    given["packed"] = self._form(version, forms, given)
                heeded = {name: hints[name] for name in (*version.heeds, "pool") if hints.get(name) is not None}
                if "out" in heeded and on_cpu and _overlaps(out, given.values()):
                    del heeded["out"]  # it is written to once all has been read
                answer = self.load(version.target)(**given, **heeded)
                if out is None or answer is out:
                    return answer
                out[...] = answer
                return out
            except MemoryError as error:
                if not on_cpu or isinstance(error, MinitlError):  # a GPU's memory is told of elsewhere
                    raise
                raise room.lacking(self.name, given, f"more memory than there is ({error})") from None

    def _memory(self, version: Version, arguments: Mapping[str, Any], hints: Mapping[str, Any]) -> int:
        """The bytes that a call takes besides its arguments: its results, and what the version works with."""
        results, out, pool = self.cost(**arguments).bytes - room.size(arguments), hints.get("out"), hints.get("pool")
        if pool is not None:  # the maxima of the results are all that is written
            results = results * math.prod(pool.y_shape) // max(math.prod(pool.x_shape), 1)
        elif out is not None and "out" in version.heeds:
            results -= out.nbytes
        return results + version.workspace(**arguments)

    def _form(self, version: Version, forms: MutableMapping[Any, Any], arguments: Mapping[str, Any]) -> Any:
        """The packed weights for this version from `forms`, where they are kept until the weights change."""
        geometry = arguments.get("geometry")
        key = (self.name, version.name, None if geometry is None else geometry.settings)
        form = forms.get(key)
        if form is None:
            form = forms[key] = self.load(version.pack)(**arguments)  # type: ignore[arg-type]  # checked by the caller
        return form

    def choose(self, arguments: Mapping[str, Any]) -> Version:
        """The version that serves these arguments; BackendUnavailable, with every reason, if none does."""
        forced = self.forced()
        own = {name: value for name, value in arguments.items() if name not in LENT}
        reasons, homes = [], backends.homes(own.values())
        for version in self.versions:
            if forced and forced not in (version.name, version.backend):
                continue
            reason = self._reason_against(version, own, homes)
            if reason is None:
                return version
            reasons.append(f"{version.name}: {reason}")
        if forced and not reasons:
            known = ", ".join(v.name for v in self.versions)
            raise BackendUnavailable(f"{self.name}: no version {forced!r}; there are {known}")
        insisted = f"{forced!r} was asked for but cannot serve" if forced else "no version can serve"
        raise BackendUnavailable(f"{self.name}: {insisted}; " + "; ".join(reasons))

    def forced(self) -> str | None:
        """What `using` asks of this op: a version, a backend that this op has, or None."""
        wanted = _forced.get()
        if self.name in wanted:
            return wanted[self.name]
        everywhere = wanted.get("*")
        return everywhere if everywhere and any(everywhere == v.backend for v in self.versions) else None

    def reason_against(self, version: Version, arguments: Mapping[str, Any]) -> str | None:
        """Why this version cannot take these arguments, or None if it can."""
        own = {name: value for name, value in arguments.items() if name not in LENT}
        return self._reason_against(version, own, backends.homes(own.values()))

    def _reason_against(self, version: Version, own: Mapping[str, Any], homes: set[str]) -> str | None:
        """The same of the op's own arguments, whose arrays are at `homes`."""
        backend = backends.BACKENDS[version.backend]
        missing = backend.unavailable()
        if missing:
            return missing
        strangers = homes - {backend.home}
        if strangers:
            return f"takes {backend.home} arrays, not {', '.join(sorted(strangers))}"
        return precision.refusal(version.precision) or version.serves(**own)


def settled() -> tuple[Any, ...]:
    """What the choice of a version depends on besides the looks of arguments: while it is equal, the choice stands."""
    return _edits, _forced.get(), precision.current(), threads.fork_unsafe()


@cache
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


def _overlaps(out: np.ndarray, arguments: Iterable[Any]) -> bool:
    """Whether some array may share memory with `out`."""
    return any(isinstance(a, np.ndarray) and np.may_share_memory(a, out) for a in arguments)


_MISSING = object()  # stands for an argument that has no default


@cache
def _defaults(function: Callable[..., Any]) -> dict[str, Any]:
    """Its parameters in order, with their defaults."""
    parameters = _signature(function).parameters.values()
    return {p.name: _MISSING if p.default is p.empty else p.default for p in parameters}


@cache
def _load(package: str, target: str) -> Callable[..., Any]:
    module, _, function = target.partition(":")
    return getattr(importlib.import_module(f".{module}", package), function)


def specs() -> dict[str, KernelSpec]:
    """Every registered op by name, in the order of kernels.OPS."""
    from . import OPS

    for op in OPS:
        importlib.import_module(f".{op}", __package__)
    return dict(sorted(_specs.items(), key=lambda item: OPS.index(item[0].partition(".")[0])))


def spec(name: str) -> KernelSpec:
    """The spec of an op such as "conv2d" or "conv2d.grad_input"."""
    known = specs()
    if name not in known:
        raise ArgumentError(f"no kernel {name!r}; there are {', '.join(known)}")
    return known[name]


def version(
    op: str, name: str, *, serves: Callable[..., str | None] = always, first: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorates a function of your own as a version of an op: it then serves wherever it is chosen or asked for.

    @version("relu", "reference.mine") registers it behind the others; first=True before them. See `Version` for
    `serves`, and `verify.check` to hold it against the op's oracle.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        spec(op).add(Version(name, function, serves), first)
        return function

    return register


@contextmanager
def using(everywhere: str | Mapping[str, str] | None = None, **versions: str) -> Iterator[None]:
    """Forces versions inside a `with` block, in this thread.

    using(conv2d="cpu.direct") forces a version of one op; using(conv2d="cpu") any version of a backend;
    using("reference") that backend for every op that has it; using({"conv2d.grad_input": "..."}) names a
    gradient. A version that cannot serve raises BackendUnavailable with the reason when it is called.
    """
    named = dict(everywhere) if isinstance(everywhere, Mapping) else {}
    named.update(versions)
    for op, wanted in named.items():
        known = spec(op).versions
        if wanted not in {v.name for v in known} | {v.backend for v in known}:
            raise BackendUnavailable(f"{op}: no version {wanted!r}; there are {', '.join(v.name for v in known)}")
    if isinstance(everywhere, str):
        if everywhere not in backends.BACKENDS:
            raise BackendUnavailable(f"no backend {everywhere!r}; there are {', '.join(backends.BACKENDS)}")
        named["*"] = everywhere
    token = _forced.set({**_forced.get(), **named})
    try:
        yield
    finally:
        _forced.reset(token)


def dummy(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array of any size that takes no memory, for questions about shapes."""
    return np.broadcast_to(np.zeros((), dtype), shape)


def check_floats(op: str, **arrays: Any) -> None:
    """Raises ShapeError unless all arrays given (None is skipped) are float32 or all are float64."""
    dtypes = {name: a.dtype for name, a in arrays.items() if a is not None}
    if len(set(dtypes.values())) > 1 or not set(dtypes.values()) <= set(FLOAT_DTYPES):
        listed = ", ".join(f"{name} {dtype}" for name, dtype in dtypes.items())
        raise ShapeError(f"{op}: arrays must be all float32 or all float64; got {listed}")


def check_share(op: str, name: str, value: Any) -> None:
    """Raises ArgumentError unless `value` is a number from 0 to 1."""
    if not isinstance(value, numbers.Real) or not 0 <= value <= 1:
        raise ArgumentError(f"{op}: {name} must be a number from 0 to 1; got {value!r}")


def check_settings(op: str, **settings: Any) -> None:
    """Raises ArgumentError unless every one is a finite number of 0 or more."""
    for name, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= value < float("inf"):
            raise ArgumentError(f"{op}: {name} must be a finite number of 0 or more; got {value!r}")


def check_shape(op: str, name: str, array: Any, shape: tuple[int, ...], reason: str = "") -> None:
    """Raises ShapeError unless `array` has exactly `shape`."""
    if tuple(array.shape) != tuple(shape):
        because = f" ({reason})" if reason else ""
        raise ShapeError(f"{op}: {name} must have shape {tuple(shape)}{because}; got {tuple(array.shape)}")
