"""What the database takes from the contracts: raw tables, the rule catalogue, and the reference data."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import psycopg
from psycopg import sql

from ingestion import reference_files
from ingestion.contract_model import Contracts, Form
from ingestion.contracts import contracts
from warehouse.grants import ensure_raw_grants

# Columns that every raw table has before the form's own
LEADING = {
    "submission_id": "bigint not null",
    "row_no": "integer not null",
    "block_no": "smallint not null",
    "sheet_row": "integer not null",
}
TRAILING = {"change_reason": "text", "extra": "jsonb", "source_text": "jsonb"}
LOOKED_UP = ("payment_no", "trip_no", "event_no")  # unique over a county's year: INL-002, COT-003, DIS-002
PEOPLE = ("id_key",)  # looked up over all payments: INL-004, INL-006


def raw_columns(form: Form) -> dict[str, str]:
    """Every column of a form's raw table with its SQL type, in the order in which rows are copied in."""
    columns = dict(LEADING)
    for field in form.fields:
        columns[field.name] = field.sql_type
        if field.pseudonymised:
            columns[pseudonym_column(field.name)] = "text"
    return columns | TRAILING


def pseudonym_column(name: str) -> str:
    """``household_no`` → ``household_key``: the keyed pseudonym that may leave the raw schema."""
    return name.removesuffix("_no").removesuffix("_number") + "_key"


def synchronise(connection: psycopg.Connection, of: Contracts | None = None) -> None:
    """Create what is missing: a raw table for each form, a column for each new field; refresh catalogue and codes.

    Nothing is ever dropped: a field that leaves a contract keeps its column and its history.
    """
    of = of or contracts()
    for code in of.codes:
        for form in sorted((f for f in of.forms if f.code == code), key=lambda f: f.valid_from):
            _raw_table(connection, form)
    ensure_raw_grants(connection, of)
    _catalogue(connection, of)
    known = dict(connection.execute("select name, sha256 from ops.reference_file").fetchall())
    for name, path in reference_files.files().items():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if known.get(name) != digest:  # a nation's villages are not loaded again at every start
            load_reference(connection, path)
            connection.execute(
                """insert into ops.reference_file (name, sha256) values (%s, %s)
                   on conflict (name) do update set (sha256, loaded_at) = (excluded.sha256, clock_timestamp())""",
                [name, digest],
            )


def _raw_table(connection: psycopg.Connection, form: Form) -> None:
    table = sql.Identifier("raw", form.code.lower())
    columns = raw_columns(form)
    have = {
        name
        for (name,) in connection.execute(
            "select column_name from information_schema.columns where table_schema = 'raw' and table_name = %s", [form.code.lower()]
        )
    }

    def definition(name: str) -> sql.Composed:
        return sql.SQL("{} " + columns[name]).format(sql.Identifier(name))

    if not have:
        body = sql.SQL(", ").join([definition(c) for c in columns])
        connection.execute(sql.SQL("create table {} ({}, primary key (submission_id, row_no))").format(table, body))
        connection.execute("call intake.watch_rows(%s)", [f"raw.{form.code.lower()}"])  # instead of a foreign key
        connection.execute(sql.SQL("comment on table {} is {}").format(table, sql.Literal(f"{form.zh} | {form.en}")))
        if form.key.name in LOOKED_UP or any(r.check == "unique_in_year" for r in form.rules):
            connection.execute(sql.SQL("create index on {} ({})").format(table, sql.Identifier(form.key.name)))
        for name in columns.keys() & set(PEOPLE):
            connection.execute(sql.SQL("create index on {} ({})").format(table, sql.Identifier(name)))
    else:
        for name in columns:
            if name not in have:
                connection.execute(sql.SQL("alter table {} add column {}").format(table, definition(name)))
    for field in form.fields:
        if field.name not in have:
            text = f"{field.zh} | {form.code}.{field.name}" + (f" ({field.unit})" if field.unit else "")
            connection.execute(sql.SQL("comment on column {}.{} is {}").format(table, sql.Identifier(field.name), sql.Literal(text)))


def _catalogue(connection: psycopg.Connection, of: Contracts) -> None:
    rows = [(r.id, r.form, r.severity, r.scope, r.zh, r.en, json.dumps(r.definition, ensure_ascii=False)) for r in of.rules.values()]
    with connection.cursor() as cursor:
        cursor.executemany(
            """insert into quality.rule (rule_id, form, severity, scope, text_zh, text_en, definition)
               values (%s, %s, %s, %s, %s, %s, %s)
               on conflict (rule_id) do update set (form, severity, scope, text_zh, text_en, definition)
                 = (excluded.form, excluded.severity, excluded.scope, excluded.text_zh, excluded.text_en, excluded.definition)
               where (rule.form, rule.severity, rule.scope, rule.text_zh, rule.text_en, rule.definition)
                 is distinct from (excluded.form, excluded.severity, excluded.scope, excluded.text_zh, excluded.text_en, excluded.definition)""",
            rows,
        )


def load_reference(connection: psycopg.Connection, path: Path) -> None:
    """Bring ``reference.<file name>`` to what the CSV says. Types follow from the column's name."""
    with path.open(encoding="utf-8-sig", newline="") as handle:
        reader = csv.reader(handle)
        header = next(reader)
        rows = [[value or None for value in row] for row in reader]
    table = sql.Identifier("reference", path.stem)
    columns = sql.SQL(", ").join(sql.SQL("{} " + _reference_type(c)).format(sql.Identifier(c)) for c in header)
    connection.execute(sql.SQL("create table if not exists {} ({})").format(table, columns))
    connection.execute(sql.SQL("delete from {}").format(table))  # not truncate: readers go on, and a roll-back is whole
    names = sql.SQL(", ").join(map(sql.Identifier, header))
    with connection.cursor().copy(sql.SQL("copy {} ({}) from stdin").format(table, names)) as copy:
        for row in rows:
            copy.write_row(row)


def _reference_type(column: str) -> str:
    if column in ("valid_from", "valid_to", "month_end") or column.endswith("_date"):
        return "date"
    if column.endswith("_at"):
        return "timestamptz"
    if column in ("year", "exited_year"):
        return "integer"
    if column.endswith(("_rate", "_yuan")):
        return "numeric"
    return "text"
