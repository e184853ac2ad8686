"""Normalization: against PyTorch over drawn options, and its corners."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitl import functional as F
from minitl import kernels
from minitl.errors import ArgumentError, AutogradError, ShapeError
from minitl.tensor import Buffer
from minitl.testing import relative_error

# What the project promises of every op and gradient: max|difference| / max|reference|.
PROMISED = {"float32": 1e-4, "float64": 1e-9}


def normal(*shape, dtype="float32", seed=0):
    return np.random.default_rng((seed, *shape)).standard_normal(shape).astype(dtype)


def positive(*shape, dtype="float32"):
    return np.random.default_rng(shape).uniform(0.3, 3, shape).astype(dtype)


def leaf(array):
    return None if array is None else F.Tensor(array, requires_grad=True)


def channels_last(array):
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")


def compare(torch, dtype, ours, theirs, arrays):
    """Results and the gradients of all arrays (None stays None), ours and PyTorch's."""
    mine = [leaf(a) for a in arrays]
    other = [None if a is None else torch.tensor(a, requires_grad=True) for a in arrays]
    y, want = ours(*mine), theirs(*other)
    seed = normal(*y.shape, dtype=dtype, seed=7)
    y.backward(seed)
    want.backward(torch.tensor(seed))
    assert y.dtype == dtype
    assert relative_error(y, want.detach()) <= PROMISED[dtype]
    for i, (a, b) in enumerate(zip(mine, other, strict=True)):
        if a is not None:
            assert a.grad.dtype == dtype
            assert relative_error(a.grad, b.grad) <= PROMISED[dtype], f"gradient of input {i}"


@st.composite
def batches(draw):
    """(x, weight, bias): pictures or rows in either layout; enough values a channel that gradients do not cancel."""
    dtype = draw(st.sampled_from(list(PROMISED)))
    channels = draw(st.sampled_from([1, 2, 3, 40]))
    pictures = st.tuples(st.integers(1, 3), st.just(channels), st.integers(3, 6), st.integers(3, 6))
    shape = draw(pictures | st.tuples(st.integers(8, 20), st.just(channels)))
    seed = draw(st.integers(0, 1000))
    x = normal(*shape, dtype=dtype, seed=seed) * 2 + draw(st.sampled_from([0, 3]))
    if draw(st.booleans()):
        x = channels_last(x)
    each = [normal(channels, dtype=dtype, seed=seed + i) if draw(st.booleans()) else None for i in (1, 2)]
    return dtype, x, *each


class TestBatchNormAgainstTorch:
    @given(batch=batches(), eps=st.sampled_from([1e-5, 1e-3, 0.5]))
    def test_training(self, torch, batch, eps):
        dtype, *arrays = batch
        compare(
            torch,
            dtype,
            lambda x, w, b: F.batch_norm(x, w, b, training=True, eps=eps)[0],
            lambda x, w, b: torch.nn.functional.batch_norm(x, None, None, w, b, training=True, eps=eps),
            arrays,
        )

    @given(batch=batches(), eps=st.sampled_from([0.0, 1e-5, 0.5]))
    def test_inference(self, torch, batch, eps):
        dtype, x, w, b = batch
        mean, var = normal(x.shape[1], dtype=dtype, seed=5), positive(x.shape[1], dtype=dtype)
        theirs = torch.tensor(mean), torch.tensor(var)
        compare(
            torch,
            dtype,
            lambda x, w, b: F.batch_norm(x, w, b, mean, var, eps=eps),
            lambda x, w, b: torch.nn.functional.batch_norm(x, *theirs, w, b, eps=eps),
            (x, w, b),
        )

    @given(shape=st.sampled_from([(4, 3, 5, 4), (1, 2, 3, 3), (9, 4)]), momentum=st.sampled_from([0.1, 0.9, None]))
    @pytest.mark.parametrize("dtype", PROMISED)
    def test_running_statistics(self, torch, dtype, shape, momentum):
        """The statistics returned are what PyTorch's layer keeps, once made unbiased, over several batches."""
        kind = torch.nn.BatchNorm2d if len(shape) == 4 else torch.nn.BatchNorm1d
        layer = kind(shape[1], momentum=momentum, dtype=getattr(torch, dtype))
        count = np.prod(shape) // shape[1]
        mean, var = np.zeros(shape[1]), np.ones(shape[1])
        for batch in range(4):
            x = normal(*shape, dtype=dtype, seed=batch) * (batch + 1) + batch
            layer(torch.tensor(x))
            _, batch_mean, batch_var = F.batch_norm(x, training=True)
            assert batch_mean.dtype == batch_var.dtype == dtype
            share = momentum or 1 / (batch + 1)
            mean = (1 - share) * mean + share * batch_mean
            var = (1 - share) * var + share * batch_var * count / (count - 1)
        assert relative_error(mean, layer.running_mean) <= PROMISED[dtype]
        assert relative_error(var, layer.running_var) <= PROMISED[dtype]

    def test_nan_and_infinity(self, torch):
        x = normal(3, 4, 2, 2)
        x[1, 0, 1, 1], x[0, 2, 0, 0] = np.nan, np.inf
        mean, var = normal(4), positive(4)
        y, batch_mean, batch_var = F.batch_norm(x, training=True)
        want = torch.nn.functional.batch_norm(torch.tensor(x), None, None, training=True)
        assert relative_error(y, want) <= PROMISED["float32"]
        assert np.isnan(batch_mean[0])
        assert batch_mean[2] == np.inf
        assert np.isnan(batch_var[[0, 2]]).all()
        want = torch.nn.functional.batch_norm(torch.tensor(x), torch.tensor(mean), torch.tensor(var))
        assert relative_error(F.batch_norm(x, None, None, mean, var), want) <= PROMISED["float32"]

    def test_a_constant_channel(self, torch):
        x = normal(4, 3, 2, 2, dtype="float64")
        x[:, 1] = 0.1
        compare(
            torch,
            "float64",
            lambda x, w, b: F.batch_norm(x, w, b, training=True)[0],
            lambda x, w, b: torch.nn.functional.batch_norm(x, None, None, w, b, training=True),
            (x, normal(3, dtype="float64"), normal(3, dtype="float64", seed=1)),
        )


