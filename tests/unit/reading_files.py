"""Small files of the kind counties send, built for a test: rows in, a file out."""

from __future__ import annotations

import csv
import datetime as dt
import io
import zipfile
from pathlib import Path

import openpyxl

from ingestion.reading import read_file

RECEIVED = dt.datetime(2020, 6, 15, 9, 0, tzinfo=dt.timezone(dt.timedelta(hours=8)))
COP03 = ["销售渠道", "采购销售金额", "惠及贫困人口"]
COP03_ROWS = [["单位采购", 10.5, 100], ["商超专柜", 20, 200], ["电商平台", 30, 300], ["展销活动", 40, 400]]
SIGNED = ["单位负责人：甲", "", "填报日期：2020年6月15日"]


def head(title="消费扶贫周报表", county="右江区", date="2020年6月14日", unit="人、万元") -> list[list]:
    return [[title], [f"填报单位：{county}", f"截至日期：{date}", f"单位：{unit}"]]


def cop03(rows=None, heading=None, **about) -> list[list]:
    return [*head(**about), heading or COP03, *(COP03_ROWS if rows is None else rows)]


def book(path: Path, sheets: dict[str, list[list]], merges=(), hidden=()) -> Path:
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append([None if c == "" else c for c in row])
        for merged in merges:
            sheet.merge_cells(merged)
        if name in hidden:
            sheet.sheet_state = "hidden"
    workbook.save(path)
    return path


def csv_bytes(rows: list[list], encoding="utf-8") -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode(encoding)


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def read(path: Path, **about):
    return read_file(path, received_at=RECEIVED, **about)


def read_rows(tmp_path: Path, rows: list[list], name="报表.xlsx", merges=()):
    """Read one sheet and give its only form."""
    result = read(book(tmp_path / name, {"Sheet1": rows}, merges))
    assert result.refusal_zh is None and len(result.forms) == 1, (result.refusal_zh, result.forms, result.findings)
    return result.forms[0]


def faults(reading, *rules: str) -> list[tuple[str, str, str, str]]:
    """(rule, cell, row key, field) of the general findings."""
    return [(f.rule_id, f.cell, f.row_key, f.field) for f in reading.findings if f.rule_id.startswith("GEN") and (not rules or f.rule_id in rules)]
