"""--threads on the command line, the variable, and what is told while kernels are being compiled."""

import os
import subprocess
import sys

import pytest

import minitl as tl
from minitl import nn
from minitl.images import Preprocessing
from minitl.kernels.cpu import threads


@pytest.fixture
def restored():
    """The setting as it was before."""
    before = threads._count, threads._chosen
    yield
    tl.set_num_threads(1)
    threads._count, threads._chosen = before


def picture(photos):
    return next((photos / "flat").iterdir())


def test_one_thread_answers_the_same(minitl, weights, photos, restored):
    several = minitl("predict", weights, picture(photos), "--json")
    one = minitl("predict", weights, picture(photos), "--json", "--threads", 1)
    assert tl.get_num_threads() == 1
    assert one.status == 0
    assert one.out == several.out


@pytest.mark.parametrize("command", ["train", "resume", "evaluate", "predict", "features", "demo"])
@pytest.mark.parametrize("count", ["0", "-1", "two", "1.5", ""])
def test_a_count_that_makes_no_sense(minitl, command, count):
    words = {"demo": [], "train": ["photos"], "resume": ["run"]}.get(command, ["weights.h5", "photos"])
    outcome = minitl(command, *words, "--threads", count)
    assert outcome.status == 2
    assert f"argument --threads: must be a whole number of at least 1; got {count!r}" in outcome.err


def test_more_than_the_cores_is_told(minitl, weights, photos, restored):
    outcome = minitl("predict", weights, picture(photos), "--threads", 1000)
    assert outcome.status == 0
    assert outcome.err.count("\n") == 1
    assert outcome.err.startswith("minitl: warning: set_num_threads: 1000 threads are more than the ")


def start(*words, **variables):
    command = [sys.executable, "-c", "import sys; from minitl import cli; sys.exit(cli.main(sys.argv[1:]))"]
    environment = {**os.environ, **variables}
    return subprocess.run([*command, *map(str, words)], env=environment, capture_output=True, text=True)


def test_a_variable_that_makes_no_sense_is_one_line(weights, photos):
    done = start("predict", weights, picture(photos), MINITL_NUM_THREADS="many")
    assert done.returncode == 2
    expected = "MINITL_NUM_THREADS: needs a whole number of 1 or more; got 'many'; set it so, or unset it"
    assert done.stderr == f"minitl: {expected}\n"


def test_compiling_is_told_once_and_not_again(photos, tmp_path):
    layers = (nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3 * 14 * 14, 2), nn.Softmax())
    net = nn.Sequential(*layers, input_shape=(3, 28, 28), classes=["flat", "striped"])
    net.preprocessing = Preprocessing(resize="exact", size=28)
    net.save(tmp_path / "small.h5")
    words = ("predict", tmp_path / "small.h5", picture(photos), "--json")
    cold = start(*words, MINITL_CACHE=str(tmp_path))
    assert cold.returncode == 0
    assert cold.stderr == "minitl: compiling kernels, which this machine needs once\n"
    warm = start(*words, MINITL_CACHE=str(tmp_path))
    assert warm.stderr == ""
    assert warm.stdout == cold.stdout
