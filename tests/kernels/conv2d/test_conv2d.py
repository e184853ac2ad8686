"""What is true of convolution in particular; tests/kernels/test_specs.py holds every version to its oracle."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitl.kernels import ConvGeometry, conv2d
from minitl.kernels.backends import BACKENDS
from minitl.kernels.conv2d import cases
from minitl.kernels.verify import bounds
from minitl.kernels.verify.strategies import ELEMENTS, arrays, dtypes

# Without the interpreter's, which take longer than all others, and without transforms (see test_winograd.py):
# test_specs.py holds them to the oracle.
VERSIONS = [
    v.name
    for v in conv2d.forward.versions
    if v.exact and v.backend != "interpreter" and not BACKENDS[v.backend].unavailable()
]


def run(spec, version, **call):
    """With that version where the spec has it and it serves, otherwise with the reference."""
    spec.check(**call)
    serving = [v for v in spec.versions if v.name == version and spec.reason_against(v, call) is None]
    reference = next(v for v in spec.versions if v.backend == "reference")
    return spec.run(serving[0] if serving else reference, call)


@st.composite
def operands(draw, elements=None):
    """(x, w, grad, geometry) of one convolution, all exactly summable if `elements` is "integers"."""
    g = draw(cases.geometries())
    dtype, elements = draw(dtypes()), elements or draw(st.sampled_from(ELEMENTS))
    return *(draw(arrays(shape, dtype, elements)) for shape in (g.x_shape, g.w_shape, g.y_shape)), g


def normal(shape, dtype="float32", seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


LARGE = {  # convolutions of several bands an image, each kind on a path of its own
    "one group": ((3, 3), {"padding": 1}),
    "groups": ((3, 3), {"padding": 1, "groups": 2}),
    "strided": ((5, 3), {"stride": (2, 1), "padding": 1}),
    "1x1": ((1, 1), {}),
    "each channel alone": ((3, 3), {"padding": 1, "groups": 6}),
    "deep, of many filters": ((3, 3), {"padding": 1}),  # pieces of panels, and blocks of panels
}
CHANNELS = {"each channel alone": (6, 6), "deep, of many filters": (70, 130)}  # otherwise 6 and 8


def large(kind="groups", batch=3, size=(40, 37)):
    """x, w, b, grad, geometry of a convolution of LARGE."""
    kernel, attributes = LARGE[kind]
    channels, filters = CHANNELS.get(kind, (6, 8))
    size = (17, 19) if channels > 6 else size
    g = ConvGeometry.infer(
        (batch, channels, *size), (filters, channels // attributes.get("groups", 1), *kernel), **attributes
    )
    return normal(g.x_shape), normal(g.w_shape, seed=1), normal((filters,), seed=2), normal(g.y_shape, seed=3), g


def direct(kind):
    return "cpu.depthwise" if kind == "each channel alone" else "cpu.direct"


def three(version, x, w, b, grad, g):
    return (
        run(conv2d.forward, version, x=x, w=w, b=b, geometry=g),
        run(conv2d.grad_input, version, grad=grad, w=w, geometry=g),
        run(conv2d.grad_weight, version, grad=grad, x=x, geometry=g),
    )


@pytest.mark.parametrize("version", VERSIONS)
@given(operands("integers"))
def test_the_gradients_are_adjoint_to_the_forward_pass(version, drawn):
    """<conv(x, w), grad> = <x, grad_input> = <w, grad_weight>, exactly: all numbers are small integers."""
    x, w, grad, g = drawn
    y, gx, gw = three(version, x, w, None, grad, g)
    inner = [np.vdot(a.astype(np.float64), b.astype(np.float64)) for a, b in ((y, grad), (x, gx), (w, gw))]
    assert inner[0] == inner[1] == inner[2]


@pytest.mark.parametrize("version", VERSIONS)
@given(operands())
def test_inputs_stay_untouched(version, drawn):
    before = [a.copy() for a in drawn[:3]]
    x, w, grad, g = drawn
    three(version, x, w, None, grad, g)
    for array, copy in zip(drawn, before, strict=False):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("version", VERSIONS)
def test_read_only_and_overlapping_inputs_are_served(version):
    blocked = version.partition(".")[0] in ("cpu", "reference")  # GPU kernels without a GPU are slow
    x, w, b, grad, g = large() if blocked else large(batch=1, size=(9, 7))
    expected = three(version, x, w, b, grad, g)
    for array in (x, w, b, grad):
        array.flags.writeable = False
    for got, wanted in zip(three(version, x, w, b, grad, g), expected, strict=True):
        np.testing.assert_array_equal(got, wanted)
    everywhere = np.broadcast_to(np.float32(1), g.x_shape)
    ones = run(conv2d.forward, version, x=everywhere, w=np.ones_like(w), b=None, geometry=g)
    assert (ones[:, :, 1:-1, 1:-1] == g.depth).all()


@pytest.mark.parametrize("kind", LARGE)
def test_an_image_has_the_same_bits_in_any_batch(kind):
    x, w, b, grad, g = large(kind, batch=5)
    y, gx, _ = three(direct(kind), x, w, b, grad, g)
    for some in (slice(0, 1), slice(3, 4), slice(1, 5), slice(4, None, -1)):
        few = ConvGeometry.infer(x[some].shape, w.shape, **LARGE[kind][1])
        y_few, gx_few, _ = three(direct(kind), x[some], w, b, grad[some], few)
        np.testing.assert_array_equal(y_few, y[some])
        np.testing.assert_array_equal(gx_few, gx[some])


@pytest.mark.parametrize("kind", LARGE)
def test_any_number_of_threads_gives_the_same_bits(kind):
    numba = pytest.importorskip("numba", reason="numba is not installed")
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("one thread only: NUMBA_NUM_THREADS or the machine allows no more")
    before, results = numba.get_num_threads(), []
    try:
        for threads in (1, 2):
            numba.set_num_threads(threads)
            results.append(three(direct(kind), *large(kind)))
    finally:
        numba.set_num_threads(before)
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mode", ["zeros", "replicate"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_reaches_every_window_that_sees_it_and_no_other(version, mode, bad):
    g = ConvGeometry.infer((2, 2, 9, 8), (3, 2, 3, 2), stride=(2, 1), padding=1, padding_mode=mode)
    x, w = normal(g.x_shape), np.abs(normal(g.w_shape))
    seen = np.zeros(g.x_shape)
    seen[1, 1, 0, 3] = 1
    x[1, 1, 0, 3] = bad
    reached = run(conv2d.forward, version, x=seen, w=np.ones(g.w_shape), b=None, geometry=g) > 0
    y = run(conv2d.forward, version, x=x, w=w, b=None, geometry=g)
    np.testing.assert_array_equal(~np.isfinite(y), reached)


@pytest.mark.parametrize("version", VERSIONS)
@given(drawn=operands())
def test_agrees_with_pytorch(version, drawn):
    """Both err by at most the derived bound; so between them at most twice that."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    x, w, grad, g = drawn
    if g.batch == 0:
        return
    inputs = [torch.from_numpy(a.copy()).requires_grad_() for a in (x, w)]
    (top, bottom), (left, right) = g.padding
    mode = {"zeros": "constant", "replicate": "replicate"}[g.padding_mode]
    padded = torch.nn.functional.pad(inputs[0], (left, right, top, bottom), mode=mode)
    y = torch.nn.functional.conv2d(padded, inputs[1], None, g.stride, 0, g.dilation, g.groups)
    y.backward(torch.from_numpy(grad.copy()))
    theirs = (y.detach().numpy(), *(t.grad.numpy() for t in inputs))
    calls = (
        (conv2d.forward, {"x": x, "w": w, "b": None, "geometry": g}),
        (conv2d.grad_input, {"grad": grad, "w": w, "geometry": g}),
        (conv2d.grad_weight, {"grad": grad, "x": x, "geometry": g}),
    )
    for (spec, call), ours, expected in zip(calls, three(version, x, w, None, grad, g), theirs, strict=True):
        theirs_off = spec.bound(call, expected)
        named = [v for v in spec.versions if v.name == version]
        ours_off = spec.bound_of(named[0], call, expected) if named else theirs_off
        assert (np.abs(ours - expected) <= ours_off + theirs_off).all(), spec.name


