"""Sheets of a house style as the bytes of a file: .xlsx, .xls or .csv."""

from __future__ import annotations

import csv
import datetime as dt
import io

import xlsxwriter
import xlwt

from tests.unit.house_styles import Style
from tests.unit.layouts import Sheet


def as_bytes(sheets: dict[str, Sheet], style: Style) -> bytes:
    return {"xlsx": _xlsx, "xls": _xls, "csv": _csv}[style.kind](sheets, style)


def _xlsx(sheets: dict[str, Sheet], style: Style) -> bytes:
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    day = book.add_format({"num_format": "yyyy-mm-dd"})
    empty = book.add_format({"border": 1})
    for name, content in sheets.items():
        sheet = book.add_worksheet(name)
        for top, left, bottom, right in content.merges:
            sheet.merge_range(top, left, bottom, right, "")
        for (r, c), value in content.cells.items():
            if isinstance(value, tuple):
                sheet.write_formula(r, c, f"={value[1]}+0", None, value[1])
            elif isinstance(value, bool):
                sheet.write_boolean(r, c, value)
            elif isinstance(value, dt.date):
                sheet.write_datetime(r, c, dt.datetime.combine(value, dt.time()), day)
            elif isinstance(value, str):
                sheet.write_string(r, c, value)
            else:
                sheet.write(r, c, value)
        for r in range(style.tail):
            for c in range(content.width):
                sheet.write_blank(content.height + 1 + r, c, None, empty)
    book.close()
    return out.getvalue()


def _xls(sheets: dict[str, Sheet], style: Style) -> bytes:
    book = xlwt.Workbook()
    day = xlwt.easyxf(num_format_str="YYYY-MM-DD")
    for name, content in sheets.items():
        sheet = book.add_sheet(name)
        merged = {(t, left): (t, b, left, r) for t, left, b, r in content.merges}
        for (r, c), value in content.cells.items():
            value = value[1] if isinstance(value, tuple) else value
            if (r, c) in merged:
                sheet.write_merge(*merged[r, c], value)
            elif isinstance(value, dt.date):
                sheet.write(r, c, value, day)
            else:
                sheet.write(r, c, value)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _csv(sheets: dict[str, Sheet], style: Style) -> bytes:
    (content,) = sheets.values()
    out = io.StringIO()
    writer = csv.writer(out, delimiter=style.delimiter)
    for r in range(content.height):
        line = []
        for c in range(content.width):
            value = content.cells.get((r, c), "")
            value = value[1] if isinstance(value, tuple) else value
            line.append(value.strftime("%Y/%-m/%-d") if isinstance(value, dt.date) else value)
        writer.writerow(line)
    for _ in range(style.tail):
        writer.writerow([""] * content.width)
    return out.getvalue().encode(style.encoding)
