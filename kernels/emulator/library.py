"""Compiles a .cu file with g++ into a library, and launches its kernels there; the runtime's findings become errors."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import math
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import errors
from .. import cache as kernel_cache
from . import current_schedule, memory, schedule_number, unavailable

if TYPE_CHECKING:
    from ..cuda.source import Parameter, Source

HERE = Path(__file__).parent
ROOT = HERE.parent
INCLUDE = ROOT / "cuda" / "include"
COMMON = ("-std=c++17", "-fPIC", "-O2", "-fno-exceptions", "-fno-rtti")
# As on the GPU, a * b + c is fused. A hook in every branch counts steps. Nothing may turn loops into calls of memset
# or memcpy, which would hide single accesses, move accesses out of loops, or assume that loops end. Local variables
# begin as a pattern, so that one which is never set shows; a large frame touches every page, so none is passed over.
KERNEL = (
    *COMMON, "-mfma", "-ffp-contract=fast", "-fno-strict-aliasing", "-fno-tree-vectorize",
    "-fno-tree-loop-distribute-patterns", "-fno-tree-loop-im", "-fno-finite-loops",
    "-fsanitize=thread", "--param=tsan-instrument-func-entry-exit=0", "-fsanitize-coverage=trace-pc",
    "-fsanitize=bounds", "-ftrivial-auto-var-init=pattern", "-fstack-clash-protection", "-fno-optimize-sibling-calls",
    "-fno-extern-tls-init", "-fno-partial-inlining", f"-Werror=frame-larger-than={512 << 10}",
    "-g1", "-gdwarf-4", "-Wno-unknown-pragmas", "-DMINITL_EMULATED=1",
)  # fmt: skip
# Where changed sources stand in for those of kernels/: a folder laid out likewise, with all of cuda/include and any
# other .cu file (see verify.mutation). None but while mutants are tested.
overlay: Path | None = None
MOST_STEPS = 5_000_000_000  # accesses and branches of one launch, before it is taken for one that never ends

MOST_BLOCKS = (2**31 - 1, 65535, 65535)  # of a grid, on any GPU
MOST_SHUFFLED = 1 << 24  # blocks: their order is drawn beforehand
PAUSED = 3  # what the runtime returns now and then, so that Python can see to Ctrl-C
SHARED_BYTES = 228 << 10  # what an `extern __shared__` array may have, as in runtime.cpp
EXTERN_SHARED = re.compile(r"\bextern\b[^;()]*\b__shared__\b[^;]*?(\w+)\s*\[\s*\]\s*;")

_turn = threading.Lock()  # the runtime keeps its threads in static memory


def _new_turn() -> None:
    """In a process that was forked while another thread was launching: nobody will give the lock back there."""
    global _turn
    _turn = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_turn)


@contextmanager
def at_most(steps: int) -> Iterator[None]:
    """Inside a `with` block a launch that takes more steps is one that never ends."""
    global MOST_STEPS
    before = MOST_STEPS
    MOST_STEPS = min(steps, before)
    try:
        yield
    finally:
        MOST_STEPS = before


class _Array(ctypes.Structure):
    _fields_ = (
        ("begin", ctypes.c_void_p),
        ("end", ctypes.c_void_p),
        ("written", ctypes.c_void_p),
        ("cell", ctypes.c_int),
        ("writable", ctypes.c_int),
    )


_Index = ctypes.c_uint * 3
NOBODY = (2**32 - 1,) * 3  # where the runtime names no other thread


class _Fault(ctypes.Structure):
    _fields_ = (
        ("kind", ctypes.c_char * 24),
        ("what", ctypes.c_char * 256),
        ("pc", ctypes.c_void_p),
        ("other_pc", ctypes.c_void_p),
        ("line", ctypes.c_int),
        ("array", ctypes.c_int),
        ("shared", ctypes.c_char * 64),
        ("shared_bytes", ctypes.c_longlong),
        ("offset", ctypes.c_longlong),
        ("thread", _Index),
        ("block", _Index),
        ("other", _Index),
    )


class _Launch(ctypes.Structure):
    _fields_ = (
        ("grid", _Index),
        ("block", _Index),
        ("dynamic_bytes", ctypes.c_ulonglong),
        ("schedule", ctypes.c_ulonglong),
        ("most_steps", ctypes.c_ulonglong),
        ("array_count", ctypes.c_int),
        ("arrays", ctypes.POINTER(_Array)),
        ("arguments", ctypes.c_void_p),
        ("argument_bytes", ctypes.c_ulonglong),
        ("fault", _Fault),
    )


def launch(
    source: Source,
    kernel: str,
    grid: tuple[int, int, int],
    block: tuple[int, int, int],
    values: list[Any],
    defines: Mapping[str, str],
    real: np.dtype,
    shared: int,
) -> None:
    """Runs one kernel on NumPy arrays. See Source.launch; `values` are its arguments, checked."""
    if any(n > most for n, most in zip(grid, MOST_BLOCKS, strict=True)):
        found, limit = (" x ".join(map(str, n)) for n in (grid, MOST_BLOCKS))
        raise errors.ArgumentError(f"{kernel}: a grid of {found} blocks; a GPU takes at most {limit}")
    if schedule_number() > 1 and math.prod(grid) > MOST_SHUFFLED:
        raise errors.ArgumentError(
            f'{kernel}: {math.prod(grid)} blocks are too many to shuffle; use emulator.schedule("forward")'
        )
    if shared < 0:
        raise errors.ArgumentError(f"{kernel}: shared must be a number of bytes from 0; got {shared}")
    if real.name not in ("float32", "float64"):
        raise errors.ArgumentError(f"{kernel}: real must be float32 or float64; got {real.name}")
    library = compiled(source, tuple(sorted(defines.items())), real.name)
    parameters = source.parameters(kernel)
    with _turn:
        call = _Call(parameters, values)
        state = _Launch(
            grid=_Index(*grid),
            block=_Index(*block),
            dynamic_bytes=shared,
            schedule=schedule_number(),
            most_steps=MOST_STEPS,
            array_count=len(call.arrays),
            arrays=(_Array * max(len(call.arrays), 1))(*(array for _, array in call.arrays)),
            arguments=call.storage.ctypes.data,
            argument_bytes=call.storage.nbytes,
            fault=_Fault(other=_Index(*NOBODY)),
        )
        entry = ctypes.cast(getattr(library, f"minitl_entry_{kernel}"), ctypes.c_void_p)
        try:
            outcome = library.minitl_run(entry, ctypes.c_void_p(call.pointers.ctypes.data), ctypes.byref(state))
            while outcome == PAUSED:
                outcome = library.minitl_go_on()
        except BaseException:
            library.minitl_stop()
            raise
    if outcome == 2:
        raise errors.BackendUnavailable(f"{kernel}: the emulator got no memory to watch its arrays; use smaller ones")
    if outcome:
        raise _fault(library, source, kernel, call, state.fault)


class _Call:
    """The arguments of a launch in the form that the runtime takes.

    Arrays that the kernel takes as const are copied to a place with room around them; so are others that are not
    from `memory.empty`, and these are copied back.
    """

    def __init__(self, parameters: tuple[Parameter, ...], values: list[Any]) -> None:
        self.arrays: list[tuple[str, _Array]] = []
        self._buffers: list[np.ndarray] = []
        pieces = []
        outputs = [v for p, v in zip(parameters, values, strict=True) if p.pointer and not p.const and v is not None]
        for parameter, value in zip(parameters, values, strict=True):
            if parameter.pointer:
                # Where an input lies in an output's memory, it is that memory, not a copy.
                writable = not parameter.const or (value is not None and any(_one_memory(value, o) for o in outputs))
                pieces.append(np.uint64(0 if value is None else self._place(parameter, value, writable)))
            else:
                pieces.append(value)
        # One buffer holds the arguments and, at its end, their addresses.
        offsets = np.cumsum([0, *(-(-p.nbytes // 16) * 16 for p in pieces)])
        self.storage = np.zeros(offsets[-1] + 8 * len(pieces) + 16, np.uint8)
        for offset, piece in zip(offsets, pieces, strict=False):
            self.storage[offset : offset + piece.nbytes] = np.frombuffer(piece.tobytes(), np.uint8)
        self.pointers = self.storage[offsets[-1] :][: 8 * len(pieces)].view(np.uint64)
        self.pointers[:] = self.storage.ctypes.data + offsets[:-1]

    def _place(self, parameter: Parameter, array: np.ndarray, writable: bool) -> int:
        known = memory.written(array)
        address = array.ctypes.data
        low, high = memory.span(array)
        if not writable and known is None:
            buffer, address = memory.guarded(array)
            self._buffers.append(buffer)
            low, high = buffer.ctypes.data, buffer.ctypes.data + buffer.nbytes
        if known is not None:
            known.look()  # what NumPy wrote since
        if known is not None:  # all of what was allocated: a view may share its neighbours' cells
            low, high = known.address, known.address + known.flags.size * known.size
        flags = None if known is None else known.flags.ctypes.data
        cell = min(array.itemsize, 4) if known is None else known.size
        # What a kernel reads of an earlier one's output is watched too: it must have been written.
        self.arrays.append((parameter.name, _Array(low, high, flags, cell, int(writable))))
        return address


def _fault(library: Any, source: Source, kernel: str, call: _Call, fault: _Fault) -> errors.KernelFault:
    kind, what = fault.kind.decode(), fault.what.decode()
    place = _line(library, source, fault.pc) or (f"{source.path.name}:{fault.line}" if fault.line > 0 else None)
    there = _line(library, source, fault.other_pc)  # of the same file
    where = f"{place}, " if place else ""
    if fault.array >= 0:
        name, array = call.arrays[fault.array]
        what += f"; {name}, byte {fault.offset} of {array.end - array.begin}"
    elif fault.array == -1:
        name = fault.shared.decode()
        what += f"; shared memory, {name}, byte" if name else "; shared memory, byte"
        what += f" {fault.offset} of {fault.shared_bytes}" if name else f" {fault.offset}"
    elif kind == "out of bounds" and fault.offset:
        what += _nearest(call, fault.offset)
    thread, block = tuple(fault.thread), tuple(fault.block)
    who = f"thread {thread}"
    if tuple(fault.other) != NOBODY:
        who = f"threads {thread} and {tuple(fault.other)}"
        if place and there and there != place:
            who = f"thread {thread}, and line {there.rpartition(':')[2]}, thread {tuple(fault.other)},"
    return errors.KernelFault(kernel, kind, f"{where}{who} of block {block}: {what} (schedule {current_schedule()})")


def _one_memory(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays are of one allocation by `memory.empty`, or overlap."""
    known = memory.written(a)
    return np.may_share_memory(a, b) or (known is not None and known is memory.written(b))


