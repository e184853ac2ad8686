"""Special values: NaN and infinities reach exactly the answers that depend on them; zeros keep their sign where numbers
are merely moved; what is below the smallest normal number is not lost; ties, and windows and rows of nothing but NaN or
-inf, are what the op says.

Each planting makes one call of the drawn one, and the version is held to the oracle there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from ...geometry import PoolGeometry
from ...registry import KernelSpec, Version
from ..agreement import Call, agrees, arrays_in, largest, require, telling, within
from ..truth import each, truth
from .ask import Ask
from .calls import changed, finite
from .exact import EXACT

Array = np.ndarray
Planting = tuple[str, Call]

# In which inputs a NaN or an infinity is planted. Not where it would meet a border of zeros: 0 times NaN is NaN if a
# version multiplies there, and nothing if it does not, and either is right.
REACHING: Mapping[str, tuple[str, ...]] = {
    "conv2d": ("x", "b"),
    "conv2d.grad_input": ("grad",),
    "conv2d.grad_weight": ("x",),
    "linear": ("x", "w", "b"),
    "linear.grad_input": ("grad", "w"),
    "linear.grad_weight": ("grad", "x"),
    "batch_norm.statistics": ("x",),
    "batch_norm": ("x",),
    "local_response_norm": ("x",),
    "hinge_loss": ("scores",),
    "concat": ("xs",),
    **dict.fromkeys(
        ("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "pad", "relu", "leaky_relu", "sigmoid", "tanh", "gelu",
         "softmax", "log_softmax", "logsumexp", "dropout", "flatten"),
        ("x",),
    ),
    **dict.fromkeys(
        ("conv2d.grad_bias", "linear.grad_bias", "max_pool2d.grad_input", "avg_pool2d.grad_input",
         "adaptive_avg_pool2d.grad_input", "pad.grad_input", "relu.grad_input", "leaky_relu.grad_input",
         "dropout.grad_input", "concat.grad_input", "flatten.grad_input", "sgd_step", "adam_step", "rmsprop_step"),
        ("grad",),
    ),
}  # fmt: skip
MOVING = ("concat", "concat.grad_input", "flatten", "flatten.grad_input", "pad")
SUMMING = ("conv2d", "max_pool2d", "avg_pool2d", "pad", "linear", "relu", "leaky_relu", "dropout", "concat", "flatten")
ROWS = ("softmax", "log_softmax", "logsumexp")
LARGE = 1e4  # exp overflows far below it


def has_special_values(op: str) -> bool:
    """Whether there is anything to plant in an op's calls."""
    return op in {*REACHING, *MOVING, *ROWS} or op.partition(".")[0] in SUMMING


def special_values(kernel: KernelSpec, version: Version, call: Call) -> float | None:
    """The largest share over the plantings; the message of a Disagreement begins with what was planted."""
    ask = Ask(kernel, version)
    shares: list[float | None] = []
    for what, planted in plantings(kernel.name, finite(call)):
        with telling(what, planted):
            shares.append(agrees(kernel, version, planted) if version.exact else _spread(ask, planted))
    if kernel.name in MOVING:
        shares.append(_signs(ask, call))
    shares.append(_small(ask, call))
    return largest(shares)


def _spread(ask: Ask, call: Call) -> float | None:
    """Where transforms mix neighbours: what should not be finite is not, and what is finite is right."""
    allowed = ask.allowed(call)
    for got, true, limit in zip(ask(call), each(truth(ask.kernel, call)), allowed, strict=True):
        reached = np.isfinite(true) | ~np.isfinite(got)
        require(bool(reached.all()), "a number where there can be none")
        compared = np.isfinite(got) & np.isfinite(true) & np.isfinite(limit)
        within(got[compared], true[compared], np.broadcast_to(limit, true.shape)[compared])
    return 0.0


def _present(call: Call, name: str) -> list[str]:
    return [name] if call.get(name) is not None else []


