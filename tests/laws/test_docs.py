"""What the documents promise exists: commands, examples, the version."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex

import pytest

import minitl
from minitl import cli


def code_lines(text: str) -> list[str]:
    """The lines inside the fenced blocks of a Markdown file."""
    lines, inside = [], False
    for line in text.splitlines():
        if line.startswith("```"):
            inside = not inside
        elif inside:
            lines.append(line.removeprefix("$ ").strip())
    return lines


def _parser(command: str) -> argparse.ArgumentParser:
    return cli.command_parser(command, importlib.import_module(f"minitl.cli.{command}"))


def _check(line: str) -> None:
    """The command line parses."""
    words = shlex.split(line, comments=True)
    assert words[0] == "minitl"
    assert words[1] in cli.COMMANDS, f"no such command: {line}"
    try:
        _parser(words[1]).parse_args(words[2:])
    except SystemExit:
        pytest.fail(f"does not parse: {line}")


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_commands_in_documents_parse(root, document):
    found = code_lines((root / document).read_text(encoding="utf-8"))
    for line in found:
        for part in re.split(r"\s*&&\s*", line):
            if part.startswith("minitl ") and "--help" not in part and "--version" not in part:
                _check(part)


def test_the_readme_has_the_two_commands(root):
    found = code_lines((root / "README.md").read_text(encoding="utf-8"))
    assert next(line for line in found if "minitl demo" in line) == "pip install -e . && minitl demo"
    assert next(line for line in found if "pytest" in line) == "pip install -e '.[test]' && pytest"


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_help_ends_with_an_example_that_parses(command):
    shown = _parser(command).format_help()
    assert f"minitl {command}" in shown
    title, example = shown.rstrip().splitlines()[-2:]
    assert title == "example:"
    _check(example.strip())


def test_the_version_is_one(root):
    assert f'version="{minitl.__version__}"' in (root / "setup.py").read_text(encoding="utf-8")
    assert f"## {minitl.__version__}" in (root / "CHANGELOG.md").read_text(encoding="utf-8")


def test_public_names_load():
    for name in minitl.__all__:
        assert getattr(minitl, name) is not None, name
