"""The stand-in takes nothing that an installed CuPy would not, and is as strict."""

import inspect
import re

import numpy as np
import pytest

from . import stand_in

try:  # the true one, before the stand-in takes its name: it can be imported, though not used, without a GPU
    import cupy as true_cupy
    import cupyx as true_cupyx
except ImportError:
    true_cupy = None


@pytest.fixture
def installed():
    if true_cupy is None:
        pytest.skip("CuPy is not installed, so there is nothing to hold the stand-in against")
    return true_cupy


def parameters(function):
    """Names of a function's parameters; a compiled one states them in its first line."""
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        declared = re.match(r"[\w.]*\(([^)]*)\)", function.__doc__)[1]
        parts = [re.split("[:=]", part)[0].strip() for part in declared.split(",")]
        return [part.split()[-1].lstrip("*") for part in parts if part != "*"]


@pytest.mark.parametrize("name", [*stand_in.FUNCTIONS, *stand_in.MAKERS])
def test_functions_have_the_parameters_of_the_true_ones(installed, name):
    mine = {**stand_in.FUNCTIONS, **stand_in.MAKERS}[name]
    assert tuple(parameters(getattr(installed, name))[: len(mine)]) == mine


@pytest.mark.parametrize("name", stand_in.METHODS)
def test_methods_have_the_parameters_of_the_true_ones(installed, name):
    mine = stand_in.METHODS[name]
    assert tuple(parameters(getattr(installed.ndarray, name))[1 : len(mine) + 1]) == mine


@pytest.mark.parametrize("name", sorted(set(stand_in.UFUNCS) - {"matmul"}))  # that is no elementwise one
def test_elementwise_functions_are_there_with_their_options(installed, name):
    stated = getattr(installed, name).__doc__
    assert all(f"{option}=" in stated for option in stand_in.UFUNC_OPTIONS)
    assert "where=" not in stated


def test_everything_else_that_is_used_is_there(installed):
    cuda = installed.cuda
    assert parameters(true_cupyx.empty_pinned) == ["shape", "dtype", "order"]
    assert callable(installed.matmul)
    assert callable(installed.get_default_memory_pool)
    for name in ("record", "wait_event", "synchronize"):
        assert hasattr(cuda.Stream, name)
    assert "non_blocking" in cuda.Stream.__doc__
    assert hasattr(cuda.Event, "synchronize")
    assert hasattr(cuda.Device, "use")
    assert hasattr(cuda.Device, "__enter__")
    assert callable(cuda.get_current_stream)
    assert issubclass(cuda.memory.OutOfMemoryError, MemoryError)
    assert parameters(installed.ndarray.set)[1:] == ["arr", "stream"]
    assert parameters(installed.ndarray.__dlpack__)[1:] == ["stream", "max_version", "dl_device", "copy"]
    assert callable(cuda.runtime.memGetInfo)
    assert callable(cuda.runtime.getDeviceCount)
    for name in (*stand_in.ATTRIBUTES, "T", "device", "flags", "get", "item", "__cuda_array_interface__"):
        assert hasattr(installed.ndarray, name)


def test_it_is_strict(pretended_gpu):
    x = pretended_gpu.asarray(np.arange(6.0).reshape(2, 3))
    refused = [
        lambda: np.asarray(x),
        lambda: x + np.ones(3),
        lambda: np.ones(3) + x,
        lambda: x + np.ones(()),
        lambda: np.add(x, 1, where=True),
        lambda: np.add.at(x, 0, 1),
        lambda: np.concatenate([x, x]),
        lambda: x.transpose(np.array([1, 0])),
        lambda: x.sum(axis=0, where=True),
        lambda: x.astype(np.float32, casting="safe"),
        lambda: pretended_gpu.copyto(x, np.ones((2, 3))),
    ]
    for call in refused:
        with pytest.raises(TypeError):
            call()
    with pretended_gpu.cuda.Device(1), pytest.raises(ValueError, match="current device"):
        x + 1


def test_a_copy_on_another_stream_lands_when_somebody_waits(pretended_gpu):
    stream, target = pretended_gpu.cuda.Stream(non_blocking=True), pretended_gpu.empty((2,), np.float32)
    target.set(np.ones(2, np.float32), stream=stream)
    assert np.isnan(target.get()).all()
    pretended_gpu.cuda.get_current_stream().wait_event(stream.record())
    assert (target.get() == 1).all()
