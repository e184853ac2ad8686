"""train and evaluate on a folder of small pictures; pretrain on small files in IDX form."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest

import minitl as tl
from minitl.cli.pretrain import read_idx
from minitl.errors import DataError
from minitl.train.loop import Loop

REPORT = {"report.html", "curves.png", "confusion.png", "metrics.json", "weights.h5"}
RUN = {"run.json", "pictures.csv", "features.h5", "checkpoint.h5", ".lock"}


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory, photos):
    """What `minitl train` writes for the flat and striped pictures."""
    from minitl import cli

    out = tmp_path_factory.mktemp("train") / "run"
    words = ["train", photos, "--weights", "small_vgg_mnist", "--out", out, "--epochs", 3, "--no-progress"]
    words += ["--unfreeze", "conv3_*", "--lr-mult", "conv3_*=0.5"]
    assert cli.main([str(word) for word in words]) == 0
    return out


def test_train_writes_the_report(run_folder):
    written = {path.name for path in run_folder.iterdir()}
    assert written == REPORT | RUN
    numbers = json.loads((run_folder / "metrics.json").read_text(encoding="utf-8"))
    assert len(numbers["history"]) == 3


def test_train_leaves_frozen_layers_alone(run_folder):
    before, after = tl.load("small_vgg_mnist").state(), tl.load(run_folder / "weights.h5").state()
    for layer in ("conv1_1", "conv1_2", "conv2_1", "conv2_2"):
        assert np.array_equal(before[layer]["weight"], after[layer]["weight"])
    assert "head" in after


def test_the_weights_know_their_classes(minitl, run_folder, photos):
    assert tl.load(run_folder / "weights.h5").classes == ["flat", "rayé"]
    outcome = minitl("predict", run_folder / "weights.h5", photos)
    assert outcome.status == 0, outcome.err


def test_evaluate_agrees_with_predict(minitl, run_folder, photos):
    result = json.loads(minitl("evaluate", run_folder / "weights.h5", photos, "--json").out)
    assert result["pictures"] == 20
    assert sum(map(sum, result["confusion"])) == 20
    answers = json.loads(minitl("predict", run_folder / "weights.h5", photos, "--json").out)["answers"]
    named = {str(photos / p["path"]): p["prediction"] for p in result["predictions"]}
    assert named == {a["file"]: a["predictions"][0]["name"] for a in answers}
    shown = minitl("evaluate", run_folder / "weights.h5", photos)
    assert shown.status == 0
    assert f"({result['accuracy']:.1%})" in shown.out


def test_evaluate_takes_the_part_that_was_held_out(minitl, run_folder, photos):
    held = json.loads(minitl("evaluate", run_folder / "weights.h5", photos, "--val", 0.2, "--json").out)
    numbers = json.loads((run_folder / "metrics.json").read_text(encoding="utf-8"))
    assert held["accuracy"] == numbers["evaluation"]["accuracy"]
    assert held["pictures"] == numbers["evaluation"]["pictures"]


def test_train_does_not_write_over_results(minitl, photos, tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    outcome = minitl("train", photos, "--weights", "small_vgg_mnist", "--out", tmp_path)
    assert outcome.status == 2
    assert "--force" in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


MISUSES = [
    (["--unfreeze", "conv99*"], 1, "conv99*"),
    (["--lr-mult", "conv99*=0.1"], 1, "conv99*"),
    (["--lr-mult", "conv3_*"], 2, "conv5_*=0.1"),
    (["--lr", "nan"], 2, "--lr"),
    (["--epochs", "0"], 2, "--epochs"),
    (["--val", "1.5"], 2, "--val"),
    (["--freeze", "*"], 1, "frozen"),
]


@pytest.mark.parametrize(("words", "status", "named"), MISUSES, ids=lambda value: str(value))
def test_train_says_what_is_wrong_and_leaves_nothing(minitl, photos, tmp_path, words, status, named):
    out = tmp_path / "run"
    outcome = minitl("train", photos, "--weights", "small_vgg_mnist", "--out", out, "--no-progress", *words)
    assert outcome.status == status
    assert named in outcome.err
    assert not out.exists()


def test_train_on_nothing(minitl, tmp_path):
    (tmp_path / "photos").mkdir()
    outcome = minitl("train", tmp_path / "photos", "--weights", "small_vgg_mnist", "--out", tmp_path / "run")
    assert outcome.status == 1
    assert outcome.err.startswith("minitl: ")
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def _idx(array: np.ndarray) -> bytes:
    lengths = b"".join(int(n).to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, 8, array.ndim]) + lengths + array.tobytes()


def test_idx_files_are_read(tmp_path):
    array = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    for name, content in (("plain", _idx(array)), ("packed.gz", gzip.compress(_idx(array)))):
        (tmp_path / name).write_bytes(content)
        assert np.array_equal(read_idx(tmp_path / name, 3), array)


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b + b"\0", lambda b: b[4:], lambda b: b""])
def test_damaged_idx_files_are_refused(tmp_path, damage):
    file = tmp_path / "damaged"
    file.write_bytes(damage(_idx(np.zeros((2, 3, 4), np.uint8))))
    with pytest.raises(DataError, match="damaged"):
        read_idx(file, 3)


def test_a_damaged_gzip_file_is_refused(tmp_path):
    (tmp_path / "cut.gz").write_bytes(gzip.compress(_idx(np.zeros((9, 9, 9), np.uint8)))[:-9])
    with pytest.raises(DataError, match="gzip"):
        read_idx(tmp_path / "cut.gz", 3)


def test_pretrain_writes_half_precision(minitl, tmp_path):
    rng = np.random.default_rng(0)
    labels = np.arange(40, dtype=np.uint8) % 2
    pictures = rng.integers(0, 80, (40, 28, 28)).astype(np.uint8)
    pictures[labels == 1, ::4] += 150
    (tmp_path / "images").write_bytes(_idx(pictures))
    (tmp_path / "labels").write_bytes(_idx(labels))
    words = ("pretrain", tmp_path / "images", tmp_path / "labels", "--epochs", 1, "--no-progress")
    outcome = minitl(*words, "--out", tmp_path / "net.h5")
    assert outcome.status == 0, outcome.err
    assert "held out: " in outcome.out
    with h5py.File(tmp_path / "net.h5") as file:
        assert file["layers/conv1_1/weight"].dtype == np.float16


def test_what_was_set_aside_is_named_even_without_progress(minitl, photos, tmp_path):
    (photos / "flat" / "notes.txt").write_text("no picture")
    try:
        words = ["train", photos, "--weights", "small_vgg_mnist", "--out", tmp_path / "run", "--epochs", 1]
        outcome = minitl(*words, "--no-progress")
    finally:
        (photos / "flat" / "notes.txt").unlink()
    assert outcome.status == 0, outcome.err
    assert "notes.txt" in outcome.err


def test_an_interruption_is_quiet_and_leaves_nothing(minitl, monkeypatch, photos, tmp_path):
    def interrupt(*arguments, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr(tl.Trainer, "fit", interrupt)
    words = ("train", photos, "--weights", "small_vgg_mnist", "--out", tmp_path / "run", "--no-progress")
    outcome = minitl(*words)
    assert outcome.status == 130
    assert outcome.err == ""
    assert not (tmp_path / "run").exists()


def test_the_demo_writes_its_picture_and_weights(minitl, tmp_path, monkeypatch):
    from minitl.cli import demo

    monkeypatch.setattr(demo, "EPOCHS", 2)
    monkeypatch.setattr(demo, "TEST", 40)
    outcome = minitl("demo", "--out", tmp_path / "demo", "--seeds", 1, "--shots", 2, "--no-progress")
    assert outcome.status == 0, outcome.err
    assert {path.name for path in (tmp_path / "demo").iterdir()} == {"curves.png", "digits.h5"}
    for way in demo.WAYS:
        assert way in outcome.out
    assert tl.load(tmp_path / "demo" / "digits.h5").classes == demo.CLASSES


@pytest.mark.parametrize("place", [".", "run", "flat/run"])
def test_results_do_not_go_among_the_pictures(minitl, photos, place):
    words = ("train", photos, "--weights", "small_vgg_mnist", "--out", photos / place, "--force")
    outcome = minitl(*words)
    assert outcome.status == 2
    assert "outside" in outcome.err
    assert {path.name for path in photos.iterdir()} == {"flat", "rayé"}


def test_of_two_rates_for_a_layer_the_later_counts(photos):
    import argparse

    from minitl.cli import train

    given = [("conv3_1", 0.5), ("conv3_*", 0.1), ("conv3_1", 0.7)]
    args = argparse.Namespace(freeze=None, freeze_upto=None, unfreeze=["conv3_*"], lr_mult=given)
    net = tl.load("small_vgg_mnist", classes=["a", "b"])
    train.choose(net, args)
    rates = {name: p.lr_mult for name, p in net.named_parameters().items()}
    assert rates["conv3_1.weight"] == 0.7
    args.lr_mult = [("conv3_1", 0.5), ("conv3_*", 0.1), ("conv3_1", 0.5), ("conv3_*", 0.2)]
    train.choose(net, args)
    assert net.named_parameters()["conv3_1.weight"].lr_mult == 0.2


def test_a_loss_that_is_no_number_is_no_misuse(minitl, photos, tmp_path):
    words = ("train", photos, "--weights", "small_vgg_mnist", "--out", tmp_path / "run", "--lr", "1e38")
    outcome = minitl(*words, "--no-progress")
    assert outcome.status == 1
    assert "lower lr" in outcome.err
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_no_number_leaves_the_weights_of_the_epoch_before(minitl, monkeypatch, photos, tmp_path):
    rows = iter([{"val_accuracy": 1.0, "val_loss": 0.1}, {"val_accuracy": 0.0, "val_loss": float("nan")}])
    monkeypatch.setattr("minitl.train.loop.validate", lambda values, data: (next(rows), np.zeros(1)))
    words = ("train", photos, "--weights", "small_vgg_mnist", "--out", tmp_path / "run", "--epochs", 3)
    outcome = minitl(*words, "--no-progress")
    assert outcome.status == 1
    assert "of epoch 1 again, and they are in" in outcome.err
    assert tl.load(tmp_path / "run" / "weights.h5").classes == ["flat", "rayé"]


def test_the_weights_outlast_a_failing_evaluation(minitl, monkeypatch, photos, tmp_path):
    def fail(*arguments, **named):
        raise DataError("evaluate: fails")

    monkeypatch.setattr(tl.Trainer, "evaluate", fail)
    words = ("train", photos, "--weights", "small_vgg_mnist", "--out", tmp_path / "run", "--epochs", 1)
    assert minitl(*words, "--no-progress").status == 1
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"weights.h5"} | RUN


HOSTILE = """
import sys
from minitl import cli
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_a_training_survives_its_surroundings(photos, tmp_path):
    """Nobody listens, warnings are errors, and the plots are asked for on a screen that is not there."""
    words = ["train", photos, "--weights", "small_vgg_mnist", "--out", tmp_path / "run", "--epochs", "1"]
    surroundings = {**os.environ, "PYTHONWARNINGS": "error", "MPLBACKEND": "nonsense"}
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", HOSTILE, *words], stderr=full, stdout=full, env=surroundings)
    assert done.returncode == 1
    written = {path.name for path in (tmp_path / "run").iterdir()}
    assert written == REPORT | RUN


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_to_be_terminated_is_to_be_interrupted(minitl, monkeypatch, photos, tmp_path):
    whole = Loop._epoch

    def terminated(self, epoch, *others):
        if epoch == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return whole(self, epoch, *others)

    monkeypatch.setattr(Loop, "_epoch", terminated)
    words = ("train", photos, "--weights", "small_vgg_mnist", "--out", tmp_path / "run", "--epochs", 3)
    outcome = minitl(*words, "--no-progress")
    assert outcome.status == 143
    numbers = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert numbers["interrupted"]
    assert (tmp_path / "run" / "weights.h5").exists()