def plantings(op: str, call: Call) -> Iterator[Planting]:
    """What is planted, and the call that holds it."""
    for name in REACHING.get(op, ()):
        for present in _present(call, name):
            for value in (np.nan, np.inf, -np.inf):
                yield f"{value} in {name}", changed(call, _planted(value), [present])
    if op in ROWS:
        yield from _rows(call)
    if op == "max_pool2d":
        for what, value in (("ties", 1.0), ("nothing but NaN", np.nan), ("nothing but -inf", -np.inf)):
            yield what, changed(call, _filled(value), ["x"])
        g = call["geometry"]
        middle = tuple(_last_seen(g, axis, g.output[axis] // 2) for axis in (0, 1))
        for what, pixel in (("last of a window", middle), ("last of a plane", (g.size[0] - 1, g.size[1] - 1))):
            yield f"nan at the {what}", changed(call, _at(pixel, np.nan), ["x"])


def _planted(value: float) -> Callable[[Array], Array]:
    """Puts a value in the middle; all other numbers are at least 1/8 from 0, for inf times 0 is NaN."""

    def change(x: Array) -> Array:
        planted = np.where(np.abs(x) < 0.125, x.dtype.type(0.125), x)
        if planted.size:
            planted.reshape(-1)[planted.size // 2] = value
        return planted

    return change


def _last_seen(g: PoolGeometry, axis: int, output: int) -> int:
    """The last pixel of the window of an output, along one axis."""
    first = output * g.stride[axis] - g.padding[axis][0]
    taps = (first + tap * g.dilation[axis] for tap in range(g.kernel[axis]))
    return max(pixel for pixel in taps if pixel < g.size[axis])


def _at(pixel: tuple[int, int], value: float) -> Callable[[Array], Array]:
    """Puts a value at one pixel of every plane."""

    def change(x: Array) -> Array:
        planted = np.array(x)
        planted[..., pixel[0], pixel[1]] = value
        return planted

    return change


def _rows(call: Call) -> Iterator[Planting]:
    """Rows as large as LARGE, as -LARGE, with both, and of nothing but -inf."""
    kinds = {f"numbers near {LARGE:g}": LARGE, f"numbers near {-LARGE:g}": -LARGE}
    for what, offset in kinds.items():
        yield what, changed(call, _near(offset), ["x"])
    yield f"{LARGE:g} beside {-LARGE:g}", changed(call, lambda x: np.where(x > 0, x.dtype.type(LARGE), -LARGE), ["x"])
    yield "nothing but -inf", changed(call, _filled(-np.inf), ["x"])


def _filled(value: float) -> Callable[[Array], Array]:
    return lambda x: np.full_like(x, value)


def _near(offset: float) -> Callable[[Array], Array]:
    return lambda x: np.clip(x, -30, 30) + x.dtype.type(offset)


def _signs(ask: Ask, call: Call) -> float | None:
    """Whether numbers that are moved keep their sign bit, that of 0 included."""
    name = next(name for name in ("x", "xs", "grad") if name in call)
    zeros = changed(finite(call), lambda x: np.where(x < 0, x.dtype.type(-0.0), x), [name])
    truths = arrays_in(truth(ask.kernel, zeros))
    for got, true in zip(ask(zeros), truths, strict=True):
        require(np.array_equal(np.signbit(got), np.signbit(true)), "-0.0: a zero lost its sign")
    return 0.0 if truths[0].size else None


def _small(ask: Ask, call: Call) -> float | None:
    """Multiples of the smallest number there is: sums of them are exact, unless they are flushed to 0."""
    op = ask.kernel.name
    made = EXACT[op](call) if op.partition(".")[0] in SUMMING else None
    if made is None or ask.version.precision != "float32" or not ask.version.exact:
        return None
    if "divisor_override" in made:
        made = {**made, "divisor_override": 1}
    if "negative_slope" in made:
        made = {**made, "negative_slope": 2.0}
    name = next(name for name in ("grad", "x", "xs") if name in call)
    small = changed(made, lambda x: x * np.finfo(x.dtype).smallest_subnormal, [name, *_present(made, "b")])
    for got, true in zip(ask(small), arrays_in(truth(ask.kernel, small)), strict=True):
        wrong = np.argwhere(got.astype(np.float64) != true)
        require(not len(wrong), f"numbers below the smallest normal one: another answer at {wrong[:1].tolist()}")
    return 0.0 if any(array.size for array in arrays_in(truth(ask.kernel, small))) else None