@pytest.mark.parametrize("backend", ["cpu", "reference"])
class TestBatchNormFarFromZero:
    """A mean of 10000 beside a deviation of 1, in float32: E[x^2] - E[x]^2 would have no digit left."""

    x = normal(16, 4, 20, 20) + np.float32(1e4)
    wide = x.astype(np.float64)
    mean, var = wide.mean((0, 2, 3)), wide.var((0, 2, 3))
    rounding = 2.0**-24

    def test_statistics(self, backend):
        with kernels.using(backend):
            _, mean, var = F.batch_norm(self.x, training=True)
        assert np.abs(mean / self.mean - 1).max() <= self.rounding
        assert np.abs(var / self.var - 1).max() <= 2 * self.rounding

    def test_result_is_that_of_an_x_off_by_one_rounding(self, backend):
        with kernels.using(backend):
            y, _, _ = F.batch_norm(self.x, training=True)
        inverse = 1 / np.sqrt(self.var + 1e-5)[:, None, None]
        want = (self.wide - self.mean[:, None, None]) * inverse
        allowed = (np.abs(self.wide) * inverse + 8 * np.abs(want)) * self.rounding
        assert (np.abs(y.data - want) <= allowed).all()

    def test_constant_channels_become_their_bias(self, backend):
        x = np.broadcast_to(np.float32([1e4, 0.1, -3e-7])[:, None, None], (5, 3, 7, 7)).copy()
        bias = normal(3)
        with kernels.using(backend):
            y, mean, var = F.batch_norm(x, normal(3, seed=1), bias, training=True)
        assert not var.any()
        assert np.array_equal(mean, x[0, :, 0, 0])
        assert np.array_equal(y.data, np.broadcast_to(bias[:, None, None], x.shape))


