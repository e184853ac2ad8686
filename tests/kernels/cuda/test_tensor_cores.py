"""Tensor-core kernels on the emulator: the pieces one by one, then whole products at sizes that reach each branch.

Whole products are of small integers, exact in every precision and any order: results equal the truth bit for bit.
"""

from pathlib import Path

import numpy as np
import pytest

from minitl import kernels
from minitl.errors import KernelFault
from minitl.kernels import ConvGeometry, conv2d, emulator, linear
from minitl.kernels.conv2d.cuda import products
from minitl.kernels.conv2d.cuda import tensor_cores as conv
from minitl.kernels.cuda import Source, empty, gemm
from minitl.kernels.linear import tensor_cores as dense
from minitl.kernels.verify import agreement

REASON = emulator.unavailable()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))
PIECES = Source(Path(__file__).with_name("tensor_cores.cu"))
RNG = np.random.default_rng(4)
LANE = np.arange(32)
G, T = LANE // 4, LANE % 4  # as the PTX ISA calls them: group, and thread in its group


def integers(*shape):
    return RNG.integers(-4, 5, shape).astype(np.float32)


def test_rounding_is_to_nearest():
    x = np.array(
        [1, -1, 0, -0.0, 1 + 2**-11, 1 + 2**-12, 1 - 2**-12, 1 + 2**-8, 1 + 3 * 2**-8, 3e38, 2**-149, 2**-127],
        np.float32,
    )
    x = np.concatenate([x, [np.inf, -np.inf, np.nan], RNG.standard_normal(17)]).astype(np.float32)
    tf32, bf16 = empty((32,), np.uint32, like=x), empty((32,), np.uint32, like=x)
    PIECES.launch("rounded", 1, 32, x, tf32, bf16)
    for got, bits in ((tf32.view(np.float32), 13), ((bf16 << 16).view(np.float32), 16)):
        finite = np.isfinite(x)
        assert not np.any(got.view(np.uint32) & ((1 << bits) - 1))
        assert np.array_equal(np.isnan(got), np.isnan(x))
        assert np.array_equal(got[~finite], x[~finite], equal_nan=True)
        step = 2.0 ** (np.maximum(np.frexp(x[finite])[1] - 1, -126) - 23 + bits)
        assert np.all(np.abs(got[finite].astype(np.float64) - x[finite]) <= step / 2)
    assert tf32.view(np.float32)[4] == 1 + 2**-10  # a tie goes away from zero
    assert (bf16 << 16).view(np.float32)[7] == 1  # here to even
    assert np.array_equal((bf16 & 0xFFFF0000).view(np.float32)[:12], -(bf16 << 16).view(np.float32)[:12])


