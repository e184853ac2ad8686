"""minitl verify: the table, the files, the exit status, and a kernel of one's own with a fault in it."""

import json

import pytest

from minitl.kernels.cuda import device

pytest.importorskip("hypothesis", reason="calls are drawn by hypothesis (pip install '.[test]')")

RIGHT = """
import numpy as np

def relu(x):
    return np.where(x <= 0, x.dtype.type(0), x)

def forgetful(x):
    return np.fmax(x, x.dtype.type(0))
"""


def test_a_table(minitl):
    outcome = minitl("verify", "relu.grad_input", "--backend", "reference", "--cases", 2)
    assert outcome.status == 0
    header, *rows = outcome.out.splitlines()
    assert header.split() == ["op", "version", "property", "cases", "worst", "share", "of", "bound", "outcome"]
    assert rows[0].split() == ["relu.grad_input", "reference.where", "bound", "2", "0", "passed"]
    assert outcome.out.endswith("7 passed, 0 failed, 0 not served\n")


def test_files(minitl, tmp_path):
    words = ("verify", "flatten", "--version", "reshape", "--cases", 1)
    outcome = minitl(*words, "--out", tmp_path / "new", "--json", tmp_path / "a.json", "--html", tmp_path / "a.html")
    assert outcome.status == 0
    read = json.loads((tmp_path / "new/verify.json").read_text(encoding="utf-8"))
    assert read == json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert read["cases"] == 1
    assert {row["op"] for row in read["rows"]} == {"flatten", "flatten.grad_input"}
    assert "reference.reshape" in (tmp_path / "a.html").read_text(encoding="utf-8")
    again = minitl(*words, "--json", tmp_path / "a.json")
    assert again.status == 2
    assert "--force to write over it" in again.err
    assert minitl(*words, "--json", tmp_path / "a.json", "--force").status == 0


def test_a_kernel_of_ones_own(minitl, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(RIGHT, encoding="utf-8")
    assert minitl("verify", f"{path}:relu", "--as", "relu", "--cases", 3).status == 0
    outcome = minitl("verify", f"{path}:forgetful", "--as", "relu")
    assert outcome.status == 1
    assert f"relu {path}:forgetful: special values: nan in x: NaN or infinity in the wrong place" in outcome.out
    assert "smallest case: x=float32[] " in outcome.out


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["relu", "--as", "relu"], 2, "--as goes with a kernel of your own"),
        (["mine.py:relu"], 2, "mine.py: no such file"),
        (["mine.py:relu", "--as", "relu"], 2, "mine.py: no such file"),
        (["mine.py:relu", "--as", "relu", "--version", "x"], 2, "a kernel of your own has one"),
        (["relu", "--version", "winograd"], 2, "no version 'winograd' of relu"),
        (["swish"], 2, "no kernel 'swish'"),
        (["mine.cu", "--as", "relu"], 2, "mine.cu: give a kernel as file.cu:name"),
        (["relu", "--json", "same", "--html", "./same"], 2, "--html same: --json goes there too; give another name"),
        (["relu", "--out", __file__], 2, "is no folder; give another name"),
        (["relu", "--json", f"{__file__}/a.json"], 2, "is no folder; give another name"),
    ],
)
def test_what_makes_no_sense(minitl, words, status, message):
    outcome = minitl("verify", *words)
    assert outcome.status == status
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("relu", "its parameters are those of relu or batch_norm.statistics or sigmoid or"),
        ("four", "its parameters are those of no op"),
    ],
)
def test_without_as_the_ops_that_fit_are_told(minitl, tmp_path, name, told):
    path = tmp_path / "mine.py"
    path.write_text(RIGHT + "\ndef four(a, b, c, d):\n    pass\n", encoding="utf-8")
    outcome = minitl("verify", f"{path}:{name}")
    assert outcome.status == 2
    assert f"{path}:{name}: tell which op it computes, by --as OP: {told}" in outcome.err
    assert "; there are conv2d, conv2d.grad_input, " in outcome.err


def test_a_folder_that_may_not_be_written_into(minitl, tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)
    outcome = minitl("verify", "relu", "--json", tmp_path / "new" / "a.json")
    assert outcome.status == 2
    assert f"no permission to write into {tmp_path}; choose another folder" in outcome.err


@pytest.mark.parametrize("text", ["raise SystemExit(0)", "def relu(x):\n    raise SystemExit(0)"])
def test_a_file_that_ends_the_process_does_not_pass(minitl, tmp_path, text):
    path = tmp_path / "mine.py"
    path.write_text(text, encoding="utf-8")
    outcome = minitl("verify", f"{path}:relu", "--as", "relu", "--cases", 1)
    assert outcome.status
    assert "SystemExit: 0" in outcome.out + outcome.err


def test_nothing_verified_is_no_success(minitl, monkeypatch):
    monkeypatch.setattr(device, "unavailable", lambda: "there is no GPU")
    outcome = minitl("verify", "relu", "--backend", "cuda", "--version", "naive")
    assert outcome.status == 1
    assert outcome.err == "minitl: nothing was verified: there is no GPU\n"
