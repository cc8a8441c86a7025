"""Edits behind the ledger's back: whatever is altered, by whoever can switch the guards off, `warehouse verify` says so.

All edits are made in transactions that are rolled back, on the city that other tests read.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib

import psycopg
import pytest
import small_city
from psycopg import sql
from psycopg.types.json import Jsonb

from ingestion.receive import archived
from warehouse import database
from warehouse.commands.trace import verify as verify_all
from warehouse.publication import proof, verify, witness

pytestmark = [pytest.mark.database, pytest.mark.slow]
LEDGER = (
    "published_at", "week", "trigger", "approved_by", "note", "code_version", "dbt_invocation_id", "check_run_id", "rows_opened", "rows_closed",
    "previous_hash", "content_hash", "hash", "restores", "content_hashes",
)  # fmt: skip
PROVENANCE = {
    "intake.file": ("sha256", "original_name", "original_path", "received_at"),
    "intake.submission": ("form", "contract_version", "county_code", "week", "as_of_date", "version", "received_at", "member", "sheet", "layout"),
}


@pytest.fixture(scope="module")
def city(server, template, tmp_path_factory):
    return small_city.make(server, template, tmp_path_factory.mktemp("city"))


@pytest.fixture
def connection(city):
    with database.connect(city.settings, autocommit=True) as opened:
        yield opened


@contextlib.contextmanager
def behind_its_back(connection):
    """A transaction in which no guard is asked, rolled back at the end."""
    with connection.transaction(force_rollback=True):
        connection.execute("set local session_replication_role = replica")  # no trigger and no foreign key is asked
        yield


def columns(connection, schema: str, table: str) -> dict[str, str]:
    return dict(
        connection.execute(
            "select column_name, data_type from information_schema.columns where (table_schema, table_name) = (%s, %s) order by ordinal_position", [schema, table]
        ).fetchall()
    )


def another(kind: str, value):
    """A value of a column's type that is not the one that stands there."""
    match kind:
        case "integer" | "bigint" | "numeric" | "double precision":
            return (value or 0) + 1
        case "boolean":
            return not value
        case "date":
            return (value or dt.date(2020, 1, 1)) + dt.timedelta(days=1)
        case "timestamp with time zone":
            return (value or dt.datetime(2020, 1, 1, tzinfo=dt.UTC)) + dt.timedelta(microseconds=1)
        case "jsonb":
            return Jsonb([*value, {}] if isinstance(value, list) else {**(value or {}), "fct_employment_weekly": "0"})
    return f"{value or ''}x"


def alter(connection, table: tuple[str, str], column: str, condition: str = "true") -> None:
    """Give one cell of the first row another value."""
    name, kind = sql.Identifier(*table), columns(connection, *table)[column]
    where = sql.SQL(condition)
    (place, value) = connection.execute(sql.SQL("select ctid, {} from {} where {} order by 1 limit 1").format(sql.Identifier(column), name, where)).fetchone()
    new = another(kind, value)
    if column == "trigger":
        new = "correction" if value != "correction" else "backfill"
    if column == "sha256":
        new = value[::-1]
    elif column == "week":
        new = "2020-W01"
    elif column == "version":
        new = value + 100
    done = connection.execute(sql.SQL("update {} set {} = %s where ctid = %s").format(name, sql.Identifier(column)), [new, place])
    assert done.rowcount == 1


def test_the_city_as_it_was_made_is_sound(city, connection):
    assert verify_all(connection, city.settings) == []
    assert {**witness.noted(city.settings)} == dict(connection.execute("select publication_id, hash from store.publication").fetchall())


def test_every_field_of_the_ledger_counts(connection):
    every = set(columns(connection, "store", "publication"))
    assert every == {"publication_id", *LEDGER}
    for column in LEDGER:
        with behind_its_back(connection):
            alter(connection, ("store", "publication"), column, "publication_id = 1")
            assert any(f.startswith("Publication 1: ") for f in verify(connection)), column
    with behind_its_back(connection):
        connection.execute("update store.publication set publication_id = 3 where publication_id = 2")
        assert verify(connection)


