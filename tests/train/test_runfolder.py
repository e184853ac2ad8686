"""The run's folder: what is in it, who may use it, and a disk that refuses."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

from minitl import optim
from minitl.errors import ArgumentError, DataError, WeightError
from minitl.train import checkpoint, runfolder
from minitl.train.runfolder import RunFolder

pytestmark = [
    pytest.mark.filterwarnings("ignore:every validation picture"),
    pytest.mark.filterwarnings("ignore:the last epoch was the best"),
]


def test_run_json_holds_what_it_takes_to_do_it_again(small, tmp_path):
    import h5py
    import numba

    net = small.network().freeze("conv1").set_lr({"fc1": 2.0})
    trainer = small.trainer(net, folder=tmp_path, schedule=optim.StepSchedule(2, 0.5), seed=3, lr=None)
    trainer.fit(1)
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["versions"] | {"numpy": np.__version__, "h5py": h5py.__version__} == run["versions"]
    assert run["versions"]["threads"] == numba.get_num_threads()
    assert run["settings"]["lr"] is None
    assert run["lr"] == trainer.lr
    assert run["settings"]["seed"] == 3
    assert run["settings"]["schedule"] == {"schedule": "step", "every": 2, "factor": 0.5}
    assert run["rates"]["fc1.weight"] == 2 * trainer.lr
    assert run["rates"]["conv1.weight"] is None
    assert run["plan"]["conv1.weight"]["frozen"]
    assert run["plan"]["fc1.weight"] == {"frozen": False, "lr_mult": 2.0, "lr_from": "fc1"}
    assert [node["name"] for node in run["network"]["nodes"]] == net.graph.names
    assert run["classes"] == ["dark", "bright"]
    assert (run["data"]["train"], run["data"]["val"]) == (16, 10)
    assert run["epochs"] == 1
    assert set(run["arrays"]) == set(net.named_arrays())
    assert any("pytest" in word for word in run["command"])
    assert len((tmp_path / "pictures.csv").read_text().splitlines()) >= 26


def test_what_fails_before_anything_came_of_it_leaves_nothing(small, tmp_path):
    net = small.network().freeze("conv1")
    net["conv1.weight"].assign(np.full(net["conv1.weight"].shape, np.nan))
    with pytest.raises(DataError, match="not all numbers"):
        small.trainer(net, folder=tmp_path / "new" / "run").fit(1)
    assert not (tmp_path / "new" / "run").exists()
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(ArgumentError, match="the loss became"):
        small.trainer(lr=1e30, folder=tmp_path).fit(3)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["mine.txt"]


def test_one_training_at_a_time(small, tmp_path):
    with RunFolder(tmp_path).locked():
        with pytest.raises(DataError, match=rf"another training \(process {os.getpid()}\) is at work"):
            small.trainer(folder=tmp_path).fit(1)
        program = f"from minitl.train.runfolder import RunFolder\nwith RunFolder({str(tmp_path)!r}).locked(): pass"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert "another training" in done.stderr
    assert len(small.trainer(folder=tmp_path).fit(1)) == 1, "the lock ends with its holder"


def test_half_written_files_of_the_killed_are_swept_up(tmp_path):
    (tmp_path / ".checkpoint.h5.0123456789ab.part").write_bytes(b"half")
    (tmp_path / ".mine.part").write_bytes(b"half")
    with RunFolder(tmp_path).locked():
        assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", ".mine.part"]


def refuse_to_open(monkeypatch, number):
    def refused(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(runfolder.os, "open", refused)


@pytest.mark.parametrize(("number", "remedy"), [(errno.EROFS, "read-only"), (errno.EACCES, "no permission")])
def test_a_folder_that_cannot_be_written_is_named_at_once(small, tmp_path, monkeypatch, number, remedy):
    trainer = small.trainer(folder=tmp_path / "run")
    trainer.fit(2)
    new = small.trainer(folder=tmp_path / "other")
    refuse_to_open(monkeypatch, number)
    with pytest.raises(DataError, match=rf"other: the run's files cannot be written .*{remedy}"):
        new.fit(1)
    assert not (tmp_path / "other").exists()
    again = small.trainer(folder=tmp_path / "run")
    assert again.resume() == trainer.history, "what is finished can be had from where nothing can be written"
    with pytest.raises(DataError, match=remedy):
        again.resume(epochs=3)


def test_a_file_in_the_place_of_the_folder(small, tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(DataError, match=r"run: the run's files cannot be written"):
        small.trainer(folder=tmp_path / "run").fit(1)


# A full disk


class Disk:
    """Writes of checkpoints fail from one number to another, as a full disk's do."""

    def __init__(self, monkeypatch, full):
        self.full, self.asked, self.plain = full, 0, checkpoint.write_bytes
        monkeypatch.setattr(checkpoint, "write_bytes", self.write)

    def write(self, path, content):
        self.asked += 1
        if self.asked in self.full:
            raise WeightError(f"{path}: cannot be written (No space left on device); the disk is full: free some space")
        self.plain(path, content)


