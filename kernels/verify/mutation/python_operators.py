"""What faults are planted in Numba kernels: small changes to a line of Python, of the same kinds."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator

from .operators import Mutant, Pairs, changes, swapped

OPERATORS: dict[str, Pairs] = {
    "dropped barrier": ((r"cuda\.syncthreads\(\)", "pass"), (r"cuda\.syncwarp\(.*?\)", "pass")),
    "bound off by one": (
        (r" < ", " <= "), (r" <= ", " < "), (r" > ", " >= "), (r" >= ", " > "),
        (r"\brange\(([^,()]+)\)", r"range(\1 + 1)"), (r"\brange\(([^,()]+)\)", r"range(\1 - 1)"),
    ),
    "negated condition": ((r" == ", " != "), (r" != ", " == ")),
    "swapped logic": ((r" and ", " or "), (r" or ", " and ")),
    "swapped axes": (
        *swapped("tx", "ty"), *swapped("shape[2]", "shape[3]"), *swapped("cuda.blockIdx.x", "cuda.blockIdx.y"),
        (r"\b(stride|dilation|padding|kernel_size)\[0\]", r"\1[1]"),
        (r"\b(stride|dilation|padding|kernel_size)\[1\]", r"\1[0]"),
        *swapped("cuda.threadIdx.x", "cuda.threadIdx.y"),
    ),
    "index off by one": ((r" \+ 1\b", " + 0"), (r" - 1\b", " - 0")),
    "wrong sign": ((r" \+ (?!1\b)", " - "), (r" - (?!1\b)", " + ")),
    "wrong operation": ((r" \* ", " + "), (r" // ", " * "), (r" % ", " // ")),
    "forgotten sum": ((r" \+= ", " = "),),
    "wrong lane": ((r"\b16 >> ", "8 >> "), (r"shfl_xor_sync", "shfl_down_sync")),
    "skipped guard": ((r"\bif (.+):", r"if False and (\1):"),),
}  # fmt: skip


def mutants(file: str, text: str) -> Iterator[Mutant]:
    """Every mutant of a source of Numba kernels: one change in one line of code; imports and texts are left alone."""
    left_alone = _texts(text)
    function = ""
    for number, line in enumerate(text.split("\n"), 1):
        bare = line.strip()
        if match := re.match(r"def (\w+)", line):
            function = match[1]
        if number in left_alone or not bare or bare.startswith(("#", "import", "from", "def ", "@")):
            continue
        code, mark, comment = line.partition("  #")
        yield from changes(OPERATORS, file, number, code, mark + comment, function)


def _texts(text: str) -> set[int]:
    """The lines that are part of a string of several lines, or a line that is nothing but a string."""
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.STRING and (token.start[0] < token.end[0] or token.line.strip() == token.string):
            found.update(range(token.start[0], token.end[0] + 1))
    return found
