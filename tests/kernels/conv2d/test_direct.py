"""How the direct convolutions cut their work: nothing of it may show in the results."""

import numpy as np
import pytest

from minitl.kernels import ConvGeometry, conv2d
from minitl.kernels.conv2d.cpu import depthwise, direct, direct_weights, layout, phases, tiling
from minitl.kernels.explanation import why

KINDS = {  # x, w, attributes: all paths through the tiles
    "bordered": ((2, 5, 23, 21), (70, 5, 3, 3), {"padding": 1}),
    "read in place": ((2, 20, 15, 14), (24, 20, 3, 2), {"stride": (1, 2)}),
    "1x1": ((3, 33, 9, 11), (40, 33, 1, 1), {}),
    "deep": ((1, 400, 5, 7), (20, 400, 1, 3), {"padding": 1}),
    "groups, spread": ((2, 6, 17, 16), (8, 3, 3, 2), {"groups": 2, "dilation": 2, "padding": (1, 0)}),
    "each channel alone": ((2, 19, 17, 16), (19, 1, 3, 3), {"groups": 19, "padding": 1, "stride": 2}),
}


def normal(shape, seed):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def modules(kind):
    return (depthwise, depthwise) if kind == "each channel alone" else (direct, direct_weights)


def operands(kind):
    x_shape, w_shape, attributes = KINDS[kind]
    g = ConvGeometry.infer(x_shape, w_shape, **attributes)
    return normal(g.x_shape, 0), normal(g.w_shape, 1), normal(g.out_channels, 2), normal(g.y_shape, 3), g


@pytest.fixture
def fresh_plans():
    def forget():
        tiling.plan.cache_clear()
        tiling.forward_plan.cache_clear()
        tiling.weight_plan.cache_clear()

    forget()
    yield forget
    forget()


@pytest.mark.parametrize("kind", KINDS)
def test_bands_and_tasks_change_no_bit(kind, monkeypatch, fresh_plans):
    x, w, b, grad, g = operands(kind)
    module, weights = modules(kind)

    def three():
        return module.forward(x, w, b, g, True), module.grad_input(grad, w, g), weights.grad_weight(grad, x, g)

    expected = three()
    for band_bytes, tasks in ((1, 1), (1 << 12, 1), (1 << 30, 1), (1 << 20, 40)):
        fresh_plans()
        monkeypatch.setattr(tiling, "BAND_BYTES", band_bytes)
        monkeypatch.setattr(tiling, "TASKS", tasks)
        for got, wanted in zip(three(), expected, strict=True):
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_the_layout_of_an_image_changes_no_bit(kind):
    x, w, b, grad, g = operands(kind)
    module, weights = modules(kind)
    last = [np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) for a in (x, grad)]
    np.testing.assert_array_equal(module.forward(last[0], w, b, g), module.forward(x, w, b, g))
    np.testing.assert_array_equal(module.grad_input(last[1], w, g), module.grad_input(grad, w, g))
    np.testing.assert_array_equal(weights.grad_weight(last[1], last[0], g), weights.grad_weight(grad, x, g))


@pytest.mark.parametrize("kind", KINDS)
def test_packed_filters_are_as_large_as_told_and_do_as_well(kind):
    x, w, b, grad, g = operands(kind)
    module, _ = modules(kind)
    forward, backward = module.pack(w, g), module.pack_grad_input(w, g)
    assert forward.nbytes == module.packed_bytes(g, 4, False)
    assert sum(phase.nbytes for phase in backward.values()) == module.packed_bytes(g, 4, True)
    np.testing.assert_array_equal(module.forward(x, w, b, g, packed=forward), module.forward(x, w, b, g))
    np.testing.assert_array_equal(module.grad_input(grad, w, g, packed=backward), module.grad_input(grad, w, g))


def test_packed_filters_serve_images_of_any_size():
    """They are kept by the settings of a convolution, not by its sizes: the phases of a small image are there too."""
    w = normal((7, 5, 4, 3), 0)
    attributes = {"stride": (3, 2), "padding": 2}
    packed = direct.pack_grad_input(w, ConvGeometry.infer((1, 5, 30, 30), w.shape, **attributes))
    for size in ((1, 2), (2, 9), (14, 3)):
        g = ConvGeometry.infer((2, 5, *size), w.shape, **attributes)
        grad = normal(g.y_shape, 1)
        np.testing.assert_array_equal(direct.grad_input(grad, w, g, packed), direct.grad_input(grad, w, g))


def test_images_that_lie_in_order_are_not_copied():
    x = normal((2, 3, 5, 4), 0)
    last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    for array in (x, last):
        numbers, (image, row, pixel, channel) = layout.flat(array)
        assert np.shares_memory(numbers, array)
        assert numbers[1 * image + 4 * row + 2 * pixel + 1 * channel] == x[1, 1, 4, 2]


@pytest.mark.parametrize(("runs", "length", "most"), [(1, 1, 160), (11, 33, 160), (3, 500, 160), (25, 64, 64)])
def test_pieces_cover_the_depth_once_and_in_order(runs, length, most):
    steps = []
    for run, some, first, count in tiling.pieces(runs, length, most):
        steps += [(run + i, first + k) for i in range(some) for k in range(count)]
        assert some * count <= most
    assert steps == [(run, k) for run in range(runs) for k in range(length)]


@pytest.mark.parametrize(("groups", "columns"), [(1, 64), (1, 1000), (3, 5), (2, 48), (5, 1)])
def test_panels_hold_every_channel_once(groups, columns):
    held = []
    for channel, first, registers, some, _ in tiling.panels(groups, 7, columns, 16, 4):
        assert 1 <= registers <= 4
        assert (registers - 1) * 16 < some <= registers * 16
        assert channel == first // columns * 7
        held += range(first, first + some)
    assert held == list(range(groups * columns))


def test_every_tap_belongs_to_one_phase():
    for kernel, stride, padding, dilation in ((3, 1, 1, 1), (11, 4, 2, 1), (5, 3, 0, 2), (4, 2, 3, 2), (1, 3, 0, 1)):
        taps = [tap for phase in phases.phases(kernel, stride, padding, dilation) for tap in phase.taps]
        assert sorted(taps) == list(range(kernel))


def test_what_takes_channels_one_by_one_goes_to_the_version_for_it():
    alone, several = why("conv2d", x_shape=(1, 8, 9, 9), w_shape=(8, 1, 3, 3), groups=8), (4, 1)
    assert alone.chosen == "cpu.depthwise"
    for groups in several:
        told = why("conv2d", x_shape=(1, 8, 9, 9), w_shape=(8, 8 // groups, 5, 3), groups=groups)
        assert told.chosen == "cpu.direct"
        assert "filter of their own" in told.reasons["cpu.depthwise"]


@pytest.mark.parametrize("kind", KINDS)
def test_its_memory_is_told(kind):
    """A border takes a thread's own memory; what is read in place takes none but tables."""
    g = operands(kind)[-1]
    for spec, arrays in (
        (conv2d.forward, ("x", "w", "b")),
        (conv2d.grad_input, ("grad", "w")),
        (conv2d.grad_weight, ("grad", "x")),
    ):
        name = "cpu.depthwise" if kind == "each channel alone" else "cpu.direct"
        version = next(v for v in spec.versions if v.name == name)
        shapes = {"x": g.x_shape, "w": g.w_shape, "b": (g.out_channels,), "grad": g.y_shape}
        told = version.workspace(geometry=g, **{a: np.empty(shapes[a], np.float32) for a in arrays})
        assert 0 < told < 1 << 22
