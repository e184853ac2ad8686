"""The cores that a control group grants, of systems laid out by hand."""

import pytest

from minitl.kernels.cpu import cores


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    monkeypatch.setattr(cores, "allowed", lambda: 8)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def version2(system, **limits):
    """A system of cgroup v2 whose process is in /a/b; limits by folder."""
    write(system / "proc/self/cgroup", "0::/a/b\n")
    for folder, text in limits.items():
        write(system / "sys/fs/cgroup" / folder.replace("_", "/").replace("root", ".") / "cpu.max", text)


@pytest.mark.parametrize(
    ("limits", "granted"),
    [
        ({}, 8),
        ({"a_b": "max 100000\n"}, 8),
        ({"a_b": "300000 100000\n"}, 3),
        ({"a_b": "150000 100000\n"}, 2),
        ({"a_b": "10000 100000\n"}, 1),
        ({"a_b": "9900000 100000\n"}, 8),
        ({"a": "200000 100000\n", "a_b": "max 100000\n"}, 2),
        ({"root": "200000 100000\n", "a_b": "500000 100000\n"}, 2),
        ({"a_b": "what is this\n"}, 8),
        ({"a_b": ""}, 8),
    ],
)
def test_version_2(tmp_path, limits, granted):
    version2(tmp_path, **limits)
    assert cores.granted(tmp_path) == granted


@pytest.mark.parametrize(("quota", "granted"), [("-1", 8), ("400000", 4), ("250000", 3), ("0", 8)])
def test_version_1(tmp_path, quota, granted):
    write(tmp_path / "proc/self/cgroup", "4:memory:/other\n1:cpu,cpuacct:/\n0::/\n")
    write(tmp_path / "sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota)
    write(tmp_path / "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000")
    assert cores.granted(tmp_path) == granted


@pytest.mark.parametrize("text", [None, "", "nonsense\n", "0::\n"])
def test_a_system_without_control_groups(tmp_path, text):
    if text is not None:
        write(tmp_path / "proc/self/cgroup", text)
    assert cores.granted(tmp_path) == 8
