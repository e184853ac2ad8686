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
    ask = Ask(kernel, version, exact=made is not None)
    call = finite(call) if made is None else made
    if made is None and not all(np.isfinite(a).all() for a in parts(truth(kernel, call))):
        return None  # numbers that do not belong together, such as the sums of other rows
    shares = []
    for name, relation in RELATIONS.get(kernel.name, {}).items():
        # One of the calls that it takes may not be for this version.
        with telling(name), suppress(BackendUnavailable):
            shares.append(relation(ask, call))
    return largest(shares)
