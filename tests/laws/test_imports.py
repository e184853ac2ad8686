"""Law 1: imports go down only, inside functions too. Read from the syntax tree of every file."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator

import pytest

# A unit may import units of a lower rank. Those of rank 0 and 1 are the ground.
RANKS = {
    "errors": 0,
    "terminal": 0,
    "kernels": 1,
    "weights": 1,
    "images": 1,
    "device": 2,
    "autograd": 2,
    "tensor": 3,
    "functional": 4,
    "uploads": 4,
    "optim": 5,
    "nn": 6,
    "testing": 7,
    "models": 7,
    "data": 8,
    "transfer": 9,
    "train": 10,
    "estimators": 10,
    "report": 11,
    "": 12,  # minitl itself: loads every name lazily, so nothing below may lean on it
    "cli": 13,
}

# Who may import what of the kernels.
KERNEL_USERS = {
    "kernels": "",
    "device": "minitl.kernels.cuda",
    "functional": "",
    "optim": "",
    "nn": "minitl.kernels.geometry",
    "cli": "",
}

# Third-party modules with one home each.
HOMES = {
    "hypothesis": ("minitl.testing", "minitl.kernels.verify"),
    "pytest": (),
    "torch": ("minitl.weights.convert", "minitl.cli.bench", "minitl.cli.torch_peer"),
    "sklearn": ("minitl.cli.demo", "minitl.estimators"),
    "matplotlib": ("minitl.report", "minitl.cli.demo", "minitl.cli.curves"),
}


def _is_type_only(node: ast.AST) -> bool:
    """An `if TYPE_CHECKING:` block, which never runs."""
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if _is_type_only(child):
            for other in child.orelse:
                yield from _statements(other)
            continue
        yield child
        yield from _statements(child)


def imports(source) -> Iterator[tuple[int, str]]:
    """(line, absolute name) of everything that a file imports, wherever in it; type-only imports are exempt."""
    for node in _statements(source.tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = source.package.split(".")
                base = ".".join(package[: len(package) - node.level + 1] + ([node.module] if node.module else []))
            for name in node.names:
                yield node.lineno, f"{base}.{name.name}"


def _unit(name: str) -> str | None:
    """The room of the house that an absolute name lies in; None for other people's modules."""
    top, _, rest = name.partition(".")
    if top != "minitl":
        return None
    unit = rest.partition(".")[0]
    return unit if unit in RANKS else ""


def test_imports_go_down_only(library):
    wrong = []
    for source in library:
        here = _unit(source.module)
        for line, name in imports(source):
            there = _unit(name)
            if there is None or there == here:
                continue
            if RANKS[there] >= RANKS[here]:
                wrong.append(f"{source.path}:{line}: {here or 'minitl'} may not import {name}")
    assert not wrong, "\n".join(wrong)


def test_the_ground_imports_only_errors(library):
    wrong = [
        f"{source.path}:{line}: {name}"
        for source in library
        if _unit(source.module) in ("kernels", "weights", "images", "errors")
        for line, name in imports(source)
        if _unit(name) not in (None, _unit(source.module), "errors")
    ]
    assert not wrong, "\n".join(wrong)


def test_every_unit_has_a_rank(library):
    unknown = {
        source.path for source in library if source.module.count(".") and source.module.split(".")[1] not in RANKS
    }
    assert not unknown, f"give these a rank in the import law: {sorted(unknown)}"


def test_only_functional_and_optim_call_kernels(library):
    wrong = []
    for source in library:
        here = _unit(source.module)
        for line, name in imports(source):
            if _unit(name) == "kernels" and not (here in KERNEL_USERS and name.startswith(KERNEL_USERS[here])):
                wrong.append(f"{source.path}:{line}: {name}")
    assert not wrong, "\n".join(wrong)


def test_modules_are_not_reached_by_written_names(library):
    """importlib with a name spelled out would go round the law."""
    wrong = []
    for source in library:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
                named = node.args[0] if node.args else None
                if isinstance(named, ast.Constant) and "minitl" in str(named.value):
                    wrong.append(f"{source.path}:{node.lineno}: {ast.unparse(node)}")
    assert not wrong, "\n".join(wrong)


def test_other_peoples_libraries_stay_in_their_homes(library):
    wrong = []
    for source in library:
        if source.path.endswith("/cases.py"):  # what hypothesis draws for an op; only tests load it
            continue
        for line, name in imports(source):
            homes = HOMES.get(name.partition(".")[0])
            if homes is not None and not source.module.startswith(homes or ("-",)):
                wrong.append(f"{source.path}:{line}: {name}")
    assert not wrong, "\n".join(wrong)


def _loaded_after(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


HEAVY = {"numba", "cupy", "matplotlib", "sklearn", "torch", "hypothesis", "pytest", "scipy"}


@pytest.mark.parametrize(
    "statement",
    [
        "import minitl",
        "import minitl.kernels; minitl.kernels.specs()",
        "from minitl import nn, optim, functional, errors, images",
        "import minitl.cli; assert minitl.cli.main(['--help']) == 0",
    ],
)
def test_importing_is_light(statement):
    assert not _loaded_after(statement) & HEAVY
