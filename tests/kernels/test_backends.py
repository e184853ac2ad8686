"""Processes in which some backend cannot run: it says so, and another one computes."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import multiprocessing
import numpy as np
from minitl import kernels
x, w = np.ones((2, 3, 8, 8), np.float32), np.ones((4, 3, 3, 3), np.float32)
g = kernels.ConvGeometry.infer(x.shape, w.shape)
def work(i):
    return kernels.conv2d.forward(x, w, None, g).sum(), str(kernels.why("conv2d", x_shape=x.shape, w_shape=w.shape))
here, _ = work(0)
with multiprocessing.get_context("fork").Pool(1) as pool:
    there, why = pool.apply_async(work, (0,)).get(timeout=60)
assert here == there
print(why)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("layer", ["default", "workqueue"])
def test_a_forked_child_computes_too_and_says_with_what(layer):
    """GNU OpenMP would end the child; a pool would then wait for its answer for ever."""
    environment = {**os.environ, "NUMBA_THREADING_LAYER": layer}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("conv2d: ")
    assert "forked" in done.stdout or "conv2d: cpu." in done.stdout


WITHOUT_COMPILER = """
import numpy as np
import minitl as tl
from minitl import kernels
net = tl.models.build("lenet5")
net(np.ones((2, *net.input_shape), np.float32)).sum().backward()
assert all(np.isfinite(p.grad).all() for p in net.parameters())
print(kernels.why("relu", x_shape=(3, 4)))
"""


def test_where_numba_may_not_compile_numpy_computes():
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", WITHOUT_COMPILER], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("relu: reference.")
    assert "NUMBA_DISABLE_JIT" in done.stdout or "numba is not installed" in done.stdout
