"""Whether a mutant of a .cu file is the same program: g++ makes the same machine code of it.

Source of the idea: Papadakis et al., "Trivial Compiler Equivalence: A Large Scale Empirical Study of a Simple, Fast and
Effective Equivalent Mutant Detection Technique" (2015).
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from ...emulator import library
from .calls import Build
from .operators import Mutant


def same_code(mutant: Mutant, builds: Iterable[Build], folder: Path) -> bool:
    """Whether all of a mutant's builds (some, at least) are as they were; its sources lie planted in `folder`."""
    pairs = [(_assembly(library.ROOT, build), _assembly(folder / "kernels", build)) for build in builds]
    return bool(pairs) and all(plain == mutated for plain, mutated in pairs)


def _assembly(root: Path, build: Build) -> str:
    """What g++ makes of a source, without the names of files."""
    file, macros, real = build
    path = root / file if (root / file).exists() else library.ROOT / file
    include = root / library.INCLUDE.relative_to(library.ROOT)
    options = [option for option in library.KERNEL if not option.startswith("-g")]
    defines = [f"-DREAL={'double' if real == 'float64' else 'float'}", *(f"-D{name}={value}" for name, value in macros)]
    folders = [f"-I{include}", f"-I{library.HERE}", f"-I{path.parent}"]
    command = ["g++", *options, *defines, *folders, "-S", "-x", "c++", str(path), "-o", "-"]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return "\n".join(line for line in made.split("\n") if not line.lstrip().startswith((".file", ".ident")))
