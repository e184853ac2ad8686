"""Runs every version that a GPU serves on a few small calls: what compute-sanitizer watches.

python benchmarks/on_gpu/every_kernel.py [--calls 3] [--backend cuda numba_cuda]
"""

from __future__ import annotations

import argparse
import sys

from hypothesis import HealthCheck, given, settings

from minitl import kernels
from minitl.kernels import KernelSpec, Version, backends, precision
from minitl.kernels.verify import homes


def run(spec: KernelSpec, version: Version, calls: int) -> int:
    """Runs one version on drawn calls, the same every time; returns how many it served."""
    served = 0

    @settings(
        max_examples=calls, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(spec.load(spec.cases)())
    def drawn(call: dict) -> None:
        nonlocal served
        spec.check(**call)
        moved = homes.moved(call, version)
        if spec.reason_against(version, moved) is None:
            homes.fetched(spec.run(version, moved))
            served += 1

    with precision.permitted("bfloat16"):
        drawn()
    return served


def main() -> int:
    """Prints how many versions ran; 1 if none could."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=3)
    parser.add_argument("--backend", nargs="+", default=["cuda", "numba_cuda"])
    options = parser.parse_args()
    if all(backends.BACKENDS[name].home == "CuPy" for name in options.backend):
        reason = backends.BACKENDS["cuda"].unavailable()
        if reason:
            print(reason, file=sys.stderr)
            return 1
        import cupy

        cupy.cuda.set_allocator(None)  # an array of its own for each, so that a read past one's end is seen
    ran = 0
    for spec in kernels.specs().values():
        for version in spec.versions:
            if version.backend in options.backend and run(spec, version, options.calls):
                ran += 1
    print(f"{ran} versions ran")
    return 0 if ran else 1


if __name__ == "__main__":
    sys.exit(main())
