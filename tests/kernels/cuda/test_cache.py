"""Compiled kernels on disk: made once, made again when anything changes or is damaged, and never a reason to fail."""

from __future__ import annotations

import errno
import hashlib
import json
import warnings
from pathlib import Path

import pytest

from minitl.errors import CompileError
from minitl.kernels import cache
from minitl.kernels.cuda import nvrtc
from minitl.kernels.cuda.cache import cubin
from minitl.kernels.cuda.source import Source

CODE = b"\x7fELF" + bytes(range(256))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A cache of the test's own."""
    monkeypatch.setenv("MINITL_CACHE", str(tmp_path / "cache"))
    _forget()
    yield tmp_path / "cache" / "minitl" / "kernels"
    _forget()


def _forget():
    cache.folder.cache_clear()
    cache._cannot_keep.cache_clear()
    nvrtc._compiled.cache_clear()


@pytest.fixture
def make():
    """What stands for the compiler; made.calls tells how often it ran."""

    def made():
        made.calls += 1
        return CODE, "a log with ünïcode"

    made.calls = 0
    return made


def test_it_is_made_once(folder, make):
    first = cubin("mine", ["text", "options"], make)
    assert first.path.read_bytes() == CODE
    assert first.path.parent == folder
    assert cubin("mine", ["text", "options"], make) == first
    assert first.log == "a log with ünïcode"
    assert make.calls == 1
    assert not list(folder.glob(".*"))  # nothing half written


def test_parts_are_kept_apart(make):
    for parts in (["ab", "c"], ["a", "bc"], ["abc"], ["ab", "c", ""]):
        cubin("mine", parts, make)
    assert make.calls == 4


@pytest.mark.parametrize("ending", ["cubin", "json"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes().replace(b"E", b"F")),
        lambda path: path.write_bytes(b"\xff" + path.read_bytes()),
        Path.unlink,
    ],
    ids=["cut short", "emptied", "changed", "no text", "gone"],
)
def test_what_is_damaged_is_made_again(folder, make, ending, damage):
    cubin("mine", ["text"], make)
    (file,) = folder.glob(f"*.{ending}")
    damage(file)
    again = cubin("mine", ["text"], make)
    assert again.path.read_bytes() == CODE
    kept = json.loads(next(folder.glob("*.json")).read_text(encoding="utf-8"))
    assert kept["sha256"] == hashlib.sha256(CODE).hexdigest()
    calls = make.calls
    assert cubin("mine", ["text"], make) == again
    assert make.calls == calls  # it was mended, not only worked round


def test_a_compilers_refusal_leaves_nothing(folder):
    def refuse():
        raise CompileError("no")

    with pytest.raises(CompileError):
        cubin("mine", ["text"], refuse)
    assert not list(folder.iterdir())


def test_a_folder_that_cannot_be_made_is_told_once(tmp_path, monkeypatch, make):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MINITL_CACHE", str(tmp_path / "file"))
    _forget()
    with pytest.warns(UserWarning, match="cannot be kept in .*file.*set MINITL_CACHE") as told:
        found = [cubin("mine", [text], make) for text in ("text", "other")]
    assert len(told) == 1
    assert [each.path.read_bytes() for each in found] == [CODE, CODE]


def test_a_full_disk_is_told_once(folder, monkeypatch, make):
    cache.folder()
    write = Path.write_bytes

    def full(path, content):
        if folder in path.parents:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.warns(UserWarning, match="No space left on device") as told:
        found = [cubin("mine", [text], make) for text in ("text", "other")]
    assert len(told) == 1
    assert [each.path.read_bytes() for each in found] == [CODE, CODE]
    assert not list(folder.glob("*.cubin"))


def test_all_that_matters_makes_another_cubin(tmp_path, nvrtc_or_skip):
    """The text, a header that it includes, a header that this one includes, the architecture, real, and macros."""
    header, inner, file = (tmp_path / name for name in ("mine.cuh", "inner.cuh", "mine.cu"))
    inner.write_text("#define FACTOR 1\n")
    header.write_text('#include "inner.cuh"\n')
    text = '#include "minitl.cuh"\n#include "mine.cuh"\nextern "C" __global__ void a(real* x) { *x = FACTOR; }\n'

    def compiled(architecture="sm_90", real="float32", defines=None):
        _forget()
        file.write_text(text)
        return nvrtc.compiled(Source(file), architecture, real, defines).path

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = [compiled()]
        assert compiled() == found[0]
        found += [compiled("sm_80"), compiled(real="float64"), compiled(defines={"REALLY": "1"})]
        inner.write_text("#define FACTOR 2\n")
        found.append(compiled())
        header.write_text('#include "inner.cuh"\n#undef FACTOR\n#define FACTOR 3\n')
        found.append(compiled())
        text = text.replace("FACTOR", "4")
        found.append(compiled())
    entries = list(found[0].parent.glob("*.json"))
    assert len(entries) == len(found)
    assert len(set(found)) >= len(found) - 1  # a macro that nobody uses changes no instruction
