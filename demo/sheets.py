"""True rows become the sheet that a county would fill in: titles, headings, spellings, totals, notes, and every cell's address."""

from __future__ import annotations

import datetime as dt
import functools
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from demo.city import FORMS
from demo.places import County
from demo.styles import HouseStyle, full_width, plain, separated
from ingestion.contract_model import Field, Form
from ingestion.contracts import contracts

UNIT_WORDS = {"persons": "人", "households": "户", "workshops": "家", "posts": "个", "parks": "个", "villages": "个", "projects": "个",
              "trips": "趟", "criteria": "项", "townships": "个", "points": "处"}  # fmt: skip
# (first field, last field, heading above them), where a county groups its columns
GROUPS = {
    "EMP01": (("employed_away", "employed_in_county", "外出务工情况"), ("employed_away_2019", "rate_of_2019", "与2019年比较"),
              ("workshops_recognised", "workshop_poor_workers", "就业扶贫车间情况"), ("public_posts", "public_post_holders", "公益性岗位情况")),
    "IND01": (("planned_households", "planned_subsidy", "年度计划"), ("accepted_households", "payout_rate", "奖补情况"),
              ("capable_households", "covered_households", "产业覆盖情况")),
    "REL01": (("households", "persons", "搬迁规模"), ("willing_households", "employed_persons", "就业情况"),
              ("facility_projects_planned", "facility_projects_completed", "配套设施情况")),
    "COP01": (("allocated", "spending_rate", "资金情况"), ("status", "completion_date", "实施情况")),
    "CAM01": (("planned", "completion_rate", "项目进度"), ("investment", "invested", "资金投入")),
    "MON01": (("unstable_households", "marginal_persons", "监测对象"), ("red_households", "blue_households", "预警级别")),
}  # fmt: skip
EVENT_DATES = ("trip_date", "event_date", "paid_date")
LONG_FORMS = ("EMP01", "REL01", "SOC01", "COP01")


@dataclass(frozen=True)
class Edit:
    """Something else than the truth in one cell. ``row`` is an index into the rows, -1 the total row.

    ``value`` is typed like the field, or `Written`: then it stands there as it is.
    """

    row: int
    field: str
    value: Any


@dataclass(frozen=True)
class Written:
    text: str


@dataclass
class Sheet:
    """A grid of (value, format) by (row, column), both 0-based; formats are the names that the writers know."""

    form: str
    name: str
    cells: dict[tuple[int, int], tuple[Any, str]] = field(default_factory=dict)
    merges: list[tuple[int, int, int, int]] = field(default_factory=list)  # first row, first column, last row, last column
    widths: dict[int, float] = field(default_factory=dict)
    formulas: dict[tuple[int, int], str] = field(default_factory=dict)
    places: dict[tuple[int, str], tuple[int, int]] = field(default_factory=dict)  # (index of the row or -1, field or heading) → cell
    columns: int = 1
    hidden: bool = False
    frozen: tuple[int, int] = (0, 0)

    def address(self, row: int, name: str) -> str:
        """A1 address of a field's cell in a row (-1: the total)."""
        r, c = self.places[row, name]
        return f"{column_letters(c)}{r + 1}"


def column_letters(index: int) -> str:
    letters = ""
    while index >= 0:
        letters, index = chr(65 + index % 26) + letters, index // 26 - 1
    return letters


def build_sheet(form_code: str, county: County, as_of: dt.date, rows: list[dict], style: HouseStyle, edits: tuple[Edit, ...] = ()) -> Sheet:
    """One form of a county and week as its office writes it."""
    return _Builder(contracts().form(form_code, as_of), county, as_of, rows, style, edits).build()