def test_the_bias_gradient_of_a_million_pixels_is_rounded_once():
    """The sum is kept in float64: a running float32 sum of a million equal numbers is off by far more."""
    grad = np.broadcast_to(np.float32(0.1), (4, 3, 512, 512))
    truth = grad.shape[0] * 512 * 512 * np.float64(np.float32(0.1))
    got = conv2d.grad_bias(grad)
    assert (np.abs(got - truth) <= bounds.gamma(2, "float32") * truth).all()


TWO_THREADS = """
import threading
import numpy as np
from minitl.kernels import ConvGeometry, conv2d

g = ConvGeometry.infer((2, 4, 20, 20), (5, 4, 3, 3), padding=1)
x, w, grad = (np.ones(shape, np.float32) for shape in (g.x_shape, g.w_shape, g.y_shape))
together = threading.Barrier(2)
sums = []

def work():
    together.wait()
    for _ in range(20):
        y = conv2d.forward(x, w, None, g)
        sums.append(float(y.sum() + conv2d.grad_input(grad, w, g).sum() + conv2d.grad_weight(grad, x, g).sum()))

threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(sums) == 40 and len(set(sums)) == 1, sums
"""


@pytest.mark.parametrize("layer", ["default", "workqueue"])
def test_two_python_threads_may_run_kernels_at_once(layer):
    """In a process of its own: Numba's work queue would abort it if both entered at once."""
    pytest.importorskip("numba", reason="numba is not installed")
    environment = {**os.environ, "NUMBA_THREADING_LAYER": layer}
    done = subprocess.run([sys.executable, "-c", TWO_THREADS], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