def _nearest(call: _Call, address: int) -> str:
    """How far from which array an address is."""
    found = []
    for name, array in call.arrays:
        before, behind = (array.begin or 0) - address, address - (array.end or 0)
        found.append(
            (
                max(before, behind),
                f"; {name} is nearest, {before} bytes behind it"
                if before > 0
                else f"; {name} is nearest, it ended {behind} bytes before",
            )
        )
    return min(found)[1] if found else ""


def _line(library: Any, source: Source, pc: int | None) -> str | None:
    """file:line of an instruction, where binutils' addr2line is there to tell; the outermost line of the .cu file."""
    tool = shutil.which("addr2line")
    if not pc or not tool:
        return None
    base = ctypes.cast(library.minitl_image, ctypes.CFUNCTYPE(ctypes.c_void_p))()
    offset = hex(pc - 1 - base)
    found = subprocess.run([tool, "-i", "-e", library._name, offset], capture_output=True, text=True, check=False)
    lines = re.findall(r"([^/\n]+):(\d+)", found.stdout)
    own = [f"{name}:{number}" for name, number in lines if name == source.path.name]
    return own[-1] if own else None


def compiled(source: Source, defines: tuple[tuple[str, str], ...], real: str) -> Any:
    """The library of a source for `real` float32 or float64; compiled when it is not in the cache."""
    return _loaded(source, source.text, defines, real, overlay)


