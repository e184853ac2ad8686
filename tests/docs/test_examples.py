"""The examples in docs/ run as they are printed, each in a process of its own."""

import re
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minitl.kernels import emulator

DOCS = Path(__file__).parents[2] / "docs"


def examples():
    """The code of every block of Python, named by its document and heading."""
    found = []
    for document in sorted(DOCS.glob("*.md")):
        heading = document.stem
        pieces = re.split(r"^(## [^\n]*|```python\n.*?^```)$", document.read_text(encoding="utf-8"), flags=re.M | re.S)
        for piece in pieces:
            if piece.startswith("## "):
                heading = piece.removeprefix("## ")
            elif piece.startswith("```python\n"):
                code = piece.removeprefix("```python\n").removesuffix("```")
                found.append(pytest.param(code, id=f"{document.stem}: {heading}"))
    return found


PRINTED = {  # what tells that an example did its work
    "A function": "[[0.2689",
    "A layer": "scale.weight",
    "A network": "(2, 10)",
    "A source of data": "cats",
    "A version of an op": "from the truth",  # the fault, which is found every time
    "A kernel of your own": "out of bounds: my_conv.cu:21, thread",
    "A kernel with a launcher": "race: tiled.cu:21, thread",
    "A kernel in Numba-CUDA": "ties: answer 2 of 2",
}


def pictures(path):
    """A small archive of pictures of two kinds: light ones and dark ones."""
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for split, count in (("train", 6), ("test", 2)):
            for name, level in (("cats", 60), ("dogs", 190)):
                for i in range(count):
                    content = BytesIO()
                    pixels = rng.integers(level - 40, level + 40, (32, 32, 3)).astype(np.uint8)
                    Image.fromarray(pixels).save(content, "PNG")
                    archive.writestr(f"{split}/{name}/{i}.png", content.getvalue())


@pytest.mark.parametrize("code", examples())
def test_an_example_runs(code, tmp_path, request):
    pytest.importorskip("hypothesis", reason="the check of a version draws its calls (pip install '.[test]')")
    if "cuda.numba" in code:
        pytest.importorskip("greenlet", reason="the interpreter switches threads by greenlet (pip install '.[verify]')")
    if "minitl.cuh" in code and emulator.unavailable():
        pytest.skip(f"CUDA C++ is run by the emulator: {emulator.unavailable()}")
    pictures(tmp_path / "pictures.zip")
    (tmp_path / "example.py").write_text(code, encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning", "example.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    for heading, text in PRINTED.items():
        if request.node.name.endswith(f"{heading}]"):
            assert text in result.stdout


def test_every_promise_is_kept():
    headings = [p.id.partition(": ")[2] for p in examples() if p.id.startswith("extending")]
    assert headings == list(PRINTED)
