"""What several commands share: folders to write to, pictures to read, tables to show."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import minitl as tl

from ..data import Item, load
from ..errors import ArgumentError, DataError
from ..nn.inference import run_blocks
from ..terminal import escaped
from ..weights import registry
from ..weights.atomic import write_bytes

DEVICES = ("cpu", "cuda", "auto")


def add_device(parser: argparse._ActionsContainer, default: str | None = "cpu", otherwise: str = "cpu") -> None:
    """Declares --device. otherwise: what its help says of the default."""
    parser.add_argument(
        "--device", choices=DEVICES, default=default, help=f"auto: a GPU if there is one (default: {otherwise})"
    )


def add_threads(parser: argparse._ActionsContainer) -> None:
    """Declares --threads, which the command line's beginning (cli.main) obeys."""
    parser.add_argument(
        "--threads",
        type=at_least(1),
        metavar="N",
        help="threads of the CPU's kernels (default: MINITL_NUM_THREADS, or every core that this process may use)",
    )


def check_fresh(path: Path, force: bool) -> None:
    """ArgumentError if results cannot go to the folder `path`: it is a file, or holds something and not `force`."""
    if path.exists() and not path.is_dir():
        raise ArgumentError(f"--out {path}: is a file; give a folder")
    if path.is_dir() and any(path.iterdir()) and not force:
        raise ArgumentError(f"--out {path}: is not empty; give another folder, or --force to write over what is there")


def check_can_make(path: Path) -> None:
    """DataError, with the remedy, if the folder `path` cannot be made or written into; leaves nothing behind."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{path}: the folder cannot be made ({error.strerror}); choose another --out") from error
    writable = os.access(path, os.W_OK)
    for folder in missing:
        with suppress(OSError):  # somebody else may have put something into it
            folder.rmdir()
    if not writable:
        raise DataError(f"{path}: no permission to write into this folder; choose another --out")


def check_file(option: str, path: Path, force: bool, reads: Iterable[Path] = ()) -> None:
    """ArgumentError if the file `path` is one of those that are read, or there already and not `force`.

    A device or a pipe may be written to at any time.
    """
    if path.is_dir():
        raise ArgumentError(f"{option} {path}: is a folder; give the name of a file")
    if not path.is_file():
        return
    for file in reads:
        with suppress(OSError):
            if path.samefile(file):
                raise ArgumentError(f"{option} {path}: is itself read here; give another name")
    if not force:
        raise ArgumentError(f"{option} {path}: exists; give another name, or --force to write over it")


def at_least(least: float, kind: type = int, most: float = float("inf")) -> Callable[[str], Any]:
    """An argparse type: a number of `kind` from `least` to `most`."""

    def parse(text: str) -> Any:
        try:
            number = kind(text)
        except ValueError:
            number = None
        if number is None or not least <= number <= most:  # NaN is refused too
            upto = "" if most == float("inf") else f" and at most {most:g}"
            raise argparse.ArgumentTypeError(f"must be {_A[kind]} of at least {least:g}{upto}; got {text!r}")
        return number

    return parse


_A = {int: "a whole number", float: "a number"}


def key_value(text: str) -> tuple[str, float]:
    """An argparse type: PATTERN=NUMBER."""
    pattern, _, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        pattern = ""
    if not pattern:
        raise argparse.ArgumentTypeError(f"must look like 'conv5_*=0.1'; got {text!r}")
    return pattern, value


def pictures(paths: Iterable[Path]) -> list[Path]:
    """The files named and, of folders, all pictures in them at any depth, in the order of their names.

    In a folder a file is a picture by its ending (images.EXTENSIONS); hidden files and folders are left out, others are
    told of.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            files = sorted(p for p in path.rglob("*") if not _is_hidden(p.relative_to(path)) and not p.is_dir())
            inside = [p for p in files if p.suffix.lower() in tl.images.EXTENSIONS]
            others = [str(p.relative_to(path)) for p in files if p not in set(inside)]
            if others and inside:
                shown = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
                print(f"minitl: {path}: left out, no pictures by their endings: {shown}", file=sys.stderr)
            if not inside:
                known = ", ".join(sorted(tl.images.EXTENSIONS))
                raise DataError(f"{path}: no picture is in this folder; they end in {known}")
            found += inside
        else:
            found.append(path)
    return found


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def values(
    net: tl.Network, files: Sequence[Path], layer: str | None, quiet: bool
) -> tuple[list[Path], np.ndarray, list[tuple[Path, str]]]:
    """The value of `layer` (default: the output), one row (N, …) a picture that can be read.

    Returns (files read, their rows, (file, reason) of each that cannot be read). Shows a bar where someone watches.
    """
    if net.preprocessing is None:
        raise DataError(f"{net.name}: its weight file states no preprocessing, so pictures cannot be fed to it")
    failed: list[tuple[Path, str]] = []
    read: list[Path] = []
    items = [Item(str(file), 0, file) for file in files]
    loaded = load(items, net.preprocessing, on_skip=lambda item, reason: failed.append((Path(item.name), reason)))

    def inputs() -> Iterator[np.ndarray]:
        for item, array in tqdm(loaded, "pictures", len(items), disable=quiet or not sys.stderr.isatty(), leave=False):
            read.append(Path(item.name))
            yield array

    rows = [row for block in run_blocks(net, inputs(), layer) for row in block]
    return read, np.stack(rows) if rows else np.empty((0,)), failed


def report_failed(failed: Iterable[tuple[Path, str]]) -> None:
    """Names on stderr each picture that could not be read."""
    for file, reason in failed:
        print(f"minitl: {escaped(reason if str(file) in reason else f'{file}: {reason}')}", file=sys.stderr)


def weight_file(name_or_path: str) -> Path:
    """The path of a weight file given by path or by the name of one that comes with minitl."""
    return registry.find(name_or_path)


def table(rows: Sequence[Sequence[Any]], header: Sequence[str] = (), right: Iterable[int] = ()) -> str:
    """Rows in aligned columns; columns numbered in `right` are aligned to the right."""
    lines = [tuple(escaped(str(cell)) for cell in row) for row in ([header] if header else []) + list(rows)]
    right = set(right)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def print_json(value: Any) -> None:
    """One JSON document on stdout, for programs to read."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def write_text(path: Path, text: str) -> None:
    """Writes a text file beside and renames it into place; a full disk or a missing folder is one clear line."""
    write_bytes(path, text.encode("utf-8", "surrogateescape"))
