"""Nothing half-written is ever found: a failed write leaves the old file and no trace of the new."""

import errno
import os
import resource
import stat
import subprocess
import sys

import numpy as np
import pytest

from minitl.errors import WeightError
from minitl.weights import atomic, schema
from minitl.weights.schema import WeightFile

NETWORK = {"name": "tiny", "input_shape": [3, 8, 8], "nodes": []}


def file(value=1.0):
    return WeightFile(NETWORK, {"a": {"weight": np.full(1000, value, np.float32)}})


def failing(code):
    def fail(*args, **options):
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("step", ["replace", "fsync"])
@pytest.mark.parametrize(
    ("code", "match"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "no permission"),
        (errno.EIO, "choose another path"),
    ],
)
def test_a_failing_disk(tmp_path, monkeypatch, step, code, match):
    path = tmp_path / "w.h5"
    schema.write(path, file(1.0))
    before = path.read_bytes()
    monkeypatch.setattr(atomic.os, step, failing(code))
    with pytest.raises(WeightError, match=match) as caught:
        schema.write(path, file(2.0))
    monkeypatch.undo()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["w.h5"]
    assert path.read_bytes() == before


def test_a_read_only_folder(tmp_path, monkeypatch):
    """A folder's mode does not bind every user, so the refusal itself is played."""
    monkeypatch.setattr("builtins.open", failing(errno.EACCES))
    with pytest.raises(WeightError, match=r"w\.h5: cannot be written .* no permission"):
        schema.write(tmp_path / "w.h5", file())


def test_places_that_cannot_be(tmp_path):
    with pytest.raises(WeightError, match="folder does not exist: create it first"):
        schema.write(tmp_path / "none" / "w.h5", file())
    with pytest.raises(WeightError, match="it is a folder"):
        schema.write(tmp_path, file())
    (tmp_path / "plain").write_bytes(b"x")
    with pytest.raises(WeightError, match="parent is not a folder"):
        schema.write(tmp_path / "plain" / "w.h5", file())
    assert os.listdir(tmp_path) == ["plain"]


def test_an_interrupt(tmp_path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic.os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        schema.write(tmp_path / "w.h5", file())
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_FSIZE")
def test_a_disk_that_ends_midway(tmp_path):
    """The system really refuses the bytes after the first few thousand."""
    program = """
import resource, signal, sys
import numpy as np
from minitl.errors import WeightError
from minitl.weights import schema
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
network = {"name": "tiny", "input_shape": [3, 8, 8], "nodes": []}
weights = np.random.default_rng(0).normal(size=10000)
try:
    schema.write(sys.argv[1], schema.WeightFile(network, {"a": {"weight": weights}}))
except WeightError as error:
    print(error)
"""
    path = tmp_path / "w.h5"
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{path}: cannot be written")
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
    assert os.listdir(tmp_path) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 4096


def test_ordinary_permissions(tmp_path):
    """The file gets the mode that any new file gets here."""
    (tmp_path / "plain").write_bytes(b"")
    schema.write(tmp_path / "w.h5", file())
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "w.h5")}
    assert len(modes) == 1


def test_a_link_is_written_through_and_a_mode_kept(tmp_path):
    target, link = tmp_path / "real.h5", tmp_path / "link.h5"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link.symlink_to(target)
    atomic.write_bytes(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_what_is_no_file_is_written_into_and_stays(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    atomic.write_bytes(pipe, b"through")
    assert os.read(reading, 99) == b"through"
    os.close(reading)
    assert pipe.is_fifo()
    atomic.write_bytes(os.devnull, b"nowhere")
    assert not os.path.isfile(os.devnull)
