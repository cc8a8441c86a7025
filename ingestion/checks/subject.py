"""The form under check: its cells, what they are called, how their figures are written, and how a finding is made."""

from __future__ import annotations

import datetime as dt
import functools
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from ingestion.contract_model import Field, Form, Rule
from ingestion.identity import masked
from ingestion.model import Block, Finding, FormReading, Told, TotalRow
from ingestion.reference import Codes
from ingestion.rule_words import how_to_mend

UNTOLD_ZH = "“{zh}”另有{number}处同样的错误，没有逐一列出。请先按已标出的各处改正全列，再重新报送。"
HALF_A_FEN = Decimal("0.005")  # sums of figures that a workbook keeps as binary fractions differ below this
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?|[-+]?\.\d+")
_SCALE_NAMES = {Decimal(1): "元", Decimal(1000): "千元", Decimal(10000): "万元", Decimal(100000000): "亿元"}
_CONTEXT_ZH = {
    "as_of_date": "截至日期",
    "reporting_year": "填报年度",
    "county_code": "本县",
    "subsidy_cap": "户均奖补上限",
    "spending_target": "序时进度要求",
}


class Subject:
    """One form as read with its contract. Rows are numbered from 0 here; a finding's ``row_no`` from 1."""

    def __init__(self, reading: FormReading, totals: list[TotalRow], form: Form, codes: Codes):
        self.reading, self.totals, self.form, self.codes = reading, totals, form, codes
        self.rows = reading.rows
        self.told = Told()
        self._nothing: list[Any] = [None] * self.rows
        self._blocks: dict[int, Block] = {b.number: b for b in reading.blocks}
        self.at_fault: dict[str, set[int]] = defaultdict(set)  # rows whose cell reading already found at fault
        for finding in reading.findings:
            if finding.severity == "error" and finding.field and finding.row_no:
                self.at_fault[finding.field].add(finding.row_no - 1)
        county = reading.county_code
        self.context: dict[str, Any] = {
            "as_of_date": reading.as_of_date,
            "reporting_year": int(reading.week[:4]) if reading.week else None,
            "county_code": codes.standing(county) if county in codes.counties else county,
            "subsidy_cap": codes.subsidy_cap(county, reading.as_of_date),
            "spending_target": codes.spending_target(reading.as_of_date),
        }

    # Values

    def column(self, field: str) -> Sequence[Any]:
        """Values of a field by row; all None where the form has no such column."""
        values = self.reading.values.get(field)
        return values if values is not None and len(values) == self.rows else self._nothing

    @property
    def keys(self) -> Sequence[Any]:
        return self.column(self.form.key.name)

    @property
    def identities(self) -> Sequence[Any]:
        """What tells a row from the others: its key, or several fields where the contract says so; None while unreadable."""
        names = self.form.identity
        if names in ((), (self.form.key.name,)):
            return self.keys
        rows = zip(*map(self.column, names), strict=True)
        return [None if None in row else row for row in rows]

    def row(self, i: int, fields: Sequence[str]) -> dict[str, Any]:
        """The fields' values in a row, and the context, by name."""
        return {f: self.column(f)[i] for f in fields} | self.context

    # Places

    def has_column(self, field: str) -> bool:
        return any(field in b.columns for b in self.reading.blocks)

    def block(self, i: int) -> Block | None:
        return self._blocks.get(self.reading.block_no[i])

    def cell(self, i: int, field: str) -> str:
        """A1 address of a value; '' where the form has no such column."""
        block = self.block(i)
        source = block.columns.get(field) if block else None
        return f"{column_letters(source.col)}{self.reading.sheet_row[i] + source.row_offset}" if source else ""

    def row_key(self, i: int) -> str:
        return key_text(self.keys[i])

    def row_name(self, i: int) -> str:
        """What a clerk calls the row: ``第12行（百城街道）``."""
        key = self.form.key
        name = "" if key.personal or key.pseudonymised or self.keys[i] is None else self.label(key, self.keys[i])
        return f"第{self.reading.sheet_row[i]}行" + (f"（{name}）" if name else "")

    # Figures as the county writes them

    def source_text(self, i: int, field: str) -> str | None:
        """What stood in the cell, personal data not masked; None for a blank.

        Reading keeps a text only where it says more than the value: else the cell held the bare digits (the value
        before the column's factor), the official label, or the value itself.
        """
        texts = self.reading.source_text[i] if self.reading.source_text else None
        text = (texts or {}).get(field)
        if text is not None:
            return text
        value, about = self.column(field)[i], self.form.by_name[field]
        if isinstance(value, Decimal):
            bare = value / self.factor(self.block(i), field)
            # the trailing zeros of a rate are digits that were printed; those of money come from rounding to the fen
            return f"{bare:f}" if about.type == "percent" else plain(bare)
        return None if value is None else plain(value) if isinstance(value, dt.date) else self.label(about, value)

    def given(self, i: int, field: str) -> str | None:
        """What stood in the cell, personal data masked."""
        text = self.source_text(i, field)
        return masked(text) if text and self.form.by_name[field].personal else text

    def scale(self, i: int, field: str) -> Decimal:
        """What 1 in the cell stands for in the warehouse's unit: 10000 under 万元, 0.01 for a rate in percent."""
        about = self.form.by_name[field]
        if not (about.money or about.type == "percent"):
            return Decimal(1)
        value, bare = self.column(field)[i], number_in(self.source_text(i, field) or "")
        if value and bare:
            scale = (Decimal(value) / bare).normalize()
            if scale.as_tuple().digits == (1,):  # a power of ten, as units are
                return scale
        block = self.block(i)
        return self.factor(block, field)

    def factor(self, block: Block | None, field: str) -> Decimal:
        source = block.columns.get(field) if block else None
        return Decimal(source.factor) if source else Decimal(1)

    def written(self, value: Any, field: Field | None, scale: Decimal = Decimal(1)) -> str:
        """A value as a county would write it in a cell of that scale, without its unit."""
        if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
            return plain(Decimal(value) / scale if scale != 1 else value)
        return self.label(field, value) if field else plain(value)

    def unit(self, field: Field | None, scale: Decimal = Decimal(1)) -> str:
        if field is None:
            return ""
        if field.type == "percent":
            return "%" if scale == Decimal("0.01") else ""
        return _SCALE_NAMES.get(scale, "") if field.money else ""

    def label(self, field: Field, value: Any) -> str:
        """Official name of a code; dates in Chinese; anything else plainly."""
        if isinstance(value, dt.date):
            return f"{value.year}年{value.month}月{value.day}日"
        labels = field.values.get(key_text(value))
        if labels:
            return labels[0]
        match field.codes:
            case "township" | "village":
                return self.codes.place_name(value)
            case "industry":
                return self.codes.industries.get(value, value)
        return plain(value)

    def operand(self, i: int, name: str) -> str:
        """A named operand with its value: ``“认定就业扶贫车间”10``, ``截至日期2020年6月14日``."""
        if name in self.context:
            return _CONTEXT_ZH[name] + self.context_text(name)
        field = self.form.by_name[name]
        value = self.column(name)[i]
        if value is None:
            return f"“{field.zh}”未填"
        scale = self.scale(i, name)
        text = masked(plain(value)) if field.personal else self.written(value, field, scale)
        return f"“{field.zh}”{text}{self.unit(field, scale)}"

    def context_text(self, name: str) -> str:
        value = self.context[name]
        match name:
            case "as_of_date":
                return f"{value.year}年{value.month}月{value.day}日" if value else ""
            case "county_code":
                return self.codes.county_name(value)
            case "subsidy_cap":
                return f"{plain(value)}元" if value is not None else ""
            case "spending_target":
                return f"{plain(value * 100)}%" if value is not None else ""
        return f"{value}年"

    # Findings

    @staticmethod
    def failed(rule: Rule) -> str:
        """A rule's text says either what must be or what is wrong, so the message only names it."""
        return f"未通过校验“{rule.zh}”（{rule.id}）"

    def add(self, rule: Rule, message: str, *, row: int | None = None, field: str = "", advice: str | None = None, **more: Any) -> None:
        """Append a finding. A row gives its cell, key and value unless they are passed, and the rule the advice."""
        reading = self.reading
        place: dict[str, Any] = {"member": reading.member, "sheet": reading.sheet}
        if row is not None:
            block = self.block(row)
            if block:
                place |= {"member": block.member, "sheet": block.sheet}
            place |= {"row_no": row + 1, "row_key": self.row_key(row)}
            if field:
                place |= {"cell": self.cell(row, field), "value": self.given(row, field)}
        reading.findings.append(
            Finding(
                rule_id=rule.id,
                severity=rule.severity,
                message_zh=message + (self.advice(rule.id) if advice is None else advice),
                form=self.form.code,
                county_code=reading.county_code,
                week=reading.week,
                field=field,
                **(place | more),
            )
        )

    def tell_the_rest(self) -> None:
        """One finding for all faults of a kind that have none of their own."""
        rules = {r.id: r for r in self.form.rules}
        for rule_id, field, number in self.told.untold():
            zh = self.form.by_name[field].zh if field else self.form.zh
            self.add(rules.get(rule_id) or self.general(rule_id), UNTOLD_ZH.format(zh=zh, number=number), field=field, advice="")

    @functools.cache  # noqa: B019 - a subject lives as long as the check of its form
    def advice(self, rule_id: str) -> str:
        rule = next((r for r in self.form.rules if r.id == rule_id), None) or self.general(rule_id)
        return how_to_mend(rule, self.form)

    @staticmethod
    @functools.cache
    def general(rule_id: str) -> Rule:
        from ingestion.contracts import contracts

        return contracts().rules[rule_id]


def column_letters(col: int) -> str:
    """0 → A, 26 → AA."""
    letters = ""
    col += 1
    while col:
        col, rest = divmod(col - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def key_text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def plain(value: Any) -> str:
    """A value's own text: numbers without exponent or trailing zeros, dates ISO, 是/否."""
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") or "0" if "." in text else text
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def number_in(text: str) -> Decimal | None:
    """The first number in a cell's text, full-width digits and thousands separators included."""
    found = _NUMBER.search(unicodedata.normalize("NFKC", text).replace(" ", ""))
    return Decimal(found.group().replace(",", "")) if found else None
