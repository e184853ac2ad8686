"""Files that do not compile, compilers that are missing or too old, damaged libraries: one clear line each."""

import errno
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minitl.errors import BackendUnavailable, CompileError, KernelFault
from minitl.kernels import cache, emulator
from minitl.kernels.cuda import Source
from minitl.kernels.emulator import library

REASON = emulator.unavailable()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))
KERNEL = '#include "minitl.cuh"\nextern "C" __global__ void f(int* y) {\n    y[threadIdx.x] = 7;\n}\n'


def file(folder, text, name="k.cu"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def answer(path, kernel="f"):
    y = np.zeros(4, np.int32)
    Source(path).launch(kernel, 1, 4, y)
    return y.tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (KERNEL.replace(" = 7;", " = 7"), r"k\.cu:3:23: error: expected ‘;’"),
        (KERNEL.replace(" = 7;", " = seven;"), r"k\.cu:3:22: error: ‘seven’ was not declared"),
        (KERNEL.replace("\n}\n", "\n"), r"k\.cu:2:38: error: this ‘{’ is never closed"),
        (KERNEL.replace(" = 7;", " = (7;"), r"k\.cu:3:24: error: expected ‘\)’"),
        (KERNEL + "/* a comment", r"k\.cu:5:1: error: unterminated comment"),
        (KERNEL.replace("7;", "7;\n    volatile int much[200000]; much[y[0]] = 1;"), r"k\.cu:\d+:.*frame size"),
    ],
)
def test_the_line_in_the_users_file(text, message, tmp_path):
    with pytest.raises(CompileError, match=message) as caught:
        answer(file(tmp_path, text))
    assert "\n" not in str(caught.value)
    assert ".cpp" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        KERNEL.replace("\n", "\r\n"),
        KERNEL.rstrip(),
        "\ufeff" + KERNEL,
        KERNEL + "#define a 3\n#define f_site 4\n",
        KERNEL + '#if 0\nextern "C" __global__ void g(int* y, Conv c) { y[0] = c.N; }\n#endif\n',
        KERNEL + 'namespace mine {\nextern "C" __global__ void g(int* y) { y[0] = 0; }\n}\n',
    ],
    ids=["CRLF", "no newline at the end", "byte order mark", "macros", "a kernel that is left out", "a namespace"],
)
def test_what_is_no_mistake(text, tmp_path):
    assert answer(file(tmp_path, text)) == [7] * 4


def test_a_kernel_that_is_left_out(tmp_path):
    path = file(tmp_path, KERNEL + '#if 0\nextern "C" __global__ void g(int* y) { y[0] = 0; }\n#endif\n')
    with pytest.raises(KernelFault, match=r"g: no kernel: .*#if or a namespace"):
        answer(path, "g")


def test_a_changed_header_of_ones_own(tmp_path):
    """However it is included: another library, not the one that was kept."""
    (tmp_path / "inner").mkdir()
    path = file(tmp_path, KERNEL.replace("7", "SEVEN").replace("\n", '\n#include "inner/outer.cuh"\n', 1))
    file(tmp_path / "inner", '# include "seven.cuh"\n', "outer.cuh")
    script = (
        "import sys, numpy as np; from pathlib import Path; from minitl.kernels.cuda import Source\n"
        "y = np.zeros(4, np.int32); Source(Path(sys.argv[1])).launch('f', 1, 4, y); print(y[0])"
    )
    for number in ("7", "8"):
        file(tmp_path / "inner", f"#define SEVEN {number}\n", "seven.cuh")
        found = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
        assert found.stdout == f"{number}\n"


def test_a_path_of_bytes_that_are_no_text(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.cu"))
    path.write_text(KERNEL, encoding="utf-8")
    assert answer(path) == [7] * 4


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """An empty folder of compiled kernels."""
    monkeypatch.setenv("MINITL_CACHE", str(tmp_path / "cache"))
    found = (cache.folder, cache._cannot_keep, library._runtime, library._loaded)
    for one in found:
        one.cache_clear()
    yield tmp_path / "cache" / "minitl" / "kernels"
    for one in found:
        one.cache_clear()


DAMAGES = {
    "cut": lambda whole: whole[: len(whole) // 2],
    "cut at its beginning": lambda whole: whole[:5000],
    "cut at its end": lambda whole: whole[:-1],
    "no library": lambda whole: b"not a library",
    "another program": lambda whole: Path(shutil.which("sh")).read_bytes(),
    "a wrong byte": lambda whole: whole[:3000] + bytes([whole[3000] ^ 1]) + whole[3001:],
}


def test_what_was_damaged_is_made_again(own_cache, tmp_path):
    path = file(tmp_path, KERNEL)
    assert answer(path) == [7] * 4
    (kept,) = own_cache.glob("*.so")
    (runtime,) = own_cache.glob("*.o")
    for name, damage in DAMAGES.items():
        for damaged in (kept, runtime) if name == "a wrong byte" else (kept,):
            whole = damaged.read_bytes()
            damaged.unlink()  # what is loaded must stay as it is
            damaged.write_bytes(damage(whole))
            assert not library._is_whole(damaged), name
        library._runtime.cache_clear()
        library._loaded.cache_clear()
        assert answer(path) == [7] * 4, name
        assert all(library._is_whole(found) for found in own_cache.iterdir()), name


def tool(folder, monkeypatch, *lines):
    """Puts a g++ of these lines of shell before the real one."""
    folder = folder / "bin"
    folder.mkdir()
    path = folder / "g++"
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]), encoding="utf-8")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def asked_anew():
    emulator.unavailable.cache_clear()
    yield
    emulator.unavailable.cache_clear()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("echo 11.4.0", r"g\+\+ 11\.4\.0 is too old; install g\+\+ 12 or later"),
        ("exit 1", r"g\+\+ does not run"),
    ],
)
def test_a_compiler_that_will_not_do(line, message, own_cache, asked_anew, tmp_path, monkeypatch):
    tool(tmp_path, monkeypatch, line)
    with pytest.raises(BackendUnavailable, match=rf"k\.cu: {message}"):
        answer(file(tmp_path, KERNEL))


def test_no_compiler(own_cache, asked_anew, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackendUnavailable, match=r"k\.cu: g\+\+ is not installed \(apt-get install g\+\+\)"):
        answer(file(tmp_path, KERNEL))


def test_another_system(asked_anew, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert "needs Linux on x86-64" in emulator.unavailable()


def test_a_disk_that_fills_up(own_cache, tmp_path, monkeypatch):
    """The compiler meets it first; that is no mistake of the file's."""
    real = shutil.which("g++")

    def refuse(folder):
        raise OSError(errno.ENOSPC, "No space left on device")

    full = """echo "k.s: Fatal error: can't write k.o: No space left on device" >&2; exit 1"""
    tool(tmp_path, monkeypatch, f'case "$*" in *"{own_cache}/."*k-*) {full};; esac', f'exec {real} "$@"')
    monkeypatch.setattr(library, "_ask_disk", refuse)
    with pytest.warns(UserWarning, match=r"cannot be kept in .*No space left on device"):
        assert answer(file(tmp_path, KERNEL)) == [7] * 4


def test_a_folder_from_which_nothing_may_be_run(own_cache, tmp_path, monkeypatch):
    def refuse(name):
        raise OSError(f"{name}: failed to map segment from shared object")

    monkeypatch.setattr(library.ctypes, "CDLL", refuse)
    with pytest.raises(BackendUnavailable, match=r"k\.cu: .*failed to map segment.*; set MINITL_CACHE to a folder"):
        answer(file(tmp_path, KERNEL))
