"""minitl resume: what was ended early goes on to the same weights; and the command line says what is wrong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import minitl as tl
from minitl.errors import WeightError
from minitl.train import checkpoint
from minitl.train.loop import Loop

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")

RECIPE = ["--weights", "small_vgg_mnist", "--unfreeze", "conv3_*", "--lr-mult", "conv3_*=0.5", "--batch-size", 4]
RECIPE += ["--epochs", 3, "--no-progress"]


def train(photos: Path, out: Path, *more: object) -> list[object]:
    return ["train", photos, "--out", out, *RECIPE, *more]


@pytest.fixture
def stop(monkeypatch):
    """stop(n): SIGTERM in the n-th step from here on."""

    def at(number: int) -> None:
        seen = 0

        def step(self, group, epoch):
            nonlocal seen
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGTERM)
            plain(self, group, epoch)

        monkeypatch.setattr(Loop, "_step", step)

    plain = Loop._step
    return at


def weights(run: Path) -> dict[str, bytes]:
    layers = tl.load(run / "weights.h5").state()
    return {f"{layer}.{role}": array.tobytes() for layer, roles in layers.items() for role, array in roles.items()}


def history(run: Path) -> list[dict]:
    rows = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["history"]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--optimizer", "adam", "--schedule", "onecycle", "--ema", 0.9, "--clip-norm", 1, "--accumulate", 2],
        ["--augment", "small", "--schedule", "cosine", "--warm-up", 1, "--sampling", "balanced", "--early-stopping", 5],
    ],
    ids=["plain", "adam", "augmented"],
)
def test_resumed_is_unbroken(minitl, photos, tmp_path, stop, options):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    outcome = minitl(*train(photos, whole, *options))
    assert outcome.status == 0, outcome.err
    stop(6)
    outcome = minitl(*train(photos, broken, *options))
    assert outcome.status == 143
    assert f"minitl resume {broken}" in outcome.out
    assert (broken / "weights.h5").exists()
    stop(0)
    outcome = minitl("resume", broken, "--no-progress")
    assert outcome.status == 0, outcome.err
    assert weights(broken) == weights(whole)
    assert history(broken) == history(whole)
    settings = [json.loads((run / "metrics.json").read_text())["settings"] for run in (whole, broken)]
    assert settings[0] == settings[1]


@pytest.fixture
def broken(minitl, photos, tmp_path, stop):
    """A run that was ended in its sixth step."""
    stop(6)
    assert minitl(*train(photos, tmp_path / "run")).status == 143
    stop(0)
    return tmp_path / "run"


def test_train_does_not_write_over_a_run(minitl, photos, broken):
    outcome = minitl(*train(photos, broken))
    assert outcome.status == 2
    assert f"unfinished training (epoch 2 of 3); trainer.resume() or 'minitl resume {broken}'" in outcome.err
    assert minitl("resume", broken, "--no-progress").status == 0
    outcome = minitl(*train(photos, broken))
    assert outcome.status == 2
    assert "finished training of 3 epochs" in outcome.err
    assert minitl(*train(photos, broken, "--force", "--epochs", 1)).status == 0
    assert len(history(broken)) == 1


def test_a_finished_run_gives_its_report_again_and_goes_on_if_asked(minitl, photos, broken, tmp_path, monkeypatch):
    assert minitl("resume", broken, "--no-progress").status == 0
    before = weights(broken)
    (broken / "weights.h5").unlink()
    with monkeypatch.context() as patched:
        patched.setattr(Loop, "run", lambda self: pytest.fail("there is nothing to train"))
        assert minitl("resume", broken, "--no-progress").status == 0
    assert weights(broken) == before
    outcome = minitl("resume", broken, "--epochs", 5, "--no-progress", "--json")
    assert json.loads(outcome.out)["settings"]["epochs"] == 5
    assert minitl(*train(photos, tmp_path / "five", "--epochs", 5)).status == 0
    assert weights(broken) == weights(tmp_path / "five")
    outcome = minitl("resume", broken, "--epochs", 4)
    assert outcome.status == 2
    assert "epochs=4" in outcome.err


def test_what_was_killed_before_its_first_checkpoint_begins_again(minitl, photos, tmp_path, monkeypatch):
    """By either command."""
    for words in (["resume", tmp_path / "a"], train(photos, tmp_path / "b")):
        out = tmp_path / ("a" if words[0] == "resume" else "b")
        with monkeypatch.context() as patched:
            patched.setattr("minitl.train.trainer.prepare", lambda *arguments: exec("raise KeyboardInterrupt"))
            assert minitl(*train(photos, out)).status == 130
        assert (out / "run.json").exists()
        assert not (out / "checkpoint.h5").exists()
        assert minitl(*words, *(["--no-progress"] if words[0] == "resume" else [])).status == 0
    assert weights(tmp_path / "a") == weights(tmp_path / "b")


def test_a_folder_in_which_a_run_only_just_began_is_as_good_as_empty(minitl, photos, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    (out / ".lock").write_text("1\n")
    (out / ".pictures.csv.0123456789ab.part").write_text("half")
    outcome = minitl(*train(photos, out))
    assert outcome.status == 0, outcome.err
    assert not list(out.glob(".*.part"))


def test_ctrl_c(minitl, photos, tmp_path, monkeypatch):
    plain = Loop._step
    monkeypatch.setattr(Loop, "_step", lambda self, *step: (os.kill(os.getpid(), signal.SIGINT), plain(self, *step)))
    outcome = minitl(*train(photos, tmp_path / "run"))
    assert outcome.status == 130
    assert (tmp_path / "run" / "report.html").exists()
    monkeypatch.undo()
    assert minitl("resume", tmp_path / "run", "--no-progress").status == 0
    assert len(history(tmp_path / "run")) == 3


@pytest.mark.parametrize("kind", ["csv", "npz"])
def test_pictures_of_a_table_or_of_arrays(minitl, photos, tmp_path, stop, kind):
    files = sorted(photos.rglob("*.png"))
    if kind == "csv":
        source = tmp_path / "table.csv"
        lines = ["file,class", *(f"{file},{file.parent.name}" for file in files)]
        source.write_text("\n".join(lines), encoding="utf-8")
    else:
        source = tmp_path / "arrays.npz"
        labels = [int(file.parent.name != "flat") for file in files]
        np.savez(source, x=np.stack([tl.images.decode(file) for file in files]), y=labels)
    assert minitl(*train(source, tmp_path / "whole")).status == 0
    stop(6)
    assert minitl(*train(source, tmp_path / "run")).status == 143
    stop(0)
    outcome = minitl("resume", tmp_path / "run", "--no-progress")
    assert outcome.status == 0, outcome.err
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


def test_pictures_that_moved_are_found_where_told(minitl, photos, tmp_path, stop):
    here = tmp_path / "here"
    shutil.copytree(photos, here)
    stop(6)
    minitl(*train(here, tmp_path / "run"))
    stop(0)
    shutil.copytree(here, tmp_path / "there")
    (tmp_path / "there" / "flat" / "new.png").write_bytes(b"came later")
    shutil.rmtree(here)
    outcome = minitl("resume", tmp_path / "run")
    assert outcome.status == 1
    assert f"{here}: the run's pictures are not there; say where they are by now with --photos" in outcome.err
    outcome = minitl("resume", tmp_path / "run", "--photos", tmp_path / "there", "--no-progress")
    assert outcome.status == 0, outcome.err
    assert minitl(*train(photos, tmp_path / "whole")).status == 0
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


def test_a_weight_file_that_moved_is_known_by_its_hashes(minitl, photos, tmp_path, stop):
    net = tl.models.small_vgg(num_classes=3, size=28, seed=4)
    net.save(tmp_path / "base.h5")
    tl.models.small_vgg(num_classes=3, size=28, seed=5).save(tmp_path / "other.h5")
    words = [tmp_path / "base.h5" if word == "small_vgg_mnist" else word for word in train(photos, tmp_path / "run")]
    stop(6)
    assert minitl(*words).status == 143
    stop(0)
    (tmp_path / "base.h5").rename(tmp_path / "moved.h5")
    outcome = minitl("resume", tmp_path / "run")
    assert outcome.status == 1
    assert "base.h5: the weight file that" in outcome.err
    outcome = minitl("resume", tmp_path / "run", "--weights", tmp_path / "other.h5")
    assert outcome.status == 1
    assert "is not the weight file that" in outcome.err
    assert "conv1_1.weight differs" in outcome.err
    outcome = minitl("resume", tmp_path / "run", "--weights", tmp_path / "moved.h5", "--no-progress")
    assert outcome.status == 0, outcome.err


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda run: shutil.rmtree(run), "holds no run"),
        (lambda run: (run / "run.json").write_text("{}"), "not written by minitl"),
        (lambda run: (run / "checkpoint.h5").write_bytes(b"x"), "checkpoint.h5"),
        (lambda run: (run / "pictures.csv").unlink(), "pictures.csv"),
        (lambda run: (run / "pictures.csv").write_text("a,b\n1,2\n"), "pictures.csv"),
    ],
    ids=["gone", "run.json", "checkpoint", "no pictures", "other pictures"],
)
def test_a_run_that_cannot_be_understood(minitl, broken, damage, words):
    damage(broken)
    outcome = minitl("resume", broken)
    assert outcome.status == 1
    assert words in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--schedule", "step"], "needs --step-every"),
        (["--schedule", "cosine", "--step-every", 2], "belongs to --schedule step, not cosine"),
        (["--step-factor", 0.5], "needs --step-every"),
        (["--schedule", "cosine", "--warm-up", 9], "longer than the training"),
        (["--schedule", "onecycle", "--warm-up", 1], "warms up itself"),
        (["--variants", 2], "needs augmentation="),
        (["--sampling", "balanced", "--class-weight", "auto"], "give one of them"),
        (["--optimizer", "adam", "--momentum", 0.5], "momentum=0.5 means nothing"),
        (["--augment", "nonsense"], "--augment"),
        (["--accumulate", 0], "--accumulate"),
        (["--val", 0, "--early-stopping", 2], "early_stopping=2 needs pictures to validate on"),
    ],
    ids=lambda value: None if isinstance(value, str) else " ".join(map(str, value)),
)
def test_contradictory_options_are_a_misuse(minitl, photos, tmp_path, words, named):
    outcome = minitl(*train(photos, tmp_path / "run", *words))
    assert outcome.status == 2
    assert named in outcome.err
    assert not (tmp_path / "run").exists()


def test_a_full_disk_loses_nothing_that_was_on_it(minitl, photos, tmp_path, monkeypatch):
    """From its second checkpoint on nothing can be written, the weights at the end neither."""

    def full(path, content):
        raise WeightError(f"{path}: cannot be written (No space left on device); the disk is full: free some space")

    assert minitl(*train(photos, tmp_path / "whole")).status == 0
    plain = checkpoint.write_bytes
    written = []

    def once(path, content):
        written.append(path)
        (full if len(written) > 2 else plain)(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "write_bytes", once)
        patched.setattr("minitl.weights.schema.write_bytes", full)
        outcome = minitl(*train(photos, tmp_path / "run"))
    assert outcome.status == 1
    assert outcome.err.count("Training goes on in memory") == 1
    last = outcome.err.splitlines()[-1]
    assert "free some space" in last
    assert f"'minitl resume {tmp_path / 'run'}'" in last
    outcome = minitl("resume", tmp_path / "run", "--no-progress")
    assert outcome.status == 0, outcome.err
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


def test_killed_by_the_system_and_resumed(minitl, photos, tmp_path):
    """The whole command in a process of its own, killed outright."""
    words = [sys.executable, "-m", "minitl.cli", *map(str, train(photos, tmp_path / "run", "--epochs", 30))]
    program = "import sys; from minitl import cli; sys.exit(cli.main(sys.argv[1:]))"
    process = subprocess.Popen([words[0], "-c", program, *words[3:]], stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    while process.poll() is None and not (tmp_path / "run" / "checkpoint.h5").exists():
        time.sleep(0.01)
    process.kill()
    process.communicate()
    if process.returncode == 0:
        pytest.skip("the training was quicker than the kill")
    stored = tl.train.runfolder.RunFolder(tmp_path / "run").latest().training
    done = len(stored["history"]["rows"])
    outcome = minitl("resume", tmp_path / "run", "--epochs", 30, "--no-progress")
    assert outcome.status == 0, outcome.err
    assert len(history(tmp_path / "run")) == 30 > done
