"""The folder of compiled kernels: where it is, what killed processes leave in it, disks that take nothing."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from minitl.errors import BackendUnavailable
from minitl.kernels import cache


@pytest.fixture(autouse=True)
def anew():
    """Each test finds its folder by itself."""
    for found in (cache.folder, cache._cannot_keep, cache._of_this_process):
        found.cache_clear()
    yield
    for found in (cache.folder, cache._cannot_keep, cache._of_this_process):
        found.cache_clear()


def write(path):
    path.write_text("whole", encoding="utf-8")


def test_a_killed_process_leaves_nothing_for_long(tmp_path, monkeypatch):
    """What it was making goes when it is a day old; what is being made now, and anything else, stays."""
    monkeypatch.setenv("MINITL_CACHE", str(tmp_path))
    place = tmp_path / "minitl" / "kernels"
    place.mkdir(parents=True)
    old = [".0123456789ab.k-00.so", ".0123456789ab.k-00.cpp", ".0123456789ab.k-00.o", ".probe-x1"]
    kept = [".fedcba987654.k-00.cpp", "k-00.so", ".hidden", ".probe-x2"]
    for name in old + kept:
        write(place / name)
    for name in [*old, "k-00.so", ".hidden"]:
        os.utime(place / name, (0, 0))
    assert cache.folder() == place
    assert sorted(path.name for path in place.iterdir()) == sorted(kept)


def test_a_relative_folder_stays_where_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINITL_CACHE", "here")
    assert cache.folder() == tmp_path / "here" / "minitl" / "kernels"


def test_the_home_folder_has_a_sign(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MINITL_CACHE", "~/kept")
    assert cache.folder() == tmp_path / "kept" / "minitl" / "kernels"


def test_without_a_home_folder(tmp_path, monkeypatch):
    """A user whom the system does not know: no folder named ~ appears, and the remedy is told."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINITL_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.warns(UserWarning, match=r"cannot be kept in ~.*no home folder.*set MINITL_CACHE"):
        path = cache.built("k.so", ["text"], write)
    assert path.read_text(encoding="utf-8") == "whole"
    assert not list(tmp_path.iterdir())


def test_no_disk_takes_anything(tmp_path, monkeypatch):
    monkeypatch.setenv("MINITL_CACHE", str(tmp_path))

    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    with (
        pytest.warns(UserWarning, match="cannot be kept in .*No space left"),
        pytest.raises(BackendUnavailable, match=r"k-.*\.so: .* No space left on device; .* MINITL_CACHE or TMPDIR"),
    ):
        cache.built("k.so", ["text"], full)


def test_texts_of_any_characters():
    """A path may hold bytes that are no text."""
    assert cache.key([os.fsdecode(b"k\xff.cu")]) != cache.key([os.fsdecode(b"k\xfe.cu")])


def test_a_child_leaves_the_folder_of_its_parent(tmp_path):
    """The folder that goes with a process goes with that one, not with those forked from it."""
    script = (
        "import os, sys\n"
        "from minitl.kernels import cache\n"
        "place = cache._of_this_process()\n"
        "if os.fork() == 0: sys.exit()\n"
        "os.wait(); print(place, place.is_dir())\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    found = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    place, there = found.stdout.split()
    assert there == "True"
    assert not Path(place).exists()
