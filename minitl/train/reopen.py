"""A Trainer made anew from the folder of its run, so that whoever has the folder can resume."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..data import Dataset, record
from ..device import resolve, to_host
from ..errors import ArgumentError, BackendUnavailable, DataError, WeightError
from ..images import Augmentation, Preprocessing
from ..nn import Graph, Network
from ..optim import make_schedule
from ..weights import registry, schema
from ..weights.hdf5 import array_sha256
from .runfolder import PICTURES, RUN, RunFolder
from .trainer import Trainer


def reopen(
    folder: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    photos: str | os.PathLike[str] | None = None,
    progress: bool = True,
    device: str | None = None,
) -> Trainer:
    """The Trainer of the run in `folder`, for `resume`: network, pictures and settings as they were.

    weights: the weight file that the run began with, photos: its pictures (a folder, or a file of arrays), where they
    are no longer where run.json says. device: where to go on, if not where it began; the last bits then differ. Frozen
    arrays are checked by their hashes. The pictures are those of pictures.csv, whatever else is in their folder. Raises
    DataError, WeightError or ArgumentError for what cannot be found, or where the run was begun in Python with parts
    that a file cannot describe.
    """
    run = RunFolder(folder)
    begun = run.read_run()
    options = _options(run, begun["settings"])
    data = _pictures(run, begun, photos)
    net = _network(run, begun, weights)
    kept = begun["options"] | {"device": _device(run, begun["options"].get("device")) if device is None else device}
    trainer = Trainer(net, data, **options, **kept, progress=progress, folder=folder)
    trainer.provenance = {name: begun[name] for name in ("command", "weights")}
    return trainer


def _device(run: RunFolder, name: str | None) -> str | None:
    """Where the run began, if that can still be used."""
    try:
        return None if name is None else resolve(name)
    except BackendUnavailable as error:
        raise BackendUnavailable(f"{run}: began on {name}, but {error}; go on on the CPU with --device cpu") from None


def _options(run: RunFolder, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The Trainer's arguments, of the settings that run.json states."""
    options = {name: value for name, value in settings.items() if name != "lr_measured"}
    own = "resume it there, with Trainer(…, folder=…).resume()"
    if not isinstance(options["optimizer"], str):
        raise ArgumentError(f"{run}: was begun in Python with an optimizer of its own; {own}")
    try:
        options["schedule"] = make_schedule(options["schedule"])
    except ArgumentError:
        raise ArgumentError(f"{run}: was begun in Python with a schedule of its own; {own}") from None
    if options["augmentation"] is not None:
        options["augmentation"] = Augmentation.from_dict(options["augmentation"])
    return options


def _pictures(run: RunFolder, begun: Mapping[str, Any], photos: str | os.PathLike[str] | None) -> Dataset:
    root = begun["data"]["root"] if photos is None else photos
    if root is None:
        raise DataError(
            f"{run}: was begun in Python with pictures that lie in no folder; resume it there, with "
            "Trainer(…, folder=…).resume()"
        )
    if not Path(root).exists():
        raise DataError(f"{root}: the run's pictures are not there; say where they are by now with --photos")
    skipped = tuple((name, reason) for name, reason in begun["data"]["skipped"])
    return replace(record.read(run / PICTURES, root), skipped=skipped)


def _network(run: RunFolder, begun: Mapping[str, Any], weights: str | os.PathLike[str] | None) -> Network:
    """The network that the run began with: arrays from its weight file, or drawn as they were then.

    What trains is left as it comes where there is a checkpoint, which has it.
    """
    stored = begun["network"]
    net = Network(
        Graph.from_json(stored["nodes"]),
        name=stored["name"],
        input_shape=stored["input_shape"],
        classes=begun["classes"],
        preprocessing=None if stored["preprocessing"] is None else Preprocessing.from_dict(stored["preprocessing"]),
        origin=stored["origin"],
        license=stored["license"],
        head=stored["head"],
        seed=None,
    )
    for name, owner in net.named_arrays().items():
        owner.frozen = begun["plan"][name]["frozen"]
    for name, p in net.named_parameters().items():
        p.lr_mult, p.lr_from = begun["plan"][name]["lr_mult"], begun["plan"][name]["lr_from"]
    needed = {name for name, owner in net.named_arrays().items() if owner.frozen or not run.underway}
    if needed:
        _fill(run, begun, net, needed, weights)
    return net if net.dtype == stored["dtype"] else net.astype(stored["dtype"])


def _fill(
    run: RunFolder, begun: Mapping[str, Any], net: Network, needed: set[str], weights: str | os.PathLike[str] | None
) -> None:
    """Gives the arrays that are needed the numbers that they had, known by their hashes."""
    dtype, arrays, known = begun["network"]["dtype"], net.named_arrays(), begun["arrays"]

    def right(name: str) -> bool:
        return array_sha256(np.asarray(to_host(arrays[name].data), dtype)) == known[name]

    where = _weight_file(run, begun, weights)
    if where is not None:
        layers = schema.read(where).layers
        for name in needed:
            layer, _, role = name.rpartition(".")
            array = layers.get(layer, {}).get(role)
            if array is not None and array.shape == arrays[name].shape:
                arrays[name].assign(array)
    drawn = sorted({name.rpartition(".")[0] for name in needed if not right(name)})
    net.draw(drawn, begun["settings"]["seed"])
    wrong = [name for name in arrays if name in needed and not right(name)]
    if not wrong:
        return
    if where is None:
        raise WeightError(f"{run / RUN}: does not say which weight file the run began with; give --weights FILE")
    raise WeightError(
        f"{where}: is not the weight file that {run} began with: {wrong[0]} differs; give that with --weights FILE"
    )


def _weight_file(run: RunFolder, begun: Mapping[str, Any], weights: str | os.PathLike[str] | None) -> Path | None:
    if weights is not None:
        return registry.find(weights)
    stated = begun["weights"]
    if stated is None:
        return None
    if Path(stated["path"]).is_file():
        return Path(stated["path"])
    try:
        return registry.find(stated["file"])
    except WeightError as error:
        raise WeightError(
            f"{stated['path']}: the weight file that {run} began with is not there; say where it is with --weights FILE"
        ) from error
