"""Readings made by hand: what the reader would hand over, without a file."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools

from ingestion.contracts import contracts
from ingestion.load import FileRow
from ingestion.model import Block, ColumnSource, FileReading, Finding, FormReading
from warehouse.calendar import as_of_date

COUNTY = "451002"
_numbers = itertools.count(1)


def form_reading(form: str, week: str | None, values: dict[str, list], *, county: str | None = COUNTY, **more) -> FormReading:
    """A table whose fields stand in the contract's order from column A, headings in row 4, rows from row 5."""
    contract = contracts().form(form)
    rows = len(next(iter(values.values()), []))
    columns = {f.name: ColumnSource(n, f.zh) for n, f in enumerate(contract.fields)}
    return FormReading(
        form=form, contract_version=contract.version, county_code=county, county_text="右江区", week=week,
        as_of_date=week and as_of_date(week), member="", sheet="Sheet1",
        blocks=[Block(1, "", "Sheet1", (4, 4), columns)],
        values={f.name: list(values.get(f.name, [None] * rows)) for f in contract.fields},
        sheet_row=list(range(5, 5 + rows)), block_no=[1] * rows,
        source_text=[None] * rows, change_reason=more.pop("change_reason", [None] * rows), extra=[None] * rows, **more,
    )  # fmt: skip


def error(form: FormReading, row_no: int, field: str) -> Finding:
    return Finding("GEN-TYPE", "error", "数据类型不符", form.form, form.county_code, form.week, row_no=row_no, field=field)


def file_of(connection, *forms: FormReading, at: str, name: str = "周报.xlsx", **more) -> tuple[FileRow, FileReading]:
    """A file that has been received at a time ('2020-06-01T09:00+08:00') and read."""
    sha256 = hashlib.sha256(str(next(_numbers)).encode()).hexdigest()
    received_at = dt.datetime.fromisoformat(at)
    (file_id,) = connection.execute(
        "insert into intake.file (sha256, original_name, original_path, size_bytes, received_at) values (%s, %s, %s, 1, %s) returning file_id",
        [sha256, name, name, received_at],
    ).fetchone()
    connection.commit()
    return FileRow(file_id, sha256, name, received_at), FileReading(name, sha256, 1, list(forms), **more)
