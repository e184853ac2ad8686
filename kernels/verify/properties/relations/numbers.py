"""Relations of functions of one number at a time, of normalization, and of what merely moves numbers."""

from __future__ import annotations

import numpy as np

from ...agreement import Call
from ..ask import Ask, same
from ..calls import changed, eighths

Array = np.ndarray
Answer = float | None
SHIFT = 4.5  # added to multiples of 1/8, it rounds nothing


def _mirrored(ask: Ask, call: Call, sign: int, plus: float) -> Answer:
    """f(-x) = sign f(x) + plus."""
    mirrored = changed(call, np.negative, ["x"])
    (y,), allowed = ask(call), ask.allowed(call)[0] + ask.allowed(mirrored)[0]
    return same(ask(mirrored), [sign * y.astype(np.float64) + plus], [allowed])


def odd(ask: Ask, call: Call) -> Answer:
    """f(-x) = -f(x)."""
    return _mirrored(ask, call, -1, 0)


def complement(ask: Ask, call: Call) -> Answer:
    """f(-x) = 1 - f(x)."""
    return _mirrored(ask, call, -1, 1)


def difference(ask: Ask, call: Call) -> Answer:
    """f(x) - f(-x) = x."""
    x = call["x"].astype(np.float64)
    mirrored = changed(call, np.negative, ["x"])
    (y,), (other,) = ask(call), ask(mirrored)
    return same([y.astype(np.float64) - other], [x], [ask.allowed(call)[0] + ask.allowed(mirrored)[0]])


def idempotent(ask: Ask, call: Call) -> Answer:
    """f(f(x)) = f(x)."""
    (y,) = ask(call)
    return same(ask({**call, "x": y}), [y], (0.0,))


def slope_one(ask: Ask, call: Call) -> Answer:
    """With a slope of 1 nothing changes."""
    return same(ask({**call, "negative_slope": 1.0}), [call["x"]], (0.0,))


def keep_all(ask: Ask, call: Call) -> Answer:
    """What drops nothing changes nothing."""
    return same(ask({**call, "p": 0.0}), [call["x"] if "x" in call else call["grad"]], (0.0,))


def apart_again(ask: Ask, call: Call) -> Answer:
    """Cut where they were joined, the pieces are the arrays."""
    (y,), xs, axis = ask(call), call["xs"], call["axis"]
    stops = np.cumsum([x.shape[axis] for x in xs])[:-1]
    return same(np.split(y, stops, axis), xs, (0.0,) * len(xs))


def joined_again(ask: Ask, call: Call) -> Answer:
    """The pieces, joined, are the array."""
    pieces = ask(call)
    return same([np.concatenate(pieces, call["axis"])], [call["grad"]], (0.0,))


def shape_again(ask: Ask, call: Call) -> Answer:
    """Numbers keep their order."""
    given = call["x"] if "x" in call else call["grad"]
    (y,) = ask(call)
    return same([y.reshape(given.shape)], [given], (0.0,))


def transposed(ask: Ask, call: Call) -> Answer:
    """x w^T and w x^T are each other's transposes."""
    plain = {**call, "b": None}
    (y,) = ask(plain)
    return same(ask({**plain, "x": call["w"], "w": call["x"]}), [y.T], [2 * np.transpose(ask.allowed(plain)[0])])


def shift_of_all(ask: Ask, call: Call) -> Answer:
    """What the numbers and their mean have in common drops out."""
    plain = changed(call, eighths, ["x", "mean"])
    moved = changed(plain, lambda x: x + x.dtype.type(SHIFT), ["x", "mean"])
    allowed = [a + b for a, b in zip(ask.allowed(plain), ask.allowed(moved), strict=True)]
    return same(ask(moved), ask(plain), allowed)


def shift_of_mean(ask: Ask, call: Call) -> Answer:
    """What all numbers have in common moves the mean, and leaves the variance."""
    plain = changed(call, eighths)
    moved = changed(plain, lambda x: x + x.dtype.type(SHIFT))
    allowed = [a + b for a, b in zip(ask.allowed(plain), ask.allowed(moved), strict=True)]
    mean, var = ask(plain)
    return same(ask(moved), [mean.astype(np.float64) + SHIFT, var], allowed)


def mirrored_channels(ask: Ask, call: Call) -> Answer:
    """Windows of an odd size reach as far up as down."""
    if call["size"] % 2 == 0:
        return None
    names = ["x", "grad"] if "grad" in call else ["x"]
    flipped = changed(call, lambda x: x[:, ::-1], names)
    allowed = [2 * np.broadcast_to(a, call["x"].shape)[:, ::-1] for a in ask.allowed(call)]
    return same(ask(flipped), [y[:, ::-1] for y in ask(call)], allowed)


def targets_swapped(ask: Ask, call: Call) -> Answer:
    """Yes and no change places: p and t become 1 - p and 1 - t, and a logit its negative."""
    if call.get("pos_weight") is not None:
        return None
    shares = [name for name in ("targets", "probabilities") if name in call]
    plain = changed(call, lambda x: np.clip(eighths(x), 0, 1), shares)
    swapped = changed(changed(plain, lambda x: 1 - x, shares), np.negative, ["logits"])
    allowed = [a + b for a, b in zip(ask.allowed(plain), ask.allowed(swapped), strict=True)]
    return same(ask(swapped), ask(plain), allowed)


def no_rate(ask: Ask, call: Call) -> Answer:
    """A step of rate 0 leaves the parameter where it was."""
    first, *_ = ask({**call, "rate": 0.0})
    return same([first], [call["parameter"]], (0.0,))
