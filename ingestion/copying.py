"""A form as read becomes the text that PostgreSQL's COPY takes, column by column.

Columns are turned into text one at a time because a call for every cell is what makes loading slow: a line list of
100,000 rows has 1.4 million cells.
"""

from __future__ import annotations

import itertools
import json
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ingestion import personal
from ingestion.contract_model import Field, Form
from ingestion.contracts import contracts
from ingestion.model import Block, FileReading, Finding, FormReading
from ingestion.pseudonyms import Pseudonyms
from ingestion.raw_tables import pseudonym_column, raw_columns

NULL = "\\N"
PIECE_ROWS = 10_000  # rows made into text at a time: all at once, they take as much memory again as their values
LARGEST_INTEGER = 2**31 - 1
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\x00": "\ufffd"})


class ReaderLost(Exception):
    """The rows of a file that was taken as readable cannot be had to the end. ``kind`` is a key of `REFUSAL_ZH`."""

    def __init__(self, kind: str, trouble: str = "") -> None:
        super().__init__(kind)
        self.kind, self.trouble = kind, trouble or kind


@dataclass(frozen=True, slots=True)
class Piece:
    """Some thousand rows of a form."""

    lines: bytes  # COPY text joined by newlines, in the order of `PreparedForm.columns`
    sealed: list[personal.Block]  # what is, or may be, about persons


class Pieces:
    """The rows of a form, piece by piece: each is made when it is asked for, and kept for whoever asks again.

    So the database takes the first rows of a long list in while the last ones are still being made into text.
    """

    __slots__ = ("_kept", "_lost", "_more")

    def __init__(self, more: Iterable[Piece] = ()) -> None:
        self._kept: list[Piece] = []
        self._lost: ReaderLost | None = None
        self._more = iter(more)

    def __iter__(self) -> Iterator[Piece]:
        """Raises ReaderLost where the rows cannot be had."""
        at = 0
        while True:
            if at == len(self._kept):
                if (following := self._next()) is None:
                    return
                self._kept.append(following)
            yield self._kept[at]
            at += 1

    def _next(self) -> Piece | None:
        if self._lost:  # whoever asks again must not take what there is for all of it
            raise self._lost
        try:
            return next(self._more, None)
        except ReaderLost as lost:
            self._lost = lost
            raise

    def once(self) -> Iterator[Piece]:
        """What was not asked for yet, and not kept: for who only hands it on."""
        return self._more

    def __reduce__(self) -> tuple:
        return _kept_pieces, (self._kept,)


def _kept_pieces(pieces: list[Piece]) -> Pieces:
    whole = Pieces()
    whole._kept = pieces
    return whole


@dataclass(slots=True)
class PreparedForm:
    """A form ready to load: what was read without its values, and its rows as COPY text without submission_id."""

    reading: FormReading  # values, sheet_row, block_no, … emptied
    rows: int
    unreadable_keys: int  # rows whose key is missing or faulty
    pieces: Pieces
    columns: tuple[str, ...]  # of raw.<form>, without submission_id

    @property
    def contract(self) -> Form:
        """Looked up, not carried: prepared forms travel between processes."""
        return contract_of(self.reading)

    @property
    def sealed(self) -> Iterator[personal.Block]:
        return (block for piece in self.pieces for block in piece.sealed)

    def lines_for(self, submission_id: int) -> Iterator[bytes]:
        """The rows with their submission's number in front; a newline inside a value is escaped, so all are row ends."""
        start = b"%d\t" % submission_id
        for piece in self.pieces:
            yield start + piece.lines.replace(b"\n", b"\n" + start) + b"\n"


@dataclass(slots=True)
class PreparedFile:
    """A file ready to load."""

    name: str
    forms: list[PreparedForm] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    refusal_zh: str | None = None


