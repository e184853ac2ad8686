"""Pooling and padding: every combination of options against PyTorch, gradients, defined corners, refusals."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minitl import functional as F
from minitl import kernels
from minitl.errors import ArgumentError, ShapeError
from minitl.testing import gradcheck, relative_error

PROMISED = {"float32": 1e-4, "float64": 1e-9}  # max|difference| / max|reference|, of every op and gradient
MODES = ("constant", "reflect", "replicate", "circular")
one_to_four, flags = st.integers(1, 4), st.booleans()
dtypes, seeds = st.sampled_from(list(PROMISED)), st.integers(0, 2**32 - 1)
sizes = st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")


def agree(torch, ours, theirs, dtype, seed, *shapes):
    """Holds a function and its gradients against PyTorch's, on normal numbers; passes over what PyTorch refuses.

    A window that sees no pixel is -inf in PyTorch, and refused by minitl.
    """
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    other = [torch.tensor(a, requires_grad=True) for a in arrays]
    try:
        want = theirs(*other)
    except RuntimeError:
        assume(False)
    mine = [F.Tensor(a, requires_grad=True) for a in arrays]
    if want.isinf().any():
        with pytest.raises(ShapeError, match="wholly in the padding"):
            ours(*mine)
        return
    y = ours(*mine)
    given = rng.standard_normal(y.shape).astype(dtype)
    y.backward(given)
    want.backward(torch.tensor(given))
    assert y.dtype == dtype
    assert relative_error(y, want.detach()) <= PROMISED[dtype]
    for a, b in zip(mine, other, strict=True):
        assert a.grad.dtype == dtype
        assert relative_error(a.grad, b.grad) <= PROMISED[dtype]


windows = st.fixed_dictionaries(
    {
        "kernel_size": one_to_four | st.tuples(one_to_four, one_to_four),
        "stride": st.none() | one_to_four | st.tuples(one_to_four, one_to_four),
        "padding": st.integers(0, 2) | st.tuples(st.integers(0, 2), st.integers(0, 2)),
        "ceil_mode": flags,
    }
)


class TestAgainstPyTorch:
    @given(shape=sizes, window=windows, counts=flags, divisor=st.none() | st.integers(1, 7), dtype=dtypes, seed=seeds)
    def test_avg_pool2d(self, torch, shape, window, counts, divisor, dtype, seed):
        options = {**window, "count_include_pad": counts, "divisor_override": divisor}

        def theirs(x):
            return torch.nn.functional.avg_pool2d(x, **options)

        agree(torch, lambda x: F.avg_pool2d(x, **options), theirs, dtype, seed, shape)

    @given(shape=sizes, window=windows, dilation=st.integers(1, 2), dtype=dtypes, seed=seeds)
    def test_max_pool2d_with_its_indices(self, torch, shape, window, dilation, dtype, seed):
        options = {**window, "dilation": dilation, "return_indices": True}
        places = []

        def keep(result):
            places.append(np.asarray(result[1]))
            return result[0]

        def theirs(x):
            return keep(torch.nn.functional.max_pool2d(x, **options))

        agree(torch, lambda x: keep(F.max_pool2d(x, **options)), theirs, dtype, seed, shape)
        assert len(places) == 1 or np.array_equal(*places)
        assert {place.dtype for place in places} == {np.dtype("int64")}

    @given(shape=sizes, bins=st.tuples(*[st.none() | st.integers(1, 7)] * 2), largest=flags, dtype=dtypes, seed=seeds)
    def test_adaptive_pooling(self, torch, shape, bins, largest, dtype, seed):
        name = "adaptive_max_pool2d" if largest else "adaptive_avg_pool2d"
        ours, theirs = getattr(F, name), getattr(torch.nn.functional, name)
        agree(torch, lambda x: ours(x, bins), lambda x: theirs(x, bins), dtype, seed, shape)

    @given(
        shape=sizes, mode=st.sampled_from(MODES), around=st.tuples(*[st.integers(0, 9)] * 4), dtype=dtypes, seed=seeds
    )
    def test_pad(self, torch, shape, mode, around, dtype, seed):
        top, bottom, left, right = (side % (shape[2 + i // 2] + 1) for i, side in enumerate(around))
        value = 1.5 if mode == "constant" else 0.0

        def theirs(x):
            return torch.nn.functional.pad(x, (left, right, top, bottom), mode, value)

        def ours(x):
            return F.pad(x, ((top, bottom), (left, right)), mode, value)

        if mode == "reflect" and (max(top, bottom) == shape[2] or max(left, right) == shape[3]):
            with pytest.raises(RuntimeError):
                theirs(torch.zeros(shape))
            with pytest.raises(ShapeError, match="pad: a reflect border"):
                ours(zeros(*shape))
            return
        agree(torch, ours, theirs, dtype, seed, shape)

    @given(
        mode=st.sampled_from(["zeros", "reflect", "replicate", "circular"]),
        padding=st.integers(0, 3) | st.tuples(st.integers(0, 3), st.integers(0, 3)) | st.just("same"),
        stride=st.integers(1, 2),
        groups=st.integers(1, 2),
        dtype=dtypes,
        seed=seeds,
    )
    @pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
    def test_padding_modes_of_conv2d(self, torch, mode, padding, stride, groups, dtype, seed):
        stride = 1 if padding == "same" else stride  # PyTorch has no other

        def theirs(x, w, b):
            options = {"stride": stride, "padding": padding, "groups": groups, "padding_mode": mode}
            layer = torch.nn.Conv2d(4, 6, (3, 2), **options, dtype=x.dtype)
            return torch.func.functional_call(layer, {"weight": w, "bias": b}, (x,))

        def ours(x, w, b):
            return F.conv2d(x, w, b, stride, padding, groups=groups, padding_mode=mode)

        agree(torch, ours, theirs, dtype, seed, (2, 4, 6, 5), (6, 4 // groups, 3, 2), (6,))

    def test_windows_of_ceil_mode_that_reach_beyond_the_padding(self, torch):
        x = np.ones((1, 1, 5, 5), np.float32)
        for options in ({"kernel_size": 4, "stride": 4, "padding": 1}, {"kernel_size": 3, "stride": 3, "padding": 1}):
            ours = F.avg_pool2d(x, **options, ceil_mode=True)
            theirs = torch.nn.functional.avg_pool2d(torch.tensor(x), **options, ceil_mode=True)
            assert ours.data.tolist() == theirs.tolist()
        # The last window begins at pixel 3: it sees 2 x 2 pixels, and 3 x 3 with the padding.
        assert F.avg_pool2d(x, 4, 4, 1, ceil_mode=True).data[0, 0, 1, 1] == np.float32(4 / 9)

    def test_nan_and_infinity(self, torch):
        x = np.arange(49, dtype=np.float32).reshape(1, 1, 7, 7)
        x[0, 0, 1, 1], x[0, 0, 5, 5], x[0, 0, 5, 2], x[0, 0, 5, 3] = np.nan, np.inf, np.inf, -np.inf
        for name, arguments in {
            "avg_pool2d": (3, 2, 1),
            "adaptive_avg_pool2d": (3,),
            "adaptive_max_pool2d": (3,),
        }.items():
            ours, theirs = F.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
            y, want = getattr(F, name)(ours, *arguments), getattr(torch.nn.functional, name)(theirs, *arguments)
            y.backward(np.ones(y.shape))
            want.backward(torch.ones_like(want))
            assert relative_error(y, want.detach()) <= PROMISED["float32"]
            assert relative_error(ours.grad, theirs.grad) <= PROMISED["float32"]


def normal(*shape):
    return np.random.default_rng(shape).standard_normal(shape)


GRADIENTS = {
    "avg_pool2d": lambda x: F.avg_pool2d(x, (2, 3), (1, 2), padding=((1, 0), (0, 2))),
    "avg_pool2d_pixels_alone": lambda x: F.avg_pool2d(x, 3, 2, padding=1, ceil_mode=True, count_include_pad=False),
    "avg_pool2d_divisor": lambda x: F.avg_pool2d(x, 2, divisor_override=3) ** 2,
    "avg_pool2d_with_gaps": lambda x: F.avg_pool2d(x, 1, 3),
    "adaptive_max_pool2d": lambda x: F.adaptive_max_pool2d(x, (2, 3)),
    "max_pool2d_with_indices": lambda x: F.max_pool2d(x, 2, return_indices=True)[0] ** 2,
    "conv2d_reflect": lambda x: F.conv2d(x, normal(2, 2, 3, 3), padding="same", padding_mode="reflect"),
    "conv2d_relu_circular": lambda x: F.conv2d_relu(x, normal(2, 2, 3, 3), padding=2, padding_mode="circular"),
    **{f"pad_{mode}": lambda x, mode=mode: F.pad(x, ((2, 1), (0, 3)), mode, 0.5) ** 2 for mode in MODES},
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradient(name):
    gradcheck(GRADIENTS[name], normal(1, 2, 5, 4))


def test_the_fused_convolution_has_the_bits_of_its_parts():
    x, w, b = (normal(*shape).astype(np.float32) for shape in ((2, 3, 6, 5), (4, 3, 3, 3), (4,)))
    for mode in ("zeros", "replicate", "reflect", "circular"):
        options = {"padding": (1, 2), "stride": 2, "padding_mode": mode}
        fused = F.conv2d_relu(x, w, b, **options).data
        assert np.array_equal(fused, F.relu(F.conv2d(x, w, b, **options)).data)


class TestCorners:
    def test_empty_batches(self):
        for function in (
            lambda x: F.avg_pool2d(x, 3, 2, 1),
            lambda x: F.adaptive_max_pool2d(x, 2),
            lambda x: F.adaptive_max_pool2d(x, 3),
            lambda x: F.max_pool2d(x, 2, return_indices=True)[0],
            lambda x: F.conv2d(x, np.ones((2, 3, 3, 3), np.float32), padding=1, padding_mode="circular"),
            *(lambda x, mode=mode: F.pad(x, 2, mode) for mode in MODES),
        ):
            x = F.Tensor(np.zeros((0, 3, 4, 4), np.float32), requires_grad=True)
            y = function(x)
            assert y.shape[0] == 0
            y.sum().backward()
            assert x.grad.shape == x.shape

    def test_a_constant_border_may_surround_nothing(self):
        assert F.pad(np.zeros((1, 2, 0, 3), np.float32), ((1, 1), (0, 0)), value=7).data.tolist() == [
            [[[7] * 3] * 2] * 2
        ]

    def test_the_memory_order_stays(self):
        last = np.ascontiguousarray(normal(2, 6, 5, 3).astype(np.float32)).transpose(0, 3, 1, 2)
        results = [F.pad(last, 1, mode).data for mode in MODES]
        if kernels.why("avg_pool2d", x_shape=last.shape, kernel_size=2).chosen.startswith("cpu."):
            results.append(F.avg_pool2d(last, 2).data)
        assert all(y.transpose(0, 2, 3, 1).flags.c_contiguous for y in results)

    def test_indices_belong_to_the_caller(self):
        x = F.Tensor(normal(1, 1, 4, 4), requires_grad=True)
        y, indices = F.max_pool2d(x, 2, return_indices=True)
        assert np.array_equal(x.data.ravel()[indices.ravel()], y.data.ravel())
        indices[:] = 0  # the gradient does not follow
        y.sum().backward()
        assert np.count_nonzero(x.grad) == 4

    def test_an_average_of_a_constant_is_that_constant(self):
        x = np.full((1, 1, 7, 7), 3, np.float32)
        options = {"stride": 2, "padding": "same", "count_include_pad": False}
        assert np.array_equal(F.avg_pool2d(x, 3, **options).data, np.full((1, 1, 4, 4), 3, np.float32))

    def test_a_tie_in_an_adaptive_maximum_goes_to_the_first_pixel(self):
        x = F.Tensor(np.ones((1, 1, 3, 5), np.float32), requires_grad=True)
        F.adaptive_max_pool2d(x, 2).backward(np.ones((1, 1, 2, 2)))
        assert x.grad[0, 0].tolist() == [[1, 0, 1, 0, 0], [1, 0, 1, 0, 0], [0, 0, 0, 0, 0]]


def zeros(*shape):
    return F.tensor(np.zeros(shape, np.float32))


def convolve(padding, mode, *shape):
    return F.conv2d(zeros(*shape), zeros(2, 1, 3, 3), padding=padding, padding_mode=mode)


WRONG_SHAPES = {
    "avg_axes": (lambda: F.avg_pool2d(zeros(3, 4, 4), 2), r"avg_pool2d: x must have 4 axes"),
    "avg_window": (
        lambda: F.avg_pool2d(zeros(1, 1, 2, 4), 3),
        r"avg_pool2d: a 3x3 window .*; use a larger input",
    ),
    "avg_padding": (lambda: F.avg_pool2d(zeros(1, 1, 4, 4), 2, padding=2), r"avg_pool2d: .* wholly in the padding"),
    "avg_no_pixels": (lambda: F.avg_pool2d(zeros(1, 1, 0, 4), 2, padding=1), r"avg_pool2d: .* wholly in the padding"),
    "avg_stride": (lambda: F.avg_pool2d(zeros(1, 1, 4, 4), 2, 0), r"avg_pool2d: stride must be .* got 0"),
    "avg_ceil": (
        lambda: F.avg_pool2d(zeros(1, 1, 4, 4), 2, ceil_mode=1),
        r"avg_pool2d: ceil_mode must be True or False",
    ),
    "adaptive_max": (lambda: F.adaptive_max_pool2d(zeros(1, 1, 4, 4), 0), r"adaptive_max_pool2d: output_size .* got 0"),
    "adaptive_max_empty": (lambda: F.adaptive_max_pool2d(zeros(1, 1, 0, 4), None), r"adaptive_max_pool2d: .* no pixel"),
    "adaptive_empty": (lambda: F.adaptive_avg_pool2d(zeros(1, 1, 0, 4), None), r"adaptive_avg_pool2d: .* no pixel"),
    "adaptive_axes": (lambda: F.adaptive_avg_pool2d(zeros(3, 4, 4), None), r"adaptive_avg_pool2d: x must have 4 axes"),
    "pad_axes": (lambda: F.pad(zeros(4, 4), 1), r"pad: x must have 4 axes \(N, C, H, W\); got shape \(4, 4\)"),
    "pad_mode": (
        lambda: F.pad(zeros(1, 1, 4, 4), 1, "edge"),
        r"pad: mode must be one of constant, .* got 'edge'",
    ),
    "pad_forms": (lambda: F.pad(zeros(1, 1, 4, 4), (1, 1, 2, 2)), r"pad: padding must be an int or a pair"),
    "pad_word": (lambda: F.pad(zeros(1, 1, 4, 4), "same"), r"pad: padding 'same' is not known; use an int"),
    "pad_negative": (
        lambda: F.pad(zeros(1, 1, 4, 4), ((0, -1), (0, 0))),
        r"pad: .* not be negative; .* slice: x\[",
    ),
    "pad_reflect": (
        lambda: F.pad(zeros(1, 1, 2, 5), 2, "reflect"),
        r"pad: a reflect border of x of shape \(1, 1, 2, 5\) can be 1 pixels high and 4 wide at most; .* use less",
    ),
    "pad_circular": (
        lambda: F.pad(zeros(1, 1, 2, 5), (0, 6), "circular"),
        r"pad: a circular border .* can be 2 pixels high and 5 wide at most; got padding \(\(0, 0\), \(6, 6\)\)",
    ),
    "pad_nothing": (lambda: F.pad(zeros(1, 1, 0, 5), 1, "replicate"), r"pad: a replicate border needs a pixel to show"),
    "conv_mode": (
        lambda: convolve(1, "mirror", 1, 1, 4, 4),
        r"conv2d: padding_mode must be one of zeros, replicate, reflect, circular; got 'mirror'",
    ),
    "conv_reflect": (lambda: convolve(2, "reflect", 1, 1, 2, 5), r"conv2d: a reflect border of x .* replicate border"),
    "conv_circular": (lambda: convolve(6, "circular", 1, 1, 2, 5), r"conv2d: a circular border of x"),
    "conv_channels": (lambda: convolve(1, "reflect", 1, 3, 4, 4), r"conv2d: .* 3 channels, .* expects 1"),
}

WRONG_ARGUMENTS = {
    "divisor": (
        lambda: F.avg_pool2d(zeros(1, 1, 4, 4), 2, divisor_override=0),
        r"avg_pool2d: divisor_override must be None or an int from 1 to .* got 0",
    ),
    "divisor_part": (
        lambda: F.avg_pool2d(zeros(1, 1, 4, 4), 2, divisor_override=2.5),
        r"avg_pool2d: divisor_override must be .* got 2.5",
    ),
    "counts": (
        lambda: F.avg_pool2d(zeros(1, 1, 4, 4), 2, count_include_pad=None),
        r"avg_pool2d: count_include_pad must be True or False; got None",
    ),
    "indices": (
        lambda: F.max_pool2d(zeros(1, 1, 4, 4), 2, return_indices="yes"),
        r"max_pool2d: return_indices must be True or False; got 'yes'",
    ),
    "value": (lambda: F.pad(zeros(1, 1, 4, 4), 1, value="0"), r"pad: value must be a number; got '0'"),
    "value_size": (lambda: F.pad(zeros(1, 1, 4, 4), 1, value=1e300), r"pad: value 1e\+300 is too large for float32"),
}


@pytest.mark.parametrize("name", [*WRONG_SHAPES, *WRONG_ARGUMENTS])
def test_what_makes_no_sense_is_refused(name):
    call, message = (WRONG_SHAPES | WRONG_ARGUMENTS)[name]
    with pytest.raises(ShapeError if name in WRONG_SHAPES else ArgumentError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
