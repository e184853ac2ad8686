"""Every CUDA C++ kernel that comes with minitl, compiled without a GPU: what it takes of one, as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from . import nvrtc, sass
from .nvrtc import Usage
from .source import Source

KERNELS = Path(__file__).parents[1]
ARCHITECTURES = ("sm_80", "sm_90", "sm_90a")
REALS = ("float32", "float64")


@dataclass(frozen=True)
class Compiled:
    """One kernel as compiled for one architecture and one `real`.

    file: the path of its source, in kernels/. defines: the macros it was compiled with. tensor, local: how many
    instructions of tensor cores and of local memory it has, or None where nobody counted.
    """

    file: str
    defines: tuple[tuple[str, str], ...]
    real: str
    architecture: str
    usage: Usage
    tensor: int | None
    local: int | None

    @property
    def kernel(self) -> str:
        """Its name."""
        return self.usage.kernel


def sources() -> list[Source]:
    """Every .cu file in kernels/."""
    return [Source(path) for path in sorted(KERNELS.rglob("*.cu"))]


def everything() -> list[tuple[Source, str]]:
    """Every .cu file, with each `real` that its kernels can be compiled for: those that never say `real`, float32."""
    return [(source, real) for source in sources() for real in (REALS if _says_real(source) else REALS[:1])]


def _says_real(source: Source) -> bool:
    return any(p.type == "real" for parameters in source.kernels.values() for p in parameters)


def compiled(
    chosen: Iterable[tuple[Source, str]], architectures: Sequence[str] = ARCHITECTURES, disassembled: bool = True
) -> list[Compiled]:
    """The kernels of each source, with its `real`, for each architecture; compiled on all cores.

    disassembled: count instructions too, which takes about as long again. Raises CompileError for a source that NVRTC
    refuses, BackendUnavailable where there is no NVRTC or it does not know an architecture.
    """
    for architecture in architectures:
        nvrtc.check_architecture(architecture)
    with ThreadPoolExecutor() as threads:  # NVRTC and nvdisasm run outside Python's lock
        jobs = [
            threads.submit(_compiled, source, real, architecture, disassembled)
            for (source, real), architecture in product(chosen, architectures)
        ]
        return [row for job in jobs for row in job.result()]


def _compiled(source: Source, real: str, architecture: str, disassembled: bool) -> list[Compiled]:
    cubin = nvrtc.compiled(source, architecture, real)
    counts = sass.instructions(cubin.path) if disassembled and not sass.unavailable() else None
    file = str(source.path.relative_to(KERNELS)) if source.path.is_relative_to(KERNELS) else str(source.path)
    rows = []
    for name, usage in sorted(nvrtc.usage(cubin.log).items()):
        tensor = local = None
        if counts is not None:
            tensor = sum(counts[name][instruction] for instruction in sass.TENSOR_CORES)
            local = sum(counts[name][instruction] for instruction in sass.LOCAL_MEMORY)
        rows.append(Compiled(file, source.defines, real, architecture, usage, tensor, local))
    return rows