def prepare(file: FileReading, pseudonyms: Pseudonyms) -> PreparedFile:
    """Turn everything read from a file into COPY text. The reading's columns are emptied (memory)."""
    forms = [] if file.refusal_zh else [_prepare_form(f, pseudonyms) for f in file.forms]
    return PreparedFile(file.name, forms, file.findings, file.refusal_zh)


def contract_of(reading: FormReading) -> Form:
    """The version of the contract that a form was read by."""
    of = contracts()
    for form in of.forms:
        if (form.code, form.version) == (reading.form, reading.contract_version):
            return form
    return of.form(reading.form, reading.as_of_date)


def _prepare_form(reading: FormReading, pseudonyms: Pseudonyms) -> PreparedForm:
    form, rows = contract_of(reading), reading.rows
    nothing = [None] * rows
    for f in form.fields:
        if f.sql_type == "integer":
            _take_out_of_range(reading, form, f)
    if form.key.personal:
        _hide_keys(reading, form, pseudonyms)
    keys = reading.values.get(form.key.name) or nothing
    faulty = {f.row_no for f in reading.findings if f.severity == "error" and f.field == form.key.name and f.row_no}
    columns = tuple(raw_columns(form))[1:]
    made = Pieces(_pieces(replace(reading), form, columns, pseudonyms))
    if rows <= PIECE_ROWS:
        for _ in made:  # of what is short at once: it travels with the rest
            pass
    reading.values, reading.sheet_row, reading.block_no = {}, [], []
    reading.change_reason, reading.extra, reading.source_text = [], [], []
    return PreparedForm(reading, rows, sum(k is None or n in faulty for n, k in enumerate(keys, 1)), made, columns)


def _pieces(reading: FormReading, form: Form, order: tuple[str, ...], pseudonyms: Pseudonyms) -> Iterator[Piece]:
    """Raises ReaderLost for whatever goes wrong: by now nobody knows any more what to do about a file that cannot be read."""
    try:
        # half a piece first, so that the database has something to do while the next one is made
        cuts = [0, *range(PIECE_ROWS // 2, reading.rows, PIECE_ROWS), reading.rows] if reading.rows else []
        for begin, end in itertools.pairwise(cuts):
            sealed = list(personal.take(reading, form, begin, end, pseudonyms.keys))
            columns = _columns_of_text(reading, form, pseudonyms, begin, end)
            if tuple(columns) != order:
                raise AssertionError(f"{form.code}: columns and the raw table have parted")
            yield Piece("\n".join(map("\t".join, zip(*columns.values(), strict=True))).encode("utf-8", "replace"), sealed)
    except MemoryError as error:
        raise ReaderLost("memory") from error
    except Exception as error:
        raise ReaderLost("failed", where(error)) from error


def where(error: BaseException) -> str:
    """Type and places of an error, not its text: that may quote a cell."""
    places = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)]
    return f"{type(error).__name__} at " + " < ".join(reversed(places))


def _columns_of_text(reading: FormReading, form: Form, pseudonyms: Pseudonyms, begin: int, end: int) -> dict[str, list[str]]:
    """Some rows as COPY text, a list a column."""
    nothing = [None] * (end - begin)

    def part(values: list | None) -> list:
        return values[begin:end] if values else nothing

    columns = {
        "row_no": list(map(str, range(begin + 1, end + 1))),
        "block_no": list(map(str, reading.block_no[begin:end])),
        "sheet_row": list(map(str, reading.sheet_row[begin:end])),
    }
    for f in form.fields:
        values = part(reading.values.get(f.name))
        columns[f.name] = column_text(nothing if f.personal else values, f.sql_type)
        if f.pseudonymised:
            columns[pseudonym_column(f.name)] = column_text(pseudonyms.of_column(f.name, values), "text")
    columns["change_reason"] = column_text(part(reading.change_reason), "text")
    columns["extra"] = [NULL] * (end - begin)  # nobody knows what is in a column that nobody knows: it is sealed
    columns["source_text"] = _json_text(personal.without(part(reading.source_text), form))
    return columns