class TestBatchNormCorners:
    mean, var = normal(3), positive(3)

    @pytest.mark.parametrize("shape", [(1, 3, 1, 1), (1, 3)])
    def test_training_needs_two_values(self, shape):
        with pytest.raises(ShapeError, match=r"more than one value per channel .* freeze the layer"):
            F.batch_norm(np.zeros(shape), training=True)

    @pytest.mark.parametrize("shape", [(0, 3, 4, 4), (0, 3), (2, 3, 0, 4)])
    def test_training_on_nothing(self, shape):
        with pytest.raises(ShapeError, match=r"no value to take a mean of; .* running statistics"):
            F.batch_norm(np.zeros(shape), training=True)

    @pytest.mark.parametrize("shape", [(0, 3, 4, 4), (0, 3)])
    def test_inference_on_an_empty_batch(self, shape):
        x, w, b = leaf(normal(*shape)), leaf(normal(3)), leaf(normal(3))
        y = F.batch_norm(x, w, b, self.mean, self.var)
        assert y.shape == shape
        y.backward(np.zeros(shape))
        assert x.grad.shape == shape
        assert not w.grad.any()
        assert not b.grad.any()

    def test_one_picture_is_normalized_as_in_a_batch(self):
        x = normal(4, 3, 5, 5)
        whole = F.batch_norm(x, None, None, self.mean, self.var).data
        alone = F.batch_norm(x[2:3], None, None, self.mean, self.var).data
        assert np.array_equal(alone[0], whole[2])

    def test_a_picture_alone_trains_on_its_pixels(self):
        y, mean, var = F.batch_norm(normal(1, 3, 5, 5, dtype="float64"), training=True, eps=0.0)
        assert np.allclose(y.data.mean((0, 2, 3)), 0)
        assert np.allclose(y.data.var((0, 2, 3)), 1)
        assert mean.shape == var.shape == (3,)

    @pytest.mark.parametrize("training", [True, False])
    @pytest.mark.parametrize("wanted", ["x", "weight", "bias"])
    def test_what_needs_no_gradient_gets_none(self, training, wanted):
        arrays = {"x": normal(4, 3, 2, 2), "weight": normal(3), "bias": normal(3, seed=1)}

        def gradient(*needed):
            tensors = {name: F.Tensor(a, requires_grad=name in needed) for name, a in arrays.items()}
            y = F.batch_norm(**tensors, running_mean=self.mean, running_var=self.var, training=training)
            (y[0] if training else y).backward(normal(4, 3, 2, 2, seed=2))
            assert all((t.grad is not None) == (name in needed) for name, t in tensors.items())
            return tensors[wanted].grad

        assert np.array_equal(gradient(wanted), gradient("x", "weight", "bias"))

    def test_running_statistics_are_constants_and_stay_untouched(self):
        x, mean, var = leaf(normal(2, 3)), leaf(self.mean), leaf(self.var)
        F.batch_norm(x, None, None, mean, var).backward(normal(2, 3))
        assert mean.grad is None
        assert var.grad is None
        kept = Buffer(self.mean, "bn.running_mean"), Buffer(self.var, "bn.running_var")
        F.batch_norm(x, None, None, *kept, training=True)
        assert np.array_equal(kept[0].data, self.mean)
        assert np.array_equal(kept[1].data, self.var)

    def test_running_statistics_that_change_before_backward_are_noticed(self):
        mean = Buffer(self.mean, "bn.running_mean")
        y = F.batch_norm(leaf(normal(2, 3)), None, None, mean, self.var)
        mean.assign(np.zeros(3))
        with pytest.raises(AutogradError, match=r"bn\.running_mean"):
            y.backward(np.ones((2, 3)))

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda s: F.batch_norm(normal(2, 3, 4), *s), r"batch_norm: x must have axes \(N, C, H, W\) or \(N, C\)"),
            (
                lambda s: F.batch_norm(normal(2, 4), *s),
                r"batch_norm: running_mean must have shape \(4,\), .* got \(3,\)",
            ),
            (lambda s: F.batch_norm(normal(2, 3), *s[:3], positive(2)), r"batch_norm: running_var must .* \(3,\)"),
            (lambda s: F.batch_norm(normal(5, 4), *s[:2], training=True), r"batch_norm: weight must have shape \(4,\)"),
            (lambda s: F.batch_norm(normal(2, 3, dtype="float64"), *s), r"batch_norm: arrays must be all float32"),
            (lambda s: F.batch_norm(np.zeros(3), training=True), r"batch_norm\.statistics: x must have axes"),
        ],
    )
    def test_shapes_that_do_not_fit(self, call, message):
        with pytest.raises(ShapeError, match=message):
            call((normal(3), normal(3), self.mean, self.var))

    def test_arguments_outside_their_domain(self):
        with pytest.raises(ArgumentError, match=r"batch_norm: inference needs running_var; .* training=True"):
            F.batch_norm(normal(2, 3), running_mean=self.mean)
        for eps in (-1e-5, np.nan, np.inf, "small"):
            with pytest.raises(ArgumentError, match="batch_norm: eps must be a number from 0"):
                F.batch_norm(normal(2, 3), None, None, self.mean, self.var, eps=eps)


