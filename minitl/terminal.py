"""Output to a terminal: text that is safe in a line, and streams whose failing is no reason to fail."""

from __future__ import annotations

import contextlib
import os
import unicodedata
from typing import Any


def escaped(text: str) -> str:
    """The text with control characters and line breaks made visible, as in a string of Python: safe in a line."""
    if text.isprintable():
        return text
    return "".join(repr(c)[1:-1] if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)


class Unfailing:
    """Passes on what is written to `stream` until that fails, and drops the rest: error is then the first failure.

    None stands for a stream that is closed, as Python has it for a process that was started without one.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream if stream is not None else open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        self.error: OSError | ValueError | None = None

    def write(self, text: str) -> int:
        """Writes if that is still possible; len(text) either way."""
        if self.error is None:
            try:
                self._stream.write(text)
            except (OSError, ValueError) as error:
                self._give_up(error)
        return len(text)

    def flush(self) -> None:
        """Flushes if that is still possible."""
        if self.error is None:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._give_up(error)

    def _give_up(self, error: OSError | ValueError) -> None:
        self.error = error
        # What is still buffered must go somewhere, or Python complains of it once more when it flushes at exit.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sink = os.open(os.devnull, os.O_WRONLY)
            os.dup2(sink, self._stream.fileno())
            os.close(sink)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
