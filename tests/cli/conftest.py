"""A small classifier on disk, a few pictures, and a way to run `minitl` in this process."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from minitl import cli, models


class Outcome(NamedTuple):
    """What one command line gave."""

    status: int
    out: str
    err: str


@pytest.fixture(autouse=True, scope="session")
def compiling_is_known():
    """Whether kernels have been compiled on this machine before is no matter of these tests."""
    pytest.importorskip("numba", reason="numba is not installed")
    from minitl.kernels.cpu import kept

    kept.say_once()


@pytest.fixture
def minitl(capsys):
    """Runs one command line; gives exit status, stdout and stderr."""

    def run(*words: object) -> Outcome:
        capsys.readouterr()
        status = cli.main([str(word) for word in words])
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    """A small untrained classifier of two classes, one with an accent."""
    path = tmp_path_factory.mktemp("weights") / "small.h5"
    net = models.small_vgg(num_classes=2, classes=["flat", "rayé"], size=28, seed=1)
    net.origin, net.license = "drawn at random", "Apache-2.0"
    net.save(path)
    return path


def picture(path: Path, seed: int, striped: bool) -> Path:
    """Writes a picture of vertical stripes, or of none, in noise."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 60, (28, 28, 3)) + 60
    if striped:
        pixels[:, ::4] += 130
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    """photos/flat and photos/rayé, ten pictures each."""
    root = tmp_path_factory.mktemp("photos")
    for i in range(10):
        picture(root / "flat" / f"{i}.png", i, striped=False)
        picture(root / "rayé" / f"bild é {i}.png", 100 + i, striped=True)
    return root