class TestLocalResponseNorm:
    @given(
        dtype=st.sampled_from(list(PROMISED)),
        channels=st.sampled_from([1, 2, 5, 24]),
        last=st.booleans(),
        size=st.integers(1, 8),
        alpha=st.sampled_from([1e-4, 0.1, 2.0]),
        beta=st.sampled_from([0.75, 0.5, 1.0, 0.6, 0.0]),
        k=st.sampled_from([1.0, 2.0, 0.3]),
    )
    def test_equals_torch(self, torch, dtype, channels, last, size, alpha, beta, k):
        x = normal(2, channels, 3, 4, dtype=dtype, seed=size) * 3
        compare(
            torch,
            dtype,
            lambda x: F.local_response_norm(x, size, alpha, beta, k),
            lambda x: torch.nn.functional.local_response_norm(x, size, alpha, beta, k),
            [channels_last(x) if last else x],
        )

    def test_defaults_are_those_of_torch(self, torch):
        x = normal(2, 7, 3, 4) * 30
        want = torch.nn.functional.local_response_norm(torch.tensor(x), 5)
        assert relative_error(F.local_response_norm(x, 5), want) <= PROMISED["float32"]

    @pytest.mark.parametrize("backend", ["cpu", "reference"])
    def test_nan_infinity_and_zero_as_in_torch(self, torch, backend):
        x = normal(1, 9, 2, 2)
        x[0, 2, 0, 0], x[0, 7, 1, 1] = np.nan, np.inf
        x[0, 3:6, 0, 1] = 0
        for k, beta in ((1.0, 0.75), (0.0, 0.75), (0.0, 0.4)):
            want = torch.nn.functional.local_response_norm(torch.tensor(x), 3, 0.5, beta, k)
            with kernels.using(backend):
                y = F.local_response_norm(x, 3, 0.5, beta, k)
            assert relative_error(y, want) <= PROMISED["float32"]
            assert np.isnan(y.data[0, 4, 0, 1]) == (k == 0)  # 0 / 0 in the middle of the zeros

    @pytest.mark.parametrize(("size", "touched"), [(1, [4]), (2, [4, 5]), (3, [3, 4, 5]), (4, [3, 4, 5, 6])])
    def test_which_windows_hold_a_channel(self, size, touched):
        """An even window reaches one channel further back than ahead, so a channel counts for one more after it."""
        quiet, loud = np.ones((1, 9, 1, 1), np.float32), np.ones((1, 9, 1, 1), np.float32)
        loud[0, 4] = 5
        differ = F.local_response_norm(quiet, size, 1.0).data != F.local_response_norm(loud, size, 1.0).data
        assert np.flatnonzero(differ).tolist() == touched

    def test_the_papers_alpha_is_not_divided_by_size(self):
        x = normal(1, 12, 2, 2, dtype="float64") * 40
        n, alpha, beta, k = 5, 1e-4, 0.75, 2.0
        want = np.empty_like(x)
        for c in range(12):
            squares = (x[:, max(0, c - n // 2) : min(11, c + n // 2) + 1] ** 2).sum(1)
            want[:, c] = x[:, c] / (k + alpha * squares) ** beta
        assert relative_error(F.local_response_norm(x, n, alpha * n, beta, k), want) <= PROMISED["float64"]

    @pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 3, 0, 4), (2, 0, 3, 3)])
    def test_empty(self, shape):
        x = leaf(np.zeros(shape, np.float32))
        y = F.local_response_norm(x, 5)
        y.backward(np.zeros(shape))
        assert y.shape == x.grad.shape == shape

    def test_bad_arguments(self):
        x = normal(1, 3, 2, 2)
        with pytest.raises(ShapeError, match=r"local_response_norm: x must have 4 axes .* \(2, 3\)"):
            F.local_response_norm(normal(2, 3), 5)
        for size in (0, 2.0, True, None):
            with pytest.raises(ArgumentError, match=r"local_response_norm: size must be an int from 1"):
                F.local_response_norm(x, size)
        for name in ("alpha", "beta", "k"):
            for value in (-1.0, np.nan, np.inf, "1"):
                with pytest.raises(ArgumentError, match=rf"local_response_norm: {name} must be a finite number from 0"):
                    F.local_response_norm(x, 5, **{name: value})


def test_channels_last_stays_channels_last():
    x = leaf(channels_last(normal(2, 8, 6, 6)))
    for y in (F.batch_norm(x, training=True)[0], F.local_response_norm(x, 5)):
        assert y.data.transpose(0, 2, 3, 1).flags.c_contiguous
