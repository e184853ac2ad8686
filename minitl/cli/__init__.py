"""The command `minitl`. A table of commands, one module each, imported only when its command runs.

Each module has EXAMPLE (shown below its --help), `configure(parser)`, and `run(args)`, which returns the exit
status: 0 done, 1 failed, 2 misused. After Ctrl-C it is 130, after SIGTERM 143. Errors of the family MinitlError are
one line on stderr.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .. import __version__
from ..errors import ArgumentError, MinitlError
from ..terminal import Unfailing, escaped

DONE, FAILED, MISUSED, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143

COMMANDS = {
    "demo": "adapt the small network that comes with minitl to handwritten digits, three ways",
    "train": "turn a folder of pictures and a weight file into a classifier",
    "resume": "go on with a training that was interrupted or killed",
    "evaluate": "measure a classifier on a folder of labelled pictures",
    "predict": "name what pictures show",
    "features": "write the value of a layer, one row a picture",
    "inspect": "show and verify what a weight file holds",
    "convert": "turn weights of another framework into a minitl file",
    "kernels": "list the versions of every op and whether they can run here",
    "verify": "verify kernels by their properties, your own ones too",
    "bench": "time the versions of an op, or a network, on this machine",
    "pretrain": "train the small network that comes with minitl, from MNIST's files",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line (default: that of the process) and returns its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a file name of any bytes can be shown
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    with _streams() as out, _termination() as terminated, _news():
        try:
            with warnings.catch_warnings():
                _tell_warnings()
                status = _dispatch([word for word in words if word != "--debug"])
        except KeyboardInterrupt:
            status = INTERRUPTED
        except (MinitlError, OSError, MemoryError) as error:
            if debug:
                raise
            print(f"minitl: {_line(error)}", file=sys.stderr)
            status = MISUSED if isinstance(error, ArgumentError) else FAILED
        if terminated and status == INTERRUPTED:
            return TERMINATED
        if out.error is None:
            return status
        if not isinstance(out.error, BrokenPipeError):  # of a reader who has left there is nothing to tell
            print(f"minitl: standard output: {_line(out.error)}", file=sys.stderr)
        return status or FAILED


@contextmanager
def _streams() -> Iterator[Any]:
    """stdout and stderr such that a full disk, a reader who leaves or a closed stream stops no work; gives stdout."""
    before = sys.stdout, sys.stderr
    out, err = Unfailing(sys.stdout), Unfailing(sys.stderr)
    sys.stdout, sys.stderr = out, err  # type: ignore[assignment]
    try:
        yield out
    finally:
        for stream in (out, err):
            stream.flush()
        sys.stdout, sys.stderr = before


@contextmanager
def _termination() -> Iterator[list[int]]:
    """Makes SIGTERM what Ctrl-C is, so that the best weights are kept and written; gives the signals that came."""
    came: list[int] = []

    def interrupt(number: int, frame: Any) -> None:
        came.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # signals are handled there alone
        yield came
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield came
    finally:
        signal.signal(signal.SIGTERM, before)


class _Teller(logging.Handler):
    """Tells what a program may want to know, in a line on stderr, beside progress bars."""

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm

        tqdm.write(f"minitl: {one_line(record.getMessage())}", file=sys.stderr)


@contextmanager
def _news() -> Iterator[None]:
    """Tells what the library logs, such as that kernels are being compiled, which may take seconds."""
    log, teller = logging.getLogger("minitl"), _Teller()
    level = log.level
    log.addHandler(teller)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(teller)
        log.setLevel(level)


def _tell_warnings() -> None:
    """Warnings are told in a line; asked to be errors (PYTHONWARNINGS=error) they must not end hours of training."""
    warnings.showwarning = _show_warning
    warnings.filters = [("default", *entry[1:]) if entry[0] == "error" else entry for entry in warnings.filters]
    warnings.simplefilter("ignore", DeprecationWarning)  # of other packages; this also makes the new filters known


def one_line(text: str) -> str:
    """The text on one line, control characters in it (of a file name, say) made visible."""
    return escaped(" ".join(text.split()))


def _show_warning(message: Warning | str, category: type[Warning], *where: object, **more: object) -> None:
    print(f"minitl: warning: {one_line(str(message))}", file=sys.stderr)


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(_overview())
        return DONE if words else MISUSED
    if words[0] == "--version":
        print(f"minitl {__version__}")
        return DONE
    name, *rest = words
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(COMMANDS)}"
        raise ArgumentError(f"no command {name!r}; {hint}")
    module = importlib.import_module(f".{name}", __name__)
    parser = command_parser(name, module)
    try:
        args = parser.parse_args(rest)
    except SystemExit as leaving:  # argparse has printed help, or what is wrong
        return DONE if not leaving.code else MISUSED
    args.words = words
    if getattr(args, "threads", None) is not None:
        from .. import set_num_threads  # here, so that --help stays quick

        set_num_threads(args.threads)
    status = module.run(args)
    sys.stdout.flush()  # so that a full disk or a broken pipe is met here, not at exit
    return status


def command_parser(name: str, module) -> argparse.ArgumentParser:
    """The argument parser of one command, whose --help ends with an example."""
    parser = argparse.ArgumentParser(
        prog=f"minitl {name}",
        description=module.__doc__,
        epilog=f"example:\n  {module.EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.configure(parser)
    parser.add_argument("--debug", action="store_true", help="show the whole traceback of an error")
    return parser


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = ["usage: minitl COMMAND …", "", "A CNN engine for transfer learning.", "", "commands:"]
    lines += [f"  {name.ljust(width)}  {text}" for name, text in COMMANDS.items()]
    lines += ["", "options: --version; --debug shows the whole traceback of an error", ""]
    lines += [
        "`minitl COMMAND --help` explains one. Exit status: 0 done, 1 failed, 2 misused, 130 or 143 ended by a signal.",
        "",
    ]
    lines += ["example:", "  minitl demo"]
    return "\n".join(lines)


def _line(error: BaseException) -> str:
    """The error as one line that names the file, if there is one."""
    if isinstance(error, MemoryError) and not isinstance(error, MinitlError):
        return f"not enough memory ({error}); try a smaller --batch-size, or close other programs"
    if isinstance(error, OSError) and error.filename is not None:
        return one_line(f"{os.fsdecode(error.filename)}: {error.strerror}")
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return one_line(text) or type(error).__name__
