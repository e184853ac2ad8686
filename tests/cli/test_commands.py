"""predict, features, inspect, convert and kernels on small files."""

from __future__ import annotations

import csv
import json
import os

import h5py
import numpy as np
import pytest

from minitl import kernels, nn
from minitl.kernels.cuda import inventory, nvrtc


def test_predict_shows_a_table(minitl, weights, photos):
    outcome = minitl("predict", weights, photos)
    assert outcome.status == 0
    assert outcome.out.count("%") == 20
    assert "rayé" in outcome.out


def test_predict_json_and_csv_agree(minitl, weights, photos, tmp_path):
    answers = json.loads(minitl("predict", weights, photos, "--topk", 2, "--json").out)
    assert answers["failed"] == []
    assert len(answers["answers"]) == 20
    for answer in answers["answers"]:
        assert [p["index"] for p in answer["predictions"]] in ([0, 1], [1, 0])
    outcome = minitl("predict", weights, photos, "--topk", 2, "--csv", tmp_path / "a.csv")
    assert outcome.status == 0
    with open(tmp_path / "a.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 40
    first = answers["answers"][0]
    assert rows[0]["file"] == first["file"]
    assert rows[0]["class"] == first["predictions"][0]["name"]


def test_predict_names_what_it_cannot_read_and_goes_on(minitl, weights, photos, tmp_path):
    broken, empty, missing = tmp_path / "broken.jpg", tmp_path / "empty.png", tmp_path / "missing.png"
    broken.write_bytes(b"no picture at all")
    empty.touch()
    good = sorted((photos / "flat").iterdir())[0]
    outcome = minitl("predict", weights, broken, good, empty, missing)
    assert outcome.status == 1
    assert str(good) in outcome.out
    assert outcome.out.count("%") == 1
    for file in (broken, empty, missing):
        assert sum(str(file) in line for line in outcome.err.splitlines()) == 1


def test_a_picture_gets_the_same_answer_in_any_company(minitl, weights, photos):
    every = json.loads(minitl("predict", weights, photos, "--json").out)["answers"]
    for answer in every[::7]:
        alone = json.loads(minitl("predict", weights, answer["file"], "--json").out)["answers"]
        assert alone == [answer]


def test_predict_tells_what_it_leaves_out_of_a_folder(minitl, weights, photos, tmp_path):
    (tmp_path / ".hidden").touch()
    for name in ("a.png", "b.gif", "c.txt", "d.txt", "e.txt"):
        (tmp_path / name).write_bytes(sorted((photos / "flat").iterdir())[0].read_bytes())
    outcome = minitl("predict", weights, tmp_path)
    assert outcome.status == 0
    assert outcome.out.count("%") == 1
    told = f"minitl: {tmp_path}: left out, no pictures by their endings: b.gif, c.txt, d.txt and 1 more\n"
    assert outcome.err == told


def test_predict_refuses_a_folder_without_pictures(minitl, weights, tmp_path):
    (tmp_path / "notes.txt").write_text("nothing to see")
    outcome = minitl("predict", weights, tmp_path)
    assert outcome.status == 1
    assert outcome.err.startswith(f"minitl: {tmp_path}: ")
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("ending", ["npz", "csv", "h5"])
def test_features_in_three_formats(minitl, weights, photos, tmp_path, ending):
    out = tmp_path / f"features.{ending}"
    outcome = minitl("features", weights, photos, "--layer", "pool2", "--out", out)
    assert outcome.status == 0, outcome.err
    if ending == "npz":
        with np.load(out) as file:
            features, files = file["features"], list(file["files"])
    elif ending == "h5":
        with h5py.File(out) as file:
            features, files = file["features"][()], [name.decode() for name in file["files"]]
    else:
        rows = list(csv.reader(out.read_text(encoding="utf-8").splitlines()))
        assert rows[0][:2] == ["file", "f0"]
        features, files = np.array([row[1:] for row in rows[1:]], np.float32), [row[0] for row in rows[1:]]
    assert features.shape == (20, 32 * 7 * 7)
    assert features.dtype == np.float32
    assert len(files) == 20
    assert "rayé" in files[-1]


def test_features_are_the_same_in_every_format(minitl, weights, photos, tmp_path):
    for ending in ("npz", "csv"):
        minitl("features", weights, photos, "--out", tmp_path / f"f.{ending}")
    with np.load(tmp_path / "f.npz") as file:
        binary = file["features"]
    lines = (tmp_path / "f.csv").read_text(encoding="utf-8").splitlines()[1:]
    text = np.array([row[1:] for row in csv.reader(lines)], np.float32)
    assert np.array_equal(binary, text)


def test_features_refuses_an_unknown_ending(minitl, weights, photos, tmp_path):
    outcome = minitl("features", weights, photos, "--out", tmp_path / "features.xlsx")
    assert outcome.status == 2
    assert ".npz" in outcome.err


def test_features_of_an_unknown_layer_lists_those_there_are(minitl, weights, photos, tmp_path):
    outcome = minitl("features", weights, photos, "--layer", "fc99", "--out", tmp_path / "f.npz")
    assert outcome.status == 1
    assert "conv1_1" in outcome.err
    assert not list(tmp_path.iterdir())


def test_an_impossible_place_is_one_line(minitl, weights, photos, tmp_path):
    outcome = minitl("features", weights, photos, "--out", tmp_path / "no" / "such" / "f.npz")
    assert outcome.status == 1
    assert str(tmp_path / "no") in outcome.err
    assert outcome.err.count("\n") == 1


def test_inspect_tells_all(minitl, weights):
    outcome = minitl("inspect", weights)
    assert outcome.status == 0
    for word in ("all verified", "drawn at random", "Apache-2.0", "flat; rayé", "conv1_1", "16x3x3x3"):
        assert word in outcome.out
    facts = json.loads(minitl("inspect", weights, "--json").out)
    assert facts["verified"] is True
    assert facts["classes"] == ["flat", "rayé"]
    assert {"name": "conv1_1.weight", "shape": [16, 3, 3, 3]} in facts["arrays"]


def test_inspect_of_a_network_of_any_input_size(minitl, tmp_path):
    nn.Sequential(nn.Conv2d(3, 2, 1)).save(tmp_path / "any.h5")
    outcome = minitl("inspect", tmp_path / "any.h5")
    assert outcome.status == 0
    assert "for input of a size that is not stated" in outcome.out
    assert "no names" in outcome.out
    assert json.loads(minitl("inspect", tmp_path / "any.h5", "--json").out)["input_shape"] is None


def test_inspect_notices_a_changed_number(minitl, weights, tmp_path):
    copy = tmp_path / "copy.h5"
    copy.write_bytes(weights.read_bytes())
    with h5py.File(copy, "r+") as file:
        file["layers/conv1_1/bias"][0] = 7
    outcome = minitl("inspect", copy)
    assert outcome.status == 1
    assert "conv1_1" in outcome.err
    assert outcome.err.count("\n") == 1


def test_inspect_of_what_is_no_weight_file(minitl, tmp_path):
    foreign = tmp_path / "foreign.h5"
    foreign.write_bytes(b"not HDF5")
    for path in (foreign, tmp_path / "missing.h5", tmp_path):
        outcome = minitl("inspect", path)
        assert outcome.status == 1
        assert str(path) in outcome.err
        assert outcome.err.count("\n") == 1


def test_convert_refuses_what_it_does_not_know(minitl, tmp_path):
    source = tmp_path / "strange.h5"
    with h5py.File(source, "w") as file:
        file["a/b"] = np.zeros((2, 3), np.float32)
    outcome = minitl("convert", source, "--out", tmp_path / "out.h5")
    assert outcome.status == 1
    assert "a/b" in outcome.err
    assert not (tmp_path / "out.h5").exists()


def test_convert_does_not_write_over_a_file(minitl, weights, tmp_path):
    there = tmp_path / "there.h5"
    there.write_bytes(b"mine")
    outcome = minitl("convert", weights, "--out", there)
    assert outcome.status == 2
    assert "--force" in outcome.err
    assert there.read_bytes() == b"mine"


def test_kernels_lists_every_version(minitl):
    rows = json.loads(minitl("kernels", "--json").out)
    named = {(row["op"], row["version"]) for row in rows}
    assert named == {(spec.name, v.name) for spec in kernels.specs().values() for v in spec.versions}
    assert all(row["available"] == (row["why_not"] is None) for row in rows)
    assert "conv2d" in minitl("kernels").out


def test_kernels_tells_what_compiled_ones_take_of_a_gpu(minitl, monkeypatch):
    reason = nvrtc.unavailable()
    if reason:
        pytest.skip(reason)
    relu = [chosen for chosen in inventory.everything() if chosen[0].path.name == "relu.cu"]
    monkeypatch.setattr(inventory, "everything", lambda: relu)
    rows = json.loads(minitl("kernels", "--compiled", "--architecture", "sm_80", "--json").out)
    assert {(row["kernel"], row["real"]) for row in rows} == {
        (kernel, real) for source, real in relu for kernel in source.kernels
    }
    assert all(row["registers"] > 0 and row["architecture"] == "sm_80" and row["spilled"] == 0 for row in rows)
    shown = minitl("kernels", "--compiled", "--architecture", "sm_80").out.splitlines()
    assert len(shown) == 1 + len(rows)
    assert "registers" in shown[0]


def test_kernels_tells_of_kernels_that_spill(minitl, monkeypatch):
    rows = [
        inventory.Compiled("relu/relu.cu", (), "float", "sm_90", nvrtc.Usage(name, 32, 0, 0, spilled, 0), 0, local)
        for name, spilled, local in (("sound", 0, 0), ("spills", 8, 0), ("indexes", 0, 3), ("unknown", 0, None))
    ]
    monkeypatch.setattr(inventory, "everything", lambda: [("relu.cu", "float32")])
    monkeypatch.setattr(inventory, "compiled", lambda everything, architectures: rows)
    monkeypatch.setattr(nvrtc, "check_architecture", lambda name: None)
    outcome = minitl("kernels", "--compiled", "--architecture", "sm_90")
    assert outcome.status == 1
    assert [line.split()[2] for line in outcome.err.splitlines()] == ["spills", "indexes"]


@pytest.mark.parametrize(
    ("watched", "words", "shown"), [(True, [], True), (True, ["--no-progress"], False), (False, [], False)]
)
def test_kernels_shows_how_far_it_is_where_someone_watches(minitl, monkeypatch, watched, words, shown):
    monkeypatch.setattr(inventory, "everything", lambda: [("relu.cu", "float32"), ("relu.cu", "float64")])
    monkeypatch.setattr(inventory, "compiled", lambda everything, architectures: [])
    monkeypatch.setattr(nvrtc, "check_architecture", lambda name: None)
    monkeypatch.setattr("sys.stderr.isatty", lambda: watched)
    outcome = minitl("kernels", "--compiled", "--json", *words)
    assert (outcome.status, outcome.out) == (0, "[]\n")
    assert ("compiling" in outcome.err) == shown


def test_kernels_refuses_architectures_that_are_none(minitl):
    outcome = minitl("kernels", "--architecture", "sm_80")
    assert (outcome.status, outcome.err) == (2, "minitl: --architecture goes with --compiled\n")
    reason = nvrtc.unavailable()
    outcome = minitl("kernels", "--compiled", "--architecture", "sm_1")
    assert outcome.status == 1
    assert outcome.err.count("\n") == 1
    assert ("does not compile for 'sm_1'" if reason is None else reason) in outcome.err


@pytest.mark.parametrize(("command", "option", "name"), [("predict", "--csv", "a.csv"), ("features", "--out", "a.npz")])
def test_a_file_is_written_over_only_by_force(minitl, weights, photos, tmp_path, command, option, name):
    there = tmp_path / name
    there.write_bytes(b"mine")
    outcome = minitl(command, weights, photos, option, there)
    assert outcome.status == 2
    assert "--force" in outcome.err
    assert there.read_bytes() == b"mine"
    assert minitl(command, weights, photos, option, there, "--force").status == 0
    assert there.read_bytes() != b"mine"


def test_what_is_read_is_never_written_over(minitl, weights, photos, tmp_path):
    own = tmp_path / "own.h5"
    own.write_bytes(weights.read_bytes())
    link = tmp_path / "link.h5"
    link.symlink_to(own)
    shot = next((photos / "flat").iterdir())
    before = own.read_bytes(), shot.read_bytes()
    for words in (
        ("predict", own, photos, "--csv", own),
        ("predict", own, photos, "--csv", link),
        ("predict", own, photos, "--csv", shot),
        ("features", own, photos, "--out", own),
        ("convert", own, "--out", link),
    ):
        outcome = minitl(*words, "--force")
        assert outcome.status == 2
        assert "itself read" in outcome.err
    assert (own.read_bytes(), shot.read_bytes()) == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_rather_than_waited_for(minitl, weights, tmp_path):
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    for words in (
        ("predict", weights, pipe),
        ("predict", weights, tmp_path),
        ("convert", pipe, "--out", tmp_path / "x.h5"),
        ("convert", weights, "--classes", pipe, "--out", tmp_path / "x.h5"),
        ("inspect", pipe),
        ("inspect", os.devnull),
    ):
        outcome = minitl(*words)
        assert outcome.status == 1
        assert "is no regular file" in outcome.err
        assert outcome.err.count("\n") == 1


def test_predict_names_links_that_lead_nowhere(minitl, weights, tmp_path):
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    outcome = minitl("predict", weights, tmp_path)
    assert outcome.status == 1
    assert [name in outcome.err for name in ("gone.png", "loop.png")] == [True, True]


def test_control_characters_in_a_name_stay_in_their_line(minitl, weights, photos, tmp_path):
    odd = tmp_path / "a\nb\x1b[31m.png"
    odd.write_bytes(next((photos / "flat").iterdir()).read_bytes())
    (tmp_path / "c\nd.png").touch()
    outcome = minitl("predict", weights, tmp_path)
    assert outcome.status == 1
    assert "a\\nb\\x1b[31m.png" in outcome.out
    assert outcome.out.count("\n") == 2
    assert outcome.err.count("\n") == 1
