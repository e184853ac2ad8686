"""Compiles CUDA C++ to machine code (a cubin) by NVRTC, which needs no GPU, and reads the compiler's report.

NVRTC is entered through cuda-bindings rather than through CuPy, so that kernels can be compiled and checked where CuPy,
three times as large, is not installed; CuPy's own compilation also appends an -arch of its own, and so cannot be given
sm_90a.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import BackendUnavailable, CompileError
from .cache import Cubin, cubin

if TYPE_CHECKING:
    from .source import Source

INCLUDE = Path(__file__).with_name("include")
INSTALL = "pip install 'minitl[verify]', or minitl[cuda13] where there is a GPU"
# No fast mathematics: NaN and infinity stay what they are. Line numbers cost nothing; the sanitizer shows them.
OPTIONS = ("-std=c++17", "-lineinfo", "--ptxas-options=-v")


@dataclass(frozen=True)
class Usage:
    """What one kernel takes of a multiprocessor, as the assembler reports it. All but registers in bytes.

    registers: 32-bit ones, a thread. shared: declared in the source, a block. stack, spill_stores, spill_loads: of the
    thread's local memory, which lies in device memory and is slow.
    """

    kernel: str
    registers: int
    shared: int
    stack: int
    spill_stores: int
    spill_loads: int


@cache
def unavailable() -> str | None:
    """Why nothing can be compiled here, or None."""
    try:
        from cuda.bindings import nvrtc
    except ImportError:
        return f"cuda-bindings is not installed ({INSTALL})"
    try:
        nvrtc.nvrtcVersion()
    except Exception as error:  # cuda-bindings tells in several ways that it finds no library
        first = str(error).strip().partition("\n")[0]
        return f"NVRTC cannot be loaded: {first} ({INSTALL})"
    return None


def _nvrtc() -> Any:
    reason = unavailable()
    if reason:
        raise BackendUnavailable(f"CUDA C++ cannot be compiled: {reason}")
    from cuda.bindings import nvrtc

    return nvrtc


@cache
def version() -> tuple[int, int]:
    """NVRTC's, which is that of the CUDA toolkit it belongs to, such as (13, 0)."""
    _, major, minor = _nvrtc().nvrtcVersion()
    return major, minor


@cache
def architectures() -> tuple[int, ...]:
    """The compute capabilities that this NVRTC compiles for, in tens: 90 stands for sm_90."""
    _, known = _nvrtc().nvrtcGetSupportedArchs()
    return tuple(sorted(known))


def check_architecture(name: str) -> None:
    """BackendUnavailable unless NVRTC compiles for an architecture such as "sm_80" or "sm_90a"."""
    found = re.fullmatch(r"sm_(\d+)([af]?)", name)
    # From Hopper on there are variants: a, with what this chip alone has, and, from Blackwell on, f, with its family's.
    ranks = {"": 0, "a": 90, "f": 100}
    if not found or int(found[1]) not in architectures() or int(found[1]) < ranks[found[2]]:
        known = ", ".join(f"sm_{number}" for number in architectures())
        raise BackendUnavailable(
            f"NVRTC {'.'.join(map(str, version()))} does not compile for {name!r}; it knows {known}, "
            "and sm_90a and the like from 90 on"
        )


