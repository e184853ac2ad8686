"""The sources of the project, parsed once, for the tests of its laws."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"minitl": "minitl", "kernels": "minitl.kernels", "weights": "minitl.weights"}  # as setup.py maps them


@dataclass(frozen=True)
class Source:
    """A Python file: its path from the root, its text, its syntax tree, and the name it is imported by."""

    path: str
    text: str
    tree: ast.Module
    module: str

    @property
    def package(self) -> str:
        return self.module if self.path.endswith("__init__.py") else self.module.rpartition(".")[0]


def _read(folder: str) -> list[Source]:
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        inside = path.relative_to(ROOT)
        text = path.read_text(encoding="utf-8")
        parts = [FOLDERS.get(folder, folder), *inside.with_suffix("").parts[1:]]
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found.append(Source(inside.as_posix(), text, ast.parse(text, str(inside)), module))
    return found


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the project."""
    return ROOT


@pytest.fixture(scope="session")
def library() -> list[Source]:
    """Every file that is installed."""
    return [source for folder in FOLDERS for source in _read(folder)]


@pytest.fixture(scope="session")
def tests() -> list[Source]:
    """Every file under tests/."""
    return _read("tests")


@pytest.fixture(scope="session")
def everything(library: list[Source], tests: list[Source]) -> list[Source]:
    """Every Python file of the project."""
    return [*library, *tests, *_read("benchmarks")]
