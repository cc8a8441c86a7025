"""What passes between the steps of ingestion: plain records, no behaviour to speak of."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from ingestion.contract_model import Rule

Severity = Literal["error", "warning"]


@dataclass(slots=True)
class Finding:
    """One fault at one place. ``cell`` is an A1 address or '' where the fault has no cell."""

    rule_id: str
    severity: Severity
    message_zh: str
    form: str | None = None
    county_code: str | None = None
    week: str | None = None
    member: str = ""  # path inside a .zip, '' otherwise
    sheet: str = ""
    cell: str = ""
    row_no: int | None = None  # the form's data row (1, 2, …) it belongs to
    row_key: str = ""  # code of the row's own key, without week and county
    field: str = ""
    value: str | None = None  # as it stood in the cell; personal data masked
    expected: str | None = None
    difference: str | None = None
    stage: str = "reading"  # reading | acceptance | judgement
    status: str = "open"  # open | waived, as found; what becomes of it later is kept in the database
    waiver_id: int | None = None


class Told:
    """How often each fault of a form has been told: nobody mends five thousand cells one by one, nor can a process hold a million."""

    MOST = 5_000  # of one rule at one field of a form

    def __init__(self) -> None:
        self._times: Counter[tuple[str, str]] = Counter()

    def enough(self, rule_id: str, field: str) -> bool:
        """Counts a fault; whether it goes without a finding of its own."""
        self._times[rule_id, field] += 1
        return self._times[rule_id, field] > self.MOST

    def untold(self) -> Iterator[tuple[str, str, int]]:
        """(rule, field, number) of the faults without a finding of their own."""
        return ((rule, field, times - self.MOST) for (rule, field), times in self._times.items() if times > self.MOST)


@dataclass(slots=True)
class ColumnSource:
    """Where a field's values came from in one block of the table, and what was done to them."""

    col: int  # 0-based column of the sheet
    heading: str
    factor: str = "1"  # what a bare number was multiplied by ('10000' under 万元, '0.01' under ％)
    row_offset: int = 0  # where the field stands in another block's rows: sheet row of the value minus sheet_row


@dataclass(slots=True)
class Block:
    """One run of headings and the rows below them; 续表 starts another."""

    number: int  # 1, 2, …
    member: str
    sheet: str
    header_rows: tuple[int, int]  # first and last heading row, 1-based as the county sees them
    columns: dict[str, ColumnSource]


@dataclass(slots=True)
class FormReading:
    """One form of one county and week as read: columns of typed values, each with its cell.

    ``values[field][i]`` belongs to data row ``i + 1``; None means not reported. Types: int, Decimal (yuan for
    money, fractions for percent), str (codes for code fields), datetime.date, bool.
    """

    form: str
    contract_version: str
    county_code: str | None
    county_text: str | None  # as written, for messages
    week: str | None  # '2020-W24'
    as_of_date: dt.date | None
    member: str
    sheet: str
    blocks: list[Block] = field(default_factory=list)
    values: dict[str, list[Any]] = field(default_factory=dict)
    sheet_row: list[int] = field(default_factory=list)  # 1-based
    block_no: list[int] = field(default_factory=list)
    source_text: list[dict[str, str] | None] = field(default_factory=list)  # text by field, only where it differs from the value's own
    change_reason: list[str | None] = field(default_factory=list)
    extra: list[dict[str, str] | None] = field(default_factory=list)  # unknown columns: heading → text
    change_note: str | None = None  # a note that begins with 变化原因
    empty: bool = False  # rows that carry keys and nothing else: 空报
    findings: list[Finding] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return len(self.sheet_row)

    @property
    def acceptable(self) -> bool:
        """No error found by reading; the database may still find one (cross-week rules)."""
        return not any(f.severity == "error" for f in self.findings)


def finding_in(reading: FormReading, rules: Mapping[str, Rule], rule: str, message: str, **about: Any) -> Finding:
    """A fault of this form; ``about`` may name another sheet than the one the form begins on."""
    severity = rules[rule].severity
    about = {"sheet": reading.sheet, "member": reading.member, **about}
    return Finding(rule, severity, message, reading.form, reading.county_code, reading.week, **about)


@dataclass(slots=True)
class TotalRow:
    """A 合计 or 小计 row: what the county itself added up. Never one of the data rows."""

    label: str  # as written: 合计, 小计, 特色产业小计 …
    group: str | None  # the group a 小计 names or stands under; None for a 合计
    member: str
    sheet: str
    sheet_row: int  # 1-based
    after_row: int  # number of data rows of the form before it
    values: dict[str, Decimal | None]  # by field: yuan for money, fractions for percent; None: left blank
    cells: dict[str, str]  # A1 address by field
    unreadable: set[str] = field(default_factory=set)  # fields whose cell holds something that is no number


@dataclass(slots=True)
class FileReading:
    """Everything found in one file. ``refusal_zh`` is set, and ``forms`` empty, when it cannot be read at all."""

    name: str
    sha256: str
    size_bytes: int
    forms: list[FormReading] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)  # of the file itself: GEN-NAME, GEN-FORM
    refusal_zh: str | None = None
    ignored_sheets: list[str] = field(default_factory=list)  # instructions, hidden code lists
