"""One round: forms that do not depend on each other, taken in by set-based statements.

The rows are copied into temporary tables, judged there against what was accepted before, and only those of accepted
forms go on into ``raw``; of the others the place of each row is kept.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import psycopg
from psycopg import sql

from ingestion import acceptance, personal, waived
from ingestion.copying import PreparedForm, column_text, layout
from ingestion.model import Finding
from warehouse.calendar import Exceptions, due_at, previous_week
from warehouse.settings import Settings

ANALYSE_ROWS = 5_000  # planners guess badly about a temporary table of that size
LARGE_ROWS = 20_000  # rows of a form that go straight into raw: hardly any is returned, and copying twice takes twice as long

INCOMING = """
create temp table if not exists incoming (
    submission_id bigint, form text, county_code text, week text, week_before text, explained boolean, empty boolean,
    version integer, current_id bigint, previous_id bigint, previous_week text, same_year boolean
) on commit delete rows"""

TOLD = "create temp table if not exists told as select * from quality.finding with no data"

RESOLVE = """
insert into pg_temp.incoming
select n.*,
       coalesce((select max(s.version) from intake.submission s where (s.form, s.county_code, s.week) = (n.form, n.county_code, n.week)), 0) + 1,
       (select s.submission_id from intake.submission s
        where (s.form, s.county_code, s.week) = (n.form, n.county_code, n.week) and s.state <> 'returned' and s.superseded_by is null),
       p.submission_id, p.week, left(p.week, 4) = left(n.week, 4)
from unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::boolean[], %s::boolean[])
     as n (submission_id, form, county_code, week, week_before, explained, empty)
left join lateral (
    select s.submission_id, s.week from intake.accepted_submission s
    where s.form = n.form and s.county_code = n.county_code and s.week < n.week and s.state <> 'empty'
    order by s.week desc limit 1) p on true
returning submission_id, version, current_id, previous_week"""


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row of ``intake.file`` that waits to be loaded."""

    file_id: int
    sha256: str
    original_name: str
    received_at: dt.datetime
    sender: str | None = None


@dataclass(slots=True)
class Submission:
    """One form of a file on its way in; the later fields are filled as its round goes on."""

    file: FileRow
    form: PreparedForm
    submission_id: int = 0
    version: int = 1
    current_id: int | None = None  # the accepted submission it would supersede
    previous_week: str | None = None
    state: str = ""
    findings: list[Finding] = field(default_factory=list)

    @property
    def accepted(self) -> bool:
        return self.state != "returned"

    @property
    def rows_loaded(self) -> int:
        return self.form.rows if self.state not in ("returned", "empty") else 0


def rounds_of(submissions: list[Submission]) -> list[list[Submission]]:
    """Split into rounds in which no form and county comes twice, keeping the order of arrival for each."""
    rounds: list[list[Submission]] = []
    seen: Counter[tuple[str, str]] = Counter()
    for s in submissions:
        number = 0
        if s.form.reading.county_code:  # an unknown county is compared with nothing
            key = (s.form.reading.form, s.form.reading.county_code)
            number, seen[key] = seen[key], seen[key] + 1
        while len(rounds) <= number:
            rounds.append([])
        rounds[number].append(s)
    return rounds


def stage(connection: psycopg.Connection, forms: set[str]) -> None:
    """Make the temporary tables of these forms where this session has none yet."""
    with connection.transaction():
        connection.execute(INCOMING)
        for code in sorted(forms):
            connection.execute(
                sql.SQL("create temp table {} (like {}) on commit delete rows").format(
                    sql.Identifier("incoming_" + code.lower()), sql.Identifier("raw", code.lower())
                )
            )