def test_division_is_exact():
    d = np.concatenate(
        [np.arange(1, 200), 2 ** np.arange(31) - (np.arange(31) > 1), [2**31 - 1, 7 * 11 * 13, 224 * 224]]
    )
    edges = np.concatenate([[0, 1, 2**31 - 1, 2**31 - 2], RNG.integers(0, 2**31, 8)])
    x, d = (a.ravel().astype(np.int32) for a in np.meshgrid(edges, d))
    x = np.concatenate([x, (x // d * d).astype(np.int32), np.maximum(x // d * d - 1, 0).astype(np.int32)])  # multiples
    d = np.tile(d, 3)
    q = empty(x.shape, np.int32, like=x)
    PIECES.launch("quotients", -(-x.size // 128), 128, x, d, q, x.size)
    assert np.array_equal(q, x // d)


@pytest.mark.parametrize("bf16", [False, True])
def test_lanes_hold_what_the_ptx_isa_says(bf16):
    depth = 16 if bf16 else 8
    left, right, before = integers(16, depth), integers(depth, 8), integers(16, 8)
    if bf16:

        def pair(first, second):
            return (first.view(np.uint32) >> 16) | (second.view(np.uint32) & 0xFFFF0000)

        rows, ks = (G, G + 8, G, G + 8), (2 * T, 2 * T, 2 * T + 8, 2 * T + 8)
        a = [pair(left[r, k], left[r, k + 1]) for r, k in zip(rows, ks, strict=True)]
        b = [pair(right[k, G], right[k + 1, G]) for k in (2 * T, 2 * T + 8)]
    else:
        dirt = RNG.integers(0, 2**13, (6, 32), np.uint32)  # below TF32's last bit: ignored
        rows, ks = (G, G + 8, G, G + 8), (T, T, T + 4, T + 4)
        a = [left[r, k].view(np.uint32) | dirt[i] for i, (r, k) in enumerate(zip(rows, ks, strict=True))]
        b = [right[k, G].view(np.uint32) | dirt[4 + i] for i, k in enumerate((T, T + 4))]
    places = ((G, 2 * T), (G, 2 * T + 1), (G + 8, 2 * T), (G + 8, 2 * T + 1))
    sums = np.stack([before[place] for place in places], 1)
    PIECES.launch("one_mma", 1, 32, np.stack(a, 1), np.stack(b, 1), sums, bf16)
    got = np.empty((16, 8), np.float32)
    for i, place in enumerate(places):
        got[place] = sums[:, i]
    assert np.array_equal(got, before + left @ right)


@pytest.mark.parametrize("width", [1, 4])
@pytest.mark.parametrize("across", [False, True])
def test_fragments_come_out_of_a_tile_as_they_went_in(across, width):
    x = np.arange(512, dtype=np.float32).reshape(32, 16)
    for row, k in ((0, 0), (16, 8)):
        r = empty((32, 4), np.uint32, like=x)
        PIECES.launch("fragments", 1, 32, np.ascontiguousarray(x.T) if across else x, r, row, k, across, width)
        for i, (g, t) in enumerate(((0, 0), (8, 0), (0, 4), (8, 4))):
            assert np.array_equal(r[:, i].view(np.float32), x[row + g + G, k + t + T])


@pytest.mark.parametrize("across", [False, True])
def test_no_two_lanes_meet_in_a_bank(across):
    """Each phase of a load takes every one of the 32 banks once."""
    offsets = empty((64, 16), np.int32, like=LANE)
    PIECES.launch("offsets", 16, 64, offsets, across)
    assert np.array_equal(np.sort(offsets, None), np.arange(64 * 16))
    for first in range(0, 64, 8):
        for k in (0, 4, 8, 12):
            # ldmatrix reads 8 rows of 16 bytes at a time; without it, lane (g, t) reads one number.
            words = offsets[first + G, k + T] if across else offsets[first : first + 8, k, None] + np.arange(4)
            assert len(set(words.ravel() % 32)) == 32


def test_copies_land_when_they_are_waited_for():
    x = np.arange(1, 65, dtype=np.float32)
    y = empty((64,), np.float32, like=x)
    PIECES.launch("two_copies", 1, 32, x, y)
    assert np.array_equal(y, np.concatenate([x[:63], [0]]))  # the last one has 0 valid bytes


@pytest.mark.parametrize("schedule", ["forward", "reverse", 5])
def test_copies_that_are_not_waited_for_are_found(schedule):
    x = np.ones(64, np.float32)
    with emulator.schedule(schedule):
        with pytest.raises(KernelFault, match=r"race: tensor_cores\.cu:\d+, .* asynchronous copy is still to write"):
            PIECES.launch("two_copies", 1, 32, x, empty((64,), np.float32, like=x), defines={"WAIT": 1})
        PIECES.launch("copies_too_early", 1, 64, x, empty((64,), np.float32, like=x), 1)
        with pytest.raises(KernelFault, match=r"race: .* what another "):
            PIECES.launch("copies_too_early", 1, 64, x, empty((64,), np.float32, like=x), 0)


@pytest.fixture(params=["as planned", "large tiles"])
def tiles(request, monkeypatch):
    if request.param == "large tiles":
        monkeypatch.setattr(gemm, "SMALL", gemm.LARGE)


SIZES = {  # N, I, O
    "vectors, tails": (5, 20, 12),
    "one by one": (7, 19, 3),
    "several tiles each way": (131, 21, 70),
    "a depth of several parts": (3, 270, 6),
    "a batch of several parts": (270, 5, 4),
    "outputs of several parts": (4, 7, 270),
}


@pytest.mark.parametrize("size", SIZES)
def test_dense_layers_are_exact_on_integers(size, tiles):
    n, i, o = SIZES[size]
    x, w, b, grad = integers(n, i), integers(o, i), integers(o), integers(n, o)
    every = size == "vectors, tails" and gemm.SMALL != gemm.LARGE  # each is one more compilation
    for precision in gemm.PRECISIONS if every else ["tf32x3"]:
        assert np.array_equal(dense.forward(x, w, b, precision), x @ w.T + b)
        assert np.array_equal(dense.grad_input(grad, w, precision), grad @ w)
        assert np.array_equal(dense.grad_weight(grad, x, precision), grad.T @ x)


GEOMETRIES = {
    "vectors": ((2, 4, 6, 5), (8, 4, 3, 3), {"padding": 1}),
    "one by one": ((2, 3, 6, 5), (5, 3, 3, 3), {"padding": ((2, 0), (1, 3))}),
    "groups, stride, dilation": ((1, 8, 9, 7), (8, 4, 3, 2), {"groups": 2, "stride": (2, 1), "dilation": (1, 2)}),
    "groups of odd sizes": ((1, 6, 5, 4), (9, 2, 2, 2), {"groups": 3, "stride": 2, "padding": 1}),
    "replicated edges": ((1, 4, 5, 6), (4, 4, 3, 3), {"padding": ((0, 2), (3, 1)), "padding_mode": "replicate"}),
    "one pixel repeated": ((1, 2, 1, 1), (3, 2, 2, 3), {"padding": 2, "padding_mode": "replicate"}),
    "several parts": ((1, 32, 17, 17), (36, 32, 3, 3), {"padding": 1, "stride": 2}),
    "several parts, one tap": ((1, 264, 16, 17), (5, 264, 1, 1), {}),
}


@pytest.mark.parametrize("name", GEOMETRIES)
def test_convolutions_are_exact_on_integers(name):
    x_shape, w_shape, attributes = GEOMETRIES[name]
    g = ConvGeometry.infer(x_shape, w_shape, **attributes)
    x, w, b, grad = integers(*x_shape), integers(*w_shape), integers(w_shape[0]), integers(*g.y_shape)
    truth = {"x": x.astype(float), "w": w.astype(float), "b": b.astype(float), "grad": grad.astype(float)}
    with kernels.using("reference"):  # in float64; held against the oracle by its own tests
        y = conv2d.forward(truth["x"], truth["w"], truth["b"], g, relu=True)
        gx = conv2d.grad_input(truth["grad"], truth["w"], g)
        gw = conv2d.grad_weight(truth["grad"], truth["x"], g)
    for precision in gemm.PRECISIONS if name == "vectors" else ["tf32x3"]:
        assert np.array_equal(conv.forward(x, w, b, g, True, precision), y)
        assert np.array_equal(conv.grad_input(grad, w, g, precision), gx)
        assert np.array_equal(conv.grad_weight(grad, x, g, precision), gw)
    if name == "several parts":
        assert products.forward(g).parts == products.grad_input(g).parts == 2
    if name == "several parts, one tap":
        assert products.forward(g).parts == products.grad_weight(g).parts == 2


def test_results_are_the_same_under_every_schedule():
    x, w, grad = (RNG.standard_normal(s).astype(np.float32) for s in ((300, 40), (37, 40), (300, 37)))
    results = []
    for order in ("forward", "reverse", 1):
        with emulator.schedule(order):
            results.append((dense.forward(x, w, None).tobytes(), dense.grad_weight(grad, x).tobytes()))
    assert len(set(results)) == 1


def test_infinities_and_nan_go_where_products_take_them():
    """Beside an infinity, low parts of 0 or of the other sign would make NaN of an infinite product."""
    x, w = RNG.standard_normal((6, 20)).astype(np.float32), RNG.standard_normal((5, 20)).astype(np.float32)
    w[0] = 1  # its low parts are 0
    x[0, 2], x[1, 3], x[2, 4], x[3, 5], x[3, 6] = np.inf, np.nan, -np.inf, np.inf, -np.inf
    w[3, 19] = -np.inf
    w[4, 2] = 0  # infinity times 0
    call = {"x": x, "w": w, "b": None}
    with np.errstate(invalid="ignore"):
        for version in ("tensor_cores", "tf32", "bfloat16"):
            found = next(v for v in linear.forward.versions if v.name == f"emulator.{version}")
            agreement.agrees(linear.forward, found, call)


def test_three_products_keep_float32s_accuracy_over_a_long_depth():
    """Sums of numbers of one sign: the tensor cores' own sums would be cut off 150 times."""
    x, w = (RNG.random(s).astype(np.float32) for s in ((4, 1200), (4, 1200)))
    call = {"x": x, "w": w, "b": None}
    versions = {v.name: v for v in linear.forward.versions}
    truth = linear.forward.load(linear.forward.oracle)(**call)
    error = np.abs(dense.forward(x, w, None) - truth).max() / truth.max()
    assert error < np.finfo(np.float32).eps
    for version in ("tensor_cores", "tf32", "bfloat16"):
        agreement.agrees(linear.forward, versions[f"emulator.{version}"], call)


def test_subnormal_numbers_lose_what_the_bound_grants():
    x = (2.0 ** RNG.uniform(-149, -120, (4, 9))).astype(np.float32)
    call = {"x": x, "w": RNG.standard_normal((3, 9)).astype(np.float32), "b": None}
    for version in ("tensor_cores", "tf32", "bfloat16"):
        found = next(v for v in linear.forward.versions if v.name == f"emulator.{version}")
        agreement.agrees(linear.forward, found, call)


def test_a_plan_fills_the_gpu_and_depends_on_sizes_alone():
    conv5 = ConvGeometry.infer((1, 512, 14, 14), (512, 512, 3, 3), padding=1)
    first = ConvGeometry.infer((32, 64, 224, 224), (64, 64, 3, 3), padding=1)
    assert products.forward(first).shape == gemm.LARGE
    assert products.forward(first).parts == 1
    for plan in (products.forward(conv5), products.grad_weight(conv5), gemm.Plan.of(1, 4096, 25088)):
        blocks = -(-plan.m // plan.shape.m) * -(-plan.n // plan.shape.n) * plan.parts
        assert blocks >= 100
        assert plan.workspace == 4 * plan.parts * plan.m * plan.n * (plan.parts > 1)


def test_what_tensor_cores_do_not_serve_is_said():
    reasons = kernels.why("linear", dtype="float64", x_shape=(2, 3), w_shape=(4, 3)).reasons
    assert "float32 accuracy at most; these arrays are float64" in reasons["emulator.tensor_cores"]
    reasons = kernels.why("conv2d", x_shape=(1, 32, 8, 8), w_shape=(32, 1, 3, 3), groups=32).reasons
    assert "32 groups of 1 channels" in reasons["emulator.tensor_cores"]
    reasons = kernels.why("linear", x_shape=(2, 3), w_shape=(4, 3)).reasons
    assert "set_precision('tf32')" in reasons["emulator.tf32"]
    reasons = kernels.why("linear", x_shape=(2, 3), w_shape=(2**23, 3)).reasons
    assert "more than a grid of blocks" in reasons["emulator.tensor_cores"]
    for op, counted in (("conv2d", "rows"), ("conv2d.grad_weight", "depth")):  # both: output pixels, over 2**31
        reasons = kernels.why(op, x_shape=(2**15, 1, 256, 257), w_shape=(8, 1, 1, 1)).reasons
        assert counted in reasons["emulator.tensor_cores"]
        assert "more than it counts to" in reasons["emulator.tensor_cores"]
