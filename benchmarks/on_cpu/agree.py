"""Nothing is timed that computes something else: results are compared beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .setting import Setting, describe_error

# The largest difference of scores, as a share of the largest score: bfloat16 is off by about 1e-2, TF32 by 1e-3, sums
# of float32 in another order, and Winograd's, by 1e-5 at most.
SCORES = 1e-4
# That of gradients and of what a step changes, as a root of squares: where a sum is nearly 0 its last bit decides
# whether a ReLU lets a gradient through, so frameworks differ by 1e-3 or so in deep networks.
GRADIENTS = 2e-2


def of_scores(got: np.ndarray, truth: np.ndarray) -> float:
    """max |got - truth| / max |truth|."""
    return float(np.abs(got - truth).max() / np.abs(truth).max())


def of_sets(got: Mapping[str, np.ndarray], truth: Mapping[str, np.ndarray]) -> float:
    """The largest of |got - truth| / |truth|, in the root of the sum of squares, over arrays of the same names."""
    if set(got) != set(truth):
        raise ValueError(f"has {', '.join(sorted(set(got) ^ set(truth)))} more or less")
    return max(float(np.linalg.norm(got[name] - t) / max(np.linalg.norm(t), 1e-30)) for name, t in truth.items())


def checked(
    what: str,
    candidates: Mapping[str, Callable[[], Any]],
    compared: Callable[[Any, Any], float],
    most: float,
    setting: Setting,
    copied: Callable[[Any], Any],
) -> dict[str, float]:
    """The difference of each candidate from the first that is not minitl's; of those only that may be timed.

    copied: of a result, what of it is kept, for a runtime may write over it at its next call. Without a peer minitl is
    held against nothing, which is noted. A peer that fails or differs is noted; minitl doing so is a failure.
    """
    kept: dict[str, float] = {}
    truth: Any = None
    for name in sorted(candidates, key=lambda name: name == "minitl"):  # minitl last
        try:
            got = copied(candidates[name]())
            truth = got if truth is None else truth
            difference = compared(got, truth)
        except Exception as error:  # the others go on
            (setting.fail if name == "minitl" else setting.note)(f"{what}: {name}: {describe_error(error)}")
            continue
        if difference < most:  # NaN is not
            kept[name] = difference
        else:
            text = f"{what}: {name} differs by {difference:.1e} of the largest, more than {most:.0e}; not timed"
            (setting.fail if name == "minitl" else setting.note)(text)
    if list(kept) == ["minitl"] and len(candidates) == 1:
        setting.note(f"{what}: there is nothing to compare minitl with")
    return kept