class _Builder:
    def __init__(self, form: Form, county: County, as_of: dt.date, rows: list[dict], style: HouseStyle, edits: tuple[Edit, ...]):
        self.form, self.county, self.as_of, self.style = form, county, as_of, style
        self.written = {(e.row, e.field): e.value.text for e in edits if isinstance(e.value, Written)}
        self.total_edits = {e.field: e.value for e in edits if e.row == -1}
        changed = {e.row: {} for e in edits}
        for e in edits:
            if not isinstance(e.value, Written):
                changed[e.row][e.field] = e.value
        self.rows = [{**row, **changed[i]} if changed.get(i) else row for i, row in enumerate(rows)]
        self.number = FORMS.index(form.code) + 1
        name = style.sheet_name.format(title=form.zh, code=form.code, no=self.number)
        self.sheet = Sheet(form.code, name[:31])
        self.fields = list(form.fields)
        if style.reorder:  # the key stays in front, then the second half, then the first
            half = (len(self.fields) + 1) // 2
            self.fields = self.fields[:1] + self.fields[half:] + self.fields[1:half]
        self.totalled = bool(form.rules_of("total"))
        self.groups_of = next((r.definition.get("group_by") for r in form.rules_of("total")), None)
        self.labels = _labels(form.code)
        self.towns = {p.code: style.place(p) for p in (*county.townships, *county.villages)}
        self.industries = {i.code: i.name for i in county.industries}

    def build(self) -> Sheet:
        style, sheet = self.style, self.sheet
        right = style.continued == "right" and self.form.code == "EMP01"
        halves = [self.fields[:9], [self.fields[0], *self.fields[9:]]] if right else [self.fields]
        starts, column = [], 0
        for k, part in enumerate(halves):
            starts.append(column)
            last = k == len(halves) - 1
            column += len(self._columns(part, k == 0, last)) + (0 if last else 1)
        sheet.columns = max(column, 6 if style.split_line else 5)
        top = self._title_block()
        if right:
            sheet.cells[top, starts[1]] = ("续表", "note")
            top += 1
        ends = [self._table(top, start, self._columns(part, k == 0, k == len(halves) - 1)) for k, (start, part) in enumerate(zip(starts, halves, strict=True))]
        self._foot(max(ends))
        return sheet

    # -- around the table

    def _title_block(self) -> int:
        style, sheet, county = self.style, self.sheet, self.county
        name = county.former_name if style.former_name and county.former_name and self.form.code == "EMP01" else county.name
        last, row = sheet.columns - 1, 0
        if style.attachment_line:
            sheet.cells[0, 0] = (f"附件{self.number}", "note")
            row = 1
        sheet.cells[row, 0] = (name + self.form.zh, "title")
        sheet.merges.append((row, 0, row, last))
        row += 1
        office, day = style.office.format(county=county.name), "{y}年{m}月{d}日" if style.date == "cell" else style.date
        words = dict.fromkeys(UNIT_WORDS[f.unit] for f in self.form.fields if f.unit in UNIT_WORDS)
        money = any(f.money for f in self.form.fields)
        if money and style.money_place != "heading":
            words["元" if self.form.code == "IND02" else style.money] = None
        units = "、".join(words)
        if style.split_line:
            texts = ["填报单位", office, "截至日期", self.as_of if style.date == "cell" and style.medium != "csv" else style.date_text(self.as_of, day)]
            for c, text in enumerate(texts + (["单位", units] if units else [])):
                sheet.cells[row, c] = (text, "date_line" if isinstance(text, dt.date) else "line")
            return row + 1
        sheet.cells[row, 0] = (f"填报单位{'（盖章）' if style.office != '{county}' else ''}：{office}", "line")
        if style.two_lines:
            row += 1
        sheet.cells[row, 0 if style.two_lines else last // 2] = (f"截至日期：{style.date_text(self.as_of, day)}", "line")
        if units:
            sheet.cells[row, last] = (f"单位：{units}", "line")
        return row + 1

    def _foot(self, row: int) -> None:
        style, sheet = self.style, self.sheet
        if style.note:
            sheet.cells[row, 0] = ("注：1.本表由县（市、区）扶贫办汇总填报；2.数据截至上报周周日。", "note")
            row += 1
        signed = self.as_of + dt.timedelta(days=1)
        for k, text in enumerate((f"单位负责人：{style.leader}", f"审核人：{style.reviewer}", f"填报人：{style.clerk}", f"联系电话：{style.telephone}",
                                  f"填报日期：{style.date_text(signed, '{y}年{m}月{d}日')}")):  # fmt: skip
            sheet.cells[row, min(2 * k, k + max(0, sheet.columns - 5))] = (text, "note")

    # -- the table

    def _columns(self, fields: list[Field], first: bool, last: bool) -> list[Field | str]:
        """Fields and, by their headings, the columns that are none."""
        style, names = self.style, {f.name for f in self.form.fields}
        columns: list[Field | str] = ["序号"] if style.numbered_rows and first and "trip_no" not in names else []
        columns += fields
        if last and style.extra[0] == self.form.code:
            columns.append(style.extra[1])
        if last and style.remarks and "remark" not in names:
            columns.append("备注")
        if last and style.reason_column:
            columns.append("变化原因")
        return columns

    def _table(self, top: int, left: int, columns: list[Field | str]) -> int:
        """Headings and rows from a cell on. Returns the row after the last."""
        style, sheet = self.style, self.sheet
        row = self._headings(top, left, columns)
        if not sheet.frozen[0]:
            sheet.frozen = (row, 0)
        blocks = [list(range(len(self.rows)))]
        if style.continued == "down" and self.form.code in LONG_FORMS and len(self.rows) > 6:
            blocks = [blocks[0][: len(self.rows) // 2], blocks[0][len(self.rows) // 2 :]]
        if self.totalled and style.total == "first":
            row = self._total(row, left, columns, "合计", self.rows, -1)
        first_row, group, since = row, None, 0
        for b, block in enumerate(blocks):
            if b:
                sheet.cells[row + 1, left] = (f"{self.form.zh}（续表）", "title")
                sheet.merges.append((row + 1, left, row + 1, left + len(columns) - 1))
                row = self._headings(row + 2, left, columns)
            for i in block:
                values = self.rows[i]
                if self.groups_of and group is not None and values[self.groups_of] != group:
                    row = self._total(row, left, columns, "小计", self.rows[since:i], -2)
                    since = i
                group = values[self.groups_of] if self.groups_of else None
                self._row(row, left, columns, i, values)
                row += 1
                if style.empty_rows and i - block[0] == 1 and len(block) > 3:
                    row += 1
        if self.groups_of and self.rows:
            row = self._total(row, left, columns, "小计", self.rows[since:], -2)
        if self.totalled and style.total == "last":
            span = (first_row, row - 1) if style.formulas and not self.groups_of and len(blocks) == 1 else None
            row = self._total(row, left, columns, "合计", self.rows, -1, span)
        return row

    def _headings(self, top: int, left: int, columns: list[Field | str]) -> int:
        style, sheet = self.style, self.sheet
        names = [c.name if isinstance(c, Field) else "" for c in columns]
        spans = [(names.index(a), names.index(b), text) for a, b, text in GROUPS.get(self.form.code, ())] if style.grouped else []
        above = 1 if style.top_group and spans else 0
        rows = 1 + above + (1 if spans else 0)
        inside = {k: s for s in spans for k in range(s[0], s[1] + 1)}
        fields = [k for k, c in enumerate(columns) if isinstance(c, Field) and c.kind != "key"]
        for k, column in enumerate(columns):
            text = self._heading(column)
            under_top = above and k in fields
            start = top + (1 if under_top else 0) + (1 if k in inside else 0)
            for r in range(top, top + rows):
                sheet.cells.setdefault((r, left + k), (None, "head"))
            sheet.cells[start, left + k] = (text, "head")
            if isinstance(column, str):
                sheet.places.setdefault((-1, column), (start, left + k))
            if top + rows - 1 > start:
                sheet.merges.append((start, left + k, top + rows - 1, left + k))
            longest = max(map(len, text.split("\n")))
            sheet.widths[left + k] = max(sheet.widths.get(left + k, 0), min(26, max(7, longest * 1.9)), self._width(column))
        for a, b, text in spans:
            sheet.cells[top + above, left + a] = (text, "head")
            sheet.merges.append((top + above, left + a, top + above, left + b))
        if above:
            sheet.cells[top, left + fields[0]] = ("主要指标", "head")
            sheet.merges.append((top, left + fields[0], top, left + fields[-1]))
        return top + rows

    def _heading(self, column: Field | str) -> str:
        if isinstance(column, str):
            return column
        style = self.style
        share = style.percent == "fraction" and column.kind == "declared"  # an alias may end in （%）, which it is not
        text = column.aliases[min(style.heading, len(column.aliases)) - 1] if style.heading and column.aliases and not share else column.zh
        bracketed = text.endswith(("）", "%"))
        if column.type == "percent" and (style.percent == "bare" or (style.percent == "fraction" and column.kind != "declared")) and not bracketed:
            text += "（%）"
        elif column.money and style.money_place == "heading" and not bracketed:
            text += f"（{'元' if self.form.code == 'IND02' else style.money}）"
        elif style.units_in_heading and column.unit in UNIT_WORDS and not bracketed:
            text += f"（{UNIT_WORDS[column.unit]}）"
        if style.line_breaks and len(text) > 8:
            text = text[:4] + "\n" + text[4:]
        return text.replace("（", "(").replace("）", ")") if style.half_width else text

    @staticmethod
    def _width(column: Field | str) -> float:
        if isinstance(column, str):
            return 8
        wide = {"id_number": 22, "payment_no": 22, "batch_no": 15, "household_no": 16, "description": 44, "project_name": 32,
                "enterprise_name": 30, "project_kind": 32, "impact": 26, "gap_note": 34, "measure": 24, "fund_line": 24, "source": 30}  # fmt: skip
        return wide.get(column.name, 13 if column.type == "date" else 12 if column.money else 9)

    def _row(self, row: int, left: int, columns: list[Field | str], i: int, values: dict) -> None:
        cells, places = self.sheet.cells, self.sheet.places
        for k, column in enumerate(columns):
            if isinstance(column, Field):
                written = self.written.get((i, column.name)) if self.written else None
                value = values[column.name]
                if column.kind == "declared" and value is not None and self.written is not None:
                    value = self._declared(column, values, value)
                cells[row, left + k] = (written, "text") if written is not None else self._cell(column, value, i, k)
                # 续表 to the right repeats the key: the first place holds
                places.setdefault((i, column.name), (row, left + k))
            elif column == "序号":
                cells[row, left + k] = (i + 1, "whole")
            else:
                cells[row, left + k] = ("已核" if column == "备注" and i % 7 == 3 else None, "text")

    def _total(self, row: int, left: int, columns: list[Field | str], word: str, rows: list[dict], index: int, span: tuple[int, int] | None = None) -> int:
        sheet, sums = self.sheet, {}
        for f in self.form.fields:
            if f.numeric and f.kind != "declared" and f.type != "percent":
                sums[f.name] = sum((r[f.name] for r in rows if r[f.name] is not None), 0)
        if index == -1:
            sums |= {name: value for name, value in self.total_edits.items()}
        for k, column in enumerate(columns):
            at = (row, left + k)
            sheet.cells[at] = (None, "total_text")
            if not isinstance(column, Field):
                continue
            if column.kind == "key":
                sheet.cells[at] = (word, "total_text")
            elif column.kind == "declared":
                part, whole = declared_parts(self.form.code)[column.name]
                sheet.cells[at] = self._cell(column, _quotient(sums[part], sums[whole]), row, k, "total_")
            elif column.name in sums:
                sheet.cells[at] = self._cell(column, sums[column.name], row, k, "total_")
                if span and index == -1 and column.name not in self.total_edits and isinstance(sheet.cells[at][0], int | float):
                    letters = column_letters(left + k)
                    sheet.formulas[at] = f"=SUM({letters}{span[0] + 1}:{letters}{span[1] + 1})"
            sheet.places.setdefault((index, column.name), at)
        return row + 1

    def _declared(self, column: Field, values: dict, value: Decimal) -> Decimal:
        """What the county works out from the figures that it writes, unless the rate itself was tampered with."""
        part, whole = (values[name] for name in declared_parts(self.form.code)[column.name])
        if part is None or whole is None:
            return value
        true = _quotient(part, whole)
        return true if true is None or abs(true - value) < Decimal("0.02") else value

    # -- one value

    def _cell(self, f: Field, value: Any, i: int, k: int, prefix: str = "") -> tuple[Any, str]:
        """(what stands in the cell, its format) for a typed value."""
        style = self.style
        if value is None:
            return (style.blank or None) if not prefix else None, prefix + "text"
        if f.type == "integer" or (f.type == "decimal" and not f.money):
            return self._number(f, value, i, k, prefix)
        if f.money:
            return self._money(f, value, i, k, prefix)
        if f.type == "percent":
            return self._percent(f, value, prefix)
        if f.type == "date":
            if style.date == "cell" and style.medium != "csv":
                return value, "date"
            spelling = style.short_dates if f.name in EVENT_DATES and style.short_dates else None
            return style.date_text(value, spelling), "text"
        if f.type == "boolean":
            words = style.yes_no if f.name == "is_met" or (style.yes_no[0] == "√" and f.values) else ("是", "否")
            return words[0] if value else words[1], "text"
        if f.codes in ("township", "village"):
            return self.towns[value], "text"
        if f.codes == "industry":
            return self.industries[value], "text"
        if f.codes == "values":
            return self.labels[f.name][value], "text"
        return value, "text"

    def _number(self, f: Field, value: Any, i: int, k: int, prefix: str) -> tuple[Any, str]:
        kind = prefix + ("whole" if f.type == "integer" else "decimal")
        return self._spelled(value, UNIT_WORDS.get(f.unit or "", ""), i, k, kind)

    def _money(self, f: Field, value: Decimal, i: int, k: int, prefix: str) -> tuple[Any, str]:
        in_yuan = self.form.code == "IND02" or self.style.money == "元"
        amount = value if in_yuan else value / 10_000
        behind = "元" if in_yuan else self.style.money
        return self._spelled(amount, behind if self.style.money_place == "number" and self.form.code != "IND02" else "", i, k, prefix + "money")

    def _spelled(self, value: Any, unit: str, i: int, k: int, kind: str) -> tuple[Any, str]:
        numbers = self.style.numbers
        turn = (i * 7 + k * 3) % 5  # mixed spellings that stay the same from week to week
        if numbers == "mixed" and turn < 3:
            return (plain(value), separated(value), separated(value) + unit)[turn], kind
        if numbers == "text" and turn < 2:
            return (plain(value), separated(value))[turn], kind
        if numbers == "full_width" and turn == 0:
            return full_width(plain(value)), kind
        if self.style.medium == "csv":
            return plain(value), kind
        return (int(value) if Decimal(value) == int(value) else float(value)), kind

    def _percent(self, f: Field, value: Decimal, prefix: str) -> tuple[Any, str]:
        style = self.style
        if f.kind != "declared" and style.percent == "text1":
            places = Decimal("0.01")  # a figure of its own must not lose its second place
        elif style.percent == "fraction" and f.kind == "declared":
            share = value.quantize(Decimal("0.001"), ROUND_HALF_UP)
            return (plain(share) if style.medium == "csv" else float(share)), prefix + "share"
        else:
            places = Decimal("0.1") if style.percent == "text1" else Decimal("0.01")
        hundredth = (value * 100).quantize(places, ROUND_HALF_UP)
        if style.percent in ("bare", "fraction"):
            return (plain(hundredth) if style.medium == "csv" else float(hundredth)), prefix + "decimal"
        return f"{hundredth}%", prefix + "text"


@functools.cache
def _labels(code: str) -> dict[str, dict[str, str]]:
    return {f.name: {c: words[0] for c, words in f.values.items()} for f in contracts().form(code).fields if f.codes == "values"}


@functools.cache
def declared_parts(code: str) -> dict[str, tuple[str, str]]:
    """Declared rate → the two fields whose quotient it is; COP01's has no rule of its own."""
    pairs = {"spending_rate": ("spent", "arrived")} if code == "COP01" else {}
    for rule in contracts().form(code).rules_of("declared"):
        definition = rule.definition
        for name, text in (definition.get("pairs") or {definition["field"]: definition["expression"]}).items():
            part, whole = text.split(" / ")
            pairs[name] = (part, whole)
    return pairs


def _quotient(part: Decimal | int, whole: Decimal | int) -> Decimal | None:
    """Unrounded: to round the six places of the truth once more would print another last digit now and then."""
    return Decimal(part) / Decimal(whole) if whole else None
