"""The dense layer y = x w^T + b and its gradients.

`forward(x, w, b)`: x (N, I), w (O, I), b (O,) or None -> (N, O). `grad_input(grad, w)`,
`grad_weight(grad, x)`, `grad_bias(grad)` with grad (N, O).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import ShapeError
from ..registry import Cost, KernelSpec, Version, check_floats, check_shape, dummy
from ..verify import bounds
from . import tensor_cores

Array = np.ndarray


def _check_matrix(op: str, name: str, array: Array, axes: str) -> None:
    if array.ndim != 2:
        raise ShapeError(f"{op}: {name} must have 2 axes {axes}; got shape {tuple(array.shape)}")


def _check_forward(x: Array, w: Array, b: Array | None) -> None:
    op = "linear"
    check_floats(op, x=x, weight=w, bias=b)
    _check_matrix(op, "x", x, "(N, in)")
    _check_matrix(op, "weight", w, "(out, in)")
    if x.shape[1] != w.shape[1]:
        raise ShapeError(
            f"{op}: x of shape {x.shape} has {x.shape[1]} features, but weight of shape {w.shape} expects "
            f"{w.shape[1]}; pass an input or a weight that agrees"
        )
    if b is not None:
        check_shape(op, "bias", b, (w.shape[0],), "one value an output")


def _check_grad_input(grad: Array, w: Array) -> None:
    op = "linear.grad_input"
    check_floats(op, grad=grad, weight=w)
    _check_matrix(op, "grad", grad, "(N, out)")
    _check_matrix(op, "weight", w, "(out, in)")
    check_shape(op, "grad", grad, (grad.shape[0], w.shape[0]), f"weight has shape {w.shape}")


def _check_grad_weight(grad: Array, x: Array) -> None:
    op = "linear.grad_weight"
    check_floats(op, grad=grad, x=x)
    _check_matrix(op, "grad", grad, "(N, out)")
    _check_matrix(op, "x", x, "(N, in)")
    check_shape(op, "grad", grad, (x.shape[0], grad.shape[1]), f"x has shape {x.shape}")


def _check_grad_bias(grad: Array) -> None:
    check_floats("linear.grad_bias", grad=grad)
    _check_matrix("linear.grad_bias", "grad", grad, "(N, out)")


def _cost(n: int, i: int, o: int, itemsize: int) -> Cost:
    return Cost(2 * n * i * o, itemsize * (n * i + n * o + i * o))


def _dummies(
    dtype: np.dtype, x_shape: tuple[int, int], w_shape: tuple[int, int], bias: bool = True
) -> Mapping[str, Any]:
    return {
        "x": dummy(x_shape, dtype),
        "w": dummy(w_shape, dtype),
        "b": dummy(w_shape[:1], dtype) if bias else None,
        "grad": dummy((x_shape[0], w_shape[0]), dtype),
    }


MOST_ROWS = 48  # a batch for the tiles of cpu.py; measured, BLAS takes as long at 64 and less from there on


def _few_rows(x: Array | None = None, grad: Array | None = None, **_: Any) -> str | None:
    rows = (grad if x is None else x).shape[0]  # type: ignore[union-attr]  # one of the two is there
    return f"a batch of {rows} is above {MOST_ROWS}, from where BLAS is quicker" if rows > MOST_ROWS else None


forward = KernelSpec(
    name="linear",
    package=__name__,
    check=_check_forward,
    cost=lambda x, w, b: _cost(x.shape[0], x.shape[1], w.shape[0], x.dtype.itemsize),
    bound=bounds.inner_product(lambda x, **_: x.shape[1] + 1, "linear"),
    dummies=_dummies,
    versions=(
        Version("cpu.tiles", "cpu:forward", _few_rows),
        Version("reference.blas", "reference:forward"),
        Version(
            "cuda.bfloat16", "tensor_cores:forward_bfloat16", tensor_cores.serves, tensor_cores.workspace, "bfloat16"
        ),
        Version("cuda.tf32", "tensor_cores:forward_tf32", tensor_cores.serves, tensor_cores.workspace, "tf32"),
        Version("cuda.tensor_cores", "tensor_cores:forward", tensor_cores.serves, tensor_cores.workspace, "tf32x3"),
        Version("cuda.tiled", "cuda:forward"),
        Version("cuda.naive", "cuda:forward_naive"),
        Version("numba_cuda.tiled", "cuda_numba:forward_tiled"),
        Version("numba_cuda.naive", "cuda_numba:forward_naive"),
    ),
    oracle="oracle:forward",
    cases="cases:forward",
)

grad_input = KernelSpec(
    name="linear.grad_input",
    package=__name__,
    check=_check_grad_input,
    cost=lambda grad, w: _cost(grad.shape[0], w.shape[1], w.shape[0], w.dtype.itemsize),
    bound=bounds.inner_product(lambda grad, w: w.shape[0], "linear.grad_input"),
    dummies=_dummies,
    versions=(
        Version("cpu.tiles", "cpu:grad_input", _few_rows),
        Version("reference.blas", "reference:grad_input"),
        Version(
            "cuda.bfloat16", "tensor_cores:grad_input_bfloat16", tensor_cores.serves, tensor_cores.workspace, "bfloat16"
        ),
        Version("cuda.tf32", "tensor_cores:grad_input_tf32", tensor_cores.serves, tensor_cores.workspace, "tf32"),
        Version("cuda.tensor_cores", "tensor_cores:grad_input", tensor_cores.serves, tensor_cores.workspace, "tf32x3"),
        Version("cuda.tiled", "cuda:grad_input"),
        Version("cuda.naive", "cuda:grad_input_naive"),
        Version("numba_cuda.tiled", "cuda_numba:grad_input_tiled"),
        Version("numba_cuda.naive", "cuda_numba:grad_input_naive"),
    ),
    oracle="oracle:grad_input",
    cases="cases:grad_input",
)

grad_weight = KernelSpec(
    name="linear.grad_weight",
    package=__name__,
    check=_check_grad_weight,
    cost=lambda grad, x: _cost(x.shape[0], x.shape[1], grad.shape[1], x.dtype.itemsize),
    bound=bounds.inner_product(lambda grad, x: x.shape[0], "linear.grad_weight"),
    dummies=_dummies,
    versions=(
        Version("cpu.tiles", "cpu:grad_weight", _few_rows),
        Version("reference.blas", "reference:grad_weight"),
        Version(
            "cuda.bfloat16",
            "tensor_cores:grad_weight_bfloat16",
            tensor_cores.serves,
            tensor_cores.workspace,
            "bfloat16",
        ),
        Version("cuda.tf32", "tensor_cores:grad_weight_tf32", tensor_cores.serves, tensor_cores.workspace, "tf32"),
        Version("cuda.tensor_cores", "tensor_cores:grad_weight", tensor_cores.serves, tensor_cores.workspace, "tf32x3"),
        Version("cuda.tiled", "cuda:grad_weight"),
        Version("cuda.naive", "cuda:grad_weight_naive"),
        Version("numba_cuda.tiled", "cuda_numba:grad_weight_tiled"),
        Version("numba_cuda.naive", "cuda_numba:grad_weight_naive"),
    ),
    oracle="oracle:grad_weight",
    cases="cases:grad_weight",
)

grad_bias = KernelSpec(
    name="linear.grad_bias",
    package=__name__,
    check=_check_grad_bias,
    cost=lambda grad: Cost(grad.size, grad.nbytes),
    bound=bounds.inner_product(lambda grad: grad.shape[0], "linear.grad_bias"),
    dummies=_dummies,
    versions=(
        Version("reference.sum", "reference:grad_bias"),
        Version("cuda.tiled", "cuda:grad_bias"),
        Version("numba_cuda.naive", "cuda_numba:grad_bias"),
    ),
    oracle="oracle:grad_bias",
    cases="cases:grad_bias",
)
