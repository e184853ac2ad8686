"""setup.py names every package and every file that is needed at run time. Wheels are built by .ci/run."""

from __future__ import annotations

import contextlib
import runpy
import tomllib
from pathlib import Path
from unittest import mock

import pytest

import minitl

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"minitl": "minitl", "minitl.kernels": "kernels", "minitl.weights": "weights"}


@pytest.fixture(scope="module")
def settings() -> dict:
    """What setup.py hands to setuptools."""
    pytest.importorskip("setuptools", reason="setup.py needs setuptools, which this environment lacks")
    with contextlib.chdir(ROOT), mock.patch("setuptools.setup") as setup:
        runpy.run_path("setup.py")
    return setup.call_args.kwargs


def _installed_name(folder: Path) -> str:
    inside = folder.relative_to(ROOT).parts
    return ".".join(inside if inside[0] == "minitl" else ("minitl", *inside))


def test_every_folder_with_code_is_a_package(settings):
    found = {_installed_name(file.parent) for folder in FOLDERS.values() for file in (ROOT / folder).rglob("*.py")}
    assert set(settings["packages"]) == found
    assert len(settings["packages"]) == len(found)


def test_folders_are_mapped(settings):
    assert settings["package_dir"] == FOLDERS


def test_every_file_that_is_no_code_is_package_data(settings):
    wanted = {
        path
        for folder in FOLDERS.values()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc", ".nbi", ".nbc") and "__pycache__" not in path.parts
    }
    carried = {
        path
        for package, patterns in settings["package_data"].items()
        for pattern in patterns
        for path in (ROOT / FOLDERS[package]).glob(pattern)
    }
    assert wanted == carried


def test_the_embedded_weights_are_small_and_have_a_card(settings):
    files = sorted((ROOT / "weights" / "embedded").glob("*.h5"))
    assert files
    for file in files:
        assert file.stat().st_size < 1_000_000
        assert file.with_suffix(".md").is_file()


def test_the_metadata_agree(settings):
    assert settings["name"] == "minitl"
    assert settings["version"] == minitl.__version__
    assert settings["license"] == "Apache-2.0"
    assert settings["entry_points"]["console_scripts"] == ["minitl = minitl.cli:main"]
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_the_build_is_described():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]
    assert build["build-backend"] == "setuptools.build_meta"
