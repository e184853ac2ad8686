"""Verifies kernels: every kind of property, over drawn calls and thread schedules, for every version that can run here.

WHAT is an op, such as conv2d (its gradients included) or conv2d.grad_input; all by default. Or it is a kernel of your
own, file.cu:name or file.py:name, with --as OP; NVRTC is then asked whether it compiles for a GPU, where it is
installed. Exit status 1 if anything fails; the smallest case that shows a failure is told. A share is an error divided
by the bound that is derived for it.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tqdm import tqdm

from ..errors import ArgumentError, BackendUnavailable
from ..kernels import specs
from ..kernels.verify import fitting, machine_code, own, report, suite
from . import common

EXAMPLE = "minitl verify conv2d --backend emulator --version tiled"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("what", nargs="?", metavar="WHAT", help="an op, or a kernel of your own (default: every op)")
    parser.add_argument("--as", dest="op", metavar="OP", help="the op that a kernel of your own computes")
    parser.add_argument("--backend", metavar="NAME", help="only this one, such as cpu, emulator or cuda")
    parser.add_argument("--version", metavar="NAME", help="only this one, such as emulator.tiled, or tiled")
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--deep", action="store_true", help=f"{suite.DEEP} calls a property")
    few = f"so many calls a property (default: {suite.QUICK}; {suite.OWN} of one version)"
    amount.add_argument("--cases", type=common.at_least(1), metavar="N", help=few)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows as JSON")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page that shows them")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write both, verify.json and verify.html, here")
    parser.add_argument("--force", action="store_true", help="write over files that are there")
    parser.add_argument("--no-progress", action="store_true", help="show no progress bar")


def run(args: argparse.Namespace) -> int:
    """Verifies, and tells the rows."""
    files = _files(args)
    for number, (option, path) in enumerate(files):
        common.check_file(option, path, args.force)
        _check_folder(option, path)
        for other, same in files[:number]:
            if path.absolute() == same.absolute() and not path.is_char_device():
                raise ArgumentError(f"{option} {path}: {other} goes there too; give another name")
    missing = suite.unavailable()
    if missing:
        raise BackendUnavailable(f"kernels cannot be verified: {missing}")
    chosen = _subjects(args)
    cases = suite.DEEP if args.deep else args.cases or (suite.QUICK if len(chosen) > 1 else suite.OWN)
    rows: list[suite.Row] = []
    quiet = args.no_progress or not sys.stderr.isatty()
    for subject in tqdm(chosen, desc="verifying", unit="version", disable=quiet, leave=False):
        rows += suite.verified([subject], cases)
        code = machine_code.compiled(subject)
        if code:
            rows.append(code)
    _tell(rows)
    for option, path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        common.write_text(path, report.as_json(rows, cases) if option == "--json" else report.as_html(rows))
        print(f"wrote {path}")
    if report.counts(rows)["failed"]:
        return 1
    if not any(row.outcome == "passed" and row.property != machine_code.PROPERTY for row in rows):
        raise BackendUnavailable(f"nothing was verified: {rows[0].why}")
    return 0


def _files(args: argparse.Namespace) -> list[tuple[str, Path]]:
    """(option, path) of what is to be written; the option tells in which form."""
    files = [("--json", args.json), ("--html", args.html)]
    if args.out:
        files += [("--json", args.out / "verify.json"), ("--html", args.out / "verify.html")]
    return [(option, path) for option, path in files if path]


def _check_folder(option: str, path: Path) -> None:
    """ArgumentError where a file cannot come to be, before minutes of work."""
    if path.exists():
        return
    folder = next(folder for folder in path.absolute().parents if folder.exists())
    if not folder.is_dir():
        raise ArgumentError(f"{option} {path}: {folder} is no folder; give another name")
    if not os.access(folder, os.W_OK):
        raise ArgumentError(f"{option} {path}: no permission to write into {folder}; choose another folder")


def _subjects(args: argparse.Namespace) -> list[suite.Subject]:
    if args.what and (":" in args.what or Path(args.what).suffix in (".cu", ".py")):
        if not args.op:
            fit, known = fitting.fitting(args.what), ", ".join(specs())
            told = f"its parameters are those of {' or '.join(fit)}" if fit else "its parameters are those of no op"
            raise ArgumentError(f"{args.what}: tell which op it computes, by --as OP: {told}; there are {known}")
        if args.version:
            raise ArgumentError("--version chooses among the versions of an op; a kernel of your own has one")
        return [own.own(args.what, args.op, args.backend)]
    if args.op:
        raise ArgumentError("--as goes with a kernel of your own, file.cu:name or file.py:name")
    return suite.subjects(args.what, args.backend, args.version)


def _tell(rows: list[suite.Row]) -> None:
    """The table, what is not at hand, and failures last."""
    lines = [
        (row.op, row.version, row.property, row.cases, report.share(row.worst), row.outcome)
        for row in rows
        if row.property != "all"
    ]
    if lines:
        print(common.table(lines, report.COLUMNS, right=(3, 4)))
    for line in (*report.missing(rows), *report.compilations(rows)):
        print(line)
    for text in report.failures(rows):
        print(f"\n{text}")
    print(f"\n{report.summary(rows)}")
