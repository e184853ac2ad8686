"""Writes the value of one layer for each picture, one row a picture, for use with other tools.

The ending of --out chooses the format: .npz (NumPy: features, files), .csv (file, f0, f1, …) or .h5 (the same
names as .npz). Without --layer it is what enters the classifier.
"""

from __future__ import annotations

import argparse
import csv
import io
from pathlib import Path

import numpy as np

import minitl as tl

from ..errors import ArgumentError, DataError
from ..nn import inference
from . import common

EXAMPLE = "minitl features vgg16.h5 photos/ --layer pool5 --out features.npz"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("weights", metavar="WEIGHTS", help="a weight file, or a known name")
    parser.add_argument("pictures", metavar="PICTURES", nargs="+", type=Path, help="picture files, or folders of them")
    parser.add_argument("--layer", help="whose value to write (default: what enters the classifier)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="ending in .npz, .csv or .h5")
    parser.add_argument("--force", action="store_true", help="write over an existing file")
    common.add_device(parser)
    common.add_threads(parser)
    parser.add_argument("--no-progress", action="store_true", help="show no progress bar")


def run(args: argparse.Namespace) -> int:
    """Computes the features and writes them."""
    encode = FORMATS.get(args.out.suffix.lower())
    if encode is None:
        raise ArgumentError(f"--out {args.out}: must end in {', '.join(FORMATS)}")
    files = common.pictures(args.pictures)
    common.check_file("--out", args.out, args.force, [common.weight_file(args.weights), *files])
    net = tl.load(args.weights).to(args.device)
    layer = inference.default_layer(net) if args.layer is None else net.layer_name(args.layer)
    read, rows, failed = common.values(net, files, layer, args.no_progress)
    common.report_failed(failed)
    if not read:
        raise DataError("features: no picture could be read, so nothing was written")
    features = rows.reshape(len(rows), -1)
    common.write_bytes(args.out, encode(features, list(map(str, read))))
    print(f"{features.shape[0]} pictures x {features.shape[1]} features of {layer} -> {args.out}")
    return int(bool(failed))


def _npz(features: np.ndarray, names: list[str]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, features=features, files=np.array(names))
    return file.getvalue()


def _csv(features: np.ndarray, names: list[str]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["file", *(f"f{i}" for i in range(features.shape[1]))])
    for name, row in zip(names, features, strict=True):
        writer.writerow([name, *map(str, row)])  # str of a float32 reads back to the same bits
    return text.getvalue().encode("utf-8", "surrogateescape")


def _h5(features: np.ndarray, names: list[str]) -> bytes:
    import h5py

    file = io.BytesIO()
    with h5py.File(file, "w") as h:
        h.create_dataset("features", data=features, compression="gzip", shuffle=True)
        raw = [name.encode("utf-8", "surrogateescape") for name in names]
        h.create_dataset("files", data=raw, dtype=h5py.string_dtype())
    return file.getvalue()


FORMATS = {".npz": _npz, ".csv": _csv, ".h5": _h5}
