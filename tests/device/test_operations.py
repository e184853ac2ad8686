"""Every differentiable operation on a device, forward and backward, against the same one on the CPU."""

import importlib

import numpy as np
import pytest

import minitl as tl
from minitl import functional as F
from minitl import kernels
from minitl.errors import ArgumentError, BackendUnavailable, ShapeError

from ..functional.test_gradients import KEYS, OPERATIONS, normal

OTHERS = {
    "adaptive_max_pool2d": (lambda a: F.adaptive_max_pool2d(a, (2, 3)), normal(2, 3, 5, 4)),
    "adaptive_max_pool2d_even": (lambda a: F.adaptive_max_pool2d(a, (3, 2)), normal(2, 3, 6, 4)),
    "add_number_of_numpy": (lambda a: a + np.float32(2), normal(3)),
    "add_list": (lambda a: a * [1, 2, 3], normal(2, 3)),
    "conv2d_relu": (
        lambda x, w, b: F.conv2d_relu(x, w, b, padding=1),
        normal(2, 3, 5, 4),
        normal(4, 3, 3, 3),
        normal(4),
    ),
    "conv2d_reflect": (
        lambda x, w: F.conv2d(x, w, padding=1, padding_mode="reflect"),
        normal(1, 2, 5, 4),
        normal(3, 2, 3, 3),
    ),
    "index_many_times": (lambda a: a[[[2, 0, 2], [2, 2, 1]], 1] ** 2, normal(3, 2, 2)),
    "index_boolean_list": (lambda a: a[[True, False, True]], normal(3, 2)),
    "mean_of_nothing": (lambda a: a[:0].mean(), normal(3)),
    "reshape_of_transposed": (lambda a: a.T.reshape(2, -1), normal(3, 4)),
    "dropout_all": (lambda a: F.dropout(a, 1.0, KEYS), normal(2, 3)),
    "max_pool2d_with_indices": (lambda a: F.max_pool2d(a, 2, return_indices=True)[0], normal(1, 2, 4, 4)),
    "empty_batch": (lambda x, w: F.relu(F.conv2d(x, w)), normal(0, 2, 4, 4), normal(3, 2, 3, 3)),
}
EVERY = {**OPERATIONS, **OTHERS}
STATISTICS = normal(2, seed=1), np.array([0.7, 1.6])
EVERY["batch_norm_inference"] = (
    lambda x, w, b: F.batch_norm(x, w, b, *(F.tensor(a, dtype=x.dtype).to(x.device) for a in STATISTICS)),
    *OPERATIONS["batch_norm_inference"][1:],
)
TERMS = 256  # no sum in these cases has more; that of n terms is off by n units in the last place at most


def evaluated(function, arrays, where):
    """The value on a device and the gradients there, of the mean over fixed random weights."""
    inputs = [F.tensor(a, requires_grad=True).to(where) for a in arrays]
    y = function(*inputs)
    assert y.device == inputs[0].device
    weights = np.random.default_rng(5).uniform(0.5, 1.5, y.shape).astype(y.dtype)
    y.backward(weights)
    grads = [x.grad for x in inputs]
    if where != "cpu":
        assert all(type(grad).__module__ == "cupy" for grad in grads)
        grads = [grad.get() for grad in grads]
    return [y.numpy(), *grads]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", EVERY)
def test_the_device_agrees_with_the_cpu(name, dtype):
    function, *arrays = EVERY[name]
    arrays = [array.astype(dtype) for array in arrays]
    here, there = (evaluated(function, arrays, where) for where in ("cpu", "cuda"))
    for mine, other in zip(here, there, strict=True):
        assert mine.shape == other.shape
        assert mine.dtype == other.dtype
        largest = np.abs(mine[np.isfinite(mine)]).max(initial=0)
        assert np.array_equal(np.isnan(mine), np.isnan(other))
        assert np.all((np.abs(mine - other) <= TERMS * np.finfo(dtype).eps * largest) | np.isnan(mine))


@pytest.mark.parametrize("name", ["index_array_with_repeats", "index_many_times", "index_arrays", "max_axes"])
def test_gradients_of_indexing_are_the_same_bits(name):
    function, *arrays = EVERY[name]
    here, there = (evaluated(function, arrays, where) for where in ("cpu", "cuda"))
    assert [a.tobytes() for a in here] == [a.tobytes() for a in there]


def test_dropout_drops_the_same_numbers():
    x = np.ones((2, 37), np.float32)
    here, there = (F.dropout(F.tensor(x).to(where), 0.5, KEYS, stream=3).numpy() for where in ("cpu", "cuda"))
    assert np.array_equal(here, there)
    assert 0 in here


