"""Laws 3 to 6: every op declares its truth, its cases, its bound, and a version that works everywhere."""

from __future__ import annotations

import re

import pytest

from minitl import kernels
from minitl.kernels import backends


def _specs():
    return list(kernels.specs().values())


@pytest.mark.parametrize("spec", _specs(), ids=lambda spec: spec.name)
def test_a_spec_is_whole(spec):
    assert callable(spec.load(spec.oracle))
    pytest.importorskip("hypothesis", reason="the cases of an op are hypothesis strategies (pip install '.[test]')")
    assert callable(spec.load(spec.cases))
    assert callable(spec.bound)
    assert callable(spec.cost)
    assert callable(spec.dummies)
    names = [version.name for version in spec.versions]
    assert len(set(names)) == len(names)
    assert any(version.backend == "reference" for version in spec.versions), "no version works everywhere"
    for version in spec.versions:
        assert version.backend in backends.BACKENDS
        assert re.fullmatch(r"[a-z_]+\.[a-z0-9_]+", version.name)


@pytest.mark.parametrize("spec", _specs(), ids=lambda spec: spec.name)
def test_every_version_that_can_run_here_loads(spec):
    for version in spec.versions:
        if backends.BACKENDS[version.backend].unavailable() is None:
            assert callable(spec.load(version.target)), version.name


@pytest.mark.parametrize("spec", _specs(), ids=lambda spec: spec.name)
def test_the_oracle_is_nobodys_sibling(spec):
    module = spec.load(spec.oracle).__module__
    for version in spec.versions:
        assert version.target.partition(":")[0] != module.removeprefix(f"{spec.package}.")


def test_the_oracle_imports_no_version(library):
    wrong = [
        s.path
        for s in library
        if s.path.startswith("kernels/")
        and s.path.endswith("oracle.py")
        and re.search(r"import.*\b(reference|cpu|cuda)\b|from \.*(reference|cpu|cuda)", s.text)
    ]
    assert not wrong, wrong


def test_every_folder_of_kernels_is_an_op_or_known(root):
    others = {"verify", "emulator", "cpu", "cuda"}
    folders = {p.name for p in (root / "kernels").iterdir() if (p / "__init__.py").exists()} - others
    assert folders == set(kernels.OPS)