def test_every_published_table_counts_cell_by_cell_and_row_by_row(connection):
    tables = [t for (t,) in connection.execute("select tablename from pg_tables where schemaname = 'store' and tablename ~ '^(dim|fct)_' order by 1")]
    tried = 0
    for number, table in enumerate(tables):
        if not connection.execute(sql.SQL("select exists (select from {})").format(sql.Identifier("store", table))).fetchone()[0]:
            continue
        names = [c for c in columns(connection, "store", table) if c not in ("opened_in", "closed_in")]
        altered = f"rows of marts.{table} were altered."
        for edit in (
            None,  # one cell
            "delete from {t} where ctid = (select min(ctid) from {t})",
            "update {t} set closed_in = 2 where ctid = (select min(ctid) from {t} where opened_in = 1 and closed_in is null)",
        ):
            with behind_its_back(connection):
                if edit is None:
                    alter(connection, ("store", table), names[number % len(names)])
                elif not connection.execute(sql.SQL(edit).format(t=sql.Identifier("store", table))).rowcount:
                    continue  # the second publication closed them all
                told = _of_table(connection, table)
            assert told and all(f.endswith(altered) for f in told), (table, edit or names[number % len(names)])
            tried += 1
    assert tried >= 2 * 25


def _of_table(connection, table: str) -> list[str]:
    """What `verify` says of one table; the whole of it for each of a hundred edits would take minutes."""
    connection.execute("set local timezone = 'UTC'")
    entries = connection.execute("select publication_id, content_hashes from store.publication").fetchall()
    return [f"Publication {n}: rows of marts.{table} were altered." for n, hashes in entries if proof.of_rows(connection, table, n) != hashes.get(table)]


@pytest.mark.parametrize("at_once", [7, 10_000])
def test_a_hash_is_what_it_has_always_been_however_it_is_put_together(connection, monkeypatch, at_once):
    """SHA-256 over the rows' own, a sign before each, in order of their bytes: an auditor can work it out without us."""
    monkeypatch.setattr(proof, "AT_ONCE", at_once)
    compared = 0
    with connection.transaction():
        connection.execute("set local timezone = 'UTC'")
        for number, vouched in connection.execute("select publication_id, content_hashes from store.publication").fetchall():
            for mart in ("fct_employment_weekly", "dim_week", "fct_rectification", "publication_submission"):
                lines = []
                for sign, column in (("+", "opened_in"), ("-", "closed_in")):
                    row = "jsonb_strip_nulls(to_jsonb(s) - 'opened_in' - 'closed_in')::text"
                    lines += [sign + hashlib.sha256(text.encode()).hexdigest() for (text,) in connection.execute(f"select {row} from store.{mart} s where {column} = {number}")]
                expected = hashlib.sha256("".join(sorted(lines)).encode()).hexdigest() if lines else None
                assert proof.of_rows(connection, mart, number) == expected == (vouched.get(mart) or None)
                compared += len(lines)
            texts = [t for (t,) in connection.execute(f"select jsonb_strip_nulls(to_jsonb(s) - 'publication_id')::text from store.revision s where publication_id = {number}")]
            whole = "".join(sorted(texts, key=str.encode)).encode()
            assert proof.of_lists(connection, number)["revision"] == (hashlib.sha256(whole).hexdigest() if texts else "") == vouched["revision"]
            compared += len(texts)
    assert compared > 300


def test_rows_that_come_back_are_slipped_in_or_lose_their_table_count(connection):
    names = ", ".join(c for c in columns(connection, "store", "dim_week") if c not in ("opened_in", "closed_in"))
    for edit, says in (
        ("update store.fct_employment_weekly set closed_in = null where closed_in = 2", "Publication 2: rows of marts.fct_employment_weekly were altered."),
        (f"insert into store.dim_week ({names}, opened_in, closed_in) select {names}, 1, 2 from store.dim_week limit 1", "Publication 1: rows of marts.dim_week were altered."),
        ("update store.dim_week set opened_in = 7 where closed_in is null", "store.dim_week has rows of publications that are not in the ledger."),
        ("drop table store.fct_consumption_weekly cascade", "Publication 1: rows of marts.fct_consumption_weekly were altered."),
    ):
        with behind_its_back(connection):
            (unique,) = connection.execute("select indexname from pg_indexes where (schemaname, tablename) = ('store', 'fct_employment_weekly') and indexdef ~ 'UNIQUE'").fetchone()
            connection.execute(sql.SQL("drop index {}").format(sql.Identifier("store", unique)))
            connection.execute(edit)
            assert says in verify(connection), edit


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        ("delete from store.publication_submission where ctid = (select min(ctid) from store.publication_submission)", "the list of its submissions was altered."),
        ("update store.publication_submission set closed_in = null where closed_in = 2", "the list of its submissions was altered."),
        ("update store.revision set new_value = new_value || '0' where ctid = (select min(ctid) from store.revision)", "the list of its revisions was altered."),
        ("update store.revision set change_reason = '改口' where ctid = (select min(ctid) from store.revision)", "the list of its revisions was altered."),
        ("delete from store.revision where ctid = (select min(ctid) from store.revision)", "the list of its revisions was altered."),
    ],
)
def test_lists_count(connection, edit, says):
    with behind_its_back(connection):
        assert connection.execute(edit).rowcount >= 1
        assert any(f.endswith(says) for f in verify(connection))


