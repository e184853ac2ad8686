"""The command `minitl`. A table of commands, one module each, imported only when its command runs.

Each module has EXAMPLE (shown below its --help), `configure(parser)`, and `run(args)`, which returns the exit
status: 0 done, 1 failed, 2 misused. Errors of the family MinitlError are one line on stderr.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys
import warnings
from collections.abc import Sequence

from .. import __version__
from ..errors import ArgumentError, MinitlError

DONE, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130

COMMANDS = {
    "demo": "adapt the small network that comes with minitl to handwritten digits, three ways",
    "train": "turn a folder of pictures and a weight file into a classifier",
    "evaluate": "measure a classifier on a folder of labelled pictures",
    "predict": "name what pictures show",
    "features": "write the value of a layer, one row a picture",
    "inspect": "show and verify what a weight file holds",
    "convert": "turn weights of another framework into a minitl file",
    "kernels": "list the versions of every op and whether they can run here",
    "pretrain": "train the small network that comes with minitl, from MNIST's files",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line (default: that of the process) and returns its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a file name of any bytes can be shown
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            return _dispatch([word for word in words if word != "--debug"])
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (MinitlError, OSError, MemoryError) as error:
        if debug:
            raise
        print(f"minitl: {_line(error)}", file=sys.stderr)
        return MISUSED if isinstance(error, ArgumentError) else FAILED


def _show_warning(message: Warning | str, category: type[Warning], *where: object, **more: object) -> None:
    print(f"minitl: warning: {' '.join(str(message).split())}", file=sys.stderr)


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
    status = module.run(args)
    sys.stdout.flush()  # so that a broken pipe is met here, not at exit
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
    lines += ["`minitl COMMAND --help` explains one. Exit status: 0 done, 1 failed, 2 misused.", ""]
    lines += ["example:", "  minitl demo"]
    return "\n".join(lines)


def _line(error: BaseException) -> str:
    """The error as one line that names the file, if there is one."""
    if isinstance(error, MemoryError):
        return f"not enough memory ({error}); try a smaller --batch-size, or close other programs"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__
