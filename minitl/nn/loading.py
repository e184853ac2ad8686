"""Arrays into a network: strict by default, and always with a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import WeightError

if TYPE_CHECKING:
    from .network import Network


@dataclass(frozen=True)
class LoadReport:
    """What became of each array. mismatched: (name, shape in the network, shape offered)."""

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]

    @property
    def complete(self) -> bool:
        """Whether every parameter was loaded and every array used."""
        return not (self.missing or self.unexpected or self.mismatched)

    def __str__(self) -> str:
        parts = [f"{len(self.loaded)} arrays loaded"]
        if self.missing:
            parts.append(f"missing {_some(self.missing)}")
        if self.unexpected:
            parts.append(f"unexpected {_some(self.unexpected)}")
        if self.mismatched:
            wrong = [f"{name} (network {here}, file {there})" for name, here, there in self.mismatched]
            parts.append(f"of another shape {_some(wrong)}")
        return "; ".join(parts)


def load_parameters(
    net: Network, layers: Mapping[str, Mapping[str, Any]], *, strict: bool = True, skip: tuple[str, ...] = ()
) -> LoadReport:
    """Copies arrays, by layer (names or aliases) and role, into a network's parameters.

    strict: raise WeightError unless every parameter is found and every array used. Otherwise load what
    fits. `skip` names layers to leave alone on either side. Loading nothing at all always raises.
    """
    parameters = net.named_parameters()
    aliases = net.aliases()
    offered: dict[str, np.ndarray] = {}
    unexpected = []
    for layer, roles in layers.items():
        name = layer if layer in net.graph else aliases.get(layer, layer)
        if name in skip or layer in skip:
            continue
        for role, array in roles.items():
            if f"{name}.{role}" in parameters:
                offered[f"{name}.{role}"] = np.asarray(array)
            else:
                unexpected.append(f"{layer}.{role}")
    wanted = [name for name in parameters if name.rpartition(".")[0] not in skip]
    fits = [n for n in wanted if n in offered and offered[n].shape == parameters[n].shape]
    report = LoadReport(
        loaded=tuple(fits),
        missing=tuple(n for n in wanted if n not in offered),
        unexpected=tuple(unexpected),
        mismatched=tuple(
            (n, parameters[n].shape, offered[n].shape) for n in wanted if n in offered and n not in fits
        ),
    )
    if not fits:
        raise WeightError(
            f"{net.name}: none of the arrays offered fits ({report}); these weights are of another network"
        )
    if strict and not report.complete:
        raise WeightError(f"{net.name}: {report}; load with strict=False to take what fits")
    for name in fits:
        parameters[name].assign(offered[name])
    return report


def _some(names: Any, most: int = 6) -> str:
    names = list(names)
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
