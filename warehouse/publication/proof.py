"""The chain of hashes that shows whether a publication, or a row of one, was altered afterwards."""

from __future__ import annotations

import hashlib
import json

import psycopg
from psycopg import sql

ENTRY = (
    "previous_hash", "publication_id", "published_at", "week", "trigger", "approved_by", "note", "code_version",
    "dbt_invocation_id", "check_run_id", "rows_opened", "rows_closed", "restores", "content_hash",
)  # fmt: skip


LISTS = {"publication_submission": "the list of its submissions", "revision": "the list of its revisions"}


def of_rows(connection: psycopg.Connection, mart: str, number: int) -> str | None:
    """SHA-256 over the rows that a publication opened and closed in a mart; None where there are none.

    Empty values don't count, so that a column added later leaves earlier publications' hashes as they are. The
    session's time zone must be UTC.
    """
    row = "encode(sha256(convert_to(jsonb_strip_nulls(to_jsonb(s) - 'opened_in' - 'closed_in')::text, 'UTF8')), 'hex')"
    return connection.execute(
        sql.SQL(
            f"""select encode(sha256(convert_to(string_agg(h, '' order by h collate "C"), 'UTF8')), 'hex') from (
                    select '+' || {row} as h from {{table}} s where opened_in = {{n}}
                    union all select '-' || {row} from {{table}} s where closed_in = {{n}}
                ) t"""
        ).format(table=sql.Identifier("store", mart), n=sql.Literal(number))
    ).fetchone()[0]


def of_lists(connection: psycopg.Connection, number: int) -> dict[str, str]:
    """SHA-256 over a publication's changes to its list of submissions and over its revisions; '' where there are none."""
    row = "jsonb_strip_nulls(to_jsonb(s) - 'publication_id')::text"
    (revisions,) = connection.execute(
        f"""select encode(sha256(convert_to(string_agg({row}, '' order by {row} collate "C"), 'UTF8')), 'hex')
            from store.revision s where publication_id = %s""",
        [number],
    ).fetchone()
    return {"publication_submission": of_rows(connection, "publication_submission", number) or "", "revision": revisions or ""}


def of_content(hashes: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def of_entry(entry: dict) -> str:
    """SHA-256 over a line of the ledger, the hash of the line before it included."""
    values = {name: entry.get(name) for name in ENTRY}
    values["published_at"] = values["published_at"].timestamp()
    return hashlib.sha256(json.dumps(values, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def verify(connection: psycopg.Connection) -> list[str]:
    """Go through the whole ledger; returns what does not agree, one sentence each. Empty: nothing was altered."""
    faults = []
    with connection.transaction():
        connection.execute("set local timezone = 'UTC'")
        tables = [name for (name,) in connection.execute("select tablename from pg_tables where schemaname = 'store' and tablename ~ '^(dim|fct)_'")]
        with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            entries = cursor.execute("select * from store.publication order by publication_id").fetchall()
        before = ""
        for entry in entries:
            number = entry["publication_id"]
            if entry["previous_hash"] != before or entry["hash"] != of_entry(entry):
                faults.append(f"Publication {number}: the ledger's line was altered, or one before it is missing.")
            if entry["content_hash"] != of_content(entry["content_hashes"]):
                faults.append(f"Publication {number}: the list of its marts' hashes was altered.")
            for mart in tables:
                if of_rows(connection, mart, number) != entry["content_hashes"].get(mart):
                    faults.append(f"Publication {number}: rows of marts.{mart} were altered.")
            for name, digest in of_lists(connection, number).items():
                if digest != entry["content_hashes"].get(name, digest):  # publications of an earlier version vouch for rows only
                    faults.append(f"Publication {number}: {LISTS[name]} was altered.")
            before = entry["hash"]
    return faults