def test_train_takes_a_recipe_and_answers_in_json(minitl, photos, tmp_path):
    words = ["train", photos, "--weights", "small_vgg_mnist", "--out", tmp_path / "run", "--epochs", 3, "--no-progress"]
    words += ["--momentum", 0.5, "--weight-decay", 0, "--step-every", 1, "--step-factor", 0.5, "--lr", 0.01, "--json"]
    outcome = minitl(*words)
    assert outcome.status == 0, outcome.err
    said = json.loads(outcome.out)
    assert said["settings"]["momentum"] == 0.5
    assert said["evaluation"]["pictures"] > 0
    history = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))["history"]
    assert [row["lr"] for row in history] == [0.01, 0.005, 0.0025]


def test_the_plan_shows_the_measured_rates(minitl, photos, tmp_path):
    words = ["train", photos, "--weights", "small_vgg_mnist", "--out", tmp_path / "run", "--epochs", 1, "--no-progress"]
    outcome = minitl(*words)
    assert "x base" not in outcome.out
    assert "head.weight" in outcome.out


def test_a_rate_for_a_frozen_layer_is_a_mistake(minitl, photos, tmp_path):
    words = ["train", photos, "--weights", "small_vgg_mnist", "--out", tmp_path / "run", "--lr-mult", "conv3_*=0.1"]
    outcome = minitl(*words)
    assert outcome.status == 2
    assert "--unfreeze 'conv3_*'" in outcome.err