def column_text(values: Iterable[Any], sql_type: str) -> list[str]:
    """One column as COPY text: NULL for None, nothing in it that ends a field or a row."""
    values = list(values)
    if sql_type == "boolean":
        return [NULL if v is None else "t" if v else "f" for v in values]
    if sql_type == "date":
        written = {v: v.isoformat() for v in set(values) if v is not None}
        return [NULL if v is None else written[v] for v in values]
    if sql_type != "text":
        return [NULL if v is None else str(v) for v in values]
    seen = "".join(filter(None, values))
    if any(c in seen for c in "\\\t\n\r\x00"):
        return [NULL if v is None else v.translate(_ESCAPES) for v in values]
    return [NULL if v is None else v for v in values]


def _json_text(values: list[dict | None]) -> list[str]:
    if not any(values):
        return [NULL] * len(values)

    def write(value: dict) -> str:
        # \u0000 is legal JSON and no legal jsonb
        return json.dumps(value, ensure_ascii=False).replace("\\u0000", "\ufffd").translate(_ESCAPES)

    return [write(v) if v else NULL for v in values]


def _take_out_of_range(reading: FormReading, form: Form, field: Field) -> None:
    """A whole number beyond what the column holds is no count of anything: an error at its cell, not a failed load."""
    values = reading.values.get(field.name)
    if not values or max((abs(v) for v in values if v is not None), default=0) <= LARGEST_INTEGER:
        return
    keys = reading.values.get(form.key.name) or [None] * reading.rows
    told = {(f.row_no, f.field) for f in reading.findings if f.severity == "error"}
    for index, value in enumerate(values):
        if value is None or abs(value) <= LARGEST_INTEGER:
            continue
        values[index] = None
        if (index + 1, field.name) in told:
            continue
        block = block_of(reading, reading.block_no[index])
        reading.findings.append(
            Finding(
                "GEN-TYPE", "error", f"“{field.zh}”的数值 {value} 超出可能的范围，请核对。", reading.form, reading.county_code,
                reading.week, block.member if block else reading.member, block.sheet if block else reading.sheet,
                cell_of(block, field.name, reading.sheet_row[index]), index + 1,
                "" if keys[index] is None else str(keys[index]), field.name, str(value),
            )
        )


def _hide_keys(reading: FormReading, form: Form, pseudonyms: Pseudonyms) -> None:
    """A personal key never leaves raw: findings carry its pseudonym. Reading has no secret, so it is done here."""
    keys = reading.values.get(form.key.name) or []
    for finding in reading.findings:
        in_range = finding.row_no is not None and 0 < finding.row_no <= len(keys)
        finding.row_key = (pseudonyms.of_value(form.key.name, keys[finding.row_no - 1]) or "") if in_range else ""


def block_of(reading: FormReading, number: int) -> Block | None:
    return next((b for b in reading.blocks if b.number == number), None)


def cell_of(block: Block | None, field: str, sheet_row: int) -> str:
    """A1 address of a field's value, '' where the block has no column for it."""
    source = block.columns.get(field) if block else None
    return f"{column_letters(source.col)}{sheet_row + source.row_offset}" if source else ""


def column_letters(col: int) -> str:
    """0 → 'A', 26 → 'AA'."""
    letters = ""
    while col >= 0:
        col, digit = divmod(col, 26)
        letters = chr(ord("A") + digit) + letters
        col -= 1
    return letters


def layout(reading: FormReading) -> list[dict[str, Any]]:
    """The blocks as they are kept in ``intake.submission.layout``."""
    return [
        {
            "block": b.number,
            "member": b.member,
            "sheet": b.sheet,
            "header_rows": list(b.header_rows),
            "columns": {
                name: {"col": column_letters(c.col), "heading": c.heading, "factor": c.factor}
                | ({"row_offset": c.row_offset} if c.row_offset else {})
                for name, c in b.columns.items()
            },
        }
        for b in reading.blocks
    ]
