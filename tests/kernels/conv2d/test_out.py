"""Results written where the caller says: into some of a larger array's channels, or anywhere else."""

import numpy as np
import pytest

from minitl.errors import ShapeError
from minitl.kernels import ConvGeometry, concat, conv2d, using
from minitl.kernels.conv2d import forward as SPEC

KINDS = {  # x, w, attributes, the version that serves
    "squares of 3": ((2, 16, 13, 11), (32, 16, 3, 3), {"padding": 1}, "cpu.winograd4"),
    "squares of 3, cut registers": ((2, 16, 13, 11), (21, 16, 3, 3), {}, "cpu.winograd4"),
    "squares of 5": ((1, 16, 13, 11), (16, 16, 5, 5), {"padding": 2}, "cpu.winograd2"),
    "1x1": ((2, 9, 6, 7), (20, 9, 1, 1), {}, "cpu.direct"),
    "strided": ((2, 3, 15, 14), (70, 3, 3, 2), {"stride": 2, "padding": 1}, "cpu.direct"),
    "groups": ((2, 6, 9, 8), (8, 3, 3, 3), {"groups": 2}, "cpu.direct"),
    "each channel alone": ((2, 8, 9, 8), (8, 1, 3, 3), {"groups": 8}, "cpu.depthwise"),
    "in NumPy": ((2, 3, 9, 8), (4, 3, 3, 3), {}, "reference.im2col"),
}


def places(shape, dtype):
    """Arrays of this shape that lie otherwise than a version would lay them, and what surrounds them."""
    n, o, p, q = shape
    wide = np.full((n, p, q, o + 7), 9, dtype)
    yield wide[..., 3 : 3 + o].transpose(0, 3, 1, 2), wide  # some channels
    wide = np.full((n + 1, p + 2, q + 3, o), 9, dtype)
    yield wide[1:, 1:-1, 2:-1].transpose(0, 3, 1, 2), wide  # some pixels
    plain = np.full((n, o, p, q), 9, dtype)
    yield plain, plain
    yield plain[:, ::-1, :, ::-1], plain
    doubled = np.full((n, p, q, 2 * o), 9, dtype)
    yield doubled[..., ::2].transpose(0, 3, 1, 2), doubled


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_out_gets_the_same_bits_and_nothing_round_it_changes(kind, relu):
    x_shape, w_shape, attributes, version = KINDS[kind]
    if version.startswith("cpu"):
        pytest.importorskip("numba", reason="the cpu versions need Numba, which is not installed")
    g = ConvGeometry.infer(x_shape, w_shape, **attributes)
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(shape).astype(np.float32) for shape in (x_shape, w_shape, w_shape[0]))
    with using(conv2d=version):
        wanted = conv2d.forward(x, w, b, g, relu)
        for out, whole in places(g.y_shape, x.dtype):
            around = whole.size - out.size
            assert conv2d.forward(x, w, b, g, relu, out=out) is out
            np.testing.assert_array_equal(out, wanted)
            assert (whole == 9).sum() == around


def test_an_out_that_does_not_fit_is_refused():
    g = ConvGeometry.infer((1, 2, 5, 5), (3, 2, 3, 3))
    x, w = np.zeros(g.x_shape, np.float32), np.zeros(g.w_shape, np.float32)
    with pytest.raises(ShapeError, match=r"out must have shape \(1, 3, 3, 3\)"):
        conv2d.forward(x, w, None, g, out=np.zeros((1, 3, 3, 4), np.float32))
    with pytest.raises(ShapeError, match="out"):
        conv2d.forward(x, w, None, g, out=np.zeros(g.y_shape))


@pytest.mark.parametrize("kind", ["squares of 3", "1x1", "each channel alone", "in NumPy"])
def test_an_out_that_overlaps_x_is_written_to_last(kind):
    x_shape, w_shape, attributes, version = KINDS[kind]
    w_shape = (x_shape[1], w_shape[1], *w_shape[2:])  # as many channels as x has
    g = ConvGeometry.infer(x_shape, w_shape, **attributes | {"padding": w_shape[2] // 2})
    rng = np.random.default_rng(0)
    x = rng.standard_normal((x_shape[0], *x_shape[2:], x_shape[1])).astype(np.float32).transpose(0, 3, 1, 2)
    w = rng.standard_normal(w_shape).astype(np.float32)
    with using(conv2d=version):
        wanted = conv2d.forward(x.copy(order="K"), w, None, g)
        assert conv2d.forward(x, w, None, g, out=x) is x
    np.testing.assert_array_equal(x, wanted)


def test_an_out_that_may_not_be_written_to():
    g = ConvGeometry.infer((1, 2, 5, 5), (3, 2, 3, 3))
    out = np.zeros(g.y_shape, np.float32)
    out.flags.writeable = False
    with pytest.raises(ShapeError, match="conv2d: out may not be written to"):
        conv2d.forward(np.zeros(g.x_shape, np.float32), np.zeros(g.w_shape, np.float32), None, g, out=out)


def test_no_image_is_written_nowhere():
    g = ConvGeometry.infer((0, 16, 13, 11), (32, 16, 3, 3))
    out = np.zeros(g.y_shape, np.float32)
    assert conv2d.forward(np.zeros(g.x_shape, np.float32), np.zeros(g.w_shape, np.float32), None, g, out=out) is out


def test_room_for_a_concat_is_what_concat_gives():
    shapes = [(2, 3, 4, 5), (2, 1, 4, 5), (2, 7, 4, 5)]
    y, parts = concat.Joined(shapes, np.dtype(np.float32)).new()
    xs = tuple(np.full(shape, i, np.float32) for i, shape in enumerate(shapes))
    for part, x in zip(parts, xs, strict=True):
        part[...] = x
    np.testing.assert_array_equal(y, concat.forward(xs, 1))
    with pytest.raises(ShapeError, match="shapes must agree but along axis 1"):
        concat.Joined([(2, 3, 4, 5), (2, 3, 4, 6)], np.dtype(np.float32))


def test_a_version_of_ones_own_need_not_know_out():
    SPEC.add(
        type(SPEC.versions[0])("reference.mine", lambda x, w, b, geometry, relu: np.ones(geometry.y_shape, x.dtype))
    )
    try:
        g = ConvGeometry.infer((1, 2, 5, 5), (3, 2, 3, 3))
        out = np.zeros(g.y_shape, np.float32)
        with using(conv2d="reference.mine"):
            conv2d.forward(np.zeros(g.x_shape, np.float32), np.zeros(g.w_shape, np.float32), None, g, out=out)
    finally:
        SPEC.remove("reference.mine")
    assert (out == 1).all()
