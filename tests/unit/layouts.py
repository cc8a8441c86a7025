"""A small renderer of county workbooks: true rows of any form, written in one of very many layouts.

It knows the contracts and nothing of the reader, so that what is read can be held against what was meant.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from ingestion.contract_model import Field
from ingestion.reference import Codes
from tests.unit.house_styles import Style
from tests.unit.true_rows import SUNDAY, Truth
from tests.unit.written_cells import MONEY, cell_of, number_text

ADDED_UP = ("stock", "cumulative", "constant", "flow")


class Sheet:
    """A rectangle under construction: cells by (row, col), merges."""

    def __init__(self) -> None:
        self.cells: dict[tuple[int, int], Any] = {}
        self.merges: list[tuple[int, int, int, int]] = []

    @property
    def height(self) -> int:
        return max((r for r, _ in self.cells), default=-1) + 1

    @property
    def width(self) -> int:
        return max((c for _, c in self.cells), default=-1) + 1

    def put(self, row: int, col: int, value: Any) -> None:
        if value is not None and value != "":
            self.cells[row, col] = value

    def merge(self, top: int, left: int, bottom: int, right: int) -> None:
        if (top, left) != (bottom, right):
            self.merges.append((top, left, bottom, right))


def write_form(sheet: Sheet, truth: Truth, style: Style, codes: Codes, top: int = 0) -> int:
    """Write one form below row ``top``; gives the first free row."""
    rng, form = style.rng, truth.form
    others = [f for f in form.fields if f is not form.key]
    if style.shuffled:
        rng.shuffle(others)
    row = _title_block(sheet, truth, style, codes, top)
    rows = list(range(truth.rows))
    half = (len(rows) + 1) // 2
    if style.continued == "columns" and len(others) >= 4:
        middle = len(others) // 2
        row = _table(sheet, truth, style, codes, row, style.left, others[:middle], rows)
        sheet.put(row + 1, style.left, "续表")
        row = _table(sheet, truth, style, codes, row + 2, style.left, others[middle:], rows)
    elif style.continued == "columns_right" and len(others) >= 4:
        middle = len(others) // 2
        end = _table(sheet, truth, style, codes, row, style.left, others[:middle], rows)
        right = max(c for r, c in sheet.cells if r >= row) + 1
        row = max(end, _table(sheet, truth, style, codes, row, right, others[middle:], rows))
    elif style.continued == "down" and half > 1:
        row = _table(sheet, truth, style, codes, row, style.left, others, rows[:half], total=style.total == "first")
        if rng.random() < 0.5:
            sheet.put(row + 1, style.left, f"{form.zh}（续表）")
            row += 1
        row = _table(sheet, truth, style, codes, row + 1, style.left, others, rows[half:], total=style.total == "last")
    elif style.continued == "right" and half > 1:
        end = _table(sheet, truth, style, codes, row, style.left, others, rows[:half], total=False)
        right = max(c for r, c in sheet.cells if r >= row) + 1
        row = max(end, _table(sheet, truth, style, codes, row, right, others, rows[half:], total=False))
    else:
        row = _table(sheet, truth, style, codes, row, style.left, others, rows)
    if style.notes:
        sheet.put(row, style.left, "注：本表由各乡镇汇总，2020年数据为快报数。")
        sheet.put(row + 1, style.left, "单位负责人：甲某")
        sheet.put(row + 1, style.left + 2, "审核人：乙某")
        sheet.put(row + 1, style.left + 4, "填报人：丙某")
        sheet.put(row + 2, style.left, "填报日期：2020年6月15日")
        row += 3
    return row


def _title_block(sheet: Sheet, truth: Truth, style: Style, codes: Codes, top: int) -> int:
    rng, left = style.rng, style.left
    row = top + style.above
    title = truth.form.zh
    date: Any = {
        "text": "2020年6月14日", "iso": "2020-06-14", "dots": "2020.6.14", "packed": "20200614",
        "cell": SUNDAY, "serial": 43996, "title": None, "week": None,
    }[style.date]  # fmt: skip
    if style.date == "title":
        title += rng.choice(["（2020年6月8日—6月14日）", "（截至2020年6月14日）", "（2020年6月14日）"])
    elif style.date == "week":
        title = rng.choice(["2020年第24周" + title, title + "（2020年第24周）"])
    sheet.put(row, left + rng.choice([0, 0, 2]), title)
    if rng.random() < 0.3:
        sheet.put(row + 1, left, rng.choice(["附件3", "桂扶贫统02表", "表号：扶统03"]))
        row += 1
    county = codes.county_name(truth.county)
    label = rng.choice(["填报单位", "报送单位", "填报单位（盖章）"])
    dated = rng.choice(["截至日期", "截止日期", "统计截止时间", "截至时间", "统计时点"])
    written = {"元": "元、人", "千元": "千元", "万元": "万元、人", "亿元": "亿元、户"}[_line_unit(style)]
    unit = rng.choice(["单位", "计量单位", "金额单位"]) + "：" + written
    if rng.random() < 0.2:
        unit = f"（{unit}）"
    pairs = [(label, county), *([(dated, date)] if date is not None else [])]
    row += 1
    if style.block == "one_cell" and not isinstance(date, (dt.date, int)):
        sheet.put(row, left, "　　".join(f"{a}：{b}" for a, b in pairs) + "　　" + unit)
    elif style.block == "split" or isinstance(date, (dt.date, int)):
        col = left
        for a, b in pairs:
            sheet.put(row, col, a + "：")
            sheet.put(row, col + 1, b)
            col += 3
        sheet.put(row, col, unit)
    elif style.block == "stacked":
        for a, b in pairs:
            sheet.put(row, left, f"{a}：{b}")
            row += 1
        sheet.put(row, left + 3, unit)
    else:
        for n, (a, b) in enumerate(pairs):
            sheet.put(row, left + 2 * n, f"{a}：{b}")
        sheet.put(row, left + 5, unit)
    return row + 1 + rng.choice([0, 0, 1])


def _line_unit(style: Style) -> str:
    if style.unit_in == "both":
        return "元" if style.money != "元" else "万元"
    return style.money


def _heading(f: Field, style: Style) -> str:
    rng = style.rng
    text = f.zh
    if style.aliases and own_unit(f) is None:  # a county uses the same word for the same field all through
        text = style.words.setdefault(f.name, rng.choice((f.zh, *f.aliases)))
    if f.money and style.unit_in in ("heading", "both") and own_unit(f) is None:
        text += rng.choice([f"（{style.money}）", f"({style.money})", f"\n（{style.money}）", f"（单位：{style.money}）"])
    if f.type == "percent" and style.percent == "heading" and "%" not in text:
        text += rng.choice(["（%）", "(%)", "（％）", "%"])
    if style.spaced and len(text) >= 4 and style.kind != "csv":
        cut = rng.randrange(1, len(text) - 1)
        text = text[:cut] + rng.choice([" ", "\n", "\u3000", "\r\n"]) + text[cut:]
    return text


def own_unit(f: Field) -> str | None:
    """The unit that the official heading itself names."""
    return next((u for u in ("万元", "千元", "亿元", "元") if f"（{u}" in f.zh), None)


def _table(
    sheet: Sheet, truth: Truth, style: Style, codes: Codes, row: int, left: int,
    fields: list[Field], rows: list[int], total: bool | None = None,
) -> int:  # fmt: skip
    """Headings and rows from (row, left); gives the row below the last."""
    rng, form = style.rng, truth.form
    columns: list[Field | str] = [form.key, *fields]
    known = {w for f in form.fields for w in (f.zh, *f.aliases)}
    for extra in (e for e in style.extras if e not in known):
        columns.insert(rng.randrange(1, len(columns) + 1), extra)
    if style.serial and "序号" not in form.key.aliases:
        columns.insert(0, "序号")
    levels = style.levels if len(columns) >= 4 else 1
    bottom = row + levels - 1
    for n, column in enumerate(columns):
        text = column if isinstance(column, str) else _heading(column, style)
        sheet.put(row if levels > 1 else bottom, left + n, text)
    if levels > 1:
        _group_headings(sheet, style, row, bottom, left, columns)
    row = bottom + 1
    if style.column_numbers and len(columns) >= 4:
        for n in range(len(columns)):
            sheet.put(row, left + n, "甲" if n == 0 else n)
        row += 1
    units = {f.name: own_unit(f) or style.money for f in fields if f.money}
    with_total = style.total if total is None else ("last" if total and style.total == "last" else "first" if total else "")
    if with_total and not any(f.type in ("integer", "decimal") and f.kind in ADDED_UP for f in fields):
        with_total = ""
    if not form.rules_of("total"):
        with_total = ""
    lines: list[int | None] = list(rows)
    if with_total:
        lines.insert({"first": 0, "middle": len(rows) // 2, "last": len(rows)}[with_total], None)
    for n, line in enumerate(lines):
        for m, column in enumerate(columns):
            at = (row + n, left + m)
            if isinstance(column, str):
                if line is not None and rng.random() < 0.8:
                    sheet.put(*at, (line + 1) if column == "序号" else rng.choice(["", 3, "说明", 12.5]))
            elif line is None:
                sheet.put(*at, _total_cell(column, truth, style, units, whole=list(range(truth.rows))))
            else:
                sheet.put(*at, cell_of(column, truth.values[column.name][line], style, codes, units.get(column.name)))
    return row + len(lines)


def _group_headings(sheet: Sheet, style: Style, top: int, bottom: int, left: int, columns: list) -> None:
    """Lift some neighbouring headings one or two levels down and put a group's heading above them."""
    rng = style.rng
    n = 1
    groups = iter(["基本情况", "进展情况", "其他情况", "工作成效", "有关指标"] * 9)
    key = next(i for i, c in enumerate(columns) if not isinstance(c, str) and c.kind == "key")
    covered: set[int] = set()
    while n < len(columns):
        size = rng.choice([2, 3, 4])
        if rng.random() < 0.6 and key < n and n + size <= len(columns):
            for c in range(n, n + size):
                sheet.put(bottom, left + c, sheet.cells.pop((top, left + c)))
                if bottom - top == 2:
                    covered.add(c)
            sheet.put(top, left + n, next(groups))
            sheet.merge(top, left + n, top, left + n + size - 1)
            if bottom - top == 2:
                sheet.put(top + 1, left + n, next(groups))
                sheet.merge(top + 1, left + n, top + 1, left + n + size - 1)
            covered |= set(range(n, n + size))
            n += size
        else:
            n += 1
    for c in range(len(columns)):
        if c not in covered:
            sheet.merge(top, left + c, bottom, left + c)


def _total_cell(f: Field, truth: Truth, style: Style, units: dict[str, str], whole: list[int]) -> Any:
    if f.kind == "key":
        return style.rng.choice(["合计", "合 计", "总计", "全县合计", "合　　计"])
    if f.type not in ("integer", "decimal") or f.kind not in ADDED_UP:
        return "—"
    present = [truth.values[f.name][i] for i in whole if truth.values[f.name][i] is not None]
    if not present:
        return ""
    value = sum(present)
    return number_text(value / MONEY[units[f.name]] if f.money else value)