@cache
def _loaded(source: Source, text: str, defines: tuple[tuple[str, str], ...], real: str, instead: Path | None) -> Any:
    reason = unavailable()
    if reason:
        raise errors.BackendUnavailable(f"{source.path.name}: {reason}")
    macros = [f"-DREAL={'double' if real == 'float64' else 'float'}", *(f"-D{name}={value}" for name, value in defines)]
    entries = "\n".join(_entry(name, parameters) for name, parameters in source.kernels.items())
    folders = (source.path.parent.absolute(), INCLUDE if instead is None else instead / INCLUDE.relative_to(ROOT), HERE)
    there = source.path.absolute()
    if instead is not None and there.is_relative_to(ROOT) and (instead / there.relative_to(ROOT)).exists():
        there = instead / there.relative_to(ROOT)
        text = there.read_text(encoding="utf-8")
    whole = f"{_extern_shared(text)}\n{entries}\n"
    runtime = _runtime()

    def make(path: Path) -> None:
        before = ["-include", "cuda.h", "-include", str(there)]  # whatever characters its path has
        text_of, part = path.with_suffix(".cpp"), path.with_suffix(".o")
        try:
            text_of.write_text(whole, encoding="utf-8")  # from a pipe, g++ would not know the lines' files
            command = ["g++", *KERNEL, *macros, *(f"-I{folder}" for folder in folders), *before]
            _run([*command, "-c", str(text_of), "-o", str(part)], source.path, text_of)
            # Linked apart: with -fsanitize=thread g++ would add the library whose hooks the runtime replaces.
            _run(["g++", "-shared", "-Wl,-Bsymbolic,-z,defs", str(part), str(runtime), "-o", str(path)], source.path)
            _seal(path)
        finally:
            text_of.unlink(missing_ok=True)
            part.unlink(missing_ok=True)

    headers = [*_headers(folders[1]), *_included(there, text, folders[0], set())]
    parts = [str(there), whole, text, *headers, *macros, *KERNEL, _compiler(), runtime.name]
    library = kernel_cache.built(f"{source.path.stem}.so", parts, make, _is_whole)
    try:
        return ctypes.CDLL(str(library))
    except OSError as error:
        raise errors.BackendUnavailable(
            f"{source.path.name}: {error}; set MINITL_CACHE to a folder from which programs may be run"
        ) from error


