"""Marks on cells and the summary sheet of a returned workbook."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE, Cell
from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.styles.fills import FILL_NONE
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.hyperlink import Hyperlink
from openpyxl.worksheet.worksheet import Worksheet

from ingestion.contract_model import Form, Rule
from ingestion.contracts import contracts
from ingestion.model import Finding, FormReading
from ingestion.reference import codes
from ingestion.rule_words import how_to_mend

AUTHOR = "数据质量检查"
SUMMARY = "检查结果说明"  # reading passes over sheets with 说明 in their name, when a mended workbook is sent in again
MOST_FINDINGS = 20_000  # rows of the list; Excel takes 65,530 links a sheet
LEVEL = {"error": "错误", "warning": "提醒"}
FILL = {"error": PatternFill("solid", fgColor="F8C9C4"), "warning": PatternFill("solid", fgColor="FBE3AE")}
LINE = Side(style="thin", color="C9CDD2")
GRID = Border(LINE, LINE, LINE, LINE)
HEAD = PatternFill("solid", fgColor="E8EDF2")
COLUMNS = (("序号", 6), ("级别", 7), ("报表", 24), ("工作表", 20), ("单元格", 9), ("栏目", 20), ("规则", 10), ("问题", 46), ("填报值", 16), ("应为", 18), ("差额", 12), ("怎样改正", 52))


@dataclass
class Part:
    """What goes into one returned workbook: a file, or one member of an archive."""

    name: str
    sha256: str
    received_at: dt.datetime | None
    forms: list[FormReading]
    findings: list[Finding]


def mend(finding: Finding) -> str:
    rule, form = _rule(finding), _form(finding.form)
    return how_to_mend(rule, form)


def _rule(finding: Finding) -> Rule | None:
    return contracts().rules.get(finding.rule_id)


def _form(code: str | None) -> Form | None:
    return contracts().form(code) if code in contracts().codes else None


def _field_zh(finding: Finding) -> str:
    form = _form(finding.form)
    field = form.by_name.get(finding.field) if form else None
    return field.zh if field else ""


# -- cells ------------------------------------------------------------------------------------------


def mark(cell: Cell, findings: list[Finding], comment: bool = True) -> None:
    """Fill a cell by its gravest finding and say all of them in one comment; the county's own comment stays below."""
    worst = "error" if any(f.severity == "error" for f in findings) else "warning"
    cell.fill = FILL[worst]
    if not comment:
        return
    text = "\n\n".join(dict.fromkeys(_told(f) for f in findings[:8]))
    if len(findings) > 8:
        text += f"\n\n另有 {len(findings) - 8} 条，见“{SUMMARY}”。"
    if cell.comment is not None and cell.comment.author != AUTHOR:
        text += f"\n\n（原批注）{cell.comment.text}"
    lines = sum(1 + len(line) // 24 for line in text.split("\n"))
    cell.comment = Comment(ILLEGAL_CHARACTERS_RE.sub("", text)[:8000], AUTHOR, width=340, height=min(24 + 18 * lines, 480))


def _told(finding: Finding) -> str:
    rule = _rule(finding)
    lines = [f"【{LEVEL[finding.severity]} {finding.rule_id}】{finding.message_zh}"]
    if rule and rule.zh not in finding.message_zh:
        lines.append(f"规则：{rule.zh}")
    given = [f"{label}：{value}" for label, value in (("填报", finding.value), ("应为", finding.expected), ("差额", finding.difference)) if value]
    if given:
        lines.append("　".join(given))
    if how := mend(finding):
        lines.append(f"改正：{how}")
    return "\n".join(lines)


def unmark(sheet: Worksheet) -> None:
    """Take away the marks of an earlier check, so that a workbook mended and sent again doesn't keep them."""
    for row in sheet.iter_rows():
        for cell in row:
            if getattr(cell, "comment", None) is not None and cell.comment.author == AUTHOR:
                cell.comment = None
                cell.fill = PatternFill(fill_type=FILL_NONE)


def heading_cell(sheet: Worksheet, finding: Finding, forms: list[FormReading], shifted: bool) -> str | None:
    """Address of the heading of a finding's column, for findings that have no cell; None if there is none."""
    for form in forms:
        if form.form != finding.form or (finding.sheet and form.sheet and finding.sheet != form.sheet):
            continue
        for block in form.blocks:
            source = block.columns.get(finding.field)
            if source is None:
                continue
            column = source.col + (2 if shifted else 1)
            rows = range(block.header_rows[0], block.header_rows[1] + 1) if block.header_rows[0] else range(1, 16)
            wanted = _plain(source.heading)
            for row in reversed(rows):
                text = _plain(sheet.cell(row, column).value)
                if text and (text in wanted or wanted in text):
                    return f"{get_column_letter(column)}{row}"
    return None


def _plain(value: object) -> str:
    return re.sub(r"\s", "", str(value or ""))


# -- the summary ------------------------------------------------------------------------------------


def write_summary(sheet: Worksheet, part: Part, where: dict[int, tuple[str, str]], note: str = "", refusal: str = "") -> None:
    """Fill the sheet 检查结果说明. ``where``: sheet and address of a finding's mark, by its number in ``part.findings``."""
    sheet.title = SUMMARY
    sheet.sheet_view.showGridLines = False
    for number, (_, width) in enumerate(COLUMNS, 1):
        sheet.column_dimensions[get_column_letter(number)].width = width
    sheet.page_setup.orientation, sheet.page_setup.fitToHeight = "landscape", 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True
    _text(sheet, 1, 1, "数据检查结果", bold=True, size=16)
    row = 2
    received = f"{part.received_at:%Y-%m-%d %H:%M}" if part.received_at else ""
    for label, value in (("文件", part.name), ("县（市、区）", _counties(part)), ("报告周", _weeks(part)), ("收到时间", received)):
        if value:
            _text(sheet, row, 1, f"{label}：{value}")
            row += 1
    if refusal:
        _text(sheet, row + 1, 1, "该文件未能接收", bold=True, size=12)
        _text(sheet, row + 2, 1, refusal)
        _text(sheet, row + 4, 1, "原文件已存档。请另存为 .xlsx 后重新报送，或使用下发的模板填报。")
        return
    errors = sum(f.severity == "error" for f in part.findings)
    _text(sheet, row, 1, f"共 {len(part.findings)} 条：错误 {errors} 条（红色，整表退回，须改正后重报），提醒 {len(part.findings) - errors} 条（黄色，已接收，请核实）。", bold=True)
    row += 1
    for line in (note, "在本工作簿上改正后可直接重新报送；检查标记不影响读取。" if not note else ""):
        if line:
            _text(sheet, row, 1, line)
            row += 1
    row = _form_table(sheet, row + 1, part)
    _finding_table(sheet, row + 1, part, where)


def _counties(part: Part) -> str:
    told = [f.county_code for f in (*part.forms, *part.findings) if f.county_code]
    texts = [f.county_text for f in part.forms if not f.county_code and f.county_text]
    return "、".join(dict.fromkeys([codes().county_name(c) for c in told] + texts))


def _weeks(part: Part) -> str:
    return "、".join(sorted({f.week for f in (*part.forms, *part.findings) if f.week}))


def _form_table(sheet: Worksheet, row: int, part: Part) -> int:
    """State of each form; widths follow the findings' table below, hence the columns left out."""
    heads = ((3, "报表"), (4, "工作表"), (5, "结论"), (6, "报告周"), (7, "行数"), (8, "说明"))
    for column, text in heads:
        _text(sheet, row, column, text, bold=True, box=True).fill = HEAD
    for form in part.forms:
        row += 1
        mine = [f for f in part.findings if f.form == form.form and f.week in (form.week, None) and f.county_code in (form.county_code, None)]
        errors = sum(f.severity == "error" for f in mine)
        contract = _form(form.form)
        told = f"错误 {errors} 条，提醒 {len(mine) - errors} 条" if mine else "无问题"
        values = (contract.zh if contract else form.form, form.sheet, "退回" if errors else "已接收", form.week or "", form.rows, told)
        for (column, _), value in zip(heads, values, strict=True):
            _text(sheet, row, column, value, box=True).alignment = Alignment(shrink_to_fit=column in (3, 4), vertical="top")
        if errors:
            sheet.cell(row, 5).fill = FILL["error"]
    return row + 1


def _finding_table(sheet: Worksheet, row: int, part: Part, where: dict[int, tuple[str, str]]) -> None:
    for column, (text, _) in enumerate(COLUMNS, 1):
        _text(sheet, row, column, text, bold=True, box=True).fill = HEAD
    ordered = sorted(range(len(part.findings)), key=lambda n: part.findings[n].severity != "error")
    for number, index in enumerate(ordered[:MOST_FINDINGS], 1):
        finding = part.findings[index]
        form = _form(finding.form)
        title, address = where.get(index, (finding.sheet, ""))
        values = (
            number, LEVEL[finding.severity], form.zh if form else "", finding.sheet or title, finding.cell or address, _field_zh(finding),
            finding.rule_id, finding.message_zh, finding.value, finding.expected, finding.difference, mend(finding),
        )  # fmt: skip
        row += 1
        for column, value in enumerate(values, 1):
            _text(sheet, row, column, value, box=True, wrap=column in (3, 4, 6, 8, 9, 10, 12))
        sheet.row_dimensions[row].height = 14 * max(_lines(value, width) for value, (_, width) in zip(values, COLUMNS, strict=True))
        sheet.cell(row, 2).fill = FILL[finding.severity]
        if index in where:
            cell = sheet.cell(row, 5)
            cell.hyperlink = Hyperlink(ref=cell.coordinate, location=f"'{title.replace(chr(39), chr(39) * 2)}'!{address}")
            cell.font = Font(underline="single", color="1F4E79")
    if len(ordered) > MOST_FINDINGS:
        _text(sheet, row + 1, 1, f"另有 {len(ordered) - MOST_FINDINGS} 条未在此列出；改正以上问题后重报，其余将再次列出。")


def _lines(value: object, width: int) -> int:
    """Lines that a text takes in a column; Excel and LibreOffice don't grow rows by themselves on opening."""
    text = str(value or "")
    return -(-sum(2 if ord(c) > 0x2E7F else 1 for c in text) // (width - 2)) or 1


def _text(sheet: Worksheet, row: int, column: int, value: object, *, bold: bool = False, size: int = 10, box: bool = False, wrap: bool = False) -> Cell:
    cell = sheet.cell(row, column)
    if isinstance(value, str):
        cell.value = ILLEGAL_CHARACTERS_RE.sub("", value)[:4000]
        cell.data_type = "s"
        if value.startswith(("=", "+", "-", "@")):
            cell.quotePrefix = True
    else:
        cell.value = value
    cell.font = Font(bold=bold, size=size)
    if box:
        cell.border = GRID
        cell.alignment = Alignment(wrap_text=wrap, vertical="top")
    return cell
