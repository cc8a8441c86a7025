"""Blank workbooks for the counties, made from the contracts: what a template asks for is what reading expects.

Keys that are known are filled in (townships, industries, enumerations; sites and projects of the last week),
last week's figures stand in cell comments, where no reader of the sheet can take them for this week's. Row rules
that need nothing beyond the row become conditional formats, so that most faults show while a form is filled in.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import xlsxwriter
from psycopg import sql
from xlsxwriter.utility import xl_col_to_name

from ingestion.contract_model import Contracts, Field, Form
from ingestion.reference import Codes
from ingestion.rule_words import Untranslatable, fields_needed, in_excel, rule_in_words
from ingestion.template_parts import Styles, instructions, validation

OPEN_ROWS = 2000  # rows of a list that choices and marks are ready for; more rows may be filled in all the same
SHOWN_ROWS = 40  # of those, how many have a visible grid
LISTS = "下拉选项"
FIRST_ROW = 3  # 0-based: title, 填报单位 line, headings
MONEY_UNIT, MONEY_FACTOR = "万元", Decimal(10_000)
LastWeek = dict[str, list[dict[str, Any]]]


@dataclass
class Layout:
    """Where things stand on one sheet, 0-based."""

    form: Form
    columns: dict[str, int]
    first: int
    last: int  # last row that is ready for data
    total: int | None

    def cell(self, field: str, row: int) -> str:
        """A1 address with the column fixed, the row relative."""
        return f"${xl_col_to_name(self.columns[field])}{row + 1}"

    def area(self, field: str) -> str:
        column = xl_col_to_name(self.columns[field])
        return f"{column}{self.first + 1}:{column}{self.last + 1}"


def write_template(target: Path, county_code: str, week: str, contracts: Contracts, codes: Codes, last_week: LastWeek | None = None) -> Path:
    """Write the blank workbook of one county and week to ``target`` (.xlsx) and return the path.

    ``week`` is '2020-W24'. ``last_week`` gives rows of canonical values (yuan, fractions, codes, dates) by form, as
    `accepted_before` does. Raises KeyError for an unknown county, ValueError for a week that does not exist.
    """
    as_of = dt.date.fromisocalendar(int(week[:4]), int(week[6:]), 7)
    county = codes.counties[codes.standing(county_code, as_of)]
    forms = [contracts.form(code, as_of) for code in contracts.codes]
    not_exited = county.exited_year is not None and as_of.year <= county.exited_year
    forms = [f for f in forms if not_exited or f.expected_from == "all_counties"]
    target.parent.mkdir(parents=True, exist_ok=True)
    with xlsxwriter.Workbook(str(target), {"strings_to_formulas": False, "strings_to_urls": False}) as book:
        book.set_properties({"title": f"{county.name} {week} 填报模板", "comments": "由数据契约生成"})
        styles = Styles(book)
        instructions(book, styles, county.name, week, as_of, forms)
        lists = Lists(book.add_worksheet(LISTS), codes, county.code)
        lists.sheet.hide()
        for form in forms:
            Sheet(book, styles, form, codes, county.code, county.name, as_of, (last_week or {}).get(form.code, []), contracts, lists).write()
    return target


def accepted_before(connection: psycopg.Connection, county_code: str, week: str, contracts: Contracts) -> LastWeek:
    """Rows of the last accepted week before ``week`` by form, personal fields left out; lists of events have none."""
    found: LastWeek = {}
    for code in contracts.codes:
        form = contracts.form(code)
        if form.listing != "level" or form.key.personal:
            continue
        names = [f.name for f in form.fields if not f.personal]
        query = sql.SQL(
            """select {} from raw.{} where submission_id = (
                 select submission_id from intake.accepted_submission
                 where form = %s and county_code = %s and week < %s and state <> 'empty'
                 order by week desc, version desc limit 1) order by row_no"""
        ).format(sql.SQL(", ").join(map(sql.Identifier, names)), sql.Identifier(form.code.lower()))
        rows = connection.execute(query, [code, county_code, week]).fetchall()
        if rows:
            found[code] = [dict(zip(names, row, strict=True)) for row in rows]
    return found


class Lists:
    """The hidden sheet of choices; a list is written once and referred to by every cell that offers it."""

    def __init__(self, sheet, codes: Codes, county: str):
        self.sheet, self.codes, self.county = sheet, codes, county
        self._places: dict[tuple, str] = {}

    def source(self, field: Field) -> str | None:
        labels = tuple(self.labels(field))
        if not labels:
            return None
        if labels not in self._places:
            column = len(self._places)
            for row, label in enumerate(labels):
                self.sheet.write_string(row, column, label)
            name = xl_col_to_name(column, True)
            self._places[labels] = f"='{LISTS}'!{name}$1:{name}${len(labels)}"
        return self._places[labels]

    def labels(self, field: Field) -> list[str]:
        if field.values:
            return [labels[0] for labels in field.values.values()]
        if field.codes == "township":
            return [self.codes.place_name(c) for c in self.codes.townships_of(self.county)]
        if field.codes == "village":
            return [village_name(self.codes, c, self.county) for c in self.codes.villages_of(self.county)]
        if field.codes == "industry":
            return [self.codes.industries[c] for c in self.codes.industries_of(self.county)]
        return []


def village_name(codes: Codes, code: str, county: str) -> str:
    """A village's official name, with its township in front where two of the county share it."""
    name = codes.place_name(code)
    place = codes.villages.get(code)
    return codes.place_name(place.township) + name if place and codes.ambiguous("village", name, county) else name