def test_where_a_submission_came_from_counts(connection):
    (number,) = connection.execute("select min(submission_id) from store.publication_submission").fetchone()
    for table, names in PROVENANCE.items():
        for column in names:
            with behind_its_back(connection):
                key = f"submission_id = {number}" if table == "intake.submission" else f"file_id = (select file_id from intake.submission where submission_id = {number})"
                alter(connection, tuple(table.split(".")), column, key)
                assert "Publication 1: where its submissions came from was altered." in verify(connection), (table, column)


def test_a_ledger_that_is_cut_short_or_worked_out_anew_is_seen_by_the_note_outside(city, connection):
    noted = witness.noted(city.settings)
    with behind_its_back(connection):  # the last publication never was: its line, rows and lists are taken away
        connection.execute("delete from store.publication where publication_id = 2")
        for (table,) in connection.execute("select tablename from pg_tables where schemaname = 'store' and tablename ~ '^(dim|fct)_' or tablename = 'publication_submission'").fetchall():
            connection.execute(sql.SQL("delete from {} where opened_in = 2").format(sql.Identifier("store", table)))
            connection.execute(sql.SQL("update {} set closed_in = null where closed_in = 2").format(sql.Identifier("store", table)))
        connection.execute("delete from store.revision where publication_id = 2")
        assert verify(connection) == []  # the database alone agrees with itself
        assert verify(connection, noted) == ["Publication 2: it was made and is missing from the ledger."]
    with behind_its_back(connection):  # another approver, and every hash worked out anew
        with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            entry = cursor.execute("select * from store.publication where publication_id = 2").fetchone() | {"approved_by": "某人"}
        connection.execute("update store.publication set approved_by = '某人', hash = %s where publication_id = 2", [proof.of_entry(entry)])
        assert verify(connection) == []
        assert verify(connection, noted) == ["Publication 2: the ledger's line is not the one noted when it was made."]


def test_a_guard_that_is_switched_off_is_said(connection):
    with connection.transaction(force_rollback=True):
        connection.execute("alter table store.fct_employment_weekly disable trigger closed_once")
        connection.execute("drop trigger append_only on store.publication")
        connection.execute("drop trigger of_known_submissions on raw.emp01")
        assert verify(connection) == [
            "raw.emp01 can be rewritten: its guard of_known_submissions is switched off or gone.",
            "store.fct_employment_weekly can be rewritten: its guard closed_once is switched off or gone.",
            "store.publication can be rewritten: its guard append_only is switched off or gone.",
        ]


@pytest.mark.parametrize(
    "statement",
    [
        "insert into store.fct_employment_weekly select * from store.fct_employment_weekly where closed_in = 2 limit 1",
        "update store.fct_employment_weekly set closed_in = 2 where closed_in is null and opened_in = 1",
        "insert into store.publication_submission (submission_id, opened_in) select max(submission_id), 1 from store.publication_submission",
        "update store.publication_submission set closed_in = 2 where closed_in is null and opened_in = 1",
        "insert into store.revision select publication_id, mart, county_code, week, row_key || 'x', column_name, kind, old_value, new_value, submission_id, change_reason from store.revision limit 1",
        "update store.publication set note = 'x'",
        "delete from store.publication",
        "truncate store.publication cascade",
        "truncate store.fct_employment_weekly",
    ],
)
def test_the_owner_itself_cannot_write_into_a_publication_that_stands(connection, statement):
    with pytest.raises(psycopg.errors.RestrictViolation):
        connection.execute(statement)


def test_an_original_that_is_altered_or_missing_is_named(city, connection):
    sha256, name = connection.execute("select sha256, original_path from intake.file order by file_id limit 1").fetchone()
    path = archived(city.settings, sha256)
    whole, mode = path.read_bytes(), path.stat().st_mode
    try:
        path.chmod(0o600)
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        assert verify_all(connection, city.settings) == [f"The original of {name} ({sha256[:12]}…) was altered in the archive."]
        path.unlink()
        assert verify_all(connection, city.settings) == [f"The original of {name} ({sha256[:12]}…) is missing from the archive."]
    finally:
        path.write_bytes(whole)
        path.chmod(mode)
    assert verify_all(connection, city.settings) == []
