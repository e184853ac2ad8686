"""Arrays into a network: strict by default, and always with a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import device
from ..errors import WeightError

if TYPE_CHECKING:
    from .graph import Graph
    from .network import Network

NEVER_NEGATIVE = (".running_var", ".batches")  # variances, and how many batches a mean is of


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
    """Copies arrays, by layer (names or aliases) and role, into a network's parameters and buffers.

    strict: raise WeightError unless every one of them is found and every array used. Otherwise load what
    fits. `skip` names layers (or aliases) to leave alone on either side. Loading nothing at all always raises.
    """
    arrays = net.named_arrays()
    report, offered = _compare({name: p.shape for name, p in arrays.items()}, layers, net.aliases(), skip)
    if not report.loaded:
        raise WeightError(
            f"{net.name}: none of the arrays offered fits ({report}); these weights are of another network"
        )
    if strict and not report.complete:
        raise WeightError(f"{net.name}: {report}; load with strict=False to take what fits")
    for name in report.loaded:
        if name.endswith(NEVER_NEGATIVE) and not (offered[name] >= 0).all():
            raise WeightError(f"{net.name}: {name} holds numbers below 0 or NaN; get or convert the file again")
    for name in report.loaded:
        arrays[name].assign(offered[name])
    return report


def check_layers(graph: Graph, layers: Mapping[str, Mapping[str, Any]], where: str) -> None:
    """WeightError, naming `where`, unless the arrays are those that the graph needs, each of the right shape."""
    shapes = {f"{n.name}.{role}": shape for n in graph for role, shape in n.layer.array_shapes().items()}
    report, _ = _compare(shapes, layers, {}, ())
    if not report.complete:
        raise WeightError(f"{where}: its arrays are not those of its network: {report}; get or convert the file again")


def _compare(
    shapes: Mapping[str, tuple[int, ...]],
    layers: Mapping[str, Mapping[str, Any]],
    aliases: Mapping[str, str],
    skip: tuple[str, ...],
) -> tuple[LoadReport, dict[str, np.ndarray]]:
    """The report of loading `layers` into parameters of these shapes, and the arrays by parameter name."""
    names = {name.rpartition(".")[0] for name in shapes}
    skipped = {*skip, *(aliases[name] for name in skip if name in aliases)}
    offered: dict[str, np.ndarray] = {}
    unexpected = []
    if not isinstance(layers, Mapping) or not all(isinstance(roles, Mapping) for roles in layers.values()):
        raise WeightError("arrays must be given by layer and role: {'conv1': {'weight': array, 'bias': array}, …}")
    for layer, roles in layers.items():
        name = layer if layer in names else aliases.get(layer, layer)
        if name in skipped or layer in skipped:
            continue
        for role, array in roles.items():
            if f"{name}.{role}" in shapes:
                offered[f"{name}.{role}"] = _array(f"{name}.{role}", array)
            else:
                unexpected.append(f"{layer}.{role}")
    wanted = {name: shape for name, shape in shapes.items() if name.rpartition(".")[0] not in skipped}
    found = {name: (shape, offered[name].shape) for name, shape in wanted.items() if name in offered}
    report = LoadReport(
        loaded=tuple(name for name, (here, there) in found.items() if here == there),
        missing=tuple(name for name in wanted if name not in offered),
        unexpected=tuple(unexpected),
        mismatched=tuple((name, here, there) for name, (here, there) in found.items() if here != there),
    )
    return report, offered


def _array(name: str, values: Any) -> np.ndarray:
    try:
        array = device.to_host(values)
    except ValueError as error:  # rows of different lengths
        raise WeightError(f"{name}: cannot be made one array ({error}); give an array of numbers") from error
    if array.dtype.kind not in "fiub":
        raise WeightError(f"{name}: must hold numbers; got {array.dtype}; give an array of numbers")
    return array


def _some(names: Any, most: int = 6) -> str:
    names = list(names)
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
