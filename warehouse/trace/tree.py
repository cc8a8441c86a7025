"""A figure and what it is made of, down to the cells."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any


@dataclass(slots=True)
class Cell:
    """One cell of one file and what was made of it.

    ``text`` is what stands there, personal data masked; None where the original is gone and nothing was kept of it.
    ``factor`` is what the number was multiplied by on its way to ``unit`` ('10000' from 万元 to yuan).
    """

    file: str  # path as received, relative to the folder it came in
    member: str  # path inside a .zip, '' otherwise
    sheet: str  # '' for a .csv
    cell: str
    text: str | None
    value: Any
    column: str
    field: str
    heading: str
    factor: str
    unit: str | None
    form: str
    county_code: str
    week: str
    row_no: int
    submission_id: int
    version: int
    state: str
    file_id: int
    name: str
    sha256: str
    sender: str | None
    received_at: dt.datetime
    masked: bool = False

    def as_json(self) -> dict[str, Any]:
        return {name: plain(getattr(self, name)) for name in self.__slots__}


@dataclass(slots=True)
class Node:
    """A value and its inputs.

    kind: ``cell`` (read, see ``source``) · ``carried`` (the earlier week's figure) · ``rate`` · ``formula`` ·
    ``increment`` (this week's, last accepted week's) · ``sum`` · ``ratio`` (of sums) · ``listed`` (weeks that name the
    row) · ``frame`` (week, as-of date, county: the sheet's heading) · ``missing`` (not listed then).
    """

    kind: str
    column: str
    value: Any
    county_code: str | None
    week: str | None
    key: str | None
    formula: str | None = None
    inputs: list[Node] = field(default_factory=list)
    source: Cell | None = None

    def cells(self) -> Iterator[Cell]:
        """Every cell below, in order, each once."""
        seen = set()
        for node in self.walk():
            if node.source and id(node.source) not in seen:
                seen.add(id(node.source))
                yield node.source

    def walk(self) -> Iterator[Node]:
        yield self
        for node in self.inputs:
            yield from node.walk()

    def as_json(self) -> dict[str, Any]:
        told = {"kind": self.kind, "column": self.column, "county_code": self.county_code, "week": self.week, "key": self.key, "value": plain(self.value)}
        if self.formula:
            told["formula"] = self.formula
        if self.source:
            told["source"] = self.source.as_json()
        if self.inputs:
            told["inputs"] = [n.as_json() for n in self.inputs]
        return told


def plain(value: Any) -> Any:
    """For JSON: numbers as numbers, times and dates in ISO."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, (dt.date, dt.datetime)):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: plain(v) for name, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, (list, tuple)) else value
