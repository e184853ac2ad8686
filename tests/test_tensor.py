"""Tensor and Parameter: what goes in, what comes out, what cannot be changed."""

import subprocess
import sys

import numpy as np
import pytest

import minitl as tl
from minitl.errors import ArgumentError, AutogradError, ShapeError
from minitl.tensor import Parameter, Tensor


class TestMaking:
    @pytest.mark.parametrize(
        ("data", "dtype"),
        [
            ([1, 2], "float32"),
            ([0.5], "float32"),
            (3.0, "float32"),
            (np.float64(3), "float64"),
            (np.ones(2), "float64"),
            (np.ones(2, np.float16), "float32"),
            (np.ones(2, np.uint8), "float32"),
            (np.array([True]), "float32"),
        ],
    )
    def test_dtype(self, data, dtype):
        x = tl.tensor(data)
        assert x.dtype == dtype
        assert tl.tensor(data, dtype="float64").dtype == "float64"

    def test_copies(self):
        array = np.ones(3, np.float32)
        x = tl.tensor(array)
        array[:] = 5
        assert x.numpy().tolist() == [1, 1, 1]

    def test_from_a_tensor(self):
        x = tl.tensor(np.ones(2), requires_grad=True)
        y = tl.tensor(x)
        assert y.dtype == "float64"
        assert not y.requires_grad

    def test_refuses(self):
        with pytest.raises(ShapeError, match="tensor: needs numbers; got dtype <U3"):
            tl.tensor(["cat"])
        with pytest.raises(ShapeError, match="complex128"):
            tl.tensor(1j)
        with pytest.raises(ShapeError, match=r"tensor: .* one shape"):
            tl.tensor([[1, 2], [3]])
        with pytest.raises(ArgumentError, match="float32 or float64; got int8"):
            tl.tensor([1], dtype="int8")


class TestReading:
    x = tl.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])

    def test_shape(self):
        assert (self.x.shape, self.x.ndim, self.x.size, len(self.x)) == ((2, 3), 2, 6, 2)
        with pytest.raises(ShapeError, match="without axes"):
            len(tl.tensor(1.0))

    def test_data_is_read_only_and_numpy_is_a_copy(self):
        with pytest.raises(ValueError, match="read-only"):
            self.x.data[0, 0] = 9
        copy = self.x.numpy()
        copy[:] = 0
        assert self.x.data[0, 0] == 1

    def test_scalars(self):
        x = tl.tensor(2.5)
        assert (x.item(), float(x), bool(x)) == (2.5, 2.5, True)
        for ask in (Tensor.item, float, bool):
            with pytest.raises(ShapeError, match=r"one element; this one has shape \(2, 3\)"):
                ask(self.x)

    def test_results_without_axes_are_arrays(self):
        y = self.x.sum() * 2 - tl.tensor(1.0)
        assert isinstance(y.data, np.ndarray)
        assert y.shape == ()
        x = tl.tensor(3.0, requires_grad=True)
        (x * x + x).backward()
        assert isinstance(x.grad, np.ndarray)
        assert x.grad.item() == 7

    def test_numpy_protocol(self):
        assert np.asarray(self.x).dtype == "float32"
        assert np.asarray(self.x, np.float64).dtype == "float64"
        assert not np.shares_memory(np.array(self.x), self.x.data)
        assert np.shares_memory(np.asarray(self.x, copy=False), self.x.data)

    def test_dlpack_both_ways(self):
        assert np.array_equal(np.from_dlpack(self.x), self.x.data)
        y = tl.from_dlpack(self.x)
        assert np.array_equal(y.data, self.x.data)
        assert not np.shares_memory(y.data, self.x.data)

    def test_dlpack_with_pytorch(self):
        torch = pytest.importorskip("torch", reason="exchanges arrays with PyTorch, which is not installed")
        assert torch.from_dlpack(self.x).tolist() == self.x.numpy().tolist()
        assert tl.from_dlpack(torch.ones(2, 3)).shape == (2, 3)

    def test_repr(self):
        assert repr(tl.tensor([1.0])) == "tensor([1.], shape=(1,), dtype=float32)"
        assert repr(Parameter(np.zeros((2, 2)), "fc.weight", frozen=True)) == (
            "Parameter('fc.weight', shape=(2, 2), dtype=float64, frozen)"
        )

    def test_detach(self):
        x = tl.tensor([1.0], requires_grad=True)
        assert not (x * 2).detach().requires_grad


class TestParameter:
    def test_owns_its_numbers(self):
        array = np.ones(2, np.float32)
        w = Parameter(array)
        array[:] = 5
        assert w.numpy().tolist() == [1, 1]
        with pytest.raises(ValueError, match="read-only"):
            w.data[0] = 3

    def test_assign(self):
        w = Parameter(np.ones(2, np.float32), "fc.bias")
        view = w.data
        w.assign(np.array([3.0, 4.0]))
        assert w.version == 1
        assert w.dtype == "float32"
        assert view.tolist() == [3, 4]
        with pytest.raises(ShapeError, match=r"'fc.bias': assign needs shape \(2,\); got \(1,\)"):
            w.assign(np.ones(1))
        assert w.version == 1

    def test_frozen_is_read_at_once(self):
        w = Parameter(np.ones(2))
        assert w.requires_grad
        w.frozen = True
        assert not w.requires_grad
        with pytest.raises(AutogradError):
            (w * 2).sum().backward()

    def test_refuses_integers(self):
        with pytest.raises(ShapeError, match=r"parameter 'w': needs float32 or float64; got int64"):
            Parameter(np.ones(2, np.int64), "w")


@pytest.mark.parametrize("first", ["minitl.functional", "minitl.tensor", "minitl.nn"])
def test_the_function_tensor_is_not_hidden_by_the_module_of_its_name(first):
    code = f"import {first}, minitl as tl; assert (tl.tensor([1.0]) + 1).item() == 2"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_wide_numbers_stay_wide_in_any_byte_order():
    made = tl.tensor(np.array([1.0, 2.0], ">f8"))
    assert made.dtype == np.dtype("float64")
    assert made.dtype.isnative
    assert made.numpy().tolist() == [1, 2]


def test_in_asks_the_numbers():
    assert 1.0 in tl.tensor([1.0, 2.0])
    assert 3.0 not in tl.tensor([1.0, 2.0])


@pytest.mark.parametrize("bad", [[1j, 2, 3], ["a", "b", "c"], None])
def test_a_parameter_takes_numbers_only(bad):
    with pytest.raises(ShapeError, match="assign needs"):
        tl.Parameter(np.zeros(3, np.float32), "w").assign(bad)
