"""Whether NVRTC makes machine code of a kernel from outside, and what that takes of a GPU: no GPU is needed.

The emulator compiles with g++, which takes host headers and much else that no GPU's compiler does.
"""

from __future__ import annotations

from dataclasses import asdict

from ...errors import CompileError
from ..cuda import Source, nvrtc
from .suite import Row, Subject

PROPERTY = "compiled by NVRTC"
ARCHITECTURE = "sm_80"  # the oldest that kernels are written for: code for it takes no instructions of later ones


def compiled(subject: Subject) -> Row | None:
    """A row about the CUDA C++ kernels that a subject has launched; None where it has launched none.

    Passed with what each takes in `why`; failed where NVRTC refuses one; "not served", with the reason, where there is
    no NVRTC.
    """

    def row(outcome: str, why: str, count: int = 0, **case: object) -> Row:
        return Row(subject.kernel.name, subject.label, PROPERTY, count, None, outcome, why, case)

    if not subject.launched:
        return None
    reason = nvrtc.unavailable()
    if reason:
        return row("not served", reason)
    told, usages = [], []
    for (path, name, real), defines in sorted(subject.launched.items(), key=lambda item: item[0]):
        try:
            cubin = nvrtc.compiled(Source(path), ARCHITECTURE, real, defines)
        except CompileError as error:
            return row("failed", str(error), len(told) + 1, repeat=f"{subject.command} --cases 1")
        usage = nvrtc.usage(cubin.log)[name]
        told.append(_told(usage, real))
        usages.append({**asdict(usage), "real": real, "architecture": ARCHITECTURE})
    return row("passed", "; ".join(told), len(told), usage=usages)


def _told(usage: nvrtc.Usage, real: str) -> str:
    """What a kernel takes, in words."""
    spilled = usage.spill_stores + usage.spill_loads
    slow = f"{spilled} bytes spilled to slow local memory" if spilled else "no spills"
    local = f", {usage.stack} bytes of local arrays" if usage.stack and not spilled else ""
    return (
        f"{usage.kernel} ({real}, {ARCHITECTURE}): {usage.registers} registers a thread, {slow}{local}, "
        f"{usage.shared} bytes of shared memory a block"
    )
