"""Which mutants there are, and a sample of them: from every file some, otherwise in proportion."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...emulator import library
from . import operators, python_operators
from .operators import Mutant

LEAST = 2  # from a file, where it has so many


def sources() -> dict[str, str]:
    """The text of every .cu and .cuh file, and of every file of Numba kernels, by its path below kernels/."""
    found = [path for pattern in ("*.cu", "*.cuh", "*/cuda_numba.py") for path in library.ROOT.rglob(pattern)]
    return {path.relative_to(library.ROOT).as_posix(): path.read_text(encoding="utf-8") for path in sorted(found)}


def mutants_of(file: str, text: str) -> list[Mutant]:
    """Every mutant of a source."""
    return list((python_operators if file.endswith(".py") else operators).mutants(file, text))


def all_mutants(files: Iterable[str] | None = None) -> list[Mutant]:
    """Every mutant of these files; of all by default."""
    texts = sources()
    return [mutant for file in (texts if files is None else files) for mutant in mutants_of(file, texts[file])]


def sample(mutants: list[Mutant], count: int, seed: int) -> list[Mutant]:
    """`count` of them (or somewhat more, for LEAST), the same for the same seed; in a file's order."""
    files: dict[str, list[Mutant]] = {}
    for mutant in mutants:
        files.setdefault(mutant.file, []).append(mutant)
    chosen = []
    for number, (_, mine) in enumerate(sorted(files.items())):
        share = min(len(mine), max(LEAST, round(count * len(mine) / len(mutants))))
        drawn = np.random.default_rng((seed, number)).permutation(len(mine))[:share]
        chosen += [mine[i] for i in sorted(drawn)]
    return chosen
