"""Memory that is not there: told before it is asked for, and told with what to lower."""

import math

import numpy as np
import pytest

from minitl import kernels, models
from minitl.errors import HostMemoryError, MinitlError
from minitl.kernels import conv2d
from minitl.kernels.cpu import room


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


MEMINFO = "MemTotal: 9000 kB\nMemFree: 10 kB\nMemAvailable:   4000 kB\nSwapFree: 96 kB\n"


def test_the_machine(tmp_path):
    assert room.free(tmp_path) is None
    write(tmp_path / "proc/meminfo", MEMINFO)
    assert room.free(tmp_path) == 4096 * 1024


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        ({"memory.max": "max\n", "memory.current": "5"}, 4096 * 1024),
        ({"memory.max": "1000\n", "memory.current": "400"}, 600),
        ({"memory.max": "1000\n", "memory.current": "400", "memory.stat": "anon 1\ninactive_file 150\n"}, 750),
        ({"memory.max": "1000\n", "memory.current": "1400"}, 0),
        ({"memory.max": "1000\n"}, 4096 * 1024),
        ({"memory.max": "", "memory.current": "zero"}, 4096 * 1024),
    ],
)
def test_a_control_group(tmp_path, limits, left):
    write(tmp_path / "proc/meminfo", MEMINFO)
    write(tmp_path / "proc/self/cgroup", "0::/a/b\n")
    for name, text in limits.items():
        write(tmp_path / "sys/fs/cgroup/a" / name, text)
    assert room.free(tmp_path) == left


def test_a_control_group_of_version_1(tmp_path):
    write(tmp_path / "proc/meminfo", MEMINFO)
    write(tmp_path / "proc/self/cgroup", "4:memory:/one\n1:cpu:/two\n")
    write(tmp_path / "sys/fs/cgroup/memory/one/memory.limit_in_bytes", "1000")
    write(tmp_path / "sys/fs/cgroup/memory/one/memory.usage_in_bytes", "300")
    assert room.free(tmp_path) == 700


def huge(side=200_000):
    """A picture of many terabytes that takes no memory itself, and filters."""
    g = kernels.ConvGeometry.infer((1, 3, side, side), (64, 3, 3, 3), padding=1)
    return np.broadcast_to(np.float32(0), g.x_shape), np.zeros(g.w_shape, np.float32), g


@pytest.mark.parametrize("version", ["cpu", "reference"])
def test_a_huge_picture(version):
    x, w, g = huge()
    expected = r"conv2d: for x \(1, 3, 200000, 200000\), .*needs .* (GB|TiB).*; give smaller or fewer pictures"
    with kernels.using(conv2d=version), pytest.raises(HostMemoryError, match=expected) as caught:
        conv2d.forward(x, w, None, g)
    assert isinstance(caught.value, MinitlError)
    assert isinstance(caught.value, MemoryError)


def test_what_would_fit_into_promises_only(monkeypatch):
    """The system would hand it out, and end the process when the numbers are written."""
    x, w, g = huge(1500)
    monkeypatch.setattr(room, "free", lambda: 10**8)
    with pytest.raises(HostMemoryError, match=r"needs 0\.[5-9] GB more memory, and 0\.1 GB are free"):
        conv2d.forward(x, w, None, g)


def test_a_gradient(monkeypatch):
    x, _, g = huge(1500)
    monkeypatch.setattr(room, "NEEDLESS", 0)
    monkeypatch.setattr(room, "free", lambda: 10)
    with pytest.raises(HostMemoryError, match=r"conv2d\.grad_weight: for grad \(1, 64, 1500, 1500\), x "):
        conv2d.grad_weight(np.broadcast_to(np.float32(0), g.y_shape), x, g)


def test_an_allocation_that_fails_on_the_way(monkeypatch):
    """Where the system says no itself: NumPy's error tells how much it was."""
    monkeypatch.setattr(room, "free", lambda: None)
    x, w, g = huge()
    with pytest.raises(HostMemoryError, match=r"conv2d: .*Unable to allocate .* TiB.*; give smaller or fewer"):
        conv2d.forward(x, w, None, g)


def test_a_network_names_the_layer(monkeypatch):
    net = models.small_vgg(num_classes=2, size=28, seed=0)
    monkeypatch.setattr(room, "LARGE", 0)
    monkeypatch.setattr(room, "NEEDLESS", 0)
    monkeypatch.setattr(room, "free", lambda: 10)
    first = net.graph.names[0]
    with pytest.raises(HostMemoryError, match=f"layer {first!r}: conv2d: for x "):
        net(np.zeros((2, 3, 28, 28), np.float32))


def test_what_a_small_picture_becomes_is_asked_for_too(monkeypatch):
    g = kernels.ConvGeometry.infer((1, 1, 1000, 1000), (128, 1, 3, 3), padding=1)
    monkeypatch.setattr(room, "free", lambda: 10**8)
    with pytest.raises(HostMemoryError, match=r"needs 0\.5 GB more memory, and 0\.1 GB are free"):
        conv2d.forward(np.zeros(g.x_shape, np.float32), np.zeros(g.w_shape, np.float32), None, g)


def test_so_is_a_concat_that_convolutions_write_to(monkeypatch):
    monkeypatch.setattr(room, "free", lambda: 10**8)
    with pytest.raises(HostMemoryError, match=r"concat: .* needs 0\.4 GB more memory"):
        kernels.concat.Joined([(1, 50, 1000, 1000)] * 2, np.dtype(np.float32)).new()


@pytest.mark.parametrize("kernel", [1, 3])
def test_what_is_not_written_is_not_asked_for(kernel, monkeypatch):
    """Where a convolution writes to an array that is there, or gives the maxima of its result alone."""
    g = kernels.ConvGeometry.infer((1, 16, 600, 600), (64, 16, kernel, kernel), padding=kernel // 2)
    x, w = np.zeros(g.x_shape, np.float32), np.zeros(g.w_shape, np.float32)
    asked = []
    monkeypatch.setattr(room, "check", lambda op, arguments, needed: asked.append(needed))
    whole = 4 * math.prod(g.y_shape)
    conv2d.forward(x, w, None, g)
    conv2d.forward(x, w, None, g, out=np.empty((1, 600, 600, 64), np.float32).transpose(0, 3, 1, 2))
    conv2d.Ready(x, w, None, g, False, kernels.PoolGeometry.infer(g.y_shape, 2))(x, w, None)
    plain, out, pooled = asked
    assert plain >= whole
    assert out == plain - whole
    assert pooled == plain - whole * 3 // 4


def test_what_is_only_kept_for_later_is_given_back_first(monkeypatch):
    left = [10, 10**12]
    monkeypatch.setattr(room, "free", lambda: left.pop(0))
    room.check("conv2d", {}, room.NEEDLESS)
    assert not left
