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


LISTS = {
    "publication_submission": "the list of its submissions",
    "revision": "the list of its revisions",
    "provenance": "where its submissions came from",
}
GUARDS = {  # of the tables that are never rewritten; see the migrations and `store._guard`
    "publication": ("append_only",),
    "revision": ("append_only", "come_with_the_next"),
    "publication_submission": ("append_only", "never_rewritten", "closed_once", "come_with_the_next", "go_with_the_next"),
}
RAW_GUARDS = ("of_known_submissions", "stays_with_its_submission")  # see `intake.watch_rows`
AT_ONCE = 10_000  # lines fetched together: whatever a publication holds, its hash takes no more memory than these
PROVENANCE = """
select jsonb_build_array(s.submission_id, s.form, s.contract_version, s.county_code, s.week, s.as_of_date, s.version, s.received_at, s.member, s.sheet,
                         s.layout, f.file_id, f.sha256, f.original_name, f.original_path, f.received_at)::text as line
from store.publication_submission p join intake.submission s using (submission_id) join intake.file f using (file_id) where p.opened_in = {n}
"""


def of_rows(connection: psycopg.Connection, mart: str, number: int) -> str | None:
    """SHA-256 over the rows that a publication opened and closed in a mart; None where there are none.

    Empty values don't count, so that a column added later leaves earlier publications' hashes as they are. The
    session's time zone must be UTC.
    """
    row = "encode(sha256(convert_to(jsonb_strip_nulls(to_jsonb(s) - 'opened_in' - 'closed_in')::text, 'UTF8')), 'hex')"
    lines = f"""select '+' || {row} as line from {{table}} s where opened_in = {{n}}
                union all select '-' || {row} from {{table}} s where closed_in = {{n}}"""
    return _of_lines(connection, lines, table=sql.Identifier("store", mart), n=sql.Literal(number))


def of_lists(connection: psycopg.Connection, number: int) -> dict[str, str]:
    """SHA-256 over a publication's changes to its list of submissions, over their files and places, and over its revisions; '' where there are none."""
    revisions = "select jsonb_strip_nulls(to_jsonb(s) - 'publication_id')::text as line from store.revision s where publication_id = {n}"
    of = {
        "publication_submission": of_rows(connection, "publication_submission", number),
        "revision": _of_lines(connection, revisions, n=sql.Literal(number)),
        "provenance": _of_lines(connection, PROVENANCE, n=sql.Literal(number)),
    }
    return {name: digest or "" for name, digest in of.items()}


def _of_lines(connection: psycopg.Connection, lines: str, **parts: sql.Composable) -> str | None:
    """SHA-256 over lines in the order of their bytes, one behind the other; None without any.

    Put together here and not by the server, whose texts end at a gigabyte: fifteen million rows.
    """
    digest, seen = hashlib.sha256(), False
    with connection.cursor(row_factory=psycopg.rows.scalar_row) as cursor:
        query = sql.SQL(f'select line from ({lines}) t order by line collate "C"').format(**parts)
        for line in cursor.stream(query, size=AT_ONCE):
            digest.update(line.encode())
            seen = True
    return digest.hexdigest() if seen else None


def of_content(hashes: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def of_entry(entry: dict) -> str:
    """SHA-256 over a line of the ledger, the hash of the line before it included."""
    values = {name: entry.get(name) for name in ENTRY}
    values["published_at"] = values["published_at"].timestamp()
    return hashlib.sha256(json.dumps(values, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def verify(connection: psycopg.Connection, noted: dict[int, str] | None = None) -> list[str]:
    """Go through the whole ledger; returns what does not agree, one sentence each. Empty: nothing was altered.

    ``noted``: publication → hash as noted outside of the database when it was made (`witness.noted`), so that a chain
    that was worked out anew, or cut short at its end, shows as well.
    """
    faults = []
    with connection.transaction():
        connection.execute("set local timezone = 'UTC'")
        tables = [name for (name,) in connection.execute("select tablename from pg_tables where schemaname = 'store' and tablename ~ '^(dim|fct)_'")]
        with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            entries = cursor.execute("select * from store.publication order by publication_id").fetchall()
        before = ""
        for place, entry in enumerate(entries, 1):
            number = entry["publication_id"]
            if entry["previous_hash"] != before or entry["hash"] != of_entry(entry) or number != place:
                faults.append(f"Publication {number}: the ledger's line was altered, or one before it is missing.")
            faults += _of_publication(connection, number, entry, tables)
            before = entry["hash"]
        standing = {e["publication_id"]: e["hash"] for e in entries}
        for number, digest in sorted((noted or {}).items()):
            if standing.get(number) != digest:
                faults.append(f"Publication {number}: " + ("the ledger's line is not the one noted when it was made." if number in standing else "it was made and is missing from the ledger."))
        faults += _strangers(connection, tables, max(standing, default=0))
        faults += _unguarded(connection, tables)
    return faults


def _of_publication(connection: psycopg.Connection, number: int, entry: dict, tables: list[str]) -> list[str]:
    faults, vouched = [], entry["content_hashes"]
    if entry["content_hash"] != of_content(vouched):
        faults.append(f"Publication {number}: the list of its marts' hashes was altered.")
    for mart in sorted({*tables, *vouched} - LISTS.keys()):
        if (of_rows(connection, mart, number) if mart in tables else None) != vouched.get(mart):
            faults.append(f"Publication {number}: rows of marts.{mart} were altered.")
    for name, digest in of_lists(connection, number).items():
        if digest != vouched.get(name, digest):  # publications of an earlier version vouch for less
            faults.append(f"Publication {number}: {LISTS[name]} was altered.")
    return faults


def _strangers(connection: psycopg.Connection, tables: list[str], last: int) -> list[str]:
    """Rows of publications that the ledger does not know: it was cut short, or they were slipped in."""
    faults = []
    for table in sorted({*tables, "publication_submission"}):
        query = sql.SQL("select exists (select from {t} where opened_in > {n} or opened_in < 1 or closed_in > {n})").format(t=sql.Identifier("store", table), n=last)
        if connection.execute(query).fetchone()[0]:
            faults.append(f"store.{table} has rows of publications that are not in the ledger.")
    return faults


def _unguarded(connection: psycopg.Connection, tables: list[str]) -> list[str]:
    """Guards that are switched off or gone: without those of raw, rows could belong to no submission."""
    wanted = {f"store.{table}": names for table, names in (GUARDS | dict.fromkeys(tables, GUARDS["publication_submission"])).items()}
    raw = connection.execute("select tablename from pg_tables where schemaname = 'raw' and tablename <> 'personal'")  # which has a foreign key
    wanted |= {f"raw.{table}": RAW_GUARDS for (table,) in raw} | {"intake.submission": ("append_only",)}
    standing: dict[str, set[str]] = {}
    for table, trigger in connection.execute(
        """select format('%s.%s', c.relnamespace::regnamespace, c.relname), t.tgname from pg_trigger t join pg_class c on c.oid = t.tgrelid
           where c.relnamespace = any('{store,raw,intake}'::regnamespace[]) and not t.tgisinternal and t.tgenabled in ('O', 'A')"""
    ):
        standing.setdefault(table, set()).add(trigger)
    lacking = ((table, sorted(set(names) - standing.get(table, set()))) for table, names in sorted(wanted.items()))
    return [f"{table} can be rewritten: its guard {', '.join(names)} is switched off or gone." for table, names in lacking if names]
