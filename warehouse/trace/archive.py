"""What stands in a cell of an archived original."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

from ingestion.containers import Refusal, sheets_of
from ingestion.grid import Grid, a1, is_empty
from warehouse import originals
from warehouse.settings import Settings

KEPT = 16  # workbooks whose sheets stay in memory; a city total looks at one for each county

_ADDRESS = re.compile(r"([A-Z]+)(\d+)")


def sheet(settings: Settings, sha256: str, member: str, name: str) -> Grid | None:
    """A sheet of an original; None where the original, or a sheet of that name in it, is not there."""
    return next((g for g in _grids(settings, sha256) if g.member == member and g.name == name), None)


@functools.lru_cache(maxsize=KEPT)
def _grids(settings: Settings, sha256: str) -> tuple[Grid, ...]:
    """Originals never change, so that a name stands for its content."""
    try:
        return tuple(_readable(originals.read(settings, sha256)))
    except (OSError, originals.Altered):
        return ()


def _readable(data: bytes) -> Iterator[Grid]:
    try:
        yield from sheets_of(data)
    except Refusal:
        return


def position(address: str) -> tuple[int, int]:
    """'B7' → (6, 1): row and column, 0-based. Raises ValueError for anything that is no A1 address."""
    found = _ADDRESS.fullmatch(address)
    if not found:
        raise ValueError(f"not a cell: {address!r}")
    column = 0
    for letter in found[1]:
        column = column * 26 + ord(letter) - 64
    return int(found[2]) - 1, column - 1


def standing(grid: Grid, address: str, merged: bool) -> tuple[str, Any]:
    """(address, content) of a cell. With ``merged``, an empty cell inside a merged one gives that one's."""
    row, column = position(address)
    content = grid.cell(row, column)
    if merged and is_empty(content):
        for (top, left), (bottom, right) in grid.merged:
            if top <= row <= bottom and left <= column <= right:
                return a1(top + 1, left), grid.cell(top, left)
    return address, content
