"""Writes the tables of a results file as Markdown, to stdout or between the marks in a page.

python benchmarks/table.py benchmarks/results/cpu-2026-11-21.json [--into benchmarks/README.md] [--layers]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from on_cpu.tables import markdown

BEGIN, END = "<!-- results -->", "<!-- end of results -->"


def inserted(page: str, tables: str) -> str:
    """The page with the tables between its marks; ValueError if it has none."""
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError(f"the page needs one line {BEGIN} and after it one line {END}")
    return f"{page[: page.index(BEGIN)]}{BEGIN}\n\n{tables}\n\n{page[page.index(END) :]}"


def main() -> int:
    """Writes; 1 if the page has no marks."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("results", type=Path, help="what benchmarks/cpu.py has written")
    parser.add_argument("--into", type=Path, metavar="PAGE", help=f"between {BEGIN} and {END} in this file")
    parser.add_argument("--layers", action="store_true", help="the long table of single layers, too")
    options = parser.parse_args()
    try:
        result = json.loads(options.results.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        print(f"{options.results}: {error}; give a file that benchmarks/cpu.py has written", file=sys.stderr)
        return 1
    tables = markdown(result, () if options.layers else ("layers",))
    if options.into is None:
        print(tables)
        return 0
    try:
        page = inserted(options.into.read_text(encoding="utf-8"), tables)
    except ValueError as error:
        print(f"{options.into}: {error}", file=sys.stderr)
        return 1
    options.into.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