def test_a_full_disk_stops_no_training(small, tmp_path, monkeypatch):
    whole = small.trainer()
    whole.fit(3)
    disk = Disk(monkeypatch, range(4, 9))
    trainer = small.trainer(folder=tmp_path, checkpoint_seconds=0)
    with pytest.warns(UserWarning, match=r"free some space\. Training goes on in memory") as told:
        trainer.fit(3)
    assert len([w for w in told if "goes on in memory" in str(w.message)]) == 1
    assert disk.asked > 9, "it must try again"
    assert small.arrays(trainer.net) == small.arrays(whole.net)
    assert trainer.run.latest().training["progress"]["finished"]


def test_from_the_last_good_checkpoint_of_a_full_disk_it_can_be_resumed(small, tmp_path, monkeypatch):
    whole = small.trainer()
    whole.fit(3)
    with monkeypatch.context() as patched:
        Disk(patched, range(6, 1000))
        with pytest.warns(UserWarning, match="goes on in memory"):
            small.trainer(folder=tmp_path, checkpoint_seconds=0).fit(3)
    trainer = small.trainer(folder=tmp_path)
    assert not trainer.run.latest().training["progress"]["finished"]
    trainer.resume()
    assert small.arrays(trainer.net) == small.arrays(whole.net)


LIMITED = """
import resource, sys, warnings
sys.path.insert(0, sys.argv[1])
import child
from minitl.train.loop import Loop
plain = Loop._step
def step(self, group, epoch):
    least = 1000 if 2 <= epoch < 4 else resource.RLIM_INFINITY  # bytes that a file may have
    resource.setrlimit(resource.RLIMIT_FSIZE, (least, resource.RLIM_INFINITY))
    plain(self, group, epoch)
Loop._step = step
child.main(child.Path(sys.argv[2]), "momentum")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's limit on the size of files")
def test_a_system_that_refuses_larger_files_stops_no_training(tmp_path):
    """Not a simulated error but the system's own, in the middle of two epochs."""
    words = [sys.executable, "-c", LIMITED, os.path.dirname(__file__), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert RunFolder(tmp_path / "run").latest().training["progress"]["finished"]
    assert (tmp_path / "weights.h5").exists()


def test_the_clock_of_checkpoints(tmp_path, monkeypatch):
    """Between steps not before the seconds are over, nor before twenty times what writing took; five between epochs."""
    now = [100.0]
    monkeypatch.setattr(runfolder.time, "monotonic", lambda: now[0])

    def write(path, content):
        now[0] += 2.0

    monkeypatch.setattr(runfolder.checkpoint, "write", write)
    for seconds, steps, epochs in ((30.0, 40.0, 10.0), (90.0, 90.0, 10.0), (0.0, 0.0, 0.0)):
        run = RunFolder(tmp_path, seconds)
        assert run.due()
        assert run.due(between_epochs=True)
        run.keep(None)
        for waited in (0.0, 9.0, 10.0, 39.0, 40.0, 89.0, 90.0):
            now[0] += waited
            assert run.due() == (waited >= steps)
            assert run.due(between_epochs=True) == (waited >= epochs)
            now[0] -= waited


def test_when_checkpoints_come_changes_no_bit(small, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = small.trainer()
        plain.fit(2)
        for seconds in (0, 0.01, 1e9):
            kept = small.trainer(folder=tmp_path / str(seconds), checkpoint_seconds=seconds)
            kept.fit(2)
            assert small.arrays(kept.net) == small.arrays(plain.net)
            assert small.rows(kept.history) == small.rows(plain.history)


@pytest.mark.parametrize("seconds", [-1, float("nan"), "30", None])
def test_seconds_that_are_none(small, seconds):
    with pytest.raises(ArgumentError, match="checkpoint_seconds"):
        small.trainer(checkpoint_seconds=seconds)
