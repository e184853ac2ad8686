"""The checkpoint file: HDF5 that holds what a training changes, and names what it does not by hash.

    /                    attributes: format="minitl checkpoint", format_version, sha256 of all that follows;
                         training (JSON: progress, settings, plan, schedule, history, …),
                         base (JSON: the weight file, the network, and the sha256 of every frozen array)
    /now/<array>         the arrays that change, as they are
    /best/<array>        the same at the best epoch so far
    /optimizer/<parameter>/<role>, /ema/…   state of the optimizer and of the averages

Arrays keep every bit. Whole numbers are stored as float64, which holds them exactly below 2^53, with their dtype as an
attribute. The file is written beside its place and renamed into it, so there is always one that is whole.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..weights import hdf5
from ..weights.atomic import write_bytes
from .state import Arrays

FORMAT = "minitl checkpoint"
FORMAT_VERSION = 1
EDITED = "it was damaged or edited; remove it to start the training anew, or get an untouched copy"


@dataclass
class Checkpoint:
    """What the file holds; see the module's text."""

    training: dict[str, Any]
    base: dict[str, Any]
    arrays: Arrays


def write(path: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint in one step; WeightError where that fails, the one before then still stands."""
    texts = {name: json.dumps(getattr(checkpoint, name), allow_nan=False) for name in ("training", "base")}
    image = io.BytesIO()
    with h5py.File(image, "w", libver=("v108", "v110")) as h:  # v108: attributes over 64 KB
        h.attrs["format_version"] = FORMAT_VERSION
        for name, text in {"format": FORMAT, "sha256": _sha256(texts, checkpoint.arrays), **texts}.items():
            _put_text(h, name, text)
        for name, array in checkpoint.arrays.items():
            if array.dtype.kind == "f":
                h.create_dataset(name, data=array)
            else:
                _put_text(h.create_dataset(name, data=array.astype(np.float64)), "dtype", array.dtype.name)
    write_bytes(path, image.getbuffer())


def read(path: Path) -> Checkpoint:
    """Reads a checkpoint, trusting nothing in it; WeightError, with the remedy, where it is not as it was written."""
    size = path.stat().st_size if path.is_file() else 0  # nothing is compressed, so the arrays take no more
    with hdf5.opened(path, max(size, hdf5.LIMIT_BYTES), EDITED) as guard:
        found = guard.text(guard.file, "format")
        if found != FORMAT:
            what = "states no format" if found is None else f"has format {found!r:.60}"
            raise guard.error("the file", f"{what}, so it is no checkpoint of minitl", "give the folder of a run")
        version = guard.integer(guard.file, "format_version")
        if version is None or version < 1:
            raise guard.error("attribute 'format_version'", f"must be 1 to {FORMAT_VERSION}; got {version}", EDITED)
        if version > FORMAT_VERSION:
            known = f"is {version}, and this minitl reads up to {FORMAT_VERSION}"
            raise guard.error("attribute 'format_version'", known, "upgrade minitl to resume this run")
        texts = {name: guard.text(guard.file, name) or "" for name in ("training", "base")}
        arrays = {name: _array(guard, dataset) for name, dataset in hdf5.walk(guard)}
        stated, now = guard.text(guard.file, "sha256"), _sha256(texts, arrays)
        if stated != now:
            raise guard.error("its sha256", f"is {now[:12]}…, but the file states {stated or 'none':.12}…", EDITED)
        training, base = (json.loads(texts[name]) for name in ("training", "base"))
    return Checkpoint(training, base, arrays)


def _array(guard: hdf5.Guard, dataset: h5py.Dataset) -> np.ndarray:
    array, dtype = guard.array(dataset), guard.text(dataset, "dtype")
    if dtype is None:
        return array
    if dtype not in ("bool", *np.sctypeDict) or np.dtype(dtype).kind not in "iub":
        raise guard.error(dataset.name, f"states the dtype {dtype!r:.40}", EDITED)
    return array.astype(dtype)


def _put_text(where: h5py.Group | h5py.Dataset, name: str, text: str) -> None:
    content = text.encode()
    where.attrs.create(name, np.array(content, h5py.string_dtype("utf-8", max(len(content), 1))))


def _sha256(texts: Mapping[str, str], arrays: Mapping[str, np.ndarray]) -> str:
    """sha256, in hexadecimal, of the version, the texts, and each array's path, dtype, shape and bytes, by name."""
    digest = hashlib.sha256(f"{FORMAT_VERSION}\0".encode())
    for name, text in sorted(texts.items()):
        digest.update(f"{name}\0{text}\0".encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name}\0{array.dtype.name}\0{array.shape}\0".encode())
        plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        digest.update(plain.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
