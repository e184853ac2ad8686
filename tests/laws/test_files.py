"""Laws about the files themselves: short, documented, finished, and honest about NaN."""

from __future__ import annotations

import ast
import re

LONGEST = 450
HEART = 500  # autograd.py and tensor.py together: someone studies them in an evening
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b|NotImplemented" r"Error")


def test_a_room_fits_in_the_head(everything):
    long = {s.path: n for s in everything if (n := s.text.count("\n")) > LONGEST}
    assert not long, f"more than {LONGEST} lines: {long}; split by meaning"


def test_the_heart_fits_an_evening(library):
    lines = {s.path: s.text.count("\n") for s in library if s.path in ("minitl/autograd.py", "minitl/tensor.py")}
    assert len(lines) == 2
    assert sum(lines.values()) < HEART, lines


def test_compiled_code_is_kept_by_one_decorator(library):
    """Numba's own cache fails where nothing can be written, and watches one file of all that a function is made of."""
    others = [s.path for s in library if re.search(r"\bcache=True", s.text) or re.search(r"@(numba\.)?n?jit\b", s.text)]
    assert not others, others


def test_compiled_code_calls_only_its_own_folder(library):
    """What is kept on disk goes stale when a file of its own folder or of kernels/cpu changes, and with no other."""
    compiled = {s.module: set(re.findall(r"^@compiled.*\ndef (\w+)", s.text, re.M)) for s in library}
    assert len([names for names in compiled.values() if names]) > 3
    wrong = []
    for s in library:
        for node in ast.walk(s.tree) if compiled[s.module] else ():
            if isinstance(node, ast.ImportFrom) and node.level:
                base = s.module.split(".")[: -node.level]
                home = ".".join([*base, *filter(None, [node.module])])
                near = base == s.module.split(".")[:-1] or home.startswith("minitl.kernels.cpu.")
                wrong += [f"{s.path}: {a.name}" for a in node.names if a.name in compiled.get(home, ()) and not near]
    assert not wrong, wrong


def test_nothing_is_left_unfinished(everything):
    marks = [
        f"{s.path}:{i}: {line.strip()}"
        for s in everything
        for i, line in enumerate(s.text.splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert not marks, "\n".join(marks)


def _is_function(node: ast.stmt) -> bool:
    """A differentiable operation: the function that wraps it carries the documentation."""
    return isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Function") for base in node.bases)


def _is_version(path: str) -> bool:
    """A file of an op's folder other than its spec, whose docstring documents what all of them compute."""
    parts = path.split("/")
    return parts[0] == "kernels" and len(parts) > 2 and parts[1] not in ("verify", "emulator", "cuda")


def test_public_names_are_documented(library):
    bare = [
        f"{s.path}:{node.lineno} {node.name}"
        for s in library
        if not _is_version(s.path)
        for node in s.tree.body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        and not node.name.startswith("_")
        and not _is_function(node)
        and not ast.get_docstring(node)
    ]
    assert not bare, "\n".join(bare)


def test_modules_are_documented(library):
    bare = [s.path for s in library if s.text.strip() and not ast.get_docstring(s.tree)]
    assert not bare, "\n".join(bare)


def test_kernels_know_nan_and_infinity(library):
    """Law 6: no fast-math flag that lets the compiler assume there is none."""
    wrong = []
    for s in library:
        if not s.path.startswith("kernels/"):
            continue
        for node in ast.walk(s.tree):
            if isinstance(node, ast.keyword) and node.arg == "fastmath":
                flags = ast.unparse(node.value)
                if "nnan" in flags or "ninf" in flags or "'fast'" in flags or flags == "True":
                    wrong.append(f"{s.path}:{node.value.lineno}: fastmath={flags}")
        for i, line in enumerate(s.text.splitlines(), 1):
            if re.search(r"[\"'](nnan|ninf|fast)[\"']|--use_fast_math", line):
                wrong.append(f"{s.path}:{i}: {line.strip()}")
    assert not wrong, "\n".join(wrong)
