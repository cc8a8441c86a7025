"""The cells of a text table: a .csv as counties export it, in UTF-8, GB18030 or UTF-16."""

from __future__ import annotations

import csv
import io
import itertools
import operator
from collections.abc import Iterable, Iterator

LONG_LIST = 32 * 1024**2  # bytes of text
PIECE_ROWS = 100_000  # equal texts are kept once among so many
# of a cell in Excel. A longer one was not typed by anybody: as a rule a quotation mark lacks its partner, and the rows after it have
# become one text, which would be lost without a word if it were read
MOST_CHARACTERS = 32_767


class LongCell(Exception):
    """A cell of more than `MOST_CHARACTERS`; ``row`` is the number of its row as a spreadsheet counts, from 1."""

    def __init__(self, row: int):
        super().__init__(f"row {row} has a cell of more than {MOST_CHARACTERS} characters")
        self.row = row


class OpenQuote(Exception):
    """A quotation mark without its partner; ``row`` is the number of its row as a spreadsheet counts, from 1."""

    def __init__(self, row: int):
        super().__init__(f"row {row} opens a quotation that does not end")
        self.row = row


def rows_of(data: bytes, encoding: str, delimiter: str, most_columns: int) -> list[list[str]]:
    """All rows, filled up with '' to the width of the widest; what is right of ``most_columns`` is left out.

    Raises LongCell, OpenQuote, and csv.Error for what else the csv module does not take.
    """
    if b'"' in data:
        _check_quotes(data, encoding, delimiter)
    if len(data) <= LONG_LIST:
        rows = [row[:most_columns] for row in _read(data, encoding, delimiter)]
    else:
        rows = _plain_list(data, encoding, delimiter, most_columns)
        if rows is None:
            rows = _shared(_read(data, encoding, delimiter), most_columns)
    width = max(map(len, rows), default=0)
    for row in rows:
        if len(row) < width:
            row.extend([""] * (width - len(row)))
    return rows


def _check_quotes(data: bytes, encoding: str, delimiter: str) -> None:
    """Raises OpenQuote where rows may have become one text, which a forgiving reader takes for a long remark."""
    number = 0
    try:
        for _ in _rows(data, encoding, delimiter, strict=True):
            number += 1
    except csv.Error as error:
        if "field limit" in str(error):
            return  # told as a long cell
        # text behind a closing mark is taken as it stands; but behind one that came lines later, it was the next opening mark
        row = next(itertools.islice(_rows(data, encoding, delimiter), number, None), [])
        if "unexpected end" in str(error) or any("\n" in cell for cell in row):
            raise OpenQuote(number + 1) from error


def _rows(data: bytes, encoding: str, delimiter: str, strict: bool = False) -> Iterator[list[str]]:
    return csv.reader(io.TextIOWrapper(io.BytesIO(data), encoding, newline=""), delimiter=delimiter, strict=strict)


def _read(data: bytes, encoding: str, delimiter: str) -> Iterator[list[str]]:
    """Cells are measured here: the csv module's own limit is another, belongs to the whole process, and may be moved by any library."""
    number = 0
    try:
        for number, row in enumerate(_rows(data, encoding, delimiter), 1):
            if max(map(len, row), default=0) > MOST_CHARACTERS:
                raise LongCell(number)
            yield row
    except csv.Error as error:
        if "field limit" in str(error):
            raise LongCell(number + 1) from error
        raise


def _shared(rows: Iterable[list[str]], most_columns: int) -> list[list[str]]:
    """The rows of a long list; a short text that comes again is kept once, or a million rows would not fit into memory."""
    known: dict[str, str] = {}
    share = known.setdefault
    return [[share(cell, cell) if len(cell) <= 10 else cell for cell in row[:most_columns]] for row in rows]


def _plain_list(data: bytes, encoding: str, delimiter: str, most_columns: int) -> list[list[str]] | None:
    """A long list in half the time, by a reader that keeps equal texts of a column once; None where it might read it differently.

    That is where anything is quoted, a line ends in a way of its own, a row is wider than a form can be, or a cell may be too long.
    """
    if data[:12].decode(encoding, "ignore").startswith("\ufeff"):  # a second byte order mark
        return None
    if b'"' in data or data.count(b"\r") != data.count(b"\r\n") or b"\0" in data or encoding == "utf-16":
        return None
    width = max(map(operator.methodcaller("count", delimiter.encode()), io.BytesIO(data)), default=0) + 1  # in GB18030 as well: no second byte is one of these
    if not 1 < width <= most_columns or max(map(len, io.BytesIO(data))) > MOST_CHARACTERS:
        return None
    import pandas

    rows: list[list[str]] = []
    with pandas.read_csv(
        io.BytesIO(data), encoding=encoding, sep=delimiter, header=None, names=range(width), index_col=False, dtype=object, na_filter=False,
        skip_blank_lines=False, engine="c", chunksize=PIECE_ROWS, low_memory=False,
    ) as pieces:  # fmt: skip
        for piece in pieces:
            rows += map(list, zip(*(piece[name].tolist() for name in piece), strict=True))
    return rows


def decoded(data: bytes) -> str | None:
    """The whole text of a .csv, without its byte order mark; None if it is no text."""
    encoding, _ = encoding_of(data)
    return data.decode(encoding) if encoding else None


def encoding_of(data: bytes) -> tuple[str | None, str]:
    """Encoding of a text, None if it is none, and how it begins."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    elif b"\x00" in data[:4096]:
        return None, ""
    else:
        encodings = ["utf-8-sig", "gb18030"]
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        control = sum(c < " " and c not in "\t\r\n" for c in text[:2000])
        return (encoding if control == 0 else None), text[:20_000]
    return None, ""
