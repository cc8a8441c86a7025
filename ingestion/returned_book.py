"""One returned workbook: the county's sheets with faulty cells marked, behind a summary of the findings.

Three ways, the next where the one before fails: the .xlsx as it was (look and all), its values copied sheet by
sheet (.csv, .xls, damaged .xlsx), the summary alone.
"""

from __future__ import annotations

import io
import logging
import re
import zipfile
from collections import defaultdict
from copy import copy
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

import openpyxl
import python_calamine
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE, Cell, MergedCell
from openpyxl.styles import Alignment, Border, Font, Side
from openpyxl.styles.cell_style import StyleArray
from openpyxl.utils import coordinate_to_tuple, get_column_letter
from openpyxl.workbook import Workbook
from openpyxl.worksheet.worksheet import Worksheet

from ingestion import text_tables
from ingestion.model import Finding
from ingestion.returned_marks import AUTHOR, SUMMARY, Part, heading_cell, mark, unmark, write_summary

__all__ = ["Part", "book", "refusal_book"]

SLIM_ROWS = 20_000  # above, only faulty rows go back: nobody pages through more, and openpyxl would take minutes
SLIM_FAULTY_ROWS = 20_000
WIDEST = 300  # columns copied; no form has more than 20
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
PLAIN_FUNCTIONS = {"SUM", "ROUND", "IF", "IFERROR", "COUNT", "COUNTA", "AVERAGE", "MAX", "MIN", "ABS", "AND", "OR", "TEXT", "SUBTOTAL", "SUMIF"}

log = logging.getLogger(__name__)
Rows = list[list[Any]]


@dataclass
class Sheet:
    """Values of one sheet; ``rows[0]`` is row 1, column A first. ``numbers``: row numbers of a slim copy."""

    title: str
    rows: Rows
    numbers: list[int] | None = None
    merged: list[tuple[tuple[int, int], tuple[int, int]]] = field(default_factory=list)


def book(content: bytes | None, name: str, part: Part, max_unpacked: int) -> bytes:
    """The returned .xlsx for one workbook, whatever state the original is in. Never raises for its content."""
    large = sum(f.rows for f in part.forms) > SLIM_ROWS
    ways = []
    if content is not None:
        if not large and _is_xlsx(content, max_unpacked):
            ways.append(lambda: _marked_copy(content, part))
        ways.append(lambda: _values_copy(content, name, part))
    ways.append(lambda: _summary_only(part))
    for way in ways[:-1]:
        try:
            return way()
        except Exception as error:
            log.warning("returned workbook: %s, going on with a plainer copy", type(error).__name__)
    return ways[-1]()


def refusal_book(part: Part, sentence: str) -> bytes:
    """One sheet with the sentence, for a file that could not be read at all."""
    workbook = Workbook()
    write_summary(workbook.active, part, {}, refusal=sentence)
    return _saved(workbook, part)


def _summary_only(part: Part) -> bytes:
    workbook = Workbook()
    write_summary(workbook.active, part, {}, note="原文件的内容未能附上，请对照原文件按单元格地址改正。")
    return _saved(workbook, part)


def _saved(workbook: Workbook, part: Part) -> bytes:
    workbook.properties.creator = workbook.properties.lastModifiedBy = AUTHOR
    workbook.properties.identifier = part.sha256  # tells a later run which original this was made from
    workbook.active = 0
    for number, sheet in enumerate(workbook.worksheets):
        sheet.sheet_view.tabSelected = number == 0
    out = io.BytesIO()
    workbook.save(out)
    return out.getvalue()


# -- the workbook as it was -------------------------------------------------------------------------


def _is_xlsx(content: bytes, max_unpacked: int) -> bool:
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return False
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        infos = archive.infolist()
        return any(i.filename == "xl/workbook.xml" for i in infos) and sum(i.file_size for i in infos) <= max_unpacked


def _marked_copy(content: bytes, part: Part) -> bytes:
    workbook = openpyxl.load_workbook(io.BytesIO(content), keep_vba=False, keep_links=False)
    if SUMMARY in workbook.sheetnames:  # a returned workbook that was mended and sent in again
        del workbook[SUMMARY]
    for sheet in workbook.worksheets:
        unmark(sheet)
    shown = _tame(workbook, content)
    for name in [n for n, d in workbook.defined_names.items() if "[" in (d.attr_text or "")]:
        del workbook.defined_names[name]
    sheets = {s.title: s for s in workbook.worksheets}
    where = _mark_all(sheets, part, {})
    write_summary(workbook.create_sheet(SUMMARY, 0), part, where)
    workbook.calculation.fullCalcOnLoad = True
    files = {f"xl/worksheets/sheet{n}.xml": shown.get(s.title, {}) for n, s in enumerate(workbook.worksheets, 1)}
    return _with_shown_values(_saved(workbook, part), files) if shown else _saved(workbook, part)


