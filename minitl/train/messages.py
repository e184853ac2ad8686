"""What fit says before it starts, and the warnings and errors of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..data import Dataset
from ..errors import ArgumentError, DataError, GraphError
from ..nn.graph import INPUT

if TYPE_CHECKING:
    from ..nn import Network

MOST_ROWS = 12


def duration(seconds: float) -> str:
    """Seconds for people to read."""
    if seconds < 1:
        return "under a second"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def intention(net: Network, data: Dataset, cut: str, epochs: int, batch_size: int, lr: float | None) -> str:
    """What `fit` is about to do."""
    plan = net.plan(lr)
    trained = [row for row in plan if not row.frozen]
    unit = "x base rate" if lr is None else "rate"
    lines = [
        f"training {net.name} on {len(data.train)} pictures of {len(data.classes)} classes, "
        f"validating on {len(data.val)}: {epochs} epochs, {batch_size} pictures a step",
        data.describe(),
        f"trained: {plan.trained:,} numbers; frozen: {plan.frozen:,}",
    ]
    lines += [f"  {row.name}  {'x'.join(map(str, row.shape))}  {unit} {row.rate:.3g}" for row in trained[:MOST_ROWS]]
    if len(trained) > MOST_ROWS:
        lines.append(f"  and {len(trained) - MOST_ROWS} more (print(net.plan()))")
    lines.append("every layer runs in every epoch" if cut == INPUT else f"frozen layers up to {cut} run once a picture")
    return "\n".join(lines)


def require_trainable(net: Network) -> None:
    """GraphError, with the remedy, if no parameter would change."""
    free = [p for p in net.parameters() if not p.frozen]
    if not free:
        raise GraphError(
            f"{net.name}: every layer is frozen, so there is nothing to train; unfreeze one: net.unfreeze('…')"
        )
    if not any(p.lr_mult for p in free):
        raise GraphError(
            f"{net.name}: the rate multipliers of all layers that are not frozen are 0, so there is nothing to train; "
            "raise one with net.set_lr({'…': 1.0})"
        )


def diverged(
    epoch: int, step: int | None, lr: float, loss: float, norm: float | None, where: str, kept: int
) -> ArgumentError:
    """The error for a loss that is no number.

    step: of the epoch, from 1; None where it was the loss of validation. norm: of the gradient at the step before.
    where: what first was no number, if that was found. kept: the epoch whose weights the network has again.
    """
    facts = ["in validation" if step is None else f"at step {step}"]
    if norm is not None:
        facts.append(f"the gradient's norm at the step before was {norm:.3g}")
    if where:
        facts.append(f"first to be no number: {where}")
    return ArgumentError(
        f"fit: the loss became {loss} in epoch {epoch}; lower lr (it was {lr:.3g}, try {lr / 10:.1g}) or limit the "
        f"gradient with clip_norm ({'; '.join(facts)}). The network has the weights of epoch {kept} again"
    )


def most_are_lost(lost: int, of: int, example: str) -> DataError:
    """The error for pictures that go missing in numbers, which no training should take for granted."""
    return DataError(
        f"fit: {lost} of {of} pictures can no longer be read since this training began ({example}); see whether the "
        "disk or network folder with the pictures is there, then resume"
    )


def since_then(versions: str, pictures: Sequence[str]) -> list[str]:
    """Warnings of what has changed since a run began, and its result may differ for."""
    found = []
    if versions:
        found.append(f"the run began with {versions}; the last bits of its result may differ for that")
    if pictures:
        named = ", ".join(pictures[:3]) + (", …" if len(pictures) > 3 else "")
        found.append(f"{len(pictures)} of its pictures changed since the run began ({named}); its result will differ")
    return found


def longer(before: float, now: float) -> str:
    """The warning for training that ended while it still got better."""
    return (
        f"the last epoch was the best, and the validation loss still fell ({before:.3g} to {now:.3g}): train for more "
        "epochs"
    )


def flat(epochs: int, loss: float, lr: float) -> str:
    """The warning for training that does not move."""
    return (
        f"the training loss has stayed at {loss:.3g} for {epochs} epochs and the answers are no better than always "
        f"naming the most frequent class; raise lr (it is {lr:.3g}), or unfreeze more layers"
    )


def one_class(name: str, baseline: float) -> str:
    """The warning for a classifier that always gives one answer."""
    return (
        f"every validation picture is answered {name!r}; always naming the most frequent class is right for "
        f"{baseline:.1%}. Train for more epochs, at another lr, or with class_weight='auto'"
    )
