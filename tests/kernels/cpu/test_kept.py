"""Machine code on disk: found by the next process, never taken when it is not what was meant, never in the way."""

import hashlib
import os
import subprocess
import sys

import pytest

pytest.importorskip("numba", reason="numba is not installed")

HELPER = """
from minitl.kernels.cpu.compiled import compiled

@compiled
def changed(x):
    return x + {added}
"""

KERNEL = """
from numba import int64
from minitl.kernels.cpu.compiled import compiled
from helper import changed

@compiled
def twice(x):
    return 2 * changed(x)

def thrice(x):
    return 3 * x
"""

RUN = """
import logging, sys, warnings
warnings.showwarning = lambda message, *more: print(f"warning: {message}")
told = logging.StreamHandler(sys.stdout)
logging.getLogger("minitl").addHandler(told)
logging.getLogger("minitl").setLevel(logging.INFO)
import kernel
print(kernel.twice(20), kernel.twice(0.5))
"""

COMPILING = "compiling kernels, which this machine needs once"
ANSWER = "42 3.0"


@pytest.fixture
def run(tmp_path):
    """Runs a script beside kernel.py in a process of its own, with a cache of its own; gives the lines it prints."""
    code, home = tmp_path / "code", tmp_path / "cache"
    code.mkdir()
    (code / "kernel.py").write_text(KERNEL)
    (code / "helper.py").write_text(HELPER.format(added=1))

    def start(script=RUN, **environment):
        variables = {**os.environ, "MINITL_CACHE": str(home), "PYTHONDONTWRITEBYTECODE": "1", **environment}
        done = subprocess.run([sys.executable, "-c", script], cwd=code, env=variables, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert not done.stderr
        return done.stdout.splitlines()

    start.code, start.home = code, home
    return start


def kept(run):
    return sorted(run.home.rglob("*.numba"))


def test_the_next_process_finds_it(run):
    """And the message comes once, however many functions and types there are."""
    assert run() == [COMPILING, ANSWER]
    stamps = [(path, path.stat().st_mtime_ns) for path in kept(run)]
    assert len(stamps) == 4
    assert run() == [ANSWER]
    assert [(path, path.stat().st_mtime_ns) for path in kept(run)] == stamps


def test_a_helper_in_another_file_may_change(run):
    assert run() == [COMPILING, ANSWER]
    (run.code / "helper.py").write_text(HELPER.format(added=2))
    assert run() == [COMPILING, "44 5.0"]


def test_options_of_the_compiler_are_told_apart(run):
    """One function under two sets of options: neither gets the other's code."""
    script = "from kernel import compiled, thrice\nprint([compiled(thrice, boundscheck=b)(2) for b in (True, False)])"
    assert run(script) == ["[6, 6]"]
    assert len(kept(run)) == 2


def test_values_that_a_function_encloses_are_told_apart(run):
    script = """
from kernel import compiled
def adds(n):
    def add(x):
        return x + n
    return compiled(add)
print(adds(1)(1), adds(2)(1))
"""
    (run.code / "adders.py").write_text(script)
    assert [run("import adders") for _ in range(2)] == [["2 3"]] * 2
    assert len(kept(run)) == 2


def test_signatures_given_are_the_only_ones(run):
    script = """
from kernel import compiled, int64, thrice
only = compiled(thrice, int64(int64))
print(only(2), only(2.5), only.signatures)
"""
    assert run(script) == ["6 6 [(int64,)]"]


def foreign(content):
    """Whole, but not what it should be."""
    other = b"cos\nnothing\n."
    return hashlib.sha256(other).digest() + other


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def test_damaged_files_are_made_again(run):
    damages = (lambda c: b"", lambda c: c[: len(c) // 2], flipped, foreign)
    assert run() == [COMPILING, ANSWER]
    for path, damage in zip(kept(run), damages, strict=True):
        path.write_bytes(damage(path.read_bytes()))
    assert run() == [COMPILING, ANSWER]
    assert run() == [ANSWER]


def warned(lines):
    return [line for line in lines if line.startswith("warning: ")]


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="this system has no folder that nobody may write to")
def test_a_folder_that_cannot_be_written_to(run):
    lines = run(MINITL_CACHE="/proc/nowhere")
    assert lines[-1] == ANSWER
    (warning,) = warned(lines)
    assert warning.startswith("warning: compiled kernels cannot be kept in /proc/nowhere/minitl/kernels (")
    assert warning.endswith("; set MINITL_CACHE")


READ_ONLY = """
import errno, tempfile
def refuse(*given, dir=None, **more):
    raise OSError(errno.EROFS, "Read-only file system")
tempfile.NamedTemporaryFile = refuse
"""


def test_a_read_only_folder_that_holds_what_is_needed(run):
    """An image of a container whose kernels were compiled when it was made: nothing is said, nothing compiled."""
    run()
    assert run(READ_ONLY + RUN) == [ANSWER]


def test_a_read_only_folder_that_holds_nothing(run):
    lines = run(READ_ONLY + RUN)
    assert lines[0] == COMPILING
    assert lines[-1] == ANSWER
    (warning,) = warned(lines)
    assert "(Read-only file system); set MINITL_CACHE" in warning


def test_a_full_disk(run):
    """No file may grow beyond a few bytes; those written in the folder of the process do not fit either."""
    pytest.importorskip("resource", reason="this system sets no limits to processes")
    lines = run("import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))\n" + RUN)
    assert lines[-1] == ANSWER
    assert len(warned(lines)) == 1
    assert not kept(run)


def test_numbas_own_folder_does_not_matter(run):
    assert run(NUMBA_CACHE_DIR="/proc/nowhere") == [COMPILING, ANSWER]


def test_without_a_home(run):
    """A user whom the system does not know."""
    strange = "import os\nos.path.expanduser = lambda path: path\n"
    lines = run(strange + RUN, HOME="", XDG_CACHE_HOME="", MINITL_CACHE="")
    assert lines[-1] == ANSWER
    assert len(warned(lines)) == 1
    assert not (run.code / "~").exists()


def test_processes_that_start_together(run):
    """Each finds its answer, and what they leave serves the next."""
    script = f"""
import subprocess, sys
both = [subprocess.Popen([sys.executable, "-c", {RUN!r}], stdout=subprocess.PIPE, text=True) for _ in range(2)]
print(*[each.communicate()[0].splitlines()[-1] for each in both])
"""
    assert run(script) == [f"{ANSWER} {ANSWER}"]
    assert run() == [ANSWER]
