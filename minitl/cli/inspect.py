"""Shows what a weight file holds, after checking every hash in it: origin, licence, classes, preprocessing, layers."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..weights import schema
from . import common

EXAMPLE = "minitl inspect run/weights.h5"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("weights", metavar="WEIGHTS", help="a minitl weight file, or a known name")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Reads, verifies and shows the file."""
    path = common.weight_file(args.weights)
    file = schema.read(path, verify=True)
    if args.json:
        common.print_json(_facts(path, file))
    else:
        print(_text(path, file))
    return 0


def _arrays(file: schema.WeightFile) -> list[tuple[str, list[int]]]:
    return [(f"{layer}.{role}", list(a.shape)) for layer, roles in file.layers.items() for role, a in roles.items()]


def _numbers(file: schema.WeightFile) -> int:
    return sum(a.size for roles in file.layers.values() for a in roles.values())


def _facts(path: Path, file: schema.WeightFile) -> dict[str, Any]:
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "verified": True,
        "network": file.network["name"],
        "input_shape": file.network.get("input_shape"),
        "origin": file.origin,
        "license": file.license,
        "classes": file.classes,
        "preprocessing": file.preprocessing,
        "numbers": _numbers(file),
        "nodes": [{"name": n["name"], "op": n["op"], "inputs": n["inputs"]} for n in file.network["nodes"]],
        "arrays": [{"name": name, "shape": shape} for name, shape in _arrays(file)],
    }


def _text(path: Path, file: schema.WeightFile) -> str:
    size = path.stat().st_size
    facts = [
        ("file", f"{path} ({size / 1e6:.2f} MB)" if size >= 1e5 else f"{path} ({size:,} bytes)"),
        ("hashes", "all verified"),
        ("network", f"{file.network['name']} for input {_input(file.network.get('input_shape'))}"),
        ("numbers", f"{_numbers(file):,}"),
        ("origin", file.origin or "not stated"),
        ("licence", file.license or "not stated"),
        ("classes", _classes(file.classes)),
        ("pictures", _preprocessing(file.preprocessing)),
    ]
    shapes: dict[str, list[str]] = {}
    for name, shape in _arrays(file):
        layer, _, role = name.rpartition(".")
        shapes.setdefault(layer, []).append(f"{role} {'x'.join(map(str, shape)) or 'scalar'}")
    layers = [(n["name"], n["op"], ", ".join(shapes.get(n["name"], []))) for n in file.network["nodes"]]
    return f"{common.table(facts)}\n\n{common.table(layers, ('layer', 'op', 'arrays'))}"


def _input(shape: list[int] | None) -> str:
    if shape is None:
        return "of a size that is not stated"
    return "x".join(map(str, shape)) + (" (C x H x W)" if len(shape) == 3 else "")


def _classes(classes: list[str] | None, most: int = 5) -> str:
    if classes is None:
        return "no names"
    shown = "; ".join(classes[:most])
    return f"{len(classes)}: {shown}{'; …' if len(classes) > most else ''}"


def _preprocessing(values: dict[str, Any] | None) -> str:
    if values is None:
        return "preprocessing not stated"
    return ", ".join(f"{key} {_short(value)}" for key, value in values.items() if value is not None)


def _short(value: Any) -> str:
    if isinstance(value, list):
        return "(" + ", ".join(map(_short, value)) + ")"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
