"""Relations between the answers to several calls, such as linearity, or that a stride takes every so manyth pixel.

No oracle says what an answer should be: a version is held to itself. Which relations hold for which op stands in the
table `relations.RELATIONS`. Where an op is exact on whole numbers they are compared to the bit, otherwise within the
sum of the derived bounds. Method: Chen, Cheung & Yiu, "Metamorphic testing: a new approach for generating next test
cases" (1998).
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from ....errors import BackendUnavailable
from ...registry import KernelSpec, Version
from ..agreement import Call, largest, telling
from ..truth import truth
from .ask import Ask
from .calls import finite, parts
from .exact import EXACT
from .relations import RELATIONS


def metamorphic(kernel: KernelSpec, version: Version, call: Call) -> float | None:
    """The largest share over the op's relations; the message of a Disagreement begins with the relation's name."""
    made = EXACT[kernel.name](call) if kernel.name in EXACT else None
    ask = Ask(kernel, version, exact=made is not None and version.exact)
    call = finite(call) if made is None else made
    if made is None and not _of_use(kernel, call):
        return None
    shares = []
    for name, relation in RELATIONS.get(kernel.name, {}).items():
        # One of the calls that it takes may not be for this version.
        with telling(name), suppress(BackendUnavailable):
            shares.append(relation(ask, call))
    return largest(shares)


def _of_use(kernel: KernelSpec, call: Call) -> bool:
    """Whether every answer is a number in the call's dtype: not where inputs do not belong together any more."""
    dtype = next(a.dtype for value in call.values() for a in parts(value) if a.dtype.kind == "f")
    with np.errstate(over="ignore"):
        return all(np.isfinite(a.astype(dtype)).all() for a in parts(truth(kernel, call)))