def for_capability(capability: int) -> str:
    """The architecture to compile for, given a device's compute capability in tens (90: an H100).

    Machine code runs on later minor versions of its own major one. Raises BackendUnavailable where NVRTC knows none.
    """
    fit = [number for number in architectures() if number // 10 == capability // 10 and number <= capability]
    if not fit:
        raise BackendUnavailable(
            f"NVRTC {'.'.join(map(str, version()))} does not compile for this GPU, of compute capability "
            f"{capability / 10}; install one that knows it (pip install -U nvidia-cuda-nvrtc)"
        )
    return f"sm_{max(fit)}"


def compiled(
    source: Source, architecture: str, real: str = "float32", defines: Mapping[str, str] | None = None
) -> Cubin:
    """The machine code of a .cu file, from the disk cache where it is there.

    architecture: as "sm_80", "sm_90", "sm_90a". real: "float32" or "float64". defines: macros besides the source's own.
    Raises CompileError with the compiler's words and the line of the file; BackendUnavailable where there is no NVRTC
    or it does not know the architecture.
    """
    macros = {**dict(source.defines), **(defines or {})}
    return _compiled(source, source.text, architecture, real, tuple(sorted(macros.items())))


@cache
def _compiled(source: Source, text: str, architecture: str, real: str, macros: tuple[tuple[str, str], ...]) -> Cubin:
    check_architecture(architecture)
    options = [f"-arch={architecture}", *OPTIONS, f"-DREAL={'double' if real == 'float64' else 'float'}"]
    options += [f"-D{name}={value}" for name, value in macros]
    folders = (source.path.parent, INCLUDE)
    parts = [text, str(source.path), *_included(text, folders, set()), *options, repr(version()), _build()]
    options += [f"-I{folder}" for folder in folders]
    return cubin(source.path.stem, parts, lambda: _compile(text, str(source.path), options))


def _included(text: str, folders: tuple[Path, ...], seen: set[str]) -> list[str]:
    """The text of every header that is included by name, directly or not: a changed one makes another cubin."""
    texts = []
    for name in re.findall(r'^\s*#\s*include\s*"([^"]+)"', text, re.MULTILINE):
        path = next((folder / name for folder in folders if (folder / name).is_file()), None)
        if path is not None and name not in seen:
            seen.add(name)
            header = path.read_text(encoding="utf-8", errors="replace")
            texts += [name, header, *_included(header, folders, seen)]
    return texts


@cache
def _build() -> str:
    """The exact package of NVRTC: a patch of it may generate other code under the same version."""
    import importlib.metadata

    for package in ("nvidia-cuda-nvrtc", "nvidia-cuda-nvrtc-cu12"):
        try:
            return f"{package} {importlib.metadata.version(package)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""


def _compile(text: str, path: str, options: list[str]) -> tuple[bytes, str]:
    """Machine code and log; CompileError where NVRTC refuses the text."""
    nvrtc = _nvrtc()
    _, program = nvrtc.nvrtcCreateProgram(text.encode(), path.encode(), 0, [], [])
    try:
        (status,) = nvrtc.nvrtcCompileProgram(program, len(options), [option.encode() for option in options])
        log = _bytes(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog, program).rstrip(b"\0 \n")
        told = log.decode("utf-8", "replace")
        if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
            raise CompileError(_told(path, told or status.name))
        return _bytes(nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN, program), told
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def _bytes(size_of: Any, get: Any, program: Any) -> bytes:
    _, size = size_of(program)
    room = b" " * size  # cuda-bindings writes into it
    get(program, room)
    return room


def _told(path: str, log: str) -> str:
    """The first error of a log, in one line: where, what, and the line of source that the compiler shows."""
    lines = log.splitlines()
    at = next((i for i, line in enumerate(lines) if re.search(r"\b(error|fatal)\b", line)), None)
    if at is None:
        return f"{path}: NVRTC refuses it: {lines[0] if lines else 'it does not say why'}"
    shown = f": {lines[at + 1].strip()}" if at + 1 < len(lines) and lines[at + 1].startswith("  ") else ""
    place = re.match(r"(.*)\((\d+)\): (?:catastrophic )?error: (.*)", lines[at])
    if not place:
        return f"{path}: NVRTC refuses it: {lines[at]}"
    more = sum(bool(re.search(r"\): (?:catastrophic )?error\b", line)) for line in lines) - 1
    others = f" ({more} more error{'s' if more > 1 else ''})" if more else ""
    return f"{place[1]}:{place[2]}: NVRTC refuses it: {place[3]}{shown}{others}"


def usage(log: str) -> dict[str, Usage]:
    """What each kernel takes, by name, from the log of a compilation with --ptxas-options=-v."""
    found = {}
    for part in log.split("Compiling entry function ")[1:]:
        name = part.split("'")[1]
        # The kernel's own frame, and that of each function that it calls, none of them inlined.
        frames = re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", part)
        stack, stores, loads = (sum(map(int, column)) for column in zip(*frames, strict=True))
        registers = re.search(r"Used (\d+) registers", part)
        shared = re.search(r"(\d+) bytes smem", part)
        found[name] = Usage(
            name, int(registers[1]) if registers else 0, int(shared[1]) if shared else 0, stack, stores, loads
        )
    return found
