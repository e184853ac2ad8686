"""What faults are planted: small changes to a line of CUDA C++, each the kind of mistake that people make."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ....errors import ArgumentError

Pairs = tuple[tuple[str, str], ...]


def swapped(one: str, other: str) -> Pairs:
    """Patterns and replacements that put either of two names in place of the other."""
    whole = [rf"{'' if name[0] == '.' else '(?<![A-Za-z0-9_])'}{re.escape(name)}(?!\w)" for name in (one, other)]
    return (whole[0], other), (whole[1], one)


# name: what a reader would call the fault; (pattern, replacement) pairs. Operators stand between spaces in these
# sources, which keeps templates and pointers apart from comparisons and products.
OPERATORS: dict[str, Pairs] = {
    "dropped barrier": ((r"__syncthreads\(\);", ";"), (r"__syncwarp\(\);", ";")),
    "missing wait": ((r"wait_async<(.+?)>\(\);", r"wait_async<\1 + 1>();"), (r"commit_async\(\);", ";")),
    "bound off by one": (
        (r" < ", " <= "), (r" <= ", " < "), (r" > ", " >= "), (r" >= ", " > "),
    ),
    "negated condition": ((r" == ", " != "), (r" != ", " == ")),
    "swapped logic": ((r" && ", " || "), (r" \|\| ", " && ")),
    "swapped axes": (
        *swapped("stride_h", "stride_w"), *swapped("dilation_h", "dilation_w"), *swapped(".top", ".left"),
        *swapped(".H", ".W"), *swapped(".P", ".Q"), *swapped(".R", ".S"), *swapped(".h", ".w"),
        *swapped("threadIdx.x", "threadIdx.y"),
    ),
    "index off by one": ((r" \+ 1\b", " + 0"), (r" - 1\b", " - 0")),
    "wrong sign": ((r" \+ (?!1\b)", " - "), (r" - (?!1\b)", " + ")),
    "wrong operation": ((r" \* ", " + "), (r" / ", " * "), (r" % ", " / ")),
    "forgotten sum": ((r" \+= ", " = "),),
    "wrong lane": ((r"__shfl_xor_sync", "__shfl_down_sync"), (r"\blane = (.+?) % 32;", r"lane = \1 % 16;"),
                   (r"distance = 16\b", "distance = 8")),
    "skipped guard": ((r"\bif \([^;{]*\) (return|continue)\b", r"if (false) \1"),),
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """A fault: in `file` (below kernels/), at `line` (from 1), `before` became `after`; nth of a line's matches.

    function: the one that the line stands in, or the struct; "" outside of all.
    """

    file: str
    line: int
    operator: str
    before: str
    after: str
    nth: int
    function: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What stays the same when lines are added elsewhere: file, function, the line as it was, as it became."""
        return self.file, self.function, self.before.strip(), self.after.strip()

    def __str__(self) -> str:
        change = f"{self.before.strip()}  ->  {self.after.strip()}"
        return f"{self.file}:{self.line}: {self.function}: {self.operator}: {change}"


def mutants(file: str, text: str) -> Iterator[Mutant]:
    """Every mutant of a CUDA C++ source: one change in one line of code that the emulator compiles."""
    functions = _functions(text)
    for number, line in _code(text):
        code, mark, comment = line.partition("//")
        yield from changes(OPERATORS, file, number, code, mark + comment, functions[number - 1])


def changes(
    operators: Mapping[str, Pairs], file: str, number: int, code: str, tail: str, function: str
) -> Iterator[Mutant]:
    """The mutants of one line: `code`, and behind it `tail`, which is left alone."""
    for name, pairs in operators.items():
        for pattern, replacement in pairs:
            for nth, match in enumerate(re.finditer(pattern, code)):
                changed = code[: match.start()] + match.expand(replacement) + code[match.end() :]
                if changed != code:
                    yield Mutant(file, number, name, code + tail, changed + tail, nth, function)


def applied(mutant: Mutant, text: str) -> str:
    """The source with the fault in it."""
    lines = text.split("\n")
    if mutant.line > len(lines) or lines[mutant.line - 1] != mutant.before:
        raise ArgumentError(f"{mutant.file}: line {mutant.line} is no longer what the mutant changes; list them anew")
    lines[mutant.line - 1] = mutant.after
    return "\n".join(lines)


def _functions(text: str) -> list[str]:
    """For each line, the function or struct that it stands in; what is declared at the margin ends what was before."""
    found, name, declared = [], "", None
    for line in text.split("\n"):
        if line[:1].strip() and not line.startswith(("#", "//", "}")):
            declared = ""
        if declared is not None:  # a heading, perhaps of several lines
            declared += re.sub(r"__launch_bounds__\s*\([^)]*\)|//.*", "", line)
            match = re.search(r"\bstruct (\w+)|(\w+)\s*\(", declared)
            if match or re.search(r"[;{}>]\s*$", declared):
                name, declared = (match[1] or match[2]) if match else "", None
        found.append(name)
        if line.startswith("}"):
            name = ""
    return found


def _code(text: str) -> Iterator[tuple[int, str]]:
    """The lines that hold statements for the emulator: no comments, declarations of macros, or the GPU's own half."""
    hidden: list[bool] = []  # for each #if that is open, whether the emulator skips its present branch
    asked: list[bool] = []  # and whether it asks for the emulator or the GPU's compiler at all
    going_on = False  # a directive that the next line goes on with
    for number, line in enumerate(text.split("\n"), 1):
        bare = line.strip()
        directive = going_on or bare.startswith("#")
        going_on = directive and bare.endswith("\\")
        if directive:
            if re.match(r"#\s*if", bare):
                asked.append("MINITL_EMULATED" in bare or "__CUDA" in bare)
                hidden.append(bare.startswith(("#ifndef MINITL_EMULATED", "#ifdef __CUDA")))
            elif re.match(r"#\s*else", bare) and hidden:
                hidden[-1] = asked[-1] and not hidden[-1]
            elif re.match(r"#\s*endif", bare) and hidden:
                hidden.pop(), asked.pop()
            continue
        if any(hidden) or not bare or bare.startswith(("//", "template", "extern", "static_assert", "using", "enum")):
            continue
        yield number, line
