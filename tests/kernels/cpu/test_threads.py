"""The one setting of threads: what it takes and refuses, and whom it governs. Each in a process of its own."""

import os
import subprocess
import sys

import numpy as np
import pytest

import minitl as tl
from minitl.errors import ArgumentError
from minitl.kernels.cpu import threads

pytest.importorskip("numba", reason="numba is not installed")

several = pytest.mark.skipif(threads.most() < 2, reason="one core only: there is nothing to choose")

COUNTS = """
import sys, threading, warnings
import numba, numpy as np
from threadpoolctl import threadpool_info
import minitl as tl
from minitl import kernels

def blas():
    return {("scipy" if "scipy.libs" in p["filepath"] else "numpy"): p["num_threads"]
            for p in threadpool_info() if p["user_api"] == "blas"}

def convolve(version="cpu"):
    x, w = np.ones((2, 3, 8, 8), np.float32), np.ones((4, 3, 3, 3), np.float32)
    with kernels.using(version):
        return kernels.conv2d.forward(x, w, None, kernels.ConvGeometry.infer(x.shape, w.shape)).sum()
"""


def python(script, **environment):
    """What a script prints, run after COUNTS; the variables of this machine's owner set aside."""
    mine = ("MINITL_NUM_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    kept = {name: value for name, value in os.environ.items() if name not in mine}
    done = subprocess.run(
        [sys.executable, "-c", COUNTS + script], env={**kept, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("n", [0, -1, True, False, 1.0, "2", None, np.float32(1), float("nan")])
def test_a_setting_that_makes_no_sense(n):
    before = tl.get_num_threads()
    with pytest.raises(ArgumentError, match=r"set_num_threads: needs a whole number of 1 or more; got "):
        tl.set_num_threads(n)
    assert tl.get_num_threads() == before


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", "1e0", "1_0", "\u0662", "1 2"])
def test_a_variable_that_makes_no_sense(text):
    """Said when a kernel first runs, whichever it is, and again at each: nothing runs on a guess."""
    script = """
for ask in (tl.get_num_threads, convolve, lambda: convolve("reference"), convolve):
    try:
        ask()
    except tl.errors.ArgumentError as error:
        print(error)
tl.set_num_threads(1)
convolve()
"""
    told = python(script, MINITL_NUM_THREADS=text).splitlines()
    expected = f"MINITL_NUM_THREADS: needs a whole number of 1 or more; got {text!r}; set it so, or unset it"
    assert told == [expected] * 4


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_variable_is_none(text):
    assert python("print(tl.get_num_threads() >= 1)", MINITL_NUM_THREADS=text) == "True\n"


@several
def test_the_setting_governs_numba_and_both_blas():
    script = """
import scipy.linalg
tl.set_num_threads(1); convolve()
print(tl.get_num_threads(), numba.get_num_threads(), blas()["numpy"], blas().get("scipy", 1))
tl.set_num_threads(np.int64(2)); convolve()
print(tl.get_num_threads(), numba.get_num_threads(), blas()["numpy"], blas().get("scipy", 2))
"""
    assert python(script) == "1 1 1 1\n2 2 2 2\n"


@several
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_the_variable_governs_numba_and_both_blas(backend):
    """SciPy's library too, which may be loaded after the first kernel has run."""
    script = f"""
convolve("{backend}")
print(blas()["numpy"])
import scipy.linalg
convolve("{backend}")
print(tl.get_num_threads(), blas().get("scipy", 1))
convolve("cpu")
print(numba.get_num_threads())
"""
    assert python(script, MINITL_NUM_THREADS="1") == "1\n1 1\n1\n"


@several
def test_every_python_thread_follows_the_setting():
    """Numba keeps a number for each Python thread: those that began before a change must hear of it."""
    script = """
seen, go, done = [], threading.Semaphore(0), threading.Semaphore(0)
def work():
    for _ in range(2):
        go.acquire(); convolve(); seen.append(numba.get_num_threads()); done.release()
thread = threading.Thread(target=work)
thread.start()
for n in (1, 2):
    tl.set_num_threads(n); go.release(); done.acquire()
thread.join()
print(seen)
"""
    assert python(script) == "[1, 2]\n"


def test_more_threads_than_cores_are_as_many_as_cores():
    script = """
warnings.showwarning = lambda message, *more: print(message)
tl.set_num_threads(1000)
from minitl.kernels.cpu import threads
print(tl.get_num_threads() == threads.most(), convolve() > 0)
"""
    told, equal = python(script).splitlines()
    assert told.startswith("set_num_threads: 1000 threads are more than the ")
    assert "uses " in told
    assert equal == "True True"
    told, equal = python(script.replace("tl.set_num_threads(1000)", ""), MINITL_NUM_THREADS="1000").splitlines()
    assert told.startswith("MINITL_NUM_THREADS: 1000 threads are more than the ")
    assert equal == "True True"


@several
def test_numbas_own_variable_is_respected():
    script = "convolve(); print(tl.get_num_threads(), numba.get_num_threads(), blas()['numpy'] > 1)"
    assert python(script, NUMBA_NUM_THREADS="1") == "1 1 True\n"


@several
def test_what_nobody_has_set_is_left_alone():
    """Whoever has lowered Numba's threads or BLAS's himself keeps that."""
    script = "numba.set_num_threads(1); convolve(); print(numba.get_num_threads(), blas()['numpy'])"
    assert python(script, OPENBLAS_NUM_THREADS="1") == "1 1\n"


@several
def test_a_container_granted_the_time_of_one_core():
    script = """
from minitl.kernels.cpu import threads
threads.granted = lambda: 1
import scipy.linalg
convolve()
print(tl.get_num_threads(), numba.get_num_threads(), blas()["numpy"], blas().get("scipy", 1))
"""
    assert python(script) == "1 1 1 1\n"


NETWORKS = """
nets = [tl.models.small_vgg(num_classes=4, size=28, seed=seed) for seed in (0, 1)]
x = np.random.default_rng(0).normal(size=(3, 3, 28, 28)).astype(np.float32)
alone = [net(x).numpy() for net in nets]
together, wrong = threading.Barrier(2), []

def work(i):
    together.wait()
    for round in range(20):
        if not np.array_equal(nets[i](x).numpy(), alone[i]):
            wrong.append(i)
        if round == 9 and i == 0:
            tl.set_num_threads(1)

workers = [threading.Thread(target=work, args=(i,)) for i in (0, 1)]
for worker in workers: worker.start()
for worker in workers: worker.join()
print(wrong)
"""


@pytest.mark.parametrize("layer", ["omp", "workqueue"])
def test_two_python_threads_may_run_networks_at_once(layer):
    """Numba's work queue would abort the process if both entered at once; a setting changed meanwhile disturbs none."""
    assert python(NETWORKS, NUMBA_THREADING_LAYER=layer) == "[]\n"


def test_to_ask_what_a_network_will_take_begins_no_threads():
    """They would wait in another way than ours."""
    said = python("""
tl.models.build("alexnet", num_classes=2).summary(8)
tl.models.build("squeezenet1_1", num_classes=2).freeze(upto="pool1").summary(8)
from minitl.kernels.cpu import threads
print(threads._start_threads.cache_info().currsize, numba.np.ufunc.parallel._is_initialized)
""")
    assert said.split() == ["0", "False"]
