"""Compiling by NVRTC: what the compiler says reaches the user, and what is missing is named."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from minitl.errors import BackendUnavailable, CompileError
from minitl.kernels.cuda import nvrtc, sass
from minitl.kernels.cuda.source import Source

pytestmark = pytest.mark.usefixtures("nvrtc_or_skip")

GOOD = """#include "minitl.cuh"
extern "C" __global__ void twice(const real* x, real* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = 2 * x[i];
}
"""
# An array indexed at run time, which cannot lie in registers, and more values than such threads have registers.
SPILLING = """#include "minitl.cuh"
extern "C" __global__ void __launch_bounds__(1024, 2) greedy(const float* x, float* y, int n) {
    SHARED(float, kept, [256]);
    float values[64];
#pragma unroll
    for (int i = 0; i < 64; i++) values[i] = x[i * n + threadIdx.x];
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 64; i++) for (int j = 0; j < 64; j++) values[i] += values[(i * 7 + j) % 64] * kept[j];
    kept[threadIdx.x % 256] = values[0];
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 64; i++) y[i * n + threadIdx.x] = values[i] + kept[i];
}
extern "C" __global__ void modest(float* y) { y[threadIdx.x] = 0; }
"""


@pytest.fixture
def write(tmp_path):
    """A Source with the given text."""

    def made(text, name="mine.cu", **options):
        (tmp_path / name).write_text(text)
        return Source(tmp_path / name, **options)

    return made


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90", "sm_90a"])
def test_a_kernel_becomes_machine_code_of_that_architecture(write, architecture):
    found = nvrtc.compiled(write(GOOD), architecture)
    assert found.path.read_bytes().startswith(b"\x7fELF")
    assert f"for '{architecture}'" in found.log


def test_real_and_macros_reach_the_compiler(write):
    source = write(GOOD + "\n#if WIDTH != 3\n#error no width\n#endif\n", defines=(("WIDTH", "3"),))
    narrow, wide = (nvrtc.compiled(source, "sm_90", real) for real in ("float32", "float64"))
    assert narrow.path != wide.path
    with pytest.raises(CompileError, match="no width"):
        nvrtc.compiled(source, "sm_90", "float32", {"WIDTH": "4"})


@pytest.mark.parametrize(
    ("wrong", "line", "told"),
    [
        ("    y[0] = x[0] + nowhere;", 3, r'identifier "nowhere" is undefined: y\[0\] = x\[0\] \+ nowhere;'),
        ("    float a = ;", 3, r"expected an expression: float a = ;"),
        ('#include "nowhere.h"', 3, r"cannot open source file"),
    ],
)
def test_an_error_names_the_line_of_the_users_file(write, wrong, line, told):
    lines = GOOD.splitlines()
    source = write("\n".join([*lines[:2], wrong, *lines[2:]]))
    with pytest.raises(
        CompileError, match=f"^{re.escape(str(source.path))}:{line}: NVRTC refuses it: .*{told}"
    ) as info:
        nvrtc.compiled(source, "sm_90")
    assert "\n" not in str(info.value)


def test_more_errors_are_counted_and_what_the_linker_misses_is_told(write):
    source = write('extern "C" __global__ void a() { int b = c; }\nextern "C" __global__ void d() { int e = f; }\n')
    with pytest.raises(CompileError, match=r"mine\.cu:1: .*\(1 more error\)$"):
        nvrtc.compiled(source, "sm_90")
    source = write('extern "C" __device__ int gone();\nextern "C" __global__ void a(int* x) { *x = gone(); }\n')
    with pytest.raises(CompileError, match=r"mine\.cu: NVRTC refuses it: .*'gone'"):
        nvrtc.compiled(source, "sm_90")


@pytest.mark.parametrize("name", ["sm_77", "sm_80a", "hopper", "", "sm_90x"])
def test_an_unknown_architecture_is_named_beside_the_known(write, name):
    with pytest.raises(BackendUnavailable, match=rf"does not compile for '{name}'; it knows .*sm_80, .*sm_90"):
        nvrtc.compiled(write(GOOD), name)


def test_a_device_is_served_by_the_nearest_architecture_of_its_family():
    assert nvrtc.for_capability(90) == "sm_90"
    assert nvrtc.for_capability(86) == "sm_86"
    assert nvrtc.for_capability(max(nvrtc.architectures()) // 10 * 10 + 9) == f"sm_{max(nvrtc.architectures())}"
    with pytest.raises(BackendUnavailable, match=r"compute capability 6\.0"):
        nvrtc.for_capability(60)


def test_registers_shared_memory_and_spills_are_read_from_the_report(write):
    source = write(SPILLING)
    cubin = nvrtc.compiled(source, "sm_90")
    used = nvrtc.usage(cubin.log)
    assert set(used) == set(source.kernels)
    assert used["greedy"].registers == 32  # 64 Ki registers for 2048 threads
    assert used["greedy"].shared == 1024
    assert used["greedy"].spill_stores > 0
    assert used["greedy"].spill_loads > 0
    assert used["modest"].spill_stores == used["modest"].stack == used["modest"].shared == 0
    reason = sass.unavailable()
    if reason:
        pytest.skip(reason)
    counts = sass.instructions(cubin.path)
    assert counts["greedy"]["LDL"] > 0
    assert counts["greedy"]["STL"] > 0
    assert counts["modest"]["STL"] == counts["modest"]["HMMA"] == 0


def test_a_products_instructions_are_counted(write):
    source = write(
        '#include "minitl.cuh"\nextern "C" __global__ void product(float* d, const unsigned* a, const unsigned* b) {\n'
        '    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, '
        '{%0,%1,%2,%3};"\n        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])\n'
        '        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));\n}\n'
    )
    reason = sass.unavailable()
    if reason:
        pytest.skip(reason)
    counts = sass.instructions(nvrtc.compiled(source, "sm_90").path)
    assert counts["product"]["HMMA"] >= 1


def test_compiling_needs_no_cupy(write):
    source = write(GOOD)
    script = (
        "import sys; sys.modules['cupy'] = None\nfrom pathlib import Path\n"
        "from minitl.kernels.cuda import Source, nvrtc\n"
        f"print(nvrtc.compiled(Source(Path({str(source.path)!r})), 'sm_90').path)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(".cubin\n")
