"""What a cell's number alone does not tell: that it is shown with a percent sign, or that its formula was never worked out.

The library that reads the cells gives their numbers without formats and formulas, so these are looked up in the file
itself, and only where something hangs on them. 0.032 under the number format 0.0% is 3.2%, whatever the heading says.
Formats: ECMA-376 part 1 (18.3.1.4, 18.8.30), [MS-XLS] 2.4.126, 2.4.353.
"""

from __future__ import annotations

import io
import posixpath
import re
import struct
import zipfile
from xml.etree import ElementTree

from ingestion.xls_bounds import workbook_stream

_BUILT_IN = frozenset((9, 10))  # 0% and 0.00%
_CELL = re.compile(rb"<(?:\w+:)?c\s([^>]*)>")
_PLACE = re.compile(rb"""\br\s*=\s*["']([A-Z]{1,3})(\d{1,7})["']""")
_NO_RESULT = re.compile(rb"<(?:\w+:)?c\s([^>]*)><(?:\w+:)?f(?:\s[^>]*)?(?:/>|>[^<]*</(?:\w+:)?f>)(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v></(?:\w+:)?v>)?</(?:\w+:)?c>")
_STYLE = re.compile(rb"""\bs\s*=\s*["'](\d{1,6})["']""")
_LITERAL = re.compile(r'"[^"]*"|\\.|_.|\*.')

Cells = frozenset[tuple[int, int]]


def percent_cells(data: bytes, sheet: str) -> Cells:
    """0-based (row, col) of the cells of a sheet that are shown in percent; none where the file doesn't tell."""
    try:
        return _of_xlsx(data, sheet) if data.startswith(b"PK") else _of_xls(data, sheet)
    except (KeyError, IndexError, ValueError, OverflowError, StopIteration, struct.error, zipfile.BadZipFile, ElementTree.ParseError):
        return frozenset()


def without_result(content: bytes) -> bool:
    """Whether a sheet's XML has a formula without a value: a program wrote it, and no spreadsheet has worked it out."""
    return b"<f" in content and _NO_RESULT.search(content) is not None


def unresolved_cells(data: bytes, sheet: str) -> Cells:
    """0-based (row, col) of the formulas of a sheet that have no value; none where the file doesn't tell."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        content = archive.read(_part_of(archive, sheet))
    except (KeyError, StopIteration, zipfile.BadZipFile, ElementTree.ParseError):
        return frozenset()
    return frozenset(p for m in _NO_RESULT.finditer(content) if (p := _place(m.group(1))))


def _place(attributes: bytes) -> tuple[int, int] | None:
    found = _PLACE.search(attributes)
    if not found:
        return None
    column = 0
    for letter in found.group(1):
        column = column * 26 + letter - 64
    return int(found.group(2)) - 1, column - 1


def _is_percent(code: str) -> bool:
    return "%" in _LITERAL.sub("", code)


def _of_xlsx(data: bytes, sheet: str) -> Cells:
    archive = zipfile.ZipFile(io.BytesIO(data))
    styles = ElementTree.fromstring(archive.read("xl/styles.xml"))
    codes = {n.get("numFmtId"): n.get("formatCode", "") for n in styles.iter() if n.tag.endswith("}numFmt")}
    formats = next((n for n in styles if n.tag.endswith("}cellXfs")), ())
    shown = set()
    for number, node in enumerate(formats):
        kind = node.get("numFmtId", "0")
        if _is_percent(codes[kind]) if kind in codes else int(kind) in _BUILT_IN:
            shown.add(number)
    if not shown:
        return frozenset()
    found = []
    for match in _CELL.finditer(archive.read(_part_of(archive, sheet))):
        style = _STYLE.search(match.group(1))
        if style and int(style.group(1)) in shown and (place := _place(match.group(1))):
            found.append(place)
    return frozenset(found)


def _part_of(archive: zipfile.ZipFile, sheet: str) -> str:
    book = ElementTree.fromstring(archive.read("xl/workbook.xml"))
    about = next(n for n in book.iter() if n.tag.endswith("}sheet") and n.get("name") == sheet)
    link = next(value for name, value in about.attrib.items() if name.endswith("}id"))
    links = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
    target = next(n.get("Target", "") for n in links if n.get("Id") == link)
    return posixpath.normpath(posixpath.join("xl", target)) if not target.startswith("/") else target[1:]


def _of_xls(data: bytes, sheet: str) -> Cells:
    stream = workbook_stream(data) or b""
    codes: dict[int, str] = {}
    formats: list[int] = []
    sheets: dict[str, int] = {}
    for kind, at, length in _records(stream, 0):
        if kind == 0x041E and length > 5:
            codes[struct.unpack_from("<H", stream, at)[0]] = _text(stream, at + 2, 2)
        elif kind == 0x00E0:
            formats.append(struct.unpack_from("<H", stream, at + 2)[0])
        elif kind == 0x0085:
            sheets[_text(stream, at + 6, 1)] = struct.unpack_from("<I", stream, at)[0]
    shown = {n for n, f in enumerate(formats) if (_is_percent(codes[f]) if f in codes else f in _BUILT_IN)}
    if not shown or sheet not in sheets:
        return frozenset()
    found = []
    for kind, at, length in _records(stream, sheets[sheet]):
        if kind in (0x0203, 0x027E, 0x0006) and length >= 6:
            row, column, style = struct.unpack_from("<HHH", stream, at)
            if style in shown:
                found.append((row, column))
        elif kind == 0x00BD and length >= 6:
            row, first = struct.unpack_from("<HH", stream, at)
            for n in range((length - 6) // 6):
                if struct.unpack_from("<H", stream, at + 4 + 6 * n)[0] in shown:
                    found.append((row, first + n))
    return frozenset(found)


def _records(stream: bytes, start: int):
    """(type, place of its content, length) of each record up to the end of the substream."""
    at = start
    while at + 4 <= len(stream):
        kind, length = struct.unpack_from("<HH", stream, at)
        yield kind, at + 4, length
        at += 4 + length
        if kind == 0x000A:
            return


def _text(stream: bytes, at: int, size: int) -> str:
    count = stream[at] if size == 1 else struct.unpack_from("<H", stream, at)[0]
    wide = stream[at + size] & 1
    raw = stream[at + size + 1 : at + size + 1 + count * (2 if wide else 1)]
    return raw.decode("utf-16-le" if wide else "latin-1", "replace")
