"""Two-dimensional convolution (cross-correlation, as in every deep-learning library) and its gradients.

    y[n, o, p, q] = b[o] + sum over c, r, s of  x[n, c, p*stride + r*dilation - padding, ...] * w[o, c, r, s]

`forward(x, w, b, geometry, relu=False, packed=None, out=None)`, `grad_input(grad, w, geometry, packed=None)`,
`grad_weight(grad, x, geometry)`, `grad_bias(grad)`; x is (N, C, H, W), w (O, C / groups, R, S), b (O,) or None,
grad (N, O, P, Q), with any strides. `relu` sets negative results to 0 while they are in cache. `packed`: a dictionary
that the owner of w keeps and empties when w changes; versions keep there what they make of w. `out`: an array
(N, O, P, Q) to write to and return, such as some of a larger one's channels. `Ready(x, w, b, geometry, relu, pool)` is
a forward pass, pooled if asked, whose checks are made once. Results are channels-last in memory where the version
prefers it.

Reading order: oracle.py (the definition as loops), reference.py (im2col and one matrix product), cpu/;
cuda_numba.py (what one GPU thread does), cuda/.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import numpy as np

from ...errors import ShapeError
from ..geometry import ConvGeometry, PoolGeometry
from ..max_pool2d import forward as max_pool2d
from ..registry import Cost, KernelSpec, Version, always, check_floats, check_shape, dummy, never
from ..verify import bounds
from .cuda import gradient_tiles, products, tiles

Array = np.ndarray
SIDE = 6  # pixels of a tile of inputs of Winograd's convolutions
LEAST_CHANNELS = 8
POOL = "cpu.channels_last"  # the max-pooling that versions of the forward pass can do themselves
LEAST_SUMMED = 16  # channels of the weight gradient, and its tiles
LEAST_TILES = 4


def _check_forward(
    x: Array,
    w: Array,
    b: Array | None,
    geometry: ConvGeometry,
    relu: bool = False,
    packed: Any = None,
    out: Array | None = None,
) -> None:
    check_floats("conv2d", x=x, weight=w, bias=b, out=out)
    if out is not None:
        check_shape("conv2d", "out", out, geometry.y_shape)
        if isinstance(out, Array) and not out.flags.writeable:
            raise ShapeError("conv2d: out may not be written to; pass an array that may")
    check_shape("conv2d", "x", x, geometry.x_shape)
    check_shape("conv2d", "weight", w, geometry.w_shape)
    if b is not None:
        check_shape("conv2d", "bias", b, (geometry.out_channels,), "one value an output channel")


def _check_grad_input(grad: Array, w: Array, geometry: ConvGeometry, packed: Any = None) -> None:
    check_floats("conv2d.grad_input", grad=grad, weight=w)
    check_shape("conv2d.grad_input", "grad", grad, geometry.y_shape)
    check_shape("conv2d.grad_input", "weight", w, geometry.w_shape)


def _check_grad_weight(grad: Array, x: Array, geometry: ConvGeometry) -> None:
    check_floats("conv2d.grad_weight", grad=grad, x=x)
    check_shape("conv2d.grad_weight", "grad", grad, geometry.y_shape)
    check_shape("conv2d.grad_weight", "x", x, geometry.x_shape)


def _check_grad_bias(grad: Array) -> None:
    check_floats("conv2d.grad_bias", grad=grad)
    check_shape("conv2d.grad_bias", "grad", grad, (*grad.shape[:4], *[0] * (4 - grad.ndim)))


def _cost(geometry: ConvGeometry, relu: bool = False, packed: Any = None, **arrays: Array | None) -> Cost:
    itemsize = next(a.dtype.itemsize for a in arrays.values() if a is not None)
    return Cost(geometry.flops, itemsize * geometry.numbers)


def _dummies(
    dtype: np.dtype,
    x_shape: tuple[int, ...],
    w_shape: tuple[int, ...],
    bias: bool = True,
    relu: bool = False,
    **attributes: Any,
) -> Mapping[str, Any]:
    geometry = ConvGeometry.infer(x_shape, w_shape, **attributes)
    return {
        "x": dummy(geometry.x_shape, dtype),
        "w": dummy(geometry.w_shape, dtype),
        "b": dummy((geometry.out_channels,), dtype) if bias else None,
        "grad": dummy(geometry.y_shape, dtype),
        "geometry": geometry,
        "relu": relu,
    }


def _winograd_serves(side: int, backwards: bool = False) -> Callable[..., str | None]:
    """Whether tiles of `side` x `side` outputs, of filters that see 6 x 6 inputs, serve; of inputs if `backwards`."""
    taps = SIDE + 1 - side

    def serves(geometry: ConvGeometry, **_: Any) -> str | None:
        g = geometry
        if g.kernel != (taps, taps) or g.stride != (1, 1) or g.dilation != (1, 1) or g.groups != 1:
            return f"its transforms are those of {taps}x{taps} filters of stride 1, dilation 1, in one group"
        if min(g.in_channels, g.out_channels) < LEAST_CHANNELS:
            return f"of fewer than {LEAST_CHANNELS} channels, its transforms cost more than they save"
        if backwards and g.padding_mode != "zeros":
            return f"its tiles do not gather what the edge gets of padding_mode={g.padding_mode!r}"
        size = g.size if backwards else g.output
        saved = math.prod(size) * taps**2 / (math.prod(-(-n // side) for n in size) * SIDE**2)
        return None if saved >= 1.2 else f"its {side}x{side} tiles cover so small an output badly"

    return serves


def _winograd_weights_serve(side: int) -> Callable[..., str | None]:
    """Whether tiles of `side` x `side` outputs serve for the gradient of the filters; measured against cpu.direct."""
    fit = _winograd_serves(side)

    def serves(geometry: ConvGeometry, **_: Any) -> str | None:
        g = geometry
        if reason := fit(g):
            return reason
        if g.in_channels < LEAST_SUMMED:
            return f"of fewer than {LEAST_SUMMED} channels, its sums fill no register, and direct ones are faster"
        tiles = g.batch * math.prod(-(-n // side) for n in g.output)
        if 0 < tiles < LEAST_TILES:
            return f"fewer than {LEAST_TILES} tiles cost less than the transform of their sums does"
        return None

    return serves


def _winograd_filters(geometry: ConvGeometry, **arrays: Any) -> int:
    from .cpu import winograd

    return winograd.packed_bytes(geometry, _itemsize(arrays), "grad" in arrays)


def _winograd_workspace(geometry: ConvGeometry, **arrays: Any) -> int:
    from .cpu import winograd

    return winograd.workspace(geometry, _itemsize(arrays), "grad" in arrays)


def _winograd_weights_workspace(geometry: ConvGeometry, **arrays: Any) -> int:
    from .cpu import winograd_weights

    return winograd_weights.workspace(geometry, _itemsize(arrays))


def _halves(pool: PoolGeometry) -> bool:
    """Whether its windows are those 2 x 2 pixels that Winograd's tiles of outputs are made of."""
    plain = pool.kernel == pool.stride == (2, 2) and pool.dilation == (1, 1) and pool.padding == ((0, 0), (0, 0))
    return plain and pool.output == (pool.size[0] // 2, pool.size[1] // 2)


def _any_window(pool: PoolGeometry) -> bool:
    """The `pools` of a version that pools in any windows."""
    return True


def _depthwise_serves(geometry: ConvGeometry, **_: Any) -> str | None:
    g = geometry
    if g.groups > 1 and g.groups == g.in_channels == g.out_channels:
        return None
    return "it is for channels that each have a filter of their own: groups = channels in = channels out, and several"


def _of_module(module: str, bytes_of: str) -> Callable[..., int]:
    """The bytes of a call as the module of its version counts them."""

    def count(geometry: ConvGeometry, **arrays: Any) -> int:
        counted = getattr(import_module(f".cpu.{module}", __name__), bytes_of)
        backwards = () if bytes_of == "weight_workspace" else ("grad" in arrays,)
        return counted(geometry, _itemsize(arrays), *backwards)

    return count


def _direct(module: str, task: str, serves: Callable[..., str | None] = always, cases: str = "") -> Version:
    """Version cpu.`module` of the forward pass or of the input gradient, by its task."""
    return Version(
        f"cpu.{module}",
        f"cpu.{module}:{task}",
        serves,
        _of_module(module, "workspace"),
        pack=f"cpu.{module}:{'pack' if task == 'forward' else 'pack_grad_input'}",
        packed=_of_module(module, "packed_bytes"),
        heeds=("out",) if (module, task) == ("direct", "forward") else (),
        pools=_any_window if (module, task) == ("direct", "forward") else never,
        cases=cases,
    )


def _im2col_workspace(geometry: ConvGeometry, **arrays: Any) -> int:
    return _itemsize(arrays) * geometry.batch * geometry.groups * geometry.depth * math.prod(geometry.output)


def _itemsize(arrays: Mapping[str, Any]) -> int:
    return next(a.dtype.itemsize for a in arrays.values() if isinstance(a, np.ndarray))


forward = KernelSpec(
    name="conv2d",
    package=__name__,
    check=_check_forward,
    cost=_cost,
    bound=bounds.inner_product(lambda geometry, **_: geometry.depth + 1, "conv2d"),
    dummies=_dummies,
    versions=(
        *(
            Version(
                f"cpu.winograd{side}",
                "cpu.winograd:forward",
                _winograd_serves(side),
                _winograd_workspace,
                pack="cpu.winograd:pack",
                packed=_winograd_filters,
                exact=False,
                bound=bounds.winograd.forward,
                heeds=("out",),
                pools=_halves,
                cases=f"cases:forward_{taps}x{taps}",
            )
            for side, taps in ((4, 3), (2, 5))
        ),
        _direct("depthwise", "forward", _depthwise_serves, "cases:forward_depthwise"),
        _direct("direct", "forward"),
        Version("reference.im2col", "reference:forward", workspace=_im2col_workspace),
        Version(
            "cuda.bfloat16",
            "cuda.tensor_cores:forward_bfloat16",
            products.forward_serves,
            products.forward_workspace,
            "bfloat16",
        ),
        Version(
            "cuda.tf32", "cuda.tensor_cores:forward_tf32", products.forward_serves, products.forward_workspace, "tf32"
        ),
        # Before tensor cores: they copy so few channels number by number, which costs more than their products save.
        Version("cuda.few_channels", "cuda.forward:few_channels", tiles.few_serves),
        Version(
            "cuda.tensor_cores",
            "cuda.tensor_cores:forward",
            products.forward_serves,
            products.forward_workspace,
            "tf32x3",
        ),
        Version("cuda.implicit_gemm", "cuda.forward:implicit_gemm", tiles.gemm_serves, tiles.gemm_workspace),
        Version("cuda.tiled", "cuda.forward:tiled", tiles.tiled_serves),
        Version("cuda.naive", "cuda.forward:naive"),
        Version("numba_cuda.tiled", "cuda_numba:forward_tiled"),
        Version("numba_cuda.naive", "cuda_numba:forward_naive"),
    ),
    oracle="oracle:forward",
    cases="cases:forward",
)


class Ready:
    """A convolution that is checked, and its version chosen: for arrays of the looks of those it was made with.

    pool: gives the largest of each window of the result instead, bit for bit; in one pass where both versions are made
    for it. The choice stands while `registry.settled()` is the same.
    """

    def __init__(
        self, x: Array, w: Array, b: Array | None, geometry: ConvGeometry, relu: bool, pool: PoolGeometry | None = None
    ) -> None:
        self._settings, self._pool = {"geometry": geometry, "relu": relu}, pool
        call = {"x": x, "w": w, "b": b, **self._settings}
        _check_forward(**call)
        self._version = forward.choose(call)
        # Whether what is pooled is never written: the versions that serve both ops are made for it.
        self.at_once = pool is not None and self._version.pools(pool)
        if self.at_once:
            pooling = max_pool2d.choose({"x": dummy(geometry.y_shape, x.dtype), "geometry": pool})
            self.at_once = pooling.name == POOL

    def __call__(self, x: Array, w: Array, b: Array | None, packed: Any = None, out: Array | None = None) -> Array:
        call = {"x": x, "w": w, "b": b, **self._settings, "packed": packed}
        y = forward.run(self._version, call, {"out": out, "pool": self._pool if self.at_once else None})
        return y if self._pool is None or self.at_once else max_pool2d(y, self._pool, where=False)[0]


grad_input = KernelSpec(
    name="conv2d.grad_input",
    package=__name__,
    check=_check_grad_input,
    cost=_cost,
    bound=bounds.inner_product(bounds.conv_grad_input_depth, "conv2d.grad_input"),
    dummies=_dummies,
    versions=(
        *(
            Version(
                f"cpu.winograd{side}",
                "cpu.winograd:grad_input",
                _winograd_serves(side, True),
                _winograd_workspace,
                pack="cpu.winograd:pack_grad_input",
                packed=_winograd_filters,
                exact=False,
                bound=bounds.winograd.grad_input,
                cases=f"cases:grad_input_{taps}x{taps}",
            )
            for side, taps in ((4, 3), (2, 5))
        ),
        _direct("depthwise", "grad_input", _depthwise_serves, "cases:grad_input_depthwise"),
        _direct("direct", "grad_input"),
        Version("reference.im2col", "reference:grad_input", workspace=_im2col_workspace),
        Version(
            "cuda.bfloat16",
            "cuda.tensor_cores:grad_input_bfloat16",
            products.grad_input_serves,
            products.grad_input_workspace,
            "bfloat16",
        ),
        Version(
            "cuda.tf32",
            "cuda.tensor_cores:grad_input_tf32",
            products.grad_input_serves,
            products.grad_input_workspace,
            "tf32",
        ),
        Version(
            "cuda.tensor_cores",
            "cuda.tensor_cores:grad_input",
            products.grad_input_serves,
            products.grad_input_workspace,
            "tf32x3",
        ),
        Version(
            "cuda.implicit_gemm",
            "cuda.grad_input:implicit_gemm",
            gradient_tiles.input_gemm_serves,
            gradient_tiles.input_gemm_workspace,
        ),
        Version("cuda.tiled", "cuda.grad_input:tiled", gradient_tiles.input_tiled_serves),
        Version("cuda.naive", "cuda.grad_input:naive"),
        Version("numba_cuda.tiled", "cuda_numba:grad_input_tiled"),
        Version("numba_cuda.naive", "cuda_numba:grad_input_naive"),
    ),
    oracle="oracle:grad_input",
    cases="cases:grad_input",
)

grad_weight = KernelSpec(
    name="conv2d.grad_weight",
    package=__name__,
    check=_check_grad_weight,
    cost=_cost,
    bound=bounds.inner_product(
        lambda geometry, **_: geometry.batch * geometry.output[0] * geometry.output[1], "conv2d.grad_weight"
    ),
    dummies=_dummies,
    versions=(
        *(
            Version(
                f"cpu.winograd{side}",
                "cpu.winograd_weights:grad_weight",
                _winograd_weights_serve(side),
                _winograd_weights_workspace,
                exact=False,
                bound=bounds.winograd.grad_weight,
                cases=f"cases:grad_weight_{taps}x{taps}",
            )
            for side, taps in ((4, 3), (2, 5))
        ),
        Version(
            "cpu.depthwise",
            "cpu.depthwise:grad_weight",
            _depthwise_serves,
            _of_module("depthwise", "weight_workspace"),
            cases="cases:grad_weight_depthwise",
        ),
        Version(
            "cpu.direct", "cpu.direct_weights:grad_weight", workspace=_of_module("direct_weights", "weight_workspace")
        ),
        Version("reference.im2col", "reference:grad_weight", workspace=_im2col_workspace),
        Version(
            "cuda.bfloat16",
            "cuda.tensor_cores:grad_weight_bfloat16",
            products.grad_weight_serves,
            products.grad_weight_workspace,
            "bfloat16",
        ),
        Version(
            "cuda.tf32",
            "cuda.tensor_cores:grad_weight_tf32",
            products.grad_weight_serves,
            products.grad_weight_workspace,
            "tf32",
        ),
        Version(
            "cuda.tensor_cores",
            "cuda.tensor_cores:grad_weight",
            products.grad_weight_serves,
            products.grad_weight_workspace,
            "tf32x3",
        ),
        Version(
            "cuda.implicit_gemm",
            "cuda.grad_weight:implicit_gemm",
            gradient_tiles.weight_gemm_serves,
            gradient_tiles.weight_gemm_workspace,
        ),
        Version("cuda.tiled", "cuda.grad_weight:tiled", workspace=gradient_tiles.weight_tiled_workspace),
        Version("cuda.naive", "cuda.grad_weight:naive"),
        Version("numba_cuda.tiled", "cuda_numba:grad_weight_tiled"),
        Version("numba_cuda.naive", "cuda_numba:grad_weight_naive"),
    ),
    oracle="oracle:grad_weight",
    cases="cases:grad_weight",
)

grad_bias = KernelSpec(
    name="conv2d.grad_bias",
    package=__name__,
    check=_check_grad_bias,
    cost=lambda grad: Cost(grad.size, grad.nbytes),
    bound=bounds.inner_product(lambda grad: grad.size // max(grad.shape[1], 1), "conv2d.grad_bias"),
    dummies=lambda dtype, y_shape: {"grad": dummy(y_shape, dtype)},
    versions=(
        Version("cpu.parts", "cpu.bias:grad_bias"),
        Version("reference.sum", "reference:grad_bias"),
        Version("cuda.blocks", "cuda.grad_bias:blocks", workspace=gradient_tiles.bias_workspace),
        Version("cuda.naive", "cuda.grad_bias:naive"),
        Version("numba_cuda.naive", "cuda_numba:grad_bias"),
    ),
    oracle="oracle:grad_bias",
    cases="cases:grad_bias",
)