def _seal(compiled: Path) -> None:
    """Writes the hash of a file behind its end, where no tool minds it."""
    content = compiled.read_bytes()
    with open(compiled, "ab") as file:
        file.write(hashlib.sha256(content).digest())


def _is_whole(compiled: Path) -> bool:
    """Whether a file is what was sealed."""
    content = compiled.read_bytes()
    return hashlib.sha256(content[:-32]).digest() == content[-32:]


def _extern_shared(text: str) -> str:
    """Room for the `extern __shared__` arrays that a kernel file declares: all of them are one place, as on a GPU."""
    names = sorted(set(EXTERN_SHARED.findall(text)))
    if not names:
        return ""
    labels = "".join(
        f".globl {n}\\n.hidden {n}\\n.type {n}, @object\\n.size {n}, {SHARED_BYTES}\\n{n}:\\n"
        for n in ("minitl_extern_room", *names)
    )
    place = '.section .tbss, \\"awT\\", @nobits\\n.balign 128\\n'
    return (
        f'asm("{place}{labels}.zero {SHARED_BYTES}\\n.text\\n");\n'
        "extern thread_local char minitl_extern_room[];\n"
        'extern "C" __attribute__((visibility("hidden"))) char* minitl_extern_shared() { return minitl_extern_room; }'
    )


