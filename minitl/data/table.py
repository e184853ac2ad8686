"""CSV files as people and spreadsheets write them: which delimiter, which columns, which rows."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ArgumentError, DataError

# What columns are called, compared without regard to case, and with space, - and _ alike. The first that is there
# is taken.
PICTURES = (
    "path",
    "file",
    "filename",
    "file_name",
    "filepath",
    "file_path",
    "image_path",
    "image_file",
    "image",
    "img",
    "picture",
    "photo",
)
LABELS = ("label", "class", "class_name", "target", "category")
SPLITS = ("split", "subset")
HEAD_BYTES = 1 << 16
DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Row:
    """One line of the table: its number in the file, and its cells. split: empty where there is no such column."""

    line: int
    picture: str
    label: str
    split: str


class Table:
    """A CSV file with a header. split: the name of its column of splits, None if there is none.

    The arguments are those of `data.csv`. Raises DataError, with the remedy, for what is no such table.
    """

    def __init__(
        self, path: Path, picture: str | None, label: str | None, split: str | None, delimiter: str | None
    ) -> None:
        if not path.exists():
            raise DataError(f"{path}: there is no such file; check the path")
        if not path.is_file():
            raise DataError(f"{path}: is no regular file; give a CSV file")
        if delimiter is not None and (not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n'):
            raise ArgumentError(f"csv: delimiter must be one character, such as ';'; got {delimiter!r}")
        self.path = path
        self._require_text()
        self._delimiter = delimiter or self._divider()
        header = [name.strip() for name in next((cells for _, cells in self._cells()), [])]
        self._picture = self._column(header, "picture", picture, PICTURES)
        self._label = self._column(header, "label", label, LABELS)
        self._split = self._column(header, "split", split, SPLITS)
        self.split = None if self._split is None else header[self._split]

    def _require_text(self) -> None:
        with self._readable(), open(self.path, "rb") as file:
            if b"\0" in file.read(HEAD_BYTES):  # pictures, spreadsheets, UTF-16
                raise DataError(f"{self.path}: is not UTF-8 text; save the table as CSV in UTF-8")

    def rows(self) -> Iterator[Row]:
        """The lines below the header; empty ones are passed over. A cell that is not there is empty."""
        cells = self._cells()
        next(cells, None)
        for line, row in cells:
            yield Row(line, _cell(row, self._picture), _cell(row, self._label, strip=False), _cell(row, self._split))

    def _cells(self, delimiter: str | None = None) -> Iterator[tuple[int, list[str]]]:
        """(line number, cells) of all lines that are not empty."""
        with self._readable(), open(self.path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter or self._delimiter, skipinitialspace=True, strict=True)
            before = 0
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield before + 1, cells
                before = reader.line_num

    def _divider(self) -> str:
        """The delimiter that divides the header into the most columns."""
        widths = [self._width(one) for one in DELIMITERS]
        return DELIMITERS[widths.index(max(widths))]

    def _width(self, delimiter: str) -> int:
        try:
            return len(next((cells for _, cells in self._cells(delimiter)), []))
        except DataError:  # quotes that make sense with another delimiter alone
            return 0

    def _column(self, header: Sequence[str], role: str, given: str | None, known: Sequence[str]) -> int | None:
        """The number of a column; None for a split that nobody asked for and that is not there."""
        if given is not None and not isinstance(given, str):
            raise ArgumentError(f"csv: {role} must be the name of a column; got {given!r}")
        if given is not None:
            place = [i for i, name in enumerate(header) if name == given.strip()]
        else:
            plain = [_plain(name) for name in header]
            word = next((word for word in known if word in plain), None)
            place = [i for i, name in enumerate(plain) if name == word]
        if len(place) == 1:
            return place[0]
        if role == "split" and given is None and not place:
            return None
        there = f"its columns are {', '.join(map(repr, header))}" if header else "it is empty"
        if place:
            found = f"has {len(place)} columns {header[place[0]]!r}"
        else:
            found = f"has no column {given!r}" if given is not None else f"has no {role} column ({', '.join(known)})"
        raise DataError(f"{self.path}: {found}; {there}; name the column with {role}=, in a header as the first line")

    @contextmanager
    def _readable(self) -> Iterator[Any]:
        try:
            yield
        except UnicodeError:
            raise DataError(f"{self.path}: is not UTF-8 text; save the table as CSV in UTF-8") from None
        except csv.Error as error:
            raise DataError(f"{self.path}: is no CSV table ({error}); check its quotes and what it is") from error
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror or error}); check the file") from error


def _plain(name: str) -> str:
    return name.casefold().replace(" ", "_").replace("-", "_")


def _cell(cells: Sequence[str], place: int | None, strip: bool = True) -> str:
    if place is None or place >= len(cells):
        return ""
    return cells[place].strip() if strip or not cells[place].strip() else cells[place]