def test_indices_of_the_maxima():
    x = normal(2, 3, 5, 4)
    here = F.max_pool2d(F.tensor(x), 3, 2, 1, return_indices=True)[1]
    there = F.max_pool2d(F.tensor(x).to("cuda"), 3, 2, 1, return_indices=True)[1]
    assert there.dtype == np.int64
    assert np.array_equal(here, there.get())


def test_every_op_has_a_version_on_the_gpu():
    assert [name for name, spec in kernels.specs().items() if not any(v.backend == "cuda" for v in spec.versions)] == []


def test_an_op_without_one_says_so(monkeypatch):
    spec = kernels.spec("tanh")
    monkeypatch.setitem(spec.__dict__, "versions", tuple(v for v in spec.versions if v.backend == "reference"))
    with pytest.raises(
        BackendUnavailable, match=r"tanh: no version can serve; reference.numpy: takes NumPy arrays, not CuPy"
    ):
        F.tanh(F.tensor([1.0]).to("cuda"))


MIXED = {
    "add": lambda x, y: x + y,
    "conv2d": lambda x, y: F.conv2d(x, y),
    "concat": lambda x, y: F.concat([x, y]),
    "an array": lambda x, y: x * y.numpy(),
}


@pytest.mark.parametrize("name", MIXED)
def test_arrays_on_different_devices_are_refused_by_name(name):
    x, y = F.tensor(normal(1, 2, 3, 3)).to("cuda"), F.tensor(normal(1, 2, 3, 3))
    with pytest.raises(BackendUnavailable, match=r"shape \(1, 2, 3, 3\) is on cuda:0, but .* on cpu; move .*\.to\("):
        MIXED[name](x, y)


def test_arrays_on_two_gpus_are_refused_by_name(pretended_gpu):
    x, y = F.tensor([1.0]).to("cuda"), F.tensor([1.0]).to("cuda:1")
    with pytest.raises(BackendUnavailable, match=r"is on cuda:0, but one of shape .* on cuda:1"):
        x + y
    assert (y + y).device == "cuda:1"
    assert x.to("cuda:1").device == "cuda:1"


def test_wrong_labels_are_named_as_on_the_cpu():
    messages = []
    for where in ("cpu", "cuda"):
        with pytest.raises(ShapeError) as caught:
            F.cross_entropy(F.tensor(normal(2, 3)).to(where), [0, 3])
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_a_tensor_on_a_device():
    x = F.tensor(normal(2, 3), requires_grad=True)
    y = x.to("cuda")
    assert y.requires_grad
    assert y.device == "cuda:0"
    assert np.array_equal(x.data, y.numpy())
    assert y.to("cuda") is y
    assert x.to("cpu") is x
    assert float(x.data[0, 0]) in y
    assert 17.0 not in y
    assert "device=cuda:0" in repr(y)
    assert "device" not in repr(x)
    with pytest.raises(ArgumentError, match=r"cuda:0; bring it to NumPy with \.numpy\(\)"):
        np.asarray(y)
    (y * 2).sum().backward()
    assert np.array_equal(y.grad.get(), np.full((2, 3), 2.0))
    with pytest.raises(tl.errors.AutogradError, match="move its inputs, or detach"):
        (y * 2).to("cpu")
    assert (y * 2).detach().to("cpu").device == "cpu"


def test_arrays_come_in_and_go_out_without_the_host():
    cupy = importlib.import_module("cupy")
    array = cupy.asarray(normal(2, 3).astype(np.float32))
    x = F.tensor(array)
    assert x.device == "cuda:0"
    assert np.array_equal(x.numpy(), array.get())
    again = F.from_dlpack(x)
    assert again.device == "cuda:0"
    assert np.array_equal(again.numpy(), x.numpy())
    assert x.__dlpack_device__() == (2, 0)

    class Foreign:
        __cuda_array_interface__ = x.__cuda_array_interface__

    assert np.array_equal(F.tensor(Foreign()).numpy(), x.numpy())
    assert F.tensor(cupy.asarray(np.arange(3))).dtype == np.float32
    assert F.tensor(x, dtype="float64").dtype == np.float64


def test_out_of_memory_says_how_much_and_what_to_lower(pretended_gpu, monkeypatch):
    def full(*_, **__):
        raise pretended_gpu.cuda.memory.OutOfMemoryError("Out of memory allocating 2,147,483,648 bytes (allocated …)")

    x = F.tensor([1.0]).to("cuda")
    monkeypatch.setattr(pretended_gpu, "empty", full)
    monkeypatch.setattr(pretended_gpu, "asarray", full)
    for call in (lambda: F.relu(x), lambda: F.tensor([1.0]).to("cuda")):
        with pytest.raises(
            tl.errors.DeviceMemoryError, match=r"2.00 GiB asked for, 1.00 of 16.00 GiB free.*batch size"
        ):
            call()
