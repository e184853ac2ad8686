"""Launches the dense layer's kernels for tensor cores: float32 arrays; products in TF32 (three or one) or bfloat16."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..cuda import contiguous, empty, source
from ..cuda.gemm import Plan, float32_only

PRODUCTS = source(__file__, "tensor_cores.cu")


def _product(kernel: str, left: Any, right: Any, bias: Any, sizes: tuple[int, int, int], depth: str, precision: str):
    """Runs the kernel whose sizes are N, I, O, and whose results have the two sizes that are not the depth."""
    named = dict(zip("NIO", sizes, strict=True))
    rows, columns = {"I": "NO", "O": "NI", "N": "OI"}[depth]
    to = empty((named[rows], named[columns]), left.dtype, like=left)
    plan = Plan.of(named[rows], named[columns], named[depth])
    target = plan.target(to)
    biases = (bias,) if depth == "I" else ()
    plan.launch(PRODUCTS, kernel, precision, contiguous(left), contiguous(right), *biases, target, *sizes)
    if target is not to:
        plan.sum_up(target, bias, to)
    return to


def forward(x, w, b, precision="tf32x3"):
    b = None if b is None else contiguous(b)
    return _product("linear_forward", x, w, b, (*x.shape, w.shape[0]), "I", precision)


def grad_input(grad, w, precision="tf32x3"):
    return _product("linear_grad_input", grad, w, None, (grad.shape[0], w.shape[1], w.shape[0]), "O", precision)


def grad_weight(grad, x, precision="tf32x3"):
    return _product("linear_grad_weight", grad, x, None, (*x.shape, grad.shape[1]), "N", precision)


forward_tf32 = partial(forward, precision="tf32")
forward_bfloat16 = partial(forward, precision="bfloat16")
grad_input_tf32 = partial(grad_input, precision="tf32")
grad_input_bfloat16 = partial(grad_input, precision="bfloat16")
grad_weight_tf32 = partial(grad_weight, precision="tf32")
grad_weight_bfloat16 = partial(grad_weight, precision="bfloat16")


def _plan(x: Any = None, w: Any = None, grad: Any = None) -> Plan:
    """That of a call: of the three, the one that is missing is computed."""
    if grad is None:
        return Plan.of(x.shape[0], w.shape[0], w.shape[1])
    if x is None:
        return Plan.of(grad.shape[0], w.shape[1], w.shape[0])
    return Plan.of(grad.shape[1], x.shape[1], x.shape[0])


def serves(b: Any = None, **arrays: Any) -> str | None:
    """Whether tensor cores can take a call of any of the three; why not, or None."""
    return float32_only(*arrays.values()) or _plan(**arrays).refusal()


def workspace(b: Any = None, **arrays: Any) -> int:
    """Bytes of the parts of a long product that several blocks share."""
    return _plan(**arrays).workspace
