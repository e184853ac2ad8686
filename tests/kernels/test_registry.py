"""Dispatch: which version serves, why the others do not, and how one is forced."""

import threading

import numpy as np
import pytest

from minitl import kernels
from minitl.errors import ArgumentError, BackendUnavailable, ShapeError
from minitl.kernels import backends
from minitl.kernels.registry import LENT

SPECS = kernels.specs()
X = np.zeros((1, 2, 4, 4), np.float32)
POOL = kernels.PoolGeometry.infer(X.shape, 2)

# Shapes from which `why` can make a call of each op.
SHAPES = {
    "conv2d": {"x_shape": (2, 4, 9, 9), "w_shape": (6, 2, 3, 3), "groups": 2, "padding": 1},
    "conv2d.grad_bias": {"y_shape": (2, 6, 9, 9)},
    "max_pool2d": {"x_shape": (2, 4, 9, 9), "kernel_size": 2},
    "avg_pool2d": {"x_shape": (2, 4, 9, 9), "kernel_size": 3, "stride": 2, "padding": 1},
    "pad": {"x_shape": (2, 4, 9, 9), "padding": 2, "mode": "reflect"},
    "adaptive_avg_pool2d": {"x_shape": (2, 4, 9, 9), "output_size": (2, 2)},
    "linear": {"x_shape": (2, 5), "w_shape": (3, 5)},
    "batch_norm": {"x_shape": (2, 4, 9, 9)},
    "local_response_norm": {"x_shape": (2, 4, 9, 9), "size": 5},
    "relu": {"x_shape": (2, 5)},
    "leaky_relu": {"x_shape": (2, 5), "negative_slope": 0.2},
    "sigmoid": {"x_shape": (2, 5)},
    "tanh": {"x_shape": (2, 5)},
    "gelu": {"x_shape": (2, 5), "approximate": "tanh"},
    "softmax": {"x_shape": (2, 5)},
    "log_softmax": {"x_shape": (2, 5)},
    "logsumexp": {"x_shape": (2, 5), "axis": (0, 1), "keepdims": True},
    "cross_entropy": {"x_shape": (2, 5)},
    "hinge_loss": {"x_shape": (2, 5), "class_weight": True},
    "binary_cross_entropy": {"x_shape": (2, 5), "weight": True},
    "binary_cross_entropy_with_logits": {"x_shape": (2, 5), "reduction": "none"},
    "dropout": {"x_shape": (2, 5)},
    "concat": {"x_shapes": ((2, 5), (2, 3))},
    "flatten": {"x_shape": (2, 5, 3)},
    "sgd_step": {"x_shape": (2, 5)},
    "adam_step": {"x_shape": (2, 5), "amsgrad": True},
    "rmsprop_step": {"x_shape": (2, 5), "centered": True, "momentum": 0.9},
}


@pytest.mark.parametrize("name", SPECS)
def test_why_names_a_version_and_a_reason_for_each_other(name):
    shapes = SHAPES.get(name) or SHAPES[name.partition(".")[0]]
    answer = kernels.why(name, **shapes)
    names = {version.name for version in SPECS[name].versions}
    assert {answer.chosen, *answer.reasons} == names
    assert all(answer.reasons.values())
    assert str(answer).startswith(f"{name}: {answer.chosen}")


@pytest.mark.parametrize(
    ("op", "asked"),
    [
        ("conv2d", {"x_shape": (1, 2, 4, 4), "w_shape": (3, 2, 3, 3), "dtype": "int32"}),
        ("linear", {"x_shape": (2, 5), "w_shape": (3, 7)}),
        ("softmax", {"x_shape": (2, 5), "axis": 7}),
    ],
)
def test_why_refuses_what_the_op_refuses(op, asked):
    with pytest.raises(ShapeError, match=f"{op}: "):
        kernels.why(op, **asked)


@pytest.mark.parametrize("name", SPECS)
def test_the_cost_is_positive_and_known_from_shapes(name):
    spec = SPECS[name]
    shapes = SHAPES.get(name) or SHAPES[name.partition(".")[0]]
    arguments = spec.example(np.dtype("float32"), **shapes)
    assert set(arguments) == set(spec.signature.parameters) - set(LENT)
    cost = spec.cost(**arguments)
    assert cost.flops >= 0
    assert cost.bytes > 0


