"""`minitl … --device cuda`: the answers of the CPU, trained, resumed and asked for on a device."""

import json

import numpy as np
import pytest
from PIL import Image

from minitl import cli, nn
from minitl.images import Preprocessing


@pytest.fixture
def minitl(capsys):
    def run(*words):
        capsys.readouterr()
        status = cli.main([str(word) for word in words])
        captured = capsys.readouterr()
        assert status == 0, captured.err
        return captured.out

    return run


@pytest.fixture
def photos(tmp_path):
    """photos/flat and photos/striped, six pictures each."""
    for i in range(12):
        pixels = np.random.default_rng(i).integers(0, 60, (8, 8, 3)) + 60
        if i % 2:
            pixels[:, ::4] += 130
        path = tmp_path / "photos" / ("striped" if i % 2 else "flat") / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    return tmp_path / "photos"


def test_train_resume_evaluate_predict_and_features(minitl, photos, tmp_path):
    nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 2),
        input_shape=(3, 8, 8), preprocessing=Preprocessing(resize="exact", size=(8, 8)), seed=1,
    ).save(tmp_path / "small.h5")  # fmt: skip
    run = tmp_path / "run"
    begun = ["train", photos, "--weights", tmp_path / "small.h5", "--out", run, "--val", 0.3, "--lr", 0.01]
    minitl(*begun, "--epochs", 1, "--device", "cuda", "--no-progress")
    assert json.loads((run / "run.json").read_text())["options"]["device"] == "cuda:0"
    minitl("resume", run, "--epochs", 2, "--no-progress")
    minitl("resume", run, "--epochs", 3, "--device", "cpu", "--no-progress")

    weights, where = run / "weights.h5", (("--device", "cuda"), ("--device", "auto"), ())
    measured = [json.loads(minitl("evaluate", weights, photos, "--json", *options)) for options in where]
    assert measured[0] == measured[1]
    assert measured[0]["confusion"] == measured[2]["confusion"]
    answers = [json.loads(minitl("predict", weights, photos, "--json", *options))["answers"] for options in where]
    named = [[answer["predictions"][0]["name"] for answer in found] for found in answers]
    assert named[0] == named[1] == named[2]
    rows = []
    for i, options in enumerate(where):
        minitl("features", weights, photos, "--out", tmp_path / f"{i}.npz", *options)
        rows.append(np.load(tmp_path / f"{i}.npz")["features"])
    assert rows[0].tobytes() == rows[1].tobytes()
    assert np.abs(rows[0] - rows[2]).max() <= 1e-5 * np.abs(rows[2]).max()