def _tame(workbook: Workbook, content: bytes) -> dict[str, dict[str, Any]]:
    """Text stays text, plain formulas stay, any other formula becomes the value that the county saw.

    Returns what the formulas that stay showed, by sheet and address.
    """
    formulas: list[Cell] = []
    for sheet in workbook.worksheets:
        for row in sheet.iter_rows():
            for cell in row:
                if cell.data_type == "f":
                    formulas.append(cell)
                elif isinstance(cell.value, str) and cell.value.startswith(FORMULA_STARTS):
                    cell.data_type, cell.quotePrefix = "s", True
                if cell.hyperlink is not None and not (cell.hyperlink.location and not cell.hyperlink.target):
                    cell.hyperlink = None
    kept: dict[str, dict[str, Any]] = {}
    if formulas:
        values = openpyxl.load_workbook(io.BytesIO(content), data_only=True, keep_links=False)
        for cell in formulas:
            value = values[cell.parent.title][cell.coordinate].value
            if _plain_formula(cell.value):
                kept.setdefault(cell.parent.title, {})[cell.coordinate] = value
            else:
                _put(cell, value)
    return kept


def _with_shown_values(saved: bytes, shown: dict[str, dict[str, Any]]) -> bytes:
    """Put the values that formulas showed back beside them: openpyxl writes formulas without, so that a preview, or
    a reader that doesn't calculate, would find empty cells."""
    pattern = re.compile(r'<c r="([A-Z]+[0-9]+)"((?: s="[0-9]+")?)(?: t="[a-z]+")?>(<f[^>]*>[^<]*</f>)<v ?(?:/>|></v>)</c>')
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for info in source.infolist():
            data = source.read(info)
            values = shown.get(info.filename)
            if values:
                data = pattern.sub(lambda m: _cell_xml(m, values.get(m[1])), data.decode()).encode()  # noqa: B023 - used at once
            target.writestr(info, data)
    return out.getvalue()


def _cell_xml(match: re.Match, value: Any) -> str:
    address, style, formula = match.groups()
    if isinstance(value, bool):
        kind, text = ' t="b"', str(int(value))
    elif isinstance(value, int | float):
        kind, text = "", repr(value)
    elif isinstance(value, str):
        kind = ' t="e"' if re.fullmatch(r"#[A-Z0-9/]+[!?]?", value) else ' t="str"'
        text = escape(ILLEGAL_CHARACTERS_RE.sub("", value))
    else:
        return match[0]
    return f'<c r="{address}"{style}{kind}>{formula}<v>{text}</v></c>'


def _plain_formula(value: Any) -> bool:
    if not isinstance(value, str) or re.search(r"[\[\]|{}]|://", value):
        return False
    return all(name.upper() in PLAIN_FUNCTIONS for name in re.findall(r"([A-Za-z_.][\w.]*)\s*\(", value))


def _mark_all(sheets: dict[str, Worksheet], part: Part, moved: dict[tuple[str, int], int]) -> dict[int, tuple[str, str]]:
    """Mark every finding that has a place; returns place by the finding's number (sheet title, address)."""
    by_cell: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    where: dict[int, tuple[str, str]] = {}
    for number, finding in enumerate(part.findings):
        sheet = sheets.get(finding.sheet) or (next(iter(sheets.values())) if len(sheets) == 1 else None)
        if sheet is None:
            continue
        address = _anchor(sheet, finding.cell, moved) if finding.cell else heading_cell(sheet, finding, part.forms, bool(moved))
        if address:
            by_cell[sheet.title, address].append(finding)
            where[number] = (sheet.title, address)
    for count, ((title, address), findings) in enumerate(by_cell.items()):
        mark(sheets[title][address], findings, comment=count < 5000)
    return where


def _anchor(sheet: Worksheet, cell: str, moved: dict[tuple[str, int], int]) -> str | None:
    """The address to mark: the first cell of a range, the corner of a merged one, the new row in a slim copy."""
    try:
        row, column = coordinate_to_tuple(cell.replace("$", "").split(":")[0].split(",")[0].strip())
    except ValueError:
        return None
    if moved:
        if (sheet.title, row) not in moved:
            return None
        row, column = moved[sheet.title, row], column + 1
    if row > 1_048_576 or column > 16_384:
        return None
    if isinstance(sheet.cell(row, column), MergedCell):
        area = next(r for r in sheet.merged_cells.ranges if r.min_row <= row <= r.max_row and r.min_col <= column <= r.max_col)
        row, column = area.min_row, area.min_col
    return f"{get_column_letter(column)}{row}"


# -- a copy of the values ---------------------------------------------------------------------------


def _values_copy(content: bytes, name: str, part: Part) -> bytes:
    sheets = _read(content, name, part)
    slim = max((len(s.rows) for s in sheets), default=0) > SLIM_ROWS
    if slim:
        sheets = [_slim(s, part, len(sheets) == 1) for s in sheets]
    workbook = Workbook()
    summary = workbook.active
    made: dict[str, Worksheet] = {}
    for sheet in sheets:
        made[sheet.title] = _write_values(workbook, sheet, part, len(sheets) == 1)
    moved = {(s.title, n): i for s in sheets for i, n in enumerate(s.numbers or [], 1)}
    where = _mark_all(made, part, moved)
    note = "原表行数较多，以下工作表只列出表头和有问题的行，首列为原表行号；请在原表上改正。" if slim else ""
    write_summary(summary, part, where, note=note)
    return _saved(workbook, part)


