"""What all versions of all ops launch, written down instead of run; and every kernel, compiled."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from minitl import kernels
from minitl.kernels import precision
from minitl.kernels.cuda import inventory, nvrtc
from minitl.kernels.cuda.source import Source
from minitl.kernels.emulator import library
from minitl.kernels.registry import LENT

# Convolutions of VGG-16 and the first of AlexNet, at which grids and tiles are largest; dense layers, of which some are
# thin and deep.
LAYERS = {
    "conv2d": (
        {"x_shape": (2, 3, 224, 224), "w_shape": (64, 3, 3, 3), "padding": 1},
        {"x_shape": (2, 64, 224, 224), "w_shape": (64, 64, 3, 3), "padding": 1},
        {"x_shape": (3, 128, 112, 112), "w_shape": (256, 128, 3, 3), "padding": 1},
        {"x_shape": (2, 512, 14, 14), "w_shape": (512, 512, 3, 3), "padding": 1},
        {"x_shape": (2, 3, 227, 227), "w_shape": (96, 3, 11, 11), "stride": 4},
    ),
    "linear": (
        {"x_shape": (32, 4096), "w_shape": (1000, 4096)},
        {"x_shape": (256, 2048), "w_shape": (2048, 2048)},
        {"x_shape": (2048, 256), "w_shape": (128, 256)},
    ),
}


@dataclass(frozen=True)
class Launch:
    """One launch, as it would have gone to a GPU."""

    op: str
    version: kernels.Version
    source: Source
    kernel: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    real: str
    shared: int
    defines: tuple[tuple[str, str], ...]


def _recorded(spec: kernels.KernelSpec, version: kernels.Version) -> list[Launch]:
    found: list[Launch] = []

    def record(
        source: Source, kernel: str, grid: Any, block: Any, values: Any, defines: Mapping, real: Any, shared: int
    ) -> None:
        macros = tuple(sorted(defines.items()))
        found.append(Launch(spec.name, version, source, kernel, grid, block, np.dtype(real).name, shared, macros))

    def run(call: Mapping[str, Any]) -> None:
        spec.check(**call)
        if version.serves(**call) is None:
            spec.load(version.target)(**{name: value for name, value in call.items() if name not in LENT})

    def draw(calls: int) -> None:
        @settings(max_examples=calls, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(spec.load(spec.cases)())
        def drawn(call: Mapping[str, Any]) -> None:
            run(call)

        drawn()

    with mock.patch.object(library, "launch", record), precision.permitted("bfloat16"):
        draw(15)
        if not found:  # a version that serves few of the calls
            draw(300)
        for layer in LAYERS.get(spec.name.removesuffix(".grad_input").removesuffix(".grad_weight"), ()):
            for dtype in ("float32", "float64"):
                run(spec.example(np.dtype(dtype), **layer))
    return found


@pytest.fixture(scope="session")
def launches() -> list[Launch]:
    """What every version in CUDA C++ launches, over drawn calls and the layers of known networks."""
    return [
        launch
        for spec in kernels.specs().values()
        for version in spec.versions
        if version.backend == "cuda"
        for launch in _recorded(spec, version)
    ]


@pytest.fixture(scope="session")
def nvrtc_or_skip() -> None:
    """Skips what needs NVRTC, with the reason, where there is none."""
    reason = nvrtc.unavailable()
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def compiled(nvrtc_or_skip, launches) -> list[inventory.Compiled]:
    """All that is launched, with its macros and `real`, for sm_90 or for each of MINITL_ARCHITECTURES.

    Disassembled, which takes as long again, is what multiplies on tensor cores; where the variable is set, all.
    """
    wanted = os.environ.get("MINITL_ARCHITECTURES", "").split(",")
    launched = {(Source(launch.source.path, launch.defines), launch.real) for launch in launches}
    if wanted != [""]:
        return inventory.compiled(sorted(launched, key=str), wanted)
    on_tensor_cores = {
        (Source(launch.source.path, launch.defines), launch.real)
        for launch in launches
        if launch.version.precision != "float32"
    }
    others = sorted(launched - on_tensor_cores, key=str)
    return [
        *inventory.compiled(sorted(on_tensor_cores, key=str), ["sm_90"]),
        *inventory.compiled(others, ["sm_90"], disassembled=False),
    ]