def load_round(connection: psycopg.Connection, settings: Settings, exceptions: Exceptions, round_: list[Submission]) -> None:
    """Copy, judge, decide and record the forms of one round; their numbers must have been given. Sets each one's state.

    Runs in the caller's transaction; needs the temporary tables of `stage`.
    """
    by_id = {s.submission_id: s for s in round_}
    readings = [s.form.reading for s in round_]
    resolved = connection.execute(
        RESOLVE,
        [
            list(by_id), [r.form for r in readings], [r.county_code for r in readings], [r.week for r in readings],
            [r.week and previous_week(r.week) for r in readings], [r.change_note is not None for r in readings], [r.empty for r in readings],
        ],
    )
    for submission_id, version, current_id, week in resolved:
        s = by_id[submission_id]
        s.version, s.current_id, s.previous_week = version, current_id, week
    staged = [s for s in round_ if not (s.form.rows >= LARGE_ROWS and _load_straight(connection, settings, exceptions, s))]
    _copy_rows(connection, staged)
    judged = [acceptance.Incoming(s.submission_id, s.form, s.previous_week) for s in staged]
    for submission_id, findings in acceptance.judge(connection, judged).items():
        by_id[submission_id].findings += findings
    waived.mark(connection, [(f, s.file.received_at) for s in staged for f in s.findings], settings.timezone)
    for s in staged:
        s.state = _state(s, exceptions, settings.timezone)
    _write_submissions(connection, staged)
    _move_rows(connection, staged)
    _supersede(connection, round_)
    write_findings(connection, [(s.file.file_id, s.submission_id, f) for s in round_ for f in s.findings])


def _load_straight(connection: psycopg.Connection, settings: Settings, exceptions: Exceptions, s: Submission) -> bool:
    """Copy a long form into raw at once and judge it there: staging it first would take twice as long.

    False, and nothing done, where it turns out that it has to be returned: it then goes the way of all others.
    """
    s.state = _state(s, exceptions, settings.timezone)
    if s.state in ("returned", "empty"):
        return False
    with connection.transaction() as attempt:
        _write_submissions(connection, [s])
        _copy_rows(connection, [s], straight=True)
        personal.write(connection, s.submission_id, s.form.sealed)
        judged = acceptance.judge(connection, [acceptance.Incoming(s.submission_id, s.form, s.previous_week)], straight=True)
        found = judged.get(s.submission_id, [])
        waived.mark(connection, [(f, s.file.received_at) for f in (*s.findings, *found)], settings.timezone)
        if any(f.severity == "error" and f.status == "open" for f in found):
            raise psycopg.Rollback(attempt)
        s.findings += found
        return True
    return False


def _copy_rows(connection: psycopg.Connection, round_: list[Submission], straight: bool = False) -> None:
    """Into the temporary tables, or ``straight`` into raw."""
    by_columns: dict[tuple[str, tuple[str, ...]], list[Submission]] = defaultdict(list)
    for s in round_:
        if s.form.rows:
            by_columns[s.form.reading.form, s.form.columns].append(s)
    with connection.cursor() as cursor:
        for (code, columns), submissions in by_columns.items():
            table = sql.Identifier("raw", code.lower()) if straight else sql.Identifier("pg_temp", "incoming_" + code.lower())
            names = sql.SQL(", ").join(map(sql.Identifier, ("submission_id", *columns)))
            with cursor.copy(sql.SQL("copy {} ({}) from stdin").format(table, names)) as copy:
                for s in submissions:
                    for lines in s.form.lines_for(s.submission_id):
                        copy.write(lines)
            if not straight and sum(s.form.rows for s in submissions) >= ANALYSE_ROWS:
                cursor.execute(sql.SQL("analyze {}").format(table))


def _state(s: Submission, exceptions: Exceptions, timezone: ZoneInfo) -> str:
    reading = s.form.reading
    known = reading.county_code is not None and reading.week is not None
    if not known or any(f.severity == "error" and f.status == "open" for f in s.findings):
        return "returned"
    if reading.empty:
        return "empty"
    due = due_at(reading.week, reading.county_code, exceptions, timezone)
    if s.file.received_at <= due:
        return "on_time"
    return "corrected" if s.version > 1 else "late"


