"""What a run's checkpoint belongs to: network, data and settings; and the error that names the first difference."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import device
from ..data import Dataset
from ..data.dataset import SPLITS
from ..errors import ArgumentError, DataError, MinitlError, WeightError
from ..weights.hdf5 import array_sha256

if TYPE_CHECKING:
    from ..nn import Network


BASE = ("classes", "network", "frozen")  # what a checkpoint keeps as its base; the rest is of the training


def network_json(net: Network) -> dict[str, Any]:
    """All of a network but its arrays, as plain JSON."""
    return _plain(
        {
            "name": net.name,
            "input_shape": net.input_shape,
            "dtype": net.dtype.name,
            "head": net.head,
            "preprocessing": None if net.preprocessing is None else net.preprocessing.to_dict(),
            "origin": net.origin,
            "license": net.license,
            "nodes": net.graph.to_json(),
        }
    )


def plan_json(net: Network) -> dict[str, dict[str, Any]]:
    """By parameter and buffer: whether it is frozen, and its multiplier of the base rate."""
    plan: dict[str, dict[str, Any]] = {name: {"frozen": owner.frozen} for name, owner in net.named_arrays().items()}
    for name, p in net.named_parameters().items():
        plan[name] |= {"lr_mult": p.lr_mult, "lr_from": p.lr_from}
    return plan


def hashes(net: Network, frozen_only: bool = False) -> dict[str, str]:
    """sha256 of the arrays by name."""
    return {
        name: array_sha256(device.to_host(owner.data))
        for name, owner in net.named_arrays().items()
        if owner.frozen or not frozen_only
    }


def listing_sha256(data: Dataset) -> str:
    """sha256 of the classes and of every picture's split, name and label; not of what the pictures show."""
    digest = hashlib.sha256()
    for part in data.classes:
        digest.update(f"{part}\0".encode("utf-8", "surrogateescape"))
    for split in SPLITS:
        for item in data.split(split):
            digest.update(f"{split}\0{item.name}\0{item.label}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def check(path: Path, stored: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Raises the error that names the first difference between what a checkpoint belongs to and what is here.

    Both have "classes", "network", "plan", "frozen" (hashes), "data" (a sha256) and "settings".
    """
    here = _by_name(_plain(found))
    there = _by_name(stored)
    for part, kind, what, remedy in _PARTS:
        differing = first_difference(there.get(part), here[part])
        if differing is not None:
            where, old, new = differing
            raise kind(
                f"{path}: belongs to {what}: {' '.join(filter(None, (part, where)))} is {_shown(old)} there and "
                f"{_shown(new)} here; {remedy}"
            )


def check_start(path: Path, stored: Mapping[str, str], net: Network) -> None:
    """WeightError unless the network has the arrays (by sha256) that a run which came to no checkpoint began with."""
    differing = first_difference(dict(stored), hashes(net))
    if differing is not None:
        raise WeightError(
            f"{path}: began with other weights: {differing[0]} differs; the run was killed before its first "
            "checkpoint, so resume it with the network as it was then, or begin anew in another folder"
        )


_PARTS: tuple[tuple[str, type[MinitlError], str, str], ...] = (
    ("classes", DataError, "other classes", "give the classes that the run began with, in their order"),
    ("network", WeightError, "another network", "resume with the network that the run began with"),
    ("plan", ArgumentError, "another plan", "freeze and rate the layers as when the run began"),
    ("frozen", WeightError, "other weights", "resume with the weight file that the run began with"),
    ("data", DataError, "other pictures", "resume with those that the run began with: 'minitl resume' finds them"),
    ("settings", ArgumentError, "other settings", "give the Trainer the settings that the run began with"),
)


def first_difference(there: Any, here: Any, where: str = "") -> tuple[str, Any, Any] | None:
    """(path, value there, value here) of the first place in which two JSON values differ, or None."""
    if isinstance(there, dict) and isinstance(here, dict):
        pairs = [
            (str(key), there.get(key), here.get(key)) for key in [*there, *(key for key in here if key not in there)]
        ]
    elif isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        pairs = [(str(i), one, other) for i, (one, other) in enumerate(zip(there, here, strict=True))]
    else:
        return None if there == here else (where, there, here)
    for key, one, other in pairs:
        found = first_difference(one, other, f"{where}.{key}" if where else key)
        if found is not None:
            return found
    return None


def _by_name(identity: Mapping[str, Any]) -> dict[str, Any]:
    """With the network's nodes by name, so that a difference names the layer."""
    network = dict(identity.get("network") or {})
    network["nodes"] = {node["name"]: node for node in network.get("nodes", ())}
    return {**identity, "network": network}


def _plain(value: Any) -> Any:
    """As it is after having been stored as JSON."""
    return json.loads(json.dumps(value))


def _shown(value: Any) -> str:
    text = "not there" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:79]}…"
