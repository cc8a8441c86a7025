"""Writing: sheets become .xlsx, .xls, .csv and .zip. The same sheets give the same bytes."""

from __future__ import annotations

import csv
import datetime as dt
import io
import zipfile
from pathlib import Path

import xlsxwriter
import xlwt

from demo.sheets import Sheet
from ingestion.contracts import contracts

CREATED = dt.datetime(2020, 1, 1)
NUMBER_FORMATS = {"whole": "0", "decimal": "General", "money": "#,##0.00####", "share": "0.0%", "date": "yyyy/m/d", "text": "General"}
LINE_LISTS = ("IND02", "MON02")
INSTRUCTIONS = (
    "填表说明", "1.《就业扶贫周报表》按乡镇填报，外出务工＝省外＋省内县外＋县内。", "2.资金类报表请注意计量单位，并与拨付凭证核对。",
    "3.每周二12:00前报送，截至日期为上周周日。",
)  # fmt: skip


def write_book(path: Path | io.BytesIO, sheets: list[Sheet], *, instructions: bool = False, code_list: bool = False) -> None:
    """An .xlsx with a sheet a form, as decent as an office makes it."""
    book = xlsxwriter.Workbook(path if isinstance(path, io.BytesIO) else str(path), {"in_memory": True, "strings_to_numbers": False})
    book.set_properties({"created": CREATED, "author": "扶贫办"})
    formats = _formats(book)
    if instructions:
        page = book.add_worksheet("填表说明")
        page.set_column(0, 0, 70)
        for row, text in enumerate(INSTRUCTIONS):
            page.write_string(row, 0, text)
    for sheet in sheets:
        _write_sheet(book.add_worksheet(sheet.name), sheet, formats)
    if code_list:
        page = book.add_worksheet("下拉选项")
        page.hide()
        for row, text in enumerate(_choices()):
            page.write_string(row, 0, text)
    book.worksheets_objs[1 if instructions else 0].activate()
    book.close()


def _formats(book: xlsxwriter.Workbook) -> dict:
    formats = {
        "title": book.add_format({"bold": True, "font_size": 16, "align": "center", "valign": "vcenter", "font_name": "宋体"}),
        "line": book.add_format({"font_size": 10, "font_name": "宋体"}),
        "date_line": book.add_format({"font_size": 10, "num_format": "yyyy年m月d日", "align": "left"}),
        "note": book.add_format({"font_size": 9, "font_name": "宋体"}),
        "head": book.add_format({"bold": True, "border": 1, "align": "center", "valign": "vcenter", "text_wrap": True, "bg_color": "#DDEBF7"}),
    }
    for name, number_format in NUMBER_FORMATS.items():
        align = "left" if name == "text" else "right"
        formats[name] = book.add_format({"border": 1, "num_format": number_format, "align": align})
        formats["total_" + name] = book.add_format({"border": 1, "num_format": number_format, "align": align, "bold": True, "bg_color": "#F2F2F2"})
    return formats


def _write_sheet(page, sheet: Sheet, formats: dict) -> None:
    merged = {(a, b) for a, b, _, _ in sheet.merges}
    for a, b, c, d in sheet.merges:
        value, kind = sheet.cells[a, b]
        if (a, b) != (c, d):
            page.merge_range(a, b, c, d, value, formats[kind])
    inside = {(r, k) for a, b, c, d in sheet.merges for r in range(a, c + 1) for k in range(b, d + 1)} | merged
    number, text, blank = page.write_number, page.write_string, page.write_blank
    for (r, c), (value, kind) in sheet.cells.items():
        if (r, c) in inside:
            continue
        if (r, c) in sheet.formulas:
            page.write_formula(r, c, sheet.formulas[r, c], formats[kind], value)
        elif value is None:
            blank(r, c, None, formats[kind])
        elif isinstance(value, str):
            text(r, c, value, formats[kind])
        elif isinstance(value, dt.date):
            page.write_datetime(r, c, value, formats[kind])
        else:
            number(r, c, value, formats[kind])
    for c, width in sheet.widths.items():
        page.set_column(c, c, width)
    page.freeze_panes(*sheet.frozen)
    page.set_landscape()
    page.fit_to_pages(1, 0)
    title = next((r for (r, _), (_, kind) in sheet.cells.items() if kind == "title"), 0)
    page.set_row(title, 26)


def _choices() -> list[str]:
    """The labels behind the drop-down lists of the forms."""
    labels: dict[str, None] = {}
    for code in ("COP01", "MON02", "REC01"):
        for field in contracts().form(code).fields:
            labels |= {words[0]: None for words in field.values.values()}
    return list(labels)


# xlwt makes a new style object for every call; a book may hold 4,094 of them
_XLS = {
    "title": xlwt.easyxf("font: bold on, height 320; align: horiz center, vert center"),
    "line": xlwt.easyxf(""), "note": xlwt.easyxf("font: height 180"),
    "date_line": xlwt.easyxf("", num_format_str="yyyy-m-d"),
    "head": xlwt.easyxf("font: bold on; align: horiz center, vert center, wrap on; borders: left thin, right thin, top thin, bottom thin"),
    **{total + name: xlwt.easyxf(f"borders: left thin, right thin, top thin, bottom thin{'; font: bold on' if total else ''}", num_format_str=code)
       for total in ("", "total_") for name, code in NUMBER_FORMATS.items()},
}  # fmt: skip


