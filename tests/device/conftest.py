"""A GPU for every test here: the true one, or a pretended one of CuPy's stand-in with the emulator under its kernels.

Tests that ask for `pretended_gpu` get that in any case: they look behind the scenes, or need two GPUs.
"""

import sys

import pytest

from minitl.kernels import emulator
from minitl.kernels.cuda import device as gpu
from minitl.kernels.emulator import library

from . import stand_in


@pytest.fixture(autouse=True)
def some_gpu(request):
    """What "cuda" means."""
    if gpu.unavailable() is not None and "pretended_gpu" not in request.fixturenames:
        request.getfixturevalue("pretended_gpu")


@pytest.fixture
def pretended_gpu(monkeypatch):
    """Arrays on "cuda" are the stand-in's; launches on them go to the emulator. Gives what `import cupy` does."""
    reason = emulator.unavailable()
    if reason:
        pytest.skip(reason)
    modules = stand_in.modules()
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(gpu, "unavailable", lambda: None)
    monkeypatch.setattr(stand_in, "CURRENT", [0])

    def launch(source, kernel, grid, block, values, defines, real, shared):
        arrays = [stand_in.host(v) for v in values]  # refuses those of another GPU, as a launch does
        library.launch(source, kernel, grid, block, arrays, defines, real, shared)

    monkeypatch.setattr(gpu, "launch", launch)
    return modules["cupy"]
