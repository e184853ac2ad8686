"""Killed at any moment, a training resumes to the bits of one that never was: weights and history.

HYPOTHESIS_PROFILE=deep draws 50 moments.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from minitl.weights import schema

CHILD = Path(__file__).with_name("child.py")
VARIANTS = ("momentum", "adam", "cached", "unreadable")
MOMENTS = 50 if os.environ.get("HYPOTHESIS_PROFILE") == "deep" else 5
KINDS = ("time", "fsync", "replace", "replaced")  # a moment by the clock, or in the middle of writing a file

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")


class Unbroken(NamedTuple):
    """What a training comes to that nobody kills. seconds: from its lock to its weights. files: that it wrote."""

    layers: dict[str, dict[str, np.ndarray]]
    outcome: dict
    seconds: float
    files: int


def start(folder: Path, variant: str, *event: object) -> subprocess.Popen:
    words = [sys.executable, str(CHILD), str(folder), variant, *map(str, event)]
    alone = {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # starts sooner
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **alone}
    )


def finish(folder: Path, variant: str) -> dict:
    process = start(folder, variant)
    said, _ = process.communicate()
    assert process.returncode == 0, said
    return json.loads((folder / "outcome.json").read_text())


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """By variant; each is trained once."""
    known: dict[str, Unbroken] = {}

    def of(variant: str) -> Unbroken:
        if variant not in known:
            folder = tmp_path_factory.mktemp("unbroken") / variant
            outcome = finish(folder, variant)
            seconds = (folder / "weights.h5").stat().st_mtime - (folder / "run" / ".lock").stat().st_mtime
            layers = schema.read(folder / "weights.h5").layers
            known[variant] = Unbroken(layers, outcome, seconds, outcome.pop("files"))
        return known[variant]

    return of


def kill(folder: Path, variant: str, kind: str, share: float, whole: Unbroken) -> bool:
    """Runs the child and kills it at `share` of its way; whether it was still alive."""
    if kind == "time":
        process = start(folder, variant)
        while process.poll() is None and not (folder / "run" / ".lock").exists():
            pass
        try:
            process.wait(share * whole.seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    else:
        process = start(folder, variant, kind, 1 + int(share * whole.files))
    said, _ = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), said
    return process.returncode != 0


@pytest.mark.parametrize("number", range(MOMENTS))
def test_killed_at_any_moment_it_resumes_to_the_same_bits(number, unbroken, tmp_path):
    draw = random.Random(number)
    variant, kind = VARIANTS[number % len(VARIANTS)], draw.choice(KINDS)
    whole = unbroken(variant)
    killed = kill(tmp_path, variant, kind, draw.random(), whole)
    assert killed or kind == "time"
    if killed and number % 2:  # and once more, on the way that is left
        kill(tmp_path, variant, draw.choice(KINDS), draw.random() / 2, whole)
    outcome = finish(tmp_path, variant)
    outcome.pop("files")
    assert outcome == whole.outcome
    layers = schema.read(tmp_path / "weights.h5").layers
    assert layers.keys() == whole.layers.keys()
    for name, arrays in whole.layers.items():
        for role, array in arrays.items():
            assert array.tobytes() == layers[name][role].tobytes(), f"{name}.{role}"
    leftovers = [path.name for path in (tmp_path / "run").iterdir() if path.name.endswith(".part")]
    assert not leftovers


def test_what_the_variants_promise_is_so(unbroken):
    """That the pictures which vanish do so, and kept values outlive it, is what makes these cases worth drawing."""
    assert unbroken("cached").outcome["skipped"] == []
    assert unbroken("unreadable").outcome["skipped"] == ["05.png", "07.png"]
    assert all(len(unbroken(variant).outcome["rows"]) >= 3 for variant in VARIANTS)