@pytest.mark.parametrize("name", SPECS)
def test_dtypes_that_do_not_fit_are_refused(name):
    spec = SPECS[name]
    shapes = SHAPES.get(name) or SHAPES[name.partition(".")[0]]
    for dtype in ("float16", "int32"):
        with pytest.raises(ShapeError, match=rf"{name}: .*{dtype}"):
            spec(**spec.example(np.dtype(dtype), **shapes))


def test_why_of_what_makes_no_sense():
    with pytest.raises(ShapeError, match="does not fit"):
        kernels.why("max_pool2d", x_shape=(1, 1, 2, 2), kernel_size=3)
    with pytest.raises(ArgumentError, match="no kernel 'conv3d'; there are conv2d"):
        kernels.why("conv3d")
    with pytest.raises(ArgumentError, match=r"why\('relu'\): .* it takes x_shape"):
        kernels.why("relu", shape=(2,))


def test_using_forces_a_version():
    chosen = kernels.spec("max_pool2d")
    arguments = {"x": X, "geometry": POOL}
    with kernels.using(max_pool2d="reference.taps"):
        assert chosen.choose(arguments).name == "reference.taps"
        with kernels.using(max_pool2d="cpu"):
            assert chosen.choose(arguments).name == "cpu.channels_last"
        assert chosen.choose(arguments).name == "reference.taps"
        assert kernels.why("max_pool2d", x_shape=X.shape, kernel_size=2).chosen == "reference.taps"
    assert chosen.choose(arguments).name == chosen.versions[0].name


def test_using_a_backend_for_every_op_that_has_it():
    with kernels.using("cpu"):
        assert kernels.spec("max_pool2d").forced() == "cpu"
        assert kernels.spec("flatten").forced() is None
    with kernels.using("reference"):
        assert all(spec.forced() == "reference" for spec in SPECS.values())


def test_using_what_is_not_there():
    with pytest.raises(BackendUnavailable, match=r"max_pool2d: no version 'cuda.tiled'; there are cpu.channels_last"):
        kernels.using(max_pool2d="cuda.tiled").__enter__()
    with pytest.raises(BackendUnavailable, match="no backend 'tpu'; there are"):
        kernels.using("tpu").__enter__()
    with pytest.raises(ArgumentError, match="no kernel 'conv3d'"):
        kernels.using(conv3d="cpu").__enter__()


def test_using_holds_in_its_thread_alone():
    seen = []
    with kernels.using("reference"):
        thread = threading.Thread(target=lambda: seen.append(kernels.spec("relu").forced()))
        thread.start()
        thread.join()
    assert seen == [None]


def test_a_missing_backend_is_a_reason_and_forcing_it_raises(monkeypatch):
    gone = backends.Backend("NumPy", lambda: "numba is not installed (pip install numba)")
    monkeypatch.setitem(backends.BACKENDS, "cpu", gone)
    answer = kernels.why("max_pool2d", x_shape=X.shape, kernel_size=2)
    assert answer.chosen == "reference.taps"
    assert "numba is not installed" in answer.reasons["cpu.channels_last"]
    with (
        kernels.using(max_pool2d="cpu"),
        pytest.raises(BackendUnavailable, match=r"'cpu' was asked for but cannot serve; .*numba is not installed"),
    ):
        kernels.max_pool2d.forward(X, POOL)


def test_two_threads_may_run_kernels_at_once():
    expected = kernels.max_pool2d.forward(X, POOL)[1]
    wrong = []

    def work():
        wrong.extend(not np.array_equal(kernels.max_pool2d.forward(X, POOL)[1], expected) for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wrong) == 200
    assert not any(wrong)


def test_indices_of_another_geometry_are_refused():
    y, indices = kernels.max_pool2d.forward(X, POOL)
    with pytest.raises(ShapeError, match=r"max_pool2d.grad_input: indices must lie in 0 \.\. 15"):
        kernels.max_pool2d.grad_input(y, indices + np.int32(100), POOL)
    with pytest.raises(ShapeError, match="indices must be int32"):
        kernels.max_pool2d.grad_input(y, indices.astype(np.int64), POOL)
