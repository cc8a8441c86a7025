"""A sheet as it stands: rows of cells without meaning, and the few helpers that look at a cell."""

from __future__ import annotations

import datetime as dt
import functools
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

_SPACES = re.compile(r"[\s\u00ad\u200b-\u200f\u2028-\u202e\u2060\ufeff\x00-\x1f]+")  # and those that take no room
FOOTNOTES = re.compile("[\u00b2\u00b3\u00b9\u2070-\u2079\u2460-\u2473\u24ea-\u24ff\u2776-\u2793]+")  # ① ² beside a heading; NFKC would make digits of them
_QUOTES = str.maketrans("", "", "“”\"'‘’「」『』")
_DASHES = re.compile("[—–―‐‑－-]+")


@dataclass(slots=True)
class Grid:
    """One sheet. Cells are str, float, int, bool, date, datetime, time or '' (empty); rows may differ in length."""

    member: str  # path inside a .zip, '' otherwise
    name: str  # '' for a .csv
    rows: list[list[Any]]
    merged: list[tuple[tuple[int, int], tuple[int, int]]] = field(default_factory=list)  # first and last (row, col), 0-based
    visible: bool = True
    percent: Callable[[], frozenset[tuple[int, int]]] = frozenset  # asks for the (row, col), 0-based, of cells shown with a percent sign
    unresolved: Callable[[], frozenset[tuple[int, int]]] = frozenset  # … and of formulas without a value

    def cell(self, row: int, col: int) -> Any:
        cells = self.rows[row] if 0 <= row < len(self.rows) else ()
        return cells[col] if 0 <= col < len(cells) else ""


def a1(row: int, col: int) -> str:
    """Address of a cell: row 1-based as the county sees it, col 0-based."""
    letters = ""
    col += 1
    while col:
        col, rest = divmod(col - 1, 26)
        letters = chr(65 + rest) + letters
    return f"{letters}{row}"


def number_text(number: float) -> str:
    """A spreadsheet's number as it is shown: 15 significant digits, never binary noise."""
    return str(int(number)) if number == int(number) and abs(number) < 1e15 else format(number, ".15g")


def plain(cell: Any) -> str:
    """A cell as text, stripped; numbers and dates in their plain form."""
    if isinstance(cell, str):
        return (cell if "\x00" not in cell else cell.replace("\x00", "")).strip()
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, (int, float)):
        return number_text(cell) if abs(cell) < float("inf") else ""
    if isinstance(cell, dt.datetime):
        return cell.date().isoformat() if cell.time() == dt.time() else cell.isoformat(sep=" ")
    if isinstance(cell, dt.date):
        return cell.isoformat()
    return "" if cell is None else str(cell)


@functools.lru_cache(maxsize=50_000)
def squeeze(text: str) -> str:
    """A text without what counties vary freely: width of characters, spaces, line breaks, quotes, kinds of dashes."""
    return _DASHES.sub("-", _SPACES.sub("", unicodedata.normalize("NFKC", FOOTNOTES.sub("", text))).translate(_QUOTES))


def parts_of(cells: list, size: int = 1_000) -> Iterator[list]:
    """A long list in parts that stay in the processor's cache while they are gone through several times."""
    for begin in range(0, len(cells), size):
        yield cells[begin : begin + size]


def columns_of(rows: list[list[Any]], columns: list[int]) -> list[list[Any]]:
    """The cells of some columns, a list each. Every row must reach that far."""
    if len(columns) == 1:
        return [list(map(itemgetter(columns[0]), rows))]
    taken: list[list[Any]] = [[] for _ in columns]
    if columns:
        of_row = itemgetter(*columns)
        for part in parts_of(rows):
            for cells, more in zip(taken, zip(*map(of_row, part), strict=True), strict=True):
                cells.extend(more)
    return taken


def is_empty(cell: Any) -> bool:
    return cell is None or cell == "" or (isinstance(cell, str) and not cell.strip())


def filled(row: list[Any]) -> list[int]:
    """Columns of a row that hold something."""
    return [c for c, cell in enumerate(row) if cell != "" and not is_empty(cell)]


def is_figure(cell: Any) -> bool:
    """A number, also as text; no date and no truth value."""
    if isinstance(cell, str):
        return cell.replace(",", "").replace(".", "").strip().isdigit()
    return isinstance(cell, (int, float)) and not isinstance(cell, bool)
