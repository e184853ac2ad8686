"""The adjoint identity: a gradient is the transpose of its op, so <op(x), g> = <x, gradient(g)> for every x and g.

No oracle is asked: forward and backward kernels must fit each other. On whole numbers the sums are exact, and the two
sides equal to the bit. Ops that are linear only piecewise (ReLU, max-pool) obey it too: where x itself chose the piece.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ....errors import BackendUnavailable
from ...backends import BACKENDS
from ...registry import KernelSpec, Version, spec
from .. import homes
from ..agreement import Call, largest, require
from ..truth import bound, each
from .ask import Ask
from .calls import parts, whole
from .exact import EXACT

Array = np.ndarray
Answers = tuple[Array, ...]


@dataclass(frozen=True)
class Adjoint:
    """A gradient's op. of: the input that it is the gradient of. fixed: makes the op linear in that input.

    backward: (forward call, answers, what flows back) -> the gradient's call.
    """

    forward: str
    of: str
    backward: Callable[[Call, Answers, Array], Call]
    fixed: Callable[[Call], Call] = lambda call: call


def _unbiased(call: Call) -> Call:
    return {**call, "b": None, "relu": False} if "relu" in call else {**call, "b": None}


def _bias_alone(call: Call) -> Call:
    """The op without its products: a bias, and weights of 0."""
    b = whole(np.arange(1, len(call["w"]) + 1) % 5).astype(call["w"].dtype)
    off = {"relu": False} if "relu" in call else {}
    return {**call, "w": np.zeros_like(call["w"]), "b": b, **off}


def _passed(*names: str) -> Callable[[Call, Answers, Array], Call]:
    return lambda call, answers, g: {"grad": g, **{name: call[name] for name in names}}


ADJOINTS = {
    "conv2d.grad_input": Adjoint("conv2d", "x", _passed("w", "geometry"), _unbiased),
    "conv2d.grad_weight": Adjoint("conv2d", "w", _passed("x", "geometry"), _unbiased),
    "conv2d.grad_bias": Adjoint("conv2d", "b", _passed(), _bias_alone),
    "linear.grad_input": Adjoint("linear", "x", _passed("w"), _unbiased),
    "linear.grad_weight": Adjoint("linear", "w", _passed("x"), _unbiased),
    "linear.grad_bias": Adjoint("linear", "b", _passed(), _bias_alone),
    "max_pool2d.grad_input": Adjoint(
        "max_pool2d", "x", lambda call, answers, g: {"grad": g, "indices": answers[1], "geometry": call["geometry"]}
    ),
    "avg_pool2d.grad_input": Adjoint(
        "avg_pool2d", "x", _passed("geometry", "count_include_pad", "divisor_override")
    ),
    "adaptive_avg_pool2d.grad_input": Adjoint(
        "adaptive_avg_pool2d", "x", lambda call, answers, g: {"grad": g, "x_shape": call["x"].shape}
    ),
    "pad.grad_input": Adjoint("pad", "x", _passed("geometry"), lambda call: {**call, "value": 0.0}),
    "relu.grad_input": Adjoint("relu", "x", lambda call, answers, g: {"grad": g, "y": answers[0]}),
    "leaky_relu.grad_input": Adjoint("leaky_relu", "x", _passed("x", "negative_slope")),
    "dropout.grad_input": Adjoint("dropout", "x", _passed("p", "keys", "stream")),
    "concat.grad_input": Adjoint(
        "concat", "xs",
        lambda call, answers, g: {
            "grad": g, "sizes": tuple(x.shape[call["axis"]] for x in call["xs"]), "axis": call["axis"],
        },
    ),
    "flatten.grad_input": Adjoint(
        "flatten", "x", lambda call, answers, g: {"grad": g, "x_shape": call["x"].shape}
    ),
}  # fmt: skip


def gradients(op: str) -> list[str]:
    """The gradients in the table that an op has, or the op itself if it is one."""
    return [name for name, known in ADJOINTS.items() if op in (name, known.forward)]


def forward_of(op: str) -> str:
    """The op whose calls the property takes: that of a gradient, else the op itself."""
    return ADJOINTS[op].forward if op in ADJOINTS else op


def adjoint(kernel: KernelSpec, version: Version, call: Call) -> float | None:
    """0 where the identity holds between this version and its partner. `call` is one of the forward op.

    The partner is the version of the same name, else one of the same backend, else the first that serves.
    """
    return largest(_held(kernel, version, name, call) for name in gradients(kernel.name))


def _held(kernel: KernelSpec, version: Version, gradient: str, call: Call) -> float | None:
    known = ADJOINTS[gradient]
    made = EXACT[known.forward](call)
    if made is None:
        return None
    made = known.fixed(made)
    backward = kernel.name == gradient
    try:
        forward_kernel = spec(known.forward) if backward else kernel
        forward_version = _partner(forward_kernel, version, made) if backward else version
        answers = Ask(forward_kernel, forward_version)(made)
        y = answers[0]
        g = _flowing(y)
        back = known.backward(made, answers, g)
        gradient_kernel = kernel if backward else spec(gradient)
        gradient_version = version if backward else _partner(gradient_kernel, version, back)
        found = Ask(gradient_kernel, gradient_version)(back)
    except BackendUnavailable:
        return None
    inputs = tuple(parts(made[known.of]))
    if not y.size:
        return None
    left = _product([y], [g])
    right = _product(inputs, found)
    between = f"{known.forward} {forward_version.name} and {gradient} {gradient_version.name}"
    slack = 0.0 if forward_version.exact else _rounding(forward_kernel, forward_version, made, (g,))
    slack += 0.0 if gradient_version.exact else _rounding(gradient_kernel, gradient_version, back, inputs)
    message = f"<op({known.of}), g> = {left}, but <{known.of}, gradient(g)> = {right}, with {between}"
    require(abs(left - right) <= slack, message)
    return 0.0


def _rounding(kernel: KernelSpec, version: Version, call: Call, others: tuple[Array, ...]) -> float:
    """How far off a product with the answers of a version that is not exact may be."""
    allowed = each(bound(kernel, version, call))
    return sum(float((np.abs(other) * a).sum()) for other, a in zip(others, allowed, strict=False))


def _flowing(y: Array) -> Array:
    """Whole numbers in the shape of y that follow no pattern that a stride could hit; in the dtype of y."""
    return np.random.default_rng(y.size).integers(-4, 5, y.shape).astype(y.dtype)


def _product(left: tuple[Array, ...] | list[Array], right: tuple[Array, ...] | list[Array]) -> float:
    require(len(left) == len(right), f"{len(right)} gradients for {len(left)} inputs")
    total = 0.0
    for a, b in zip(left, right, strict=True):
        require(a.shape == b.shape, f"a gradient of shape {b.shape} for an input of {a.shape}")
        total += float((a.astype(np.float64) * b.astype(np.float64)).sum())
    return total


def _partner(kernel: KernelSpec, version: Version, call: Call) -> Version:
    def likeness(other: Version) -> tuple[bool, bool]:
        return other.name != version.name, other.backend != version.backend

    for other in sorted(kernel.versions, key=likeness):
        missing = BACKENDS[other.backend].unavailable()
        if not missing and kernel.reason_against(other, homes.moved(call, other)) is None:
            return other
    raise BackendUnavailable(f"{kernel.name}: no version serves beside {version.name}")
