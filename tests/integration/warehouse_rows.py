"""Submissions as if they had been received, read and loaded: rows put straight into intake and raw."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import json
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql

from ingestion.contract_model import Field
from ingestion.contracts import contracts
from ingestion.raw_tables import pseudonym_column

_numbers = itertools.count(1)
DEFAULTS: dict[str, Any] = {"integer": 10, "decimal": Decimal("100.00"), "percent": Decimal("0.5"), "boolean": True, "text": "文字"}


def submit(
    connection: psycopg.Connection, form: str, county: str, week: str, rows: list[dict[str, Any]], *, state: str | None = None
) -> int:
    """Load one form of one county and week; an accepted one supersedes the one before. Returns its submission_id.

    Required fields that a row does not give get a plain default of their type.
    """
    number = next(_numbers)
    as_of = dt.date.fromisocalendar(int(week[:4]), int(week[6:]), 7)
    received = dt.datetime.combine(as_of, dt.time(9), dt.UTC) + dt.timedelta(days=1, seconds=number)
    before = connection.execute(
        "select submission_id, superseded_by, state, version from intake.submission where (form, county_code, week) = (%s, %s, %s) order by version desc",
        [form, county, week],
    ).fetchall()
    state = state or ("empty" if not rows else "corrected" if before else "on_time")
    loaded = 0 if state == "returned" else len(rows)
    file_id = connection.execute(
        """insert into intake.file (sha256, original_name, original_path, size_bytes, received_at, outcome)
           values (%s, %s, %s, 1, %s, 'loaded') returning file_id""",
        [hashlib.sha256(str(number).encode()).hexdigest(), f"{number}.xlsx", f"{number}.xlsx", received],
    ).fetchone()[0]
    submission = connection.execute(
        """insert into intake.submission (file_id, form, contract_version, county_code, week, as_of_date, version, received_at, state,
                                          rows_read, rows_loaded, rows_rejected, layout)
           values (%s, %s, '1.0.0', %s, %s, %s, %s, %s, %s, %s, %s, %s, '[]') returning submission_id""",
        [file_id, form, county, week, as_of, len(before) + 1, received, state, len(rows), loaded, len(rows) - loaded],
    ).fetchone()[0]
    if state != "returned":
        connection.execute(
            """update intake.submission set superseded_by = %s where (form, county_code, week) = (%s, %s, %s)
               and state <> 'returned' and superseded_by is null and submission_id <> %s""",
            [submission, form, county, week, submission],
        )
        for row_no, row in enumerate(rows, 1):
            _row(connection, form, submission, row_no, row)
        connection.execute(
            """insert into ops.pending_slice (form, county_code, week) values (%s, %s, %s)
               on conflict (form, county_code, week) do update set built = false""",
            [form, county, week],
        )
    return submission


def _row(connection: psycopg.Connection, form: str, submission: int, row_no: int, row: dict[str, Any]) -> None:
    of = contracts().form(form)
    unknown = row.keys() - of.by_name.keys()
    assert not unknown, f"{form} has no field {unknown}"
    values: dict[str, Any] = {"submission_id": submission, "row_no": row_no, "block_no": 1, "sheet_row": row_no + 4}
    for field in of.fields:
        given = field.name in row or not field.required
        value = row.get(field.name) if given else _default(connection, field, row_no)
        values[field.name] = None if field.personal else value  # sealed, where a file brings it
        if field.pseudonymised:
            values[pseudonym_column(field.name)] = hashlib.sha256(str(value).encode()).hexdigest()[:24]
    values["extra"] = json.dumps({})
    names = sql.SQL(", ").join(map(sql.Identifier, values))
    places = sql.SQL(", ").join(sql.Placeholder() for _ in values)
    connection.execute(sql.SQL("insert into {} ({}) values ({})").format(sql.Identifier("raw", form.lower()), names, places), list(values.values()))


def _default(connection: psycopg.Connection, field: Field, row_no: int) -> Any:
    if field.values and field.type == "code":
        return next(iter(field.values))
    if field.codes in ("township", "village", "industry"):
        table, column = {"township": ("townships", "township_code"), "village": ("villages", "village_code"), "industry": ("industries", "industry_code")}[field.codes]
        return connection.execute(f"select {column} from reference.{table} order by 1 offset %s limit 1", [row_no]).fetchone()[0]
    if field.type == "date":
        return dt.date(2020, 1, 2)
    return DEFAULTS.get(field.type, f"K{row_no:03d}")