def _read(content: bytes, name: str, part: Part) -> list[Sheet]:
    """The sheets' values. Of an .xlsx only those with forms or findings: others may be of any size."""
    named = list(dict.fromkeys(x.sheet for x in (*part.forms, *part.findings) if x.sheet))
    if not content.startswith((b"PK", b"\xd0\xcf\x11\xe0")):
        return [Sheet(_sheet_title(named[0] if named else part.forms[0].form if part.forms else "数据"), _csv_rows(content))]
    workbook = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
    wanted = [s for s in workbook.sheet_names if s in named or (content.startswith(b"\xd0") and s != SUMMARY)]
    sheets = []
    for title in wanted:
        sheet = workbook.get_sheet_by_name(title)
        rows = [row[:WIDEST] for row in sheet.to_python(skip_empty_area=False)]
        sheets.append(Sheet(_sheet_title(title), rows, merged=list(sheet.merged_cell_ranges or [])))
    return sheets


def _csv_rows(content: bytes) -> Rows:
    encoding, head = text_tables.encoding_of(content)
    return text_tables.rows_of(content, encoding, max(",\t;", key=head.count), WIDEST)  # as it was read


def _slim(sheet: Sheet, part: Part, only: bool) -> Sheet:
    """Rows above the data and rows with findings, each with its number in front."""
    mine = [f for f in part.findings if only or f.sheet == sheet.title]
    blocks = [b for f in part.forms for b in f.blocks if only or b.sheet == sheet.title]
    head = min((b.header_rows[1] for b in blocks if b.header_rows[1]), default=0) or 6
    keep = set(range(1, min(head, len(sheet.rows)) + 1))
    for finding in mine:
        if len(keep) > SLIM_FAULTY_ROWS:
            break
        number = re.search(r"\d+", finding.cell)
        if number and 0 < int(number[0]) <= len(sheet.rows):
            keep.add(int(number[0]))
    numbers = sorted(keep)
    return Sheet(sheet.title, [[n, *sheet.rows[n - 1]] for n in numbers], numbers)


def _write_values(workbook: Workbook, sheet: Sheet, part: Part, only: bool) -> Worksheet:
    target = workbook.create_sheet(sheet.title)
    cell_style, heading_style = _styles(workbook)
    blocks = [b for f in part.forms for b in f.blocks if only or b.sheet == sheet.title]
    headings = {r for b in blocks if b.header_rows[0] for r in range(b.header_rows[0], b.header_rows[1] + 1)}
    first = min(headings, default=3)
    widths: dict[int, int] = defaultdict(lambda: 6)
    for number, row in enumerate(sheet.rows, 1):
        original = sheet.numbers[number - 1] if sheet.numbers else number
        for column, value in enumerate(row, 1):
            if value is None or value == "":
                continue
            cell = target.cell(number, column)
            if original >= first:
                cell._style = copy(heading_style if original in headings else cell_style)
            _put(cell, value)  # after the style, which it may add to
            if original >= first:
                text = str(value)
                widths[column] = max(widths[column], min(30, max(map(len, text.split("\n"))) * (2 if not text.isascii() else 1) + 2))
    if sheet.rows:
        target["A1"].font = Font(bold=True, size=14)
    for column, width in widths.items():
        target.column_dimensions[get_column_letter(column)].width = width
    if not sheet.numbers:
        for (top, left), (bottom, right) in sheet.merged[:200]:
            if right < WIDEST:
                target.merge_cells(start_row=top + 1, start_column=left + 1, end_row=bottom + 1, end_column=right + 1)
    return target


def _styles(workbook: Workbook) -> tuple[StyleArray, StyleArray]:
    """How cells and headings of a table look, as indexes into the workbook's styles: looked up for every cell, they take most of the time."""
    cell, heading = Cell(workbook.active, 1, 1), Cell(workbook.active, 1, 1)
    line = Side(style="thin", color="BFBFBF")
    cell.border = heading.border = Border(line, line, line, line)
    heading.font, heading.alignment = Font(bold=True), Alignment(wrap_text=True, vertical="center", horizontal="center")
    return cell._style, heading._style


def _put(cell: Cell, value: Any) -> None:
    """Write a value as it is; text always as text, so that ``=1+1`` from a CSV stays what it was."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    if not isinstance(value, str):
        cell.value = value
        return
    text = ILLEGAL_CHARACTERS_RE.sub("", value)[:32_000]
    cell.value = text
    cell.data_type = "s"
    if text.startswith(FORMULA_STARTS):
        cell.quotePrefix = True


def _sheet_title(title: str) -> str:
    return re.sub(r"[\[\]:*?/\\]", "_", title)[:31] or "数据"
