"""Every CUDA C++ kernel, compiled for real GPUs: what it takes of them, and whether they have as much."""

from __future__ import annotations

import pytest

from minitl import kernels
from minitl.kernels.cuda import inventory, sass
from minitl.kernels.cuda.device import MOST_BLOCKS

# The least of compute capabilities 8.0 and 9.0 (CUDA C++ Programming Guide, "Technical Specifications per Compute
# Capability"): bytes of shared memory that a block may have, and 32-bit registers.
MOST_SHARED = 163 * 1024
MOST_REGISTERS = 64 * 1024


def names(rows):
    return [f"{row.file} {row.defines}: {row.kernel}, {row.real}, {row.architecture}: {row.usage}" for row in rows]


def test_every_kernel_is_compiled(compiled):
    wanted = {
        (str(source.path.relative_to(inventory.KERNELS)), kernel)
        for source in inventory.sources()
        for kernel in source.kernels
    }
    assert {(row.file, row.kernel) for row in compiled} == wanted
    assert wanted


def test_no_register_is_spilled(compiled):
    assert not names(row for row in compiled if row.usage.spill_stores or row.usage.spill_loads)


def test_no_kernel_touches_local_memory(compiled):
    """Neither by the assembler's report nor, where they were counted, by the instructions."""
    assert not names(row for row in compiled if row.usage.stack or row.local)


def test_what_computes_on_tensor_cores_has_their_instructions(compiled, launches):
    reason = sass.unavailable()
    if reason:
        pytest.skip(reason)
    with_them = {row.kernel for row in compiled if row.tensor}
    lacking = {row.kernel for row in compiled if not row.tensor}
    wanted = {(launch.op, launch.version.name) for launch in launches if launch.version.precision != "float32"}
    having = {(launch.op, launch.version.name) for launch in launches if launch.kernel in with_them - lacking}
    assert wanted <= having
    plain = {launch.kernel for launch in launches if launch.version.precision == "float32"}
    assert not plain & with_them, "a version that says float32 multiplies on tensor cores, which round to less"


def test_every_version_launches_and_every_kernel_is_launched(launches):
    versions = {
        (spec.name, version.name)
        for spec in kernels.specs().values()
        for version in spec.versions
        if version.backend == "cuda"
    }
    idle = versions - {(launch.op, launch.version.name) for launch in launches}
    assert all("view" in name for _, name in idle), idle  # the result of these is part of what is given
    every = {(source.path, kernel) for source in inventory.sources() for kernel in source.kernels}
    assert {(launch.source.path, launch.kernel) for launch in launches} == every


def test_every_launch_fits_a_gpu(compiled, launches):
    """Registers are given to whole warps in units of 256, that is of 8 a thread."""
    rows = {(row.kernel, row.real, row.defines): row for row in compiled if row.architecture in ("sm_80", "sm_90")}
    wrong = []
    for launch in launches:
        usage = rows[launch.kernel, launch.real, launch.defines].usage
        threads = launch.block[0] * launch.block[1] * launch.block[2]
        registers = -(-usage.registers // 8) * 8 * -(-threads // 32) * 32
        if registers > MOST_REGISTERS:
            wrong.append(f"{launch.kernel}: {threads} threads of {usage.registers} registers")
        if usage.shared + launch.shared > MOST_SHARED:
            wrong.append(f"{launch.kernel}: {usage.shared} + {launch.shared} bytes of shared memory")
        if any(n > most for n, most in zip(launch.grid, MOST_BLOCKS, strict=True)):
            wrong.append(f"{launch.kernel}: a grid of {launch.grid}")
    assert not wrong
