"""Relations of what works along rows: softmax and its kin, and the losses made of them.

What a shift adds is a multiple of 1/8 to multiples of 1/8, so it rounds nothing. An answer is held to its own bound and
to that of the one it is compared with.
"""

from __future__ import annotations

import numpy as np

from ...agreement import Call
from ..ask import Ask, same
from ..calls import changed, eighths, order

Array = np.ndarray
Answer = float | None
SHIFT = 4.5


def _shifted(ask: Ask, call: Call, name: str, moves: tuple[float, ...]) -> Answer:
    """Adding SHIFT to an input adds SHIFT times `moves` to the answers."""
    plain = changed(call, eighths, [name])
    moved = changed(plain, lambda x: x + x.dtype.type(SHIFT), [name])
    wanted = [a.astype(np.float64) + SHIFT * move for a, move in zip(ask(plain), moves, strict=True)]
    return same(ask(moved), wanted, _sum(ask.allowed(plain), ask.allowed(moved)))


def _sum(*allowed: tuple[Array, ...]) -> list[Array]:
    return [sum(each) for each in zip(*allowed, strict=True)]  # type: ignore[misc]


def shift(ask: Ask, call: Call) -> Answer:
    """What all of a row's numbers have in common drops out."""
    return _shifted(ask, call, "x", (0,))


def shift_through(ask: Ask, call: Call) -> Answer:
    """What all numbers have in common comes out again."""
    axes = call["axis"] if isinstance(call["axis"], tuple) else (call["axis"],)
    return _shifted(ask, call, "x", (1,)) if all(call["x"].shape[a] for a in axes) else None


def shift_of_logits(ask: Ask, call: Call) -> Answer:
    """Neither the loss nor the log-probabilities change."""
    return _shifted(ask, call, "logits", (0, 0))


def shift_of_scores(ask: Ask, call: Call) -> Answer:
    """Differences of scores are all that counts."""
    return _shifted(ask, call, "scores", (0,))


def order_along_the_row(ask: Ask, call: Call) -> Answer:
    """Numbers that change places take their answers with them."""
    x, axis = call["x"], call["axis"]
    to = order(x.shape[axis])
    moved = {**call, "x": np.take(x, to, axis)}
    allowed = [np.take(a, to, axis) + b for a, b in zip(ask.allowed(call), ask.allowed(moved), strict=True)]
    return same(ask(moved), [np.take(a, to, axis) for a in ask(call)], allowed)


def sum_of_one(ask: Ask, call: Call) -> Answer:
    """Probabilities add up to 1, as far as each of them is right."""
    (y,), (allowed,) = ask(call), ask.allowed(call)
    total = y.astype(np.float64).sum(call["axis"])
    return same([total], [np.ones(total.shape)], [np.broadcast_to(allowed, y.shape).sum(call["axis"])])


def another_axis(ask: Ask, call: Call) -> Answer:
    """Which axis the rows lie along makes no difference."""
    x, axis = call["x"], call["axis"]
    moved = {**call, "x": np.ascontiguousarray(np.moveaxis(x, axis, 0)), "axis": 0}
    allowed = [2 * np.moveaxis(np.broadcast_to(a, x.shape), axis, 0) for a in ask.allowed(call)]
    return same(ask(moved), [np.moveaxis(a, axis, 0) for a in ask(call)], allowed)


def symmetry(ask: Ask, call: Call) -> Answer:
    """The Jacobian of softmax is symmetric: <h, J g> = <J h, g>."""
    g = call["grad"].astype(np.float64)
    h = np.roll(g.ravel(), 1).reshape(g.shape)
    other = {**call, "grad": h.astype(call["grad"].dtype)}
    (jg,), (jh,) = ask(call), ask(other)
    (of_g,), (of_h,) = ask.allowed(call), ask.allowed(other)
    allowed = (np.abs(h) * of_g).sum() + (np.abs(g) * of_h).sum()
    return same([np.array((h * jg).sum())], [np.array((g * jh).sum())], [allowed])


def classes_renamed(ask: Ask, call: Call) -> Answer:
    """Classes that change places, with their labels and weights, leave the loss as it was."""
    name = "logits" if "logits" in call else "scores"
    scores, labels, weight = call[name], call["labels"], call["class_weight"]
    to = order(scores.shape[1])
    back = np.argsort(to)
    if labels.dtype.kind == "f":
        renamed = np.take(labels, to, 1)
    elif (labels >= scores.shape[1]).any() or (labels < 0).any() or 0 <= call.get("ignore_index", -1) < len(to):
        return None  # a label that is ignored names no class, or one that would move
    else:
        renamed = back[labels].astype(labels.dtype)
    moved = {
        **call, name: np.take(scores, to, 1), "labels": renamed,
        "class_weight": None if weight is None else weight[to],
    }  # fmt: skip
    got, plain = ask(moved), ask(call)
    bounds = _sum(ask.allowed(call)[:1], ask.allowed(moved)[:1])
    return same(got[:1], plain[:1], bounds)


SOFTMAX = {
    "shift": shift,
    "order along the row": order_along_the_row,
    "probabilities add up to 1": sum_of_one,
    "another axis": another_axis,
}
LOG_SOFTMAX = {"shift": shift, "order along the row": order_along_the_row, "another axis": another_axis}
