"""The few mutants that the tests plant: one of every kind of fault, in ops that are quickly compiled and run."""

from __future__ import annotations

from ....errors import ArgumentError
from .operators import Mutant
from .sampling import all_mutants

# (file, operator): the first such mutant of the file is planted, and must be found.
FIXED = (
    ("flatten/flatten.cu", "dropped barrier"),
    ("flatten/flatten.cu", "skipped guard"),
    ("linear/linear.cu", "dropped barrier"),
    ("max_pool2d/cuda_numba.py", "wrong operation"),
    ("linear/cuda_numba.py", "dropped barrier"),
    ("linear/cuda_numba.py", "bound off by one"),
    ("cuda/include/gemm.cuh", "missing wait"),
    ("softmax/cuda_numba.py", "wrong lane"),
    ("max_pool2d/max_pool2d.cu", "swapped axes"),
    ("max_pool2d/max_pool2d.cu", "negated condition"),
    ("sgd_step/sgd_step.cu", "wrong sign"),
    ("cuda/include/philox.cuh", "wrong operation"),
    ("linear/linear.cu", "forgotten sum"),
    ("pad/pad.cu", "swapped logic"),
)


def fixed() -> list[Mutant]:
    """One mutant for each line of FIXED; ArgumentError where a file has none of that kind any more."""
    found = []
    for file, operator in FIXED:
        mine = [mutant for mutant in all_mutants([file]) if mutant.operator == operator]
        if not mine:
            raise ArgumentError(f"{file}: has no place for {operator!r} any more; name another in FIXED")
        found.append(mine[0])
    return found
