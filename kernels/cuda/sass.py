"""What machine code really does: the instructions of a cubin, counted by nvdisasm."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

from ...errors import BackendUnavailable
from .. import cache

# Of a line such as "/*0040*/  @!P0 LDG.E R4, desc[UR4][R2.64] ;", the name LDG.
INSTRUCTION = re.compile(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9]*)")
TENSOR_CORES = ("HMMA", "IMMA", "DMMA", "HGMMA", "QGMMA")  # products of small matrices
LOCAL_MEMORY = ("LDL", "STL")  # of the thread: spilled registers, or an array indexed at run time


@functools.cache
def _nvdisasm() -> str | None:
    """Where the program is: on the path, or where its package puts it, which is not on the path."""
    found = shutil.which("nvdisasm")
    if found or importlib.util.find_spec("nvidia") is None:
        return found
    import nvidia

    places = (path for folder in nvidia.__path__ for path in sorted(Path(folder).glob("*/bin/nvdisasm")))
    return next((str(path) for path in places), None)


def unavailable() -> str | None:
    """Why no machine code can be read here, or None."""
    return None if _nvdisasm() else "nvdisasm is not installed (pip install nvidia-cuda-nvdisasm)"


def instructions(cubin: Path) -> dict[str, Counter[str]]:
    """How many instructions of each name every kernel of a cubin has; kept on disk beside it.

    Raises BackendUnavailable without nvdisasm.
    """
    reason = unavailable()
    if reason:
        raise BackendUnavailable(f"machine code cannot be read: {reason}")
    digest = hashlib.sha256(cubin.read_bytes()).hexdigest()
    kept = cache.built(
        f"{cubin.name.partition('-')[0]}.counts.json", [digest], lambda path: _count(cubin, path), _is_json
    )
    return {name: Counter(counts) for name, counts in json.loads(kept.read_text(encoding="utf-8")).items()}


def _count(cubin: Path, to: Path) -> None:
    done = subprocess.run([str(_nvdisasm()), "-c", str(cubin)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BackendUnavailable(f"{cubin.name}: nvdisasm cannot read it: {done.stderr.strip()}")
    found = {}
    for part in done.stdout.split("\n.text.")[1:]:
        name, _, code = part.partition(":\n")
        found[name] = Counter(INSTRUCTION.findall(code))
    to.write_text(json.dumps(found), encoding="utf-8")


def _is_json(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_text(encoding="utf-8")), dict)
    except (OSError, ValueError):
        return False
