"""The command line as such: help, exit status, one-line errors, interruptions."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from minitl import cli
from minitl.errors import ArgumentError, DataError, WeightError


def test_help_lists_every_command(minitl):
    outcome = minitl("--help")
    assert outcome.status == 0
    for command in cli.COMMANDS:
        assert f"  {command} " in outcome.out


def test_no_command_is_misuse(minitl):
    assert minitl().status == 2


def test_version(minitl):
    assert minitl("--version").out.startswith("minitl ")


def test_an_unknown_command_suggests_the_near_one(minitl):
    outcome = minitl("trian", "photos")
    assert outcome.status == 2
    assert outcome.err == "minitl: no command 'trian'; did you mean 'train'?\n"


@pytest.mark.parametrize("words", [("predict",), ("predict", "--no-such-option"), ("features", "a.h5", "b.jpg")])
def test_wrong_arguments_are_misuse(minitl, words):
    outcome = minitl(*words)
    assert outcome.status == 2
    assert "usage: minitl" in outcome.err


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_help(minitl, command):
    outcome = minitl(command, "--help")
    assert outcome.status == 0
    assert outcome.out.startswith(f"usage: minitl {command}")


FAULTS = [
    (WeightError("a.h5: is damaged;\n get it again"), 1, "minitl: a.h5: is damaged; get it again\n"),
    (DataError("photos: is empty"), 1, "minitl: photos: is empty\n"),
    (ArgumentError("lr must be positive"), 2, "minitl: lr must be positive\n"),
    (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "run/a.h5"), 1, "minitl: run/a.h5: No space left on device\n"),
    (MemoryError("Unable to allocate 3 GiB"), 1, "minitl: not enough memory (Unable to allocate 3 GiB)"),
    (KeyboardInterrupt(), 130, ""),
]


@pytest.mark.parametrize(("fault", "status", "line"), FAULTS, ids=lambda value: type(value).__name__)
def test_errors_are_one_line(minitl, monkeypatch, fault, status, line):
    def fail(words):
        raise fault

    monkeypatch.setattr(cli, "_dispatch", fail)
    outcome = minitl("kernels")
    assert outcome.status == status
    assert outcome.err.startswith(line)
    assert outcome.err.count("\n") == (1 if line else 0)


def test_debug_shows_the_traceback(minitl):
    with pytest.raises(WeightError):
        minitl("--debug", "inspect", "no-such-file.h5")
    with pytest.raises(WeightError):
        minitl("inspect", "no-such-file.h5", "--debug")


@pytest.mark.skipif(os.name != "posix", reason="a pipe that closes early is told apart on POSIX only")
def test_a_reader_that_leaves_early_is_met_in_silence():
    reading, writing = os.pipe()
    os.close(reading)
    program = "import sys; from minitl.cli import main; sys.exit(main(['kernels']))"
    done = subprocess.run([sys.executable, "-c", program], stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert done.stderr == b""
    assert done.returncode == 1


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
@pytest.mark.parametrize("stream", ["full", "closed"])
def test_a_stdout_that_takes_nothing(stream):
    program = "import sys; from minitl.cli import main; sys.exit(main(['kernels']))"
    if stream == "full":
        with open("/dev/full", "w") as full:
            done = subprocess.run([sys.executable, "-c", program], stdout=full, stderr=subprocess.PIPE)
        assert done.returncode == 1
        assert done.stderr == b"minitl: standard output: No space left on device\n"
    else:
        shell = [
            sys.executable,
            "-c",
            f"import os, sys; os.close(1); os.execv(sys.executable, [sys.executable, '-c', {program!r}])",
        ]
        done = subprocess.run(shell, stderr=subprocess.PIPE)
        assert done.returncode == 0
        assert done.stderr == b""
