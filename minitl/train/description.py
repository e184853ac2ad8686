"""What run.json says of a run: all that it takes to do it again."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import functional as F
from . import identity
from .runfolder import PICTURES

if TYPE_CHECKING:
    from .trainer import Trainer

PACKAGES = ("minitl", "numpy", "numba", "scipy", "h5py", "pillow")


def describe(trainer: Trainer, epochs: int, begun: str) -> dict[str, Any]:
    """The content of run.json. begun: the date."""
    net, data = trainer.net, trainer.data
    return {
        "begun": begun,
        **trainer.provenance,
        "epochs": epochs,
        "settings": trainer.asked,
        "options": trainer.options,
        "lr": trainer.lr,
        "versions": versions(),
        "classes": list(data.classes),
        "data": {
            "root": None if data.root is None else os.path.abspath(data.root),
            "train": len(data.train),
            "val": len(data.val),
            "skipped": [list(pair) for pair in data.skipped],
            "listing_sha256": identity.listing_sha256(data),
            "pictures_csv_sha256": None if trainer.run is None else file_sha256(trainer.run / PICTURES),
        },
        "rates": {row.name: row.rate for row in net.plan(trainer.lr)},
        "plan": identity.plan_json(net),
        "network": identity.network_json(net),
        "arrays": identity.hashes(net),
    }


def versions() -> dict[str, Any]:
    """What the bits of a training depend on besides its settings: versions, threads, machine."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "unknown"
    return {
        **found,
        "platform": platform.platform(),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "threads": F.threads(),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    except OSError:
        return platform.processor() or "unknown"


def file_sha256(path: str | os.PathLike[str]) -> str:
    """sha256, in hexadecimal, of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weights_json(given: str | os.PathLike[str], path: Path) -> dict[str, str]:
    """The weight file that a run starts from: as it was asked for, where it lies, and its hash."""
    return {"file": os.fspath(given), "path": str(path.resolve()), "sha256": file_sha256(path)}


def now() -> str:
    """The date and time, with its zone."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def command() -> list[str]:
    """The command line of this process."""
    return [os.path.basename(sys.executable or "python"), *sys.argv]


def changed_versions(before: Mapping[str, Any]) -> str:
    """What differs from the versions that a run began with, for people to read; "" if nothing does."""
    here = versions()
    return ", ".join(f"{name} {old} (now {here.get(name)})" for name, old in before.items() if here.get(name) != old)
