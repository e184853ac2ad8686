"""Checking gradients and results: for whoever writes a Function or a layer, and for minitl's own tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from .autograd import no_grad
from .errors import ArgumentError
from .functional import Tensor

ROUNDOFF = float(np.finfo(np.float64).eps) / 2
STEP = ROUNDOFF ** (1 / 3)  # where the h**2 of truncation and the u / h of rounding are alike
FINER = 16  # a second look is taken at STEP / FINER
CONFIDENCE = 5  # rounding errors exceed their probable size this many times with probability 1e-5
MOST_KINKS = 0.25  # of all slopes looked at


def relative_error(got: Any, want: Any) -> float:
    """max |got - want| / max |want|; inf if shapes differ, or a NaN or infinity is not where it should be.

    0 for arrays without finite numbers that agree elsewhere.
    """
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    finite = np.isfinite(want)
    if got.shape != want.shape or not np.array_equal(got[~finite], want[~finite], equal_nan=True):
        return math.inf
    difference = float(np.abs(got[finite] - want[finite]).max(initial=0))
    if difference == 0:
        return 0.0
    size = float(np.abs(want[finite]).max())
    return difference / size if size and math.isfinite(difference) else math.inf


def gradcheck(
    function: Callable[..., Tensor], *inputs: Any, coordinates: int = 64, directions: int = 8, seed: int = 0
) -> None:
    """Compares the gradients of `function` with central differences; raises AssertionError with the worst slope.

    function: Tensors in, one Tensor out, of any shape; every input is differentiated. inputs: float64
    arrays or Tensors (ArgumentError otherwise: float32 has too few digits). An input of at most
    `coordinates` elements is checked element by element, a larger one along `directions` random
    directions. seed: of the random numbers.

    Method. With random weights v the scalar L = <v, function(x)> has, by one backward pass, the
    gradient g to be checked. Along a direction d, D(h) = (L(x + h d) - L(x - h d)) / 2h must equal <g, d>
    within the sum of
    - truncation: D(2h) - D(h), three times the leading term of the error of D(h);
    - rounding: each evaluation of L errs by about u sqrt(n) |v f|, n elements being involved (Higham &
      Mary, "A new approach to probabilistic rounding error analysis", 2019), and D divides it by h.

    Kinks (ReLU at 0, a tie in max) are recognised by what a smooth function does not do: the slopes to
    the right and to the left differ although h is small, or D(h) and D(2h) do. Such a slope is looked at
    again with a finer step; one that stays kinked is left out. If more than a quarter are left out,
    the check fails, for it has shown little.
    """
    arrays = [_float64(i, x) for i, x in enumerate(inputs)]
    rng = np.random.default_rng(seed)
    tensors = [Tensor(a, requires_grad=True) for a in arrays]
    y = function(*tensors)
    weights = rng.standard_normal(y.shape)
    if y.requires_grad:
        y.backward(weights)
    gradients = [np.zeros(a.shape) if t.grad is None else t.grad for a, t in zip(arrays, tensors, strict=True)]
    terms = weights * y.data
    noise = CONFIDENCE * ROUNDOFF * math.sqrt(sum(a.size for a in arrays) + y.size)
    noise *= math.sqrt(float((terms**2).sum())) + math.sqrt(
        sum(float(((g * a) ** 2).sum()) for g, a in zip(gradients, arrays, strict=True))
    )

    def at(i: int, moved: Any) -> float:
        with no_grad():
            others = [Tensor(moved if k == i else a) for k, a in enumerate(arrays)]
            return math.fsum((weights * function(*others).data).ravel())

    seen, kinks, worst = 0, 0, None
    for i, (x, gradient) in enumerate(zip(arrays, gradients, strict=True)):
        for name, direction in _directions(x, coordinates, directions, rng):
            seen += 1
            analytic = float((gradient * direction).sum())
            verdict = _compare(partial(at, i), x, direction, analytic, noise)
            if verdict is None:
                kinks += 1
            elif worst is None or verdict[0] > worst[0]:
                worst = (*verdict, f"input {i} {name}", analytic)
    if worst is not None and worst[0] > 1:
        _, numeric, bound, where, analytic = worst
        raise AssertionError(
            f"gradcheck: {where}: analytic {analytic!r}, numeric {numeric!r}, "
            f"difference {abs(analytic - numeric):.3g}, bound {bound:.3g} (the worst of {seen - kinks} slopes)"
        )
    if kinks > MOST_KINKS * seen:
        raise AssertionError(
            f"gradcheck: {kinks} of {seen} slopes lie at kinks, too many to tell; pass other inputs, away from ties"
        )


def _float64(i: int, x: Any) -> np.ndarray:
    array = np.array(x.data if isinstance(x, Tensor) else x)
    if array.dtype != np.float64:
        raise ArgumentError(f"gradcheck: input {i} must be float64, for enough digits; got {array.dtype}")
    return array


def _directions(
    x: np.ndarray, coordinates: int, directions: int, rng: np.random.Generator
) -> Iterator[tuple[str, np.ndarray]]:
    """The axes of a small array; random directions, of length about 1 in each element, of a large one."""
    if x.size > coordinates:
        for k in range(directions):
            yield f"of shape {x.shape}, along random direction {k}", rng.standard_normal(x.shape)
        return
    for position in np.ndindex(x.shape):
        axis = np.zeros(x.shape)
        axis[position] = 1
        yield f"at {position}", axis


def _compare(
    f: Callable[[Any], float], x: np.ndarray, direction: np.ndarray, analytic: float, noise: float
) -> tuple[float, float, float] | None:
    """(difference / bound, numeric slope, bound), or None at a kink."""
    verdict, bend = None, math.inf
    centre = f(x)
    scale = max(1.0, float(np.abs(x[direction != 0]).max(initial=0)))
    for h in (scale * STEP, scale * STEP / FINER):
        left2, left, right, right2 = (f(x + k * h * direction) for k in (-2, -1, 1, 2))
        numeric, wider = (right - left) / (2 * h), (right2 - left2) / (4 * h)
        rounding = noise / h
        truncation = abs(wider - numeric)
        bound = truncation + rounding
        before, bend = bend, abs((right - centre) - (centre - left)) / h
        # A smooth function bends on lengths above sqrt(h): slopes then differ by less than sqrt(h), and
        # central differences by less than h, of the slope itself.
        slope = max(abs(right - centre) / h, abs(centre - left) / h, abs(analytic))
        if bend > math.sqrt(h) * slope + 4 * rounding or truncation > h * slope + 4 * rounding:
            continue
        ratio = abs(analytic - numeric) / bound if bound else (0.0 if analytic == numeric else math.inf)
        if ratio <= 1:
            return ratio, numeric, bound
        verdict = (math.inf if math.isnan(ratio) else ratio, numeric, bound)
    if verdict is None or (not math.isnan(bend) and bend > before / 4 + 4 * noise / (scale * STEP / FINER)):
        return None  # one-sided slopes that do not approach each other: a slight kink
    return verdict