def _write_submissions(connection: psycopg.Connection, round_: list[Submission]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            """insert into intake.submission (submission_id, file_id, form, contract_version, county_code, county_text, week,
                   as_of_date, version, received_at, state, rows_read, rows_loaded, rows_rejected, member, sheet, change_note, layout)
               overriding system value
               values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
            [
                (
                    s.submission_id, s.file.file_id, r.form, r.contract_version, r.county_code, r.county_text, r.week, r.as_of_date,
                    s.version, s.file.received_at, s.state, s.form.rows, s.rows_loaded, s.form.rows - s.rows_loaded, r.member, r.sheet,
                    r.change_note, json.dumps(layout(r), ensure_ascii=False).replace("\\u0000", "\ufffd"),
                )
                for s in round_
                for r in [s.form.reading]
            ],
        )


def _move_rows(connection: psycopg.Connection, round_: list[Submission]) -> None:
    """Rows of accepted forms go into raw, of the others only their place in the file is kept."""
    taken, rejected = defaultdict(list), defaultdict(list)
    for s in round_:
        if s.form.rows:
            (taken if s.rows_loaded else rejected)[s.form.reading.form].append(s.submission_id)
    for s in round_:
        if s.rows_loaded:
            personal.write(connection, s.submission_id, s.form.sealed)
    for code, ids in taken.items():
        connection.execute(
            sql.SQL("insert into {} select * from {} where submission_id = any(%s)").format(
                sql.Identifier("raw", code.lower()), sql.Identifier("pg_temp", "incoming_" + code.lower())
            ),
            [ids],
        )
    for code, ids in rejected.items():
        connection.execute(
            sql.SQL(
                """insert into intake.rejected_row (submission_id, row_no, block_no, sheet_row)
                   select submission_id, row_no, block_no, sheet_row from {} where submission_id = any(%s)"""
            ).format(sql.Identifier("pg_temp", "incoming_" + code.lower())),
            [ids],
        )


def _supersede(connection: psycopg.Connection, round_: list[Submission]) -> None:
    """An accepted form takes the place of the one before; findings of versions that no longer count are closed."""
    accepted = [s.submission_id for s in round_ if s.accepted]
    arrived = [s.submission_id for s in round_ if s.form.reading.county_code and s.form.reading.week and s.version > 1]
    replaced = [(s.current_id, s.submission_id) for s in round_ if s.accepted and s.current_id]
    with connection.cursor() as cursor:
        if replaced:
            cursor.executemany(
                "update intake.submission set superseded_by = %s where submission_id = %s", [(new, old) for old, new in replaced]
            )
        if arrived:
            # a returned version's faults: mended if this one is accepted, told again by this one if it is not
            cursor.execute(
                """update quality.finding f
                   set status = case when old.state = 'returned' and i.submission_id = any(%(accepted)s) then 'resolved' else 'superseded' end,
                       closed_at = clock_timestamp()
                   from pg_temp.incoming i
                   join intake.submission old on (old.form, old.county_code, old.week) = (i.form, i.county_code, i.week) and old.version < i.version
                   where i.submission_id = any(%(arrived)s) and f.submission_id = old.submission_id and f.status = 'open'
                     and (old.state = 'returned' or old.superseded_by is not null)""",
                {"accepted": accepted, "arrived": arrived},
            )
        if accepted:
            cursor.execute(
                """insert into ops.pending_slice (form, county_code, week)
                   select form, county_code, week from pg_temp.incoming where submission_id = any(%s) order by form, county_code, week
                   on conflict (form, county_code, week) do update set built = false, noted_at = clock_timestamp()""",
                [accepted],
            )


def write_findings(connection: psycopg.Connection, findings: list[tuple[int, int | None, Finding]]) -> None:
    if not findings:
        return
    of = [f for _, _, f in findings]
    columns = {
        "file_id": [str(file_id) for file_id, _, _ in findings],
        "submission_id": ["\\N" if submission_id is None else str(submission_id) for _, submission_id, _ in findings],
    } | {
        name: column_text([getattr(f, name) for f in of], "text")
        for name in (
            "rule_id", "severity", "stage", "week", "county_code", "form", "member", "sheet", "cell", "row_key", "field",
            "value", "expected", "difference", "message_zh", "status",
        )
    } | {"waiver_id": ["\\N" if f.waiver_id is None else str(f.waiver_id) for f in of]}
    with (
        connection.cursor() as cursor,
        connection.transaction(),
    ):
        # COPY cannot write into a table that shows each county its own rows
        cursor.execute(TOLD)
        with cursor.copy(f"copy pg_temp.told ({', '.join(columns)}) from stdin") as copy:
            copy.write("".join("\t".join(row) + "\n" for row in zip(*columns.values(), strict=True)).encode("utf-8", "replace"))
        cursor.execute(f"insert into quality.finding ({', '.join(columns)}) select {', '.join(columns)} from pg_temp.told")
        cursor.execute("delete from pg_temp.told")
