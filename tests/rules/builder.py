"""Forms as read, made by hand: a contract's form with a few rows, each field in a column of its own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from ingestion.checks import check_form
from ingestion.contracts import contracts
from ingestion.model import Block, ColumnSource, Finding, FormReading, TotalRow
from ingestion.reference import codes

COUNTY = "451026"
FIRST_ROW = 5  # sheet row of the first data row


def read(
    form: str,
    *rows: dict[str, Any],
    county: str = COUNTY,
    week: str = "2020-W24",
    text: Iterable[dict[str, str] | None] = (),
    factor: dict[str, str] | None = None,
    findings: Iterable[Finding] = (),
    empty: bool = False,
) -> FormReading:
    """A reading with the columns that any row names. ``text``: what stood in the cells, row by row."""
    contract = contracts().form(form)
    given = {name for row in rows for name in row}
    assert given <= set(contract.by_name), given - set(contract.by_name)
    names = [f.name for f in contract.fields if f.name in given]
    columns = {n: ColumnSource(i, contract.by_name[n].zh, (factor or {}).get(n, "1")) for i, n in enumerate(names)}
    year, number = week.split("-W")
    texts = list(text)
    return FormReading(
        form=form,
        contract_version=contract.version,
        county_code=county,
        county_text=None,
        week=week,
        as_of_date=dt.date.fromisocalendar(int(year), int(number), 7),
        member="",
        sheet="表",
        blocks=[Block(1, "", "表", (3, 4), columns)],
        values={n: [row.get(n) for row in rows] for n in names},
        sheet_row=[FIRST_ROW + i for i in range(len(rows))],
        block_no=[1] * len(rows),
        source_text=texts + [None] * (len(rows) - len(texts)),
        change_reason=[None] * len(rows),
        extra=[None] * len(rows),
        findings=list(findings),
        empty=empty,
    )


def total(label: str, after_row: int, group: str | None = None, unreadable: Iterable[str] = (), **values: Any) -> TotalRow:
    row = 100 + after_row
    figures = {n: None if v is None else Decimal(v) for n, v in values.items()}
    return TotalRow(label, group, "", "表", row, after_row, figures, {n: f"X{row}" for n in values}, set(unreadable))


def check(reading: FormReading, *totals: TotalRow) -> FormReading:
    check_form(reading, list(totals), contracts().form(reading.form), codes())
    return reading


def found(rule: str, form: str, *rows: dict[str, Any], totals: Iterable[TotalRow] = (), **more: Any) -> list[Finding]:
    """The findings of one rule over these rows."""
    return [f for f in check(read(form, *rows, **more), *totals).findings if f.rule_id == rule]


def places(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    """(row key, field) of each finding."""
    return [(f.row_key, f.field) for f in findings]


def spoiled(field: str, row_no: int, rule: str = "GEN-TYPE") -> Finding:
    """What reading leaves behind for a cell that it could not use."""
    return Finding(rule, "error", "无法识别", field=field, row_no=row_no)
