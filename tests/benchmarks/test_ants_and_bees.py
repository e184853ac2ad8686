"""benchmarks/ants_and_bees.py on eight small pictures: that all contestants do the same task, not how fast."""

from __future__ import annotations

import importlib
import json
import math
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minitl import models
from minitl.data import folder

if not os.environ.get("MINITL_TEST_BENCHMARKS"):
    reason = "loads several runtimes into one process: MINITL_TEST_BENCHMARKS=1 pytest tests/benchmarks"
    pytest.skip(reason, allow_module_level=True)
pytest.importorskip("torch", reason="compares with PyTorch: pip install 'minitl[bench]'")
FOLDER = Path(__file__).parents[2] / "benchmarks"
CLOSE = 2e-5  # of the largest value: what a network's features may differ by


@pytest.fixture
def part(monkeypatch):
    """A module of the benchmark by name."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """train/ and val/ with two pictures of either class each."""
    root, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for split in ("train", "val"):
        for name, brightness in (("dark", 60), ("light", 190)):
            (root / split / name).mkdir(parents=True)
            for i in range(2):
                pixels = rng.integers(0, 60, (40 + 20 * i, 50, 3)) + brightness
                Image.fromarray(pixels.astype(np.uint8)).save(root / split / name / f"{i}.jpg")
    return root


@pytest.fixture(scope="module")
def net():
    """AlexNet's convolutions, drawn at random."""
    return models.build("alexnet", num_classes=None, seed=1)


@pytest.fixture(scope="module")
def weights(net, tmp_path_factory) -> Path:
    """Its weight file."""
    path = tmp_path_factory.mktemp("weights") / "alexnet.h5"
    net.save(path, compress=False)
    return path


def test_all_contestants_answer_on_the_same_pictures(photos, weights, tmp_path):
    written = tmp_path / "figures.json"
    words = [photos, weights, "--rounds", "1", "--epochs", "1", "--whole", "--no-cold", "--json", written]
    done = subprocess.run(
        [sys.executable, FOLDER / "ants_and_bees.py", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "minitl train, kernels compiled before" in done.stdout
    found = json.loads(written.read_text())
    assert found["settings"]["epochs"] == 1
    runs = found["runs"]["alexnet"]
    assert sorted(runs) == ["cached", "minitl", "tutorial"]
    for (run,) in runs.values():
        assert run["of"] == 4
        assert 0 <= run["right"] <= 4
        assert run["seconds"] > 0
    assert found["times_minitl"]["alexnet"]["minitl"] == 1
    assert found["machine"]["versions"]["torch"]


def test_the_steps_sampled_are_reckoned_up_to_epochs(part, photos, weights, monkeypatch):
    tutorial = part("on_photographs.tutorial")
    monkeypatch.setattr(tutorial, "WORKERS", 0)
    monkeypatch.setattr(tutorial, "BATCH", 1)
    seconds, found = tutorial.Run(photos, weights).sampled(10, 3)
    assert (found["train steps taken"], found["val steps taken"]) == (10, 5)
    epoch = sum(found[f"{phase} start and first step"] + 3 * found[f"{phase} step"] for phase in ("train", "val"))
    assert math.isclose(seconds, 3 * epoch)


def test_both_see_the_same_pictures_through_the_same_layers(part, photos, net, weights):
    import torch

    pictures, network = part("on_photographs.pictures"), part("on_photographs.network")
    classes, train, val = pictures.listing(photos)
    data = folder(photos)
    assert classes == list(data.classes)
    assert [path for path, _ in train + val] == [item.source for item in (*data.train, *data.val)]
    assert [label for _, label in train + val] == [item.label for item in (*data.train, *data.val)]
    theirs = torch.stack([pictures.tensor(pictures.centred(pictures.opened(path))) for path, _ in train + val])
    ours = np.stack([net.preprocessing(item.picture()) for item in (*data.train, *data.val)])
    assert np.abs(theirs.numpy() - ours).max() <= 4 * np.finfo(np.float32).eps
    model, count = network.backbone(weights)
    assert count == 256
    assert not any(p.requires_grad for p in model.parameters())
    features = net(ours).numpy().mean((2, 3))
    assert np.abs(model(theirs).numpy() - features).max() <= CLOSE * np.abs(features).max()


@pytest.mark.parametrize("size", [(224, 224), (500, 375), (30, 3000), (1, 1), (3, 2)])
def test_crops_are_drawn_as_torchvision_draws_them(part, size):
    pictures = part("on_photographs.pictures")
    draw = random.Random(0)
    for _ in range(200):
        left, top, right, bottom = pictures._box(*size, draw)
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]
        if size == (500, 375):
            area, ratio = (right - left) * (bottom - top) / (500 * 375), (right - left) / (bottom - top)
            assert 0.07 < area <= 1
            assert 0.73 < ratio < 1.36


def test_an_answer_too_few_is_told(part):
    script = part("ants_and_bees")
    runs = {"minitl": [{"right": 136, "of": 153}], "tutorial": [{"of": 153}], "cached": [{"right": 137, "of": 153}]}
    assert script.reached("alexnet", runs) == ["alexnet: minitl got 136 of 153 right; asked are 137"]