def write_old_book(path: Path | io.BytesIO, sheets: list[Sheet]) -> None:
    """An .xls of Excel 97."""
    book = xlwt.Workbook(encoding="utf-8")
    for sheet in sheets:
        page = book.add_sheet(sheet.name, cell_overwrite_ok=True)
        inside = {(r, k) for a, b, c, d in sheet.merges for r in range(a, c + 1) for k in range(b, d + 1)}
        for (r, c), (value, kind) in sheet.cells.items():
            if (r, c) not in inside and value is not None:
                page.write(r, c, value, _XLS[kind])
            elif value is None and (r, c) not in inside:
                page.write(r, c, None, _XLS[kind])
        for a, b, c, d in sheet.merges:
            value, kind = sheet.cells[a, b]
            page.write_merge(a, c, b, d, value, _XLS[kind])
        for c, width in sheet.widths.items():
            page.col(c).width = int(width * 256)
    book.save(path if isinstance(path, io.BytesIO) else str(path))


def csv_bytes(sheet: Sheet, encoding: str) -> bytes:
    """A sheet saved as .csv: merged cells leave their neighbours empty."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    height = max(r for r, _ in sheet.cells) + 1
    width = max(sheet.columns, *(c + 1 for _, c in sheet.cells))
    for r in range(height):
        writer.writerow(["" if (value := sheet.cells.get((r, c), (None, ""))[0]) is None else value for c in range(width)])
    return out.getvalue().encode(encoding)


def write_zip(path: Path, members: list[tuple[str, bytes]]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name, CREATED.timetuple()[:6]), data, zipfile.ZIP_DEFLATED)


def write_files(folder: Path, sheets: dict[str, Sheet], style, names: dict, *, single: str = "") -> dict[str, str]:
    """Write a county's forms of one week in its own packing. Returns form → file name.

    ``names`` fills in the style's file name ({county}, {week}, {mmdd} …). With ``single`` (a word like 更正) each form
    becomes a file of its own: that is how corrections are sent.
    """
    folder.mkdir(parents=True, exist_ok=True)
    titles = {form: contracts().form(form).zh for form in sheets}
    if single or style.packing == "files":
        written = {}
        for form, sheet in sheets.items():
            name = f"{names['county']}{titles[form]}（第{names['week']}周{single}）.{style.medium}" if single else style.file_name.format(
                **names, title=titles[form], code=form)  # fmt: skip
            _write_one(folder / name, [sheet], style)
            written[form] = name
        return written
    file_name = style.file_name.format(**names, title="", code="")
    if style.packing == "zip":
        members = []
        for form, sheet in sheets.items():
            members.append((member_name(form, style), _one_bytes([sheet], style)))
        write_zip(folder / file_name, members)
        return dict.fromkeys(sheets, file_name)
    lists = {form: sheet for form, sheet in sheets.items() if form in LINE_LISTS and style.lists_apart}
    book = [sheet for form, sheet in sheets.items() if form not in lists]
    written = dict.fromkeys(sheets, file_name)
    if book:
        _write_one(folder / file_name, book, style)
    for form, sheet in lists.items():
        written[form] = f"{names['county']}{titles[form]}（第{names['week']}周）.{style.medium}"
        _write_one(folder / written[form], [sheet], style)
    return written


def member_name(form: str, style) -> str:
    """A form's name inside its county's archive."""
    return (form if style.encoding == "utf-8-sig" and style.medium == "csv" else "") + f"{contracts().form(form).zh}.{style.medium}"


def _write_one(target: Path | io.BytesIO, sheets: list[Sheet], style) -> None:
    if style.medium == "csv":
        data = csv_bytes(sheets[0], style.encoding)
        target.write(data) if isinstance(target, io.BytesIO) else target.write_bytes(data)
    elif style.medium == "xls":
        write_old_book(target, sheets)
    else:
        plural = len(sheets) > 1
        write_book(target, sheets, instructions=style.instructions and plural, code_list=style.code_list and plural)


def _one_bytes(sheets: list[Sheet], style) -> bytes:
    buffer = io.BytesIO()
    _write_one(buffer, sheets, style)
    return buffer.getvalue()


def html_as_xls(sheet: Sheet) -> bytes:
    """What a web system's 'export to Excel' gives: a page of HTML under the name .xls."""
    height, width = max(r for r, _ in sheet.cells) + 1, sheet.columns

    def value(r: int, c: int) -> object:
        return "" if (v := sheet.cells.get((r, c), (None, ""))[0]) is None else v

    rows = "".join("<tr>" + "".join(f"<td>{value(r, c)}</td>" for c in range(width)) + "</tr>\n" for r in range(height))
    return f"<html><head><meta charset='utf-8'></head><body><table border='1'>\n{rows}</table></body></html>".encode()