class Sheet:
    """One form's sheet."""

    def __init__(self, book, styles: Styles, form: Form, codes: Codes, county: str, county_name: str, as_of: dt.date, before: list[dict], contracts: Contracts, lists: Lists):
        self.styles, self.form, self.codes, self.county, self.name, self.as_of = styles, form, codes, county, county_name, as_of
        self.before = {row[form.key.name]: row for row in before}
        self.unit_words = contracts.writing["unit_words"]
        self.reason = contracts.writing["reason_heading"][0]
        self.total_word = contracts.writing["total_words"][0]
        self.lists = lists
        self.sheet = book.add_worksheet(form.zh[:31])
        keys = self.known_keys()
        self.open = keys is None
        self.keys = list(self.before) if keys is None else keys
        columns = {f.name: n for n, f in enumerate(form.fields)}
        totalled = bool(form.rules_of("total"))
        if self.open:  # the list grows downwards, so its total stands on top
            first = FIRST_ROW + totalled
            self.layout = Layout(form, columns, first, first + max(OPEN_ROWS, len(self.keys)) - 1, FIRST_ROW if totalled else None)
        else:
            last = FIRST_ROW + len(self.keys) - 1
            self.layout = Layout(form, columns, FIRST_ROW, last, last + 1 if totalled else None)

    def known_keys(self) -> list[str] | None:
        key = self.form.key
        if key.values:
            return list(key.values)
        if key.codes == "township":
            return self.codes.townships_of(self.county)
        if key.codes == "industry":
            return list(self.codes.industries_of(self.county))
        return None

    def write(self) -> None:
        form, sheet, width = self.form, self.sheet, len(self.form.fields)
        sheet.merge_range(0, 0, 0, width, f"{self.name}{form.titles[0]}", self.styles.title)
        line = f"填报单位：{self.name}　　　截至日期：{self.as_of.year}年{self.as_of.month}月{self.as_of.day}日　　　单位：{'、'.join(self.units())}"
        sheet.merge_range(1, 0, 1, width, line, self.styles.line)
        for column, field in enumerate(form.fields):
            sheet.write_string(2, column, self.heading(field), self.styles.required if field.required else self.styles.heading)
            sheet.set_column(column, column, 24 if column == 0 else 14, self.styles.of(field, grid=False))
        sheet.write_string(2, width, self.reason, self.styles.heading)
        sheet.set_column(width, width, 26)
        sheet.set_row(2, 48)
        sheet.freeze_panes(3, 1)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(0, 2)
        self.rows()
        self.totals()
        self.choices()
        self.marks()
        if not self.open:
            foot = (self.layout.total or self.layout.last) + 1
            sheet.write_string(foot, 0, "注：零填 0，没有数据填“—”；底色为红（黄）的格与审核规则不符，说明见“填表说明”。", self.styles.note)
            sheet.write_string(foot + 1, 0, "单位负责人：　　　　审核人：　　　　填报人：　　　　联系电话：　　　　填报日期：", self.styles.note)

    def units(self) -> list[str]:
        words = [self.unit(f) for f in self.form.fields]
        return list(dict.fromkeys(w for w in words if w and w != "%")) or ["个"]

    def unit(self, field: Field) -> str:
        if field.money:
            return "元" if "（元）" in field.zh else MONEY_UNIT
        if field.type == "percent":
            return "%"
        return "" if field.unit == "items" else self.unit_words.get(field.unit, [""])[0]

    def heading(self, field: Field) -> str:
        unit = self.unit(field)
        return field.zh if not unit or "（" in field.zh else f"{field.zh}（{unit}）"

    def rows(self) -> None:
        shown = len(self.keys) if not self.open else max(SHOWN_ROWS, len(self.keys) + 20)
        for number in range(shown):
            row = self.layout.first + number
            key = self.keys[number] if number < len(self.keys) else None
            for field in self.form.fields:
                self.fill(row, field, key)
            self.sheet.write_blank(row, len(self.form.fields), None, self.styles.text)

    def fill(self, row: int, field: Field, key: str | None) -> None:
        column, style = self.layout.columns[field.name], self.styles.of(field)
        before = self.before.get(key, {}) if key is not None else {}
        value = before.get(field.name)
        if key is not None and field.kind == "key":
            self.put(row, column, field, key)
        elif key is not None and field.kind == "declared" and (formula := self.declared(field, row)):
            self.sheet.write_formula(row, column, formula, style, "")
        elif field.name == "industry_tier" and self.form.key.codes == "industry" and key is not None:
            self.put(row, column, field, self.codes.industries_of(self.county)[key])
        elif value is not None and (field.kind in ("attribute", "constant")):
            self.put(row, column, field, value)
        else:
            self.sheet.write_blank(row, column, None, style)
        if value is not None and field.numeric and field.kind in ("stock", "cumulative"):
            tail = "\n累计数，不得减少" if field.kind == "cumulative" else ""
            self.sheet.write_comment(row, column, f"上次填报：{self.shown(field, value)}{tail}", {"x_scale": 1.1, "y_scale": 0.5})

    def put(self, row: int, column: int, field: Field, value: Any) -> None:
        style = self.styles.of(field)
        if isinstance(value, dt.date):
            self.sheet.write_datetime(row, column, dt.datetime.combine(value, dt.time()), style)
        elif field.numeric:
            self.sheet.write_number(row, column, float(self.scaled(field, value)), style)
        else:
            self.sheet.write_string(row, column, self.shown(field, value), style)

    def scaled(self, field: Field, value: Any) -> Decimal:
        number = Decimal(str(value))
        if field.type == "percent":
            return number * 100
        return number / MONEY_FACTOR if field.money and self.unit(field) == MONEY_UNIT else number

    def shown(self, field: Field, value: Any) -> str:
        if field.numeric:
            return f"{self.scaled(field, value).normalize():f}{self.unit(field)}"
        if field.values:
            return field.values.get(str(value).lower() if field.type == "boolean" else str(value), (str(value),))[0]
        if field.codes == "village":
            return village_name(self.codes, value, self.county)
        if field.codes == "township":
            return self.codes.place_name(value)
        return self.codes.industries.get(value, value) if field.codes == "industry" else str(value)

    def declared(self, field: Field, row: int) -> str | None:
        """Formula of a rate the form wants: blank until its figures are there, #DIV/0! over a base of zero (no fault)."""
        for rule in self.form.rules_of("declared"):
            pairs = rule.definition.get("pairs") or {rule.definition["field"]: rule.definition["expression"]}
            if field.name in pairs:
                cells = ",".join(self.layout.cell(n, row) for n in fields_needed(pairs[field.name], self.form))
                formula = in_excel(pairs[field.name], self.form, lambda n: self.layout.cell(n, row), "")
                return f'=IF(COUNT({cells})<2,"",ROUND({formula}*100,1))'
        return None

    def totals(self) -> None:
        row = self.layout.total
        if row is None:
            return
        for field in self.form.fields:
            column, style = self.layout.columns[field.name], self.styles.total(field)
            if field.kind == "key":
                self.sheet.write_string(row, column, self.total_word, style)
            elif field.kind == "declared" and (formula := self.declared(field, row)):
                self.sheet.write_formula(row, column, formula, style, "")
            elif field.numeric and field.kind != "declared":
                area = self.layout.area(field.name)
                self.sheet.write_formula(row, column, f'=IF(COUNT({area})=0,"",SUM({area}))', style, "")
            else:
                self.sheet.write_blank(row, column, None, style)
        self.sheet.write_blank(row, len(self.form.fields), None, self.styles.text)

    def choices(self) -> None:
        for field in self.form.fields:
            column = self.layout.columns[field.name]
            rules = [r for r in self.form.rules if field.name in str(r.definition)]
            words = [rule_in_words(r, self.form) for r in rules if r.check == "row"]
            options = validation(field, self.unit(field), self.lists.source(field), words, self.as_of)
            self.sheet.data_validation(self.layout.first, column, self.layout.last, column, options)

    def marks(self) -> None:
        as_of = f"DATE({self.as_of.year},{self.as_of.month},{self.as_of.day})"
        first = self.layout.first
        for rule in self.form.rules_of("row"):
            expression = rule.definition["expression"]
            try:
                holds = in_excel(expression, self.form, lambda n: self.layout.cell(n, first), as_of)
            except Untranslatable:
                continue
            needed = fields_needed(expression, self.form)
            filled = ",".join(self.is_filled(n, first) for n in needed)
            fields = [n for n in self.layout.columns if n in needed] or list(self.layout.columns)[:1]
            areas = [self.layout.area(n) for n in fields]
            style = self.styles.error if rule.severity == "error" else self.styles.warning
            options = {"type": "formula", "criteria": f"=AND({filled},NOT({holds}))", "format": style, "multi_range": " ".join(areas)}
            self.sheet.conditional_format(areas[0], options)

    def is_filled(self, name: str, row: int) -> str:
        field, cell = self.form.by_name[name], self.layout.cell(name, row)
        return f"ISNUMBER({cell})" if field.numeric or field.type == "date" else f'TRIM({cell})<>""'
