"""The Numba-CUDA kernels compile for a GPU, as their launchers call them, and compute in the dtype of their arrays."""

import inspect
import re

import numpy as np
import pytest

from minitl import kernels
from minitl.errors import KernelFault
from minitl.kernels import ConvGeometry, emulator
from minitl.kernels.conv2d import cuda_numba as conv2d
from minitl.kernels.cuda.numba import Kernel, cuda
from minitl.kernels.linear import cuda_numba as linear

DIMENSIONS = {
    "conv2d": {"x_shape": (2, 4, 5, 5), "w_shape": (6, 2, 3, 3), "groups": 2, "padding": 1},
    "conv2d.grad_bias": {"y_shape": (2, 3, 4, 4)},
    "max_pool2d": {"x_shape": (2, 3, 6, 6), "kernel_size": 2},
    "linear": {"x_shape": (3, 4), "w_shape": (5, 4)},
    "relu": {"x_shape": (3, 4)},
    "softmax": {"x_shape": (3, 4)},
}
VERSIONS = [
    (spec, version) for spec in kernels.specs().values() for version in spec.versions if version.backend == "numba_cuda"
]


def launches(monkeypatch, spec, version, dtype):
    """(kernel, grid, block, arguments) of every launch of a call on small arrays."""
    found = []
    monkeypatch.setattr(Kernel, "launch", lambda self, grid, block, *given: found.append((self, grid, block, given)))
    sizes = DIMENSIONS.get(spec.name) or DIMENSIONS[spec.name.partition(".")[0]]
    example = spec.example(np.dtype(dtype), **sizes)
    spec.load(version.target)(**{name: a.copy() if isinstance(a, np.ndarray) else a for name, a in example.items()})
    return found


@pytest.mark.parametrize(("spec", "version"), VERSIONS, ids=lambda value: value.name)
def test_it_compiles_for_a_gpu(spec, version, monkeypatch):
    pytest.importorskip("numba_cuda", reason="compiling for a GPU needs numba-cuda (pip install numba-cuda)")
    found = launches(monkeypatch, spec, version, "float32")
    assert found
    for kernel, _, _, arguments in found:
        ptx = kernel.ptx(*arguments)
        assert re.search(rf"\.visible \.entry \w*{kernel.name}", ptx)
        assert ".target sm_90" in ptx
        assert ("bar.sync" in ptx) == ("syncthreads" in kernel.function.__code__.co_names)
        # A literal such as 0.0 would widen what it is added to: float32 stays float32, but where sums are to be exact.
        assert bool(re.search(r"\.f64\s", ptx)) == kernel.name.endswith("_sums")


@pytest.mark.parametrize("op", ["conv2d", "softmax"])
def test_float64_is_served_too(op, monkeypatch):
    pytest.importorskip("numba_cuda", reason="compiling for a GPU needs numba-cuda (pip install numba-cuda)")
    for spec, version in VERSIONS:
        if spec.name == op:
            for kernel, _, _, arguments in launches(monkeypatch, spec, version, "float64"):
                ptx = kernel.ptx(*arguments)
                assert re.search(r"st\.global\.f64", ptx)
                assert not re.search(r"st\.global\.f32", ptx)


def test_a_kernel_written_for_numba_is_interpreted_too():
    pytest.importorskip("numba_cuda", reason="needs numba-cuda (pip install numba-cuda)")
    pytest.importorskip("greenlet", reason="the interpreter runs CUDA threads as greenlets (pip install greenlet)")
    text = """
@cuda.jit(device=True)
def twice(value):
    return 2 * value

@cuda.jit
def doubled(x, y):
    tile = cuda.shared.array(4, float32)
    tile[cuda.threadIdx.x] = twice(x[cuda.grid(1)])
    cuda.syncthreads()
    y[cuda.grid(1)] = tile[3 - cuda.threadIdx.x]
"""
    from numba import cuda as real
    from numba import float32

    assert real is not cuda
    names = {"cuda": real, "float32": float32, "__name__": "written"}
    exec(compile(text, "written.py", "exec"), names)
    x, y = np.arange(8, dtype=np.float32), np.zeros(8, np.float32)
    Kernel(names["doubled"], writes=["y"]).launch(2, 4, x, y)
    assert np.array_equal(y, [6, 4, 2, 0, 14, 12, 10, 8])


# More than one tile along every axis of the product, in two groups, with an odd pixel left over.
GEOMETRY = ConvGeometry.infer((1, 36, 5, 7), (38, 18, 2, 1), stride=(1, 2), padding=((1, 0), (1, 1)), groups=2)
TILED = {
    "linear": (linear, "product_tiled", {"x": (17, 18), "w": (19, 18), "b": (19,)}),
    "conv2d": (conv2d, "conv2d_tiled", {"x": GEOMETRY.x_shape, "w": GEOMETRY.w_shape, "b": None}),
    "conv2d.grad_input": (conv2d, "conv2d_grad_input_tiled", {"grad": GEOMETRY.y_shape, "w": GEOMETRY.w_shape}),
    "conv2d.grad_weight": (conv2d, "conv2d_grad_weight_tiled", {"grad": GEOMETRY.y_shape, "x": GEOMETRY.x_shape}),
}


def call(op):
    """Arguments of whole numbers, and the version that multiplies by tiles."""
    rng = np.random.default_rng(0)
    shapes = TILED[op][2]
    arrays = {name: shape and rng.integers(-4, 5, shape).astype(np.float32) for name, shape in shapes.items()}
    geometry = {"geometry": GEOMETRY} if op.startswith("conv2d") else {}
    version = next(version for version in kernels.spec(op).versions if version.name == "interpreter.tiled")
    return version, {**arrays, **geometry}


@pytest.mark.parametrize("order", ["forward", "reverse", 3])
@pytest.mark.parametrize("op", TILED)
def test_whole_numbers_are_exact_over_many_tiles(op, order):
    pytest.importorskip("greenlet", reason="the interpreter runs CUDA threads as greenlets (pip install greenlet)")
    spec = kernels.spec(op)
    version, arguments = call(op)
    with emulator.schedule(order):
        assert np.array_equal(spec.run(version, arguments), spec.load(spec.oracle)(**arguments))


@pytest.mark.parametrize("barrier", [0, 1])
@pytest.mark.parametrize("op", TILED)
def test_every_barrier_is_needed(op, barrier, monkeypatch):
    pytest.importorskip("greenlet", reason="the interpreter runs CUDA threads as greenlets (pip install greenlet)")
    module, name, _ = TILED[op]
    lines, _ = inspect.getsourcelines(getattr(module, name).function)
    at = [i for i, line in enumerate(lines) if "cuda.syncthreads()" in line]
    assert len(at) == 2
    lines[at[barrier]] = re.sub(r"cuda\.syncthreads\(\)", "pass", lines[at[barrier]])
    names = dict(vars(module))
    exec(compile("".join(lines), "without_barrier.py", "exec"), names)
    monkeypatch.setattr(module, name, names[name])
    version, arguments = call(op)
    for order in ("forward", "reverse", 3):
        with emulator.schedule(order), pytest.raises(KernelFault, match=f"{name}: .*: without_barrier.py:") as caught:
            kernels.spec(op).run(version, arguments)
        assert caught.value.kind in (("uninitialised", "race"), ("race",))[barrier]