def _entry(kernel: str, parameters: tuple[Parameter, ...]) -> str:
    """A function that takes the arguments as CUDA's own launch does: an array of their addresses."""
    arguments = []
    for i, p in enumerate(parameters):
        kind = f"{'const ' if p.const else ''}{p.type}{'*' if p.pointer else ''}"
        arguments.append(f"*({kind}*)minitl_a[{i}]")
    call = f"{kernel}({', '.join(arguments)});"
    entry = f'extern "C" void minitl_entry_{kernel}(void** minitl_a)'
    if not arguments:
        return f"{entry} {{ (void)minitl_a; {call} }}"
    # Where #if or a namespace hides the kernel from here, this one is called, which takes anything.
    otherwise = f"namespace minitl_none {{ inline void {kernel}(...) {{ minitl_hidden(); }} }}"
    return f"{otherwise}\n{entry} {{ using namespace minitl_none; {call} }}"


@cache
def _runtime() -> Path:
    """The runtime, compiled once: without the hooks that it defines."""
    text = "".join((HERE / name).read_text(encoding="utf-8") for name in ("runtime.cpp", "rescue.h"))

    def make(path: Path) -> None:
        _run(["g++", *COMMON, "-c", str(HERE / "runtime.cpp"), "-o", str(path)], HERE / "runtime.cpp")
        _seal(path)

    return kernel_cache.built("emulator.o", [text, *COMMON, _compiler()], make, _is_whole)


def _run(command: list[str], path: Path, generated: Path | None = None) -> None:
    """Runs g++; CompileError with its first words about the file at `path`, OSError where the disk is full.

    generated: what was appended to that file.
    """
    plain = {**os.environ, "LC_ALL": "C.UTF-8"}  # messages in English
    found = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, env=plain)
    if not found.returncode:
        return
    if any(os.strerror(number) in found.stderr for number in (errno.ENOSPC, errno.EDQUOT)):
        _ask_disk(Path(command[-1]).parent)
    lines = [line for line in found.stderr.splitlines() if re.search(r"undefined reference|\berror: (?!ld )", line)]
    first = lines[0] if lines else found.stderr.strip()
    opened = re.search(r"^(.*): note: to match this ‘(.)’", found.stderr, re.MULTILINE)
    if generated and first.startswith(str(generated)) and opened:
        first = f"{opened[1]}: error: this ‘{opened[2]}’ is never closed"
    raise errors.CompileError(f"{path}: g++ refuses it: {first}")


def _ask_disk(folder: Path) -> None:
    """OSError where the disk takes no more."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".probe-") as probe:
        probe.write(bytes(1 << 20))
        probe.flush()


@cache
def _compiler() -> str:
    return subprocess.run(["g++", "--version"], capture_output=True, text=True, check=False).stdout.split("\n")[0]


def _headers(include: Path) -> list[str]:
    """The text of every shared header: a changed one makes every library anew."""
    return [p.read_text(encoding="utf-8") for folder in (include, HERE) for p in sorted(folder.glob("*.*h"))]


def _included(path: Path, text: str, folder: Path, seen: set[Path]) -> list[str]:
    """The texts of the headers in and below the folder of a kernel file that it includes, directly or not."""
    texts = []
    for name in re.findall(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^">\n]+)[">]', text, re.MULTILINE):
        for header in ((path.parent / name).resolve(), (folder / name).resolve()):
            if header.is_file() and header not in seen:
                seen.add(header)
                texts.append(header.read_text(encoding="utf-8", errors="replace"))
                texts += _included(header, texts[-1], folder, seen)
    return texts
