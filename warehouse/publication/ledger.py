"""Publishing. A publication is a number; a row is in it if it was opened by then and not yet closed."""

from __future__ import annotations

import datetime as dt
import functools
import logging
import os
import subprocess
from dataclasses import dataclass, fields
from importlib import metadata

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from warehouse.build import BUILD_LOCK
from warehouse.grants import ensure_mart_grants
from warehouse.locks import PUBLICATION as PUBLICATION_LOCK
from warehouse.publication import proof, revision, witness
from warehouse.publication.store import Mart, candidate_marts, ensure
from warehouse.roles import PUBLISHER, as_role
from warehouse.settings import REPOSITORY, Settings, WarehouseError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Publication:
    """A line of the ledger, ``store.publication``."""

    publication_id: int
    published_at: dt.datetime
    week: str
    trigger: str  # weekly | correction | backfill | withdrawal
    approved_by: str
    note: str | None
    code_version: str
    dbt_invocation_id: str | None
    check_run_id: int | None
    rows_opened: int
    rows_closed: int
    previous_hash: str
    content_hash: str
    hash: str
    restores: int | None = None


COLUMNS = ", ".join(f.name for f in fields(Publication))


def latest(connection: psycopg.Connection, number: int | None = None) -> Publication | None:
    """The latest publication, or the one of a number; None where there is none."""
    with connection.cursor(row_factory=class_row(Publication)) as cursor:
        if number is not None:
            return cursor.execute(f"select {COLUMNS} from store.publication where publication_id = %s", [number]).fetchone()
        return cursor.execute(f"select {COLUMNS} from store.publication order by publication_id desc limit 1").fetchone()


@as_role(PUBLISHER)
def publish(
    connection: psycopg.Connection,
    settings: Settings,
    *,
    check_run_id: int | None,
    approved_by: str,
    note: str | None = None,
    trigger: str | None = None,
) -> Publication | None:
    """Make the built slices visible in one transaction; None if nothing differs from what stands.

    Call it outside of a transaction. ``trigger`` defaults to what the new weeks say: weekly (one), backfill
    (several), correction (none). Raises WarehouseError while a build runs, or before the first one.
    """
    from reporting.overviews import ensure_overviews  # of the readers' room, which knows this one

    marts = candidate_marts(connection)
    ensure(connection, marts)
    ensure_overviews(connection)
    ensure_mart_grants(connection)
    if connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS:
        connection.commit()  # what `ensure` looked up and made; the publication's own transaction begins below
    with connection.transaction():
        lock(connection)
        last = latest(connection)
        run = connection.execute(
            "select publish_week, dbt_invocation_id from ops.build_run where succeeded order by build_run_id desc limit 1"
        ).fetchone()
        if run is None:
            raise WarehouseError("Nothing has been built yet. Run the build first.")
        number = (last.publication_id if last else 0) + 1
        connection.execute(
            """create temporary table published_slice on commit drop as
               select form, county_code, week, noted_at from ops.pending_slice where built"""
        )
        connection.execute("analyze published_slice")  # few as a rule, and the planner does not guess it
        touched = {form for (form,) in connection.execute("select distinct form from published_slice")}
        opened, closed, whole = 0, 0, last is None or _made_anew(connection, last)
        changed: dict[str, int] = {}  # mart → row versions
        for mart in marts:
            if mart.form and mart.form not in touched:
                continue
            gone, come = _replace(connection, mart, number, whole)
            closed += gone
            opened += come
            changed[mart.name] = gone + come
        connection.execute(
            "delete from ops.pending_slice p using published_slice d where (p.form, p.county_code, p.week, p.noted_at) = (d.form, d.county_code, d.week, d.noted_at) and p.built"
        )
        if not opened and not closed and last and last.week == run[0]:
            connection.execute("drop table published_slice")
            return None
        _submissions(connection, marts, number)
        revision.fill(connection, marts, number)
        new_weeks = connection.execute(
            """select count(*) from store.dim_week n where opened_in = %(n)s
               and not exists (select from store.dim_week o where o.week = n.week and o.closed_in = %(n)s)""",
            {"n": number},
        ).fetchone()[0]
        trigger = trigger or {0: "correction", 1: "weekly"}.get(new_weeks, "backfill")
        connection.execute("drop table published_slice")
        publication = enter(
            connection, marts, number, last,
            week=run[0], trigger=trigger, approved_by=approved_by, note=note, dbt_invocation_id=run[1],
            check_run_id=check_run_id, rows_opened=opened, rows_closed=closed, restores=None,
        )  # fmt: skip
    note_outside(connection, settings)
    _look_again(connection, changed)
    return publication


MUCH = 0.1  # of a table's rows, as autovacuum has it; a correction in a long history is far below


def _look_again(connection: psycopg.Connection, changed: dict[str, int]) -> None:
    """New statistics at once where a good part of a table is new: the pages are made next, and autovacuum comes later."""
    if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        return  # of a caller who holds locks that nobody should wait for
    known = dict(connection.execute("select relname::text, greatest(reltuples, 0) from pg_class where relnamespace = 'store'::regnamespace and relkind = 'r'").fetchall())
    for name, rows in changed.items():
        if rows > MUCH * known.get(name, 0):
            connection.execute(sql.SQL("analyze {}").format(sql.Identifier("store", name)))
    if not connection.autocommit:
        connection.commit()


def lock(connection: psycopg.Connection) -> None:
    """One publication at a time, and none while a build runs. Raises WarehouseError."""
    connection.execute("set local timezone = 'UTC'")  # the proof's texts contain times
    connection.execute("select pg_advisory_xact_lock(%s)", [PUBLICATION_LOCK])
    if not connection.execute("select pg_try_advisory_xact_lock(%s)", [BUILD_LOCK]).fetchone()[0]:
        raise WarehouseError("A build is running on this database. Publish when it has ended.")


# ---------------------------------------------------------------- rows


def _made_anew(connection: psycopg.Connection, last: Publication) -> bool:
    """Whether all candidates were made anew since: then a dimension may differ in slices that did not change."""
    return connection.execute(
        "select exists (select from ops.build_run where succeeded and full_refresh and finished_at > %s)", [last.published_at]
    ).fetchone()[0]


def _replace(connection: psycopg.Connection, mart: Mart, number: int, whole: bool) -> tuple[int, int]:
    """Close the rows that changed or went, open those that came or changed; returns (closed, opened)."""
    affected = _affected(mart, whole)
    parts = {"store": mart.store, "candidate": mart.candidate, "columns": mart.names(), "n": sql.Literal(number)}
    closed = connection.execute(
        sql.SQL(
            """with gone as (
                   select {columns} from {store} x where closed_in is null and {affected}
                   except
                   select {columns} from {candidate} x where {affected}
               )
               update {store} s set closed_in = {n} from gone where s.closed_in is null and ({s_key}) = ({gone_key})"""
        ).format(**parts, affected=affected, s_key=mart.keys("s"), gone_key=mart.keys("gone"))
    ).rowcount
    opened = connection.execute(
        sql.SQL(
            """insert into {store} ({columns}, opened_in)
               select {x_columns}, {n} from {candidate} x
               where {affected} and not exists (select from {store} s where s.closed_in is null and ({s_key}) = ({x_key}))"""
        ).format(**parts, affected=affected, x_columns=mart.names("x"), s_key=mart.keys("s"), x_key=mart.keys("x"))
    ).rowcount
    return closed, opened


def _affected(mart: Mart, whole: bool) -> sql.Composable:
    """Of facts, and of the dimension that grows with them, the slices that were built; of other dimensions, which are small, all."""
    if mart.form is None:
        own = "x.submission_id in (select submission_id from intake.submission join published_slice using (form, county_code, week))"
        return sql.SQL(own if mart.sliced and not whole else "true")
    place = "x.county_code" if mart.accumulating else "(x.county_code, x.week)"
    columns = "county_code" if mart.accumulating else "county_code, week"
    return sql.SQL(f"{place} in (select {columns} from published_slice where form = {{}})").format(sql.Literal(mart.form))


def _submissions(connection: psycopg.Connection, marts: list[Mart], number: int) -> None:
    """Which submissions the publication is made of: looked at only where rows were opened or closed, or a slice was built.

    A form without rows (空报), or a ledger whose every line a later week repeats, is part of it all the same.
    """
    facts = [m for m in marts if m.form]
    accepted = sql.SQL("select submission_id from intake.accepted_submission join published_slice using (form, county_code, week)")
    of_slices = sql.SQL(
        """select p.submission_id from store.publication_submission p join intake.submission s using (submission_id)
           join published_slice using (form, county_code, week) where p.closed_in is null"""
    )
    for condition, verb in (("opened_in", "come"), ("closed_in", "gone")):
        touched = sql.SQL(" union ").join(
            sql.SQL("select submission_id from {} where {} = {}").format(m.store, sql.Identifier(condition), sql.Literal(number)) for m in facts
        )
        if verb == "come":
            connection.execute(
                sql.SQL(
                    """insert into store.publication_submission (submission_id, opened_in) select submission_id, {n} from ({touched} union {accepted}) t
                       where not exists (select from store.publication_submission p where p.submission_id = t.submission_id and p.closed_in is null)"""
                ).format(n=sql.Literal(number), touched=touched, accepted=accepted)
            )
            continue
        still = sql.SQL(" and ").join(
            sql.SQL("not exists (select from {} x where x.submission_id = p.submission_id and x.closed_in is null)").format(m.store) for m in facts
        )
        connection.execute(
            sql.SQL(
                """update store.publication_submission p set closed_in = {n} from ({touched} union {of_slices}) t
                   where p.submission_id = t.submission_id and p.closed_in is null and {still}
                     and not exists (select from intake.accepted_submission a where a.submission_id = p.submission_id)"""
            ).format(n=sql.Literal(number), touched=touched, of_slices=of_slices, still=still)
        )


# ---------------------------------------------------------------- the ledger


def enter(connection: psycopg.Connection, marts: list[Mart], number: int, last: Publication | None, **about) -> Publication:
    """Append a line to the ledger, chained to the one before; everything it vouches for must stand already."""
    hashes = {m.name: digest for m in marts if (digest := proof.of_rows(connection, m.name, number))} | proof.of_lists(connection, number)
    entry = about | {
        "publication_id": number,
        "published_at": connection.execute("select clock_timestamp()").fetchone()[0],
        "code_version": code_version(),
        "previous_hash": last.hash if last else "",
        "content_hash": proof.of_content(hashes),
    }
    publication = Publication(**entry, hash=proof.of_entry(entry))
    values = {f.name: getattr(publication, f.name) for f in fields(Publication)} | {"content_hashes": psycopg.types.json.Jsonb(hashes)}
    connection.execute(
        sql.SQL("insert into store.publication ({}) values ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, values)), sql.SQL(", ").join(sql.Placeholder(v) for v in values)
        ),
        values,
    )
    return publication


def note_outside(connection: psycopg.Connection, settings: Settings) -> None:
    """Note the ledger's hashes in the home, once its transaction is through. A publication does not fail for that."""
    if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        return  # of a caller who may still roll back; the next publication notes it
    try:
        with connection.transaction():
            witness.note(connection, settings)
    except OSError as error:
        log.warning("The publication stands, but %s cannot be written (%s); its line follows with the next publication.", witness.path(settings), error.strerror)


@functools.cache
def code_version() -> str:
    """WAREHOUSE_VERSION (an image's), else ``git describe`` of the project, or the installed package's version."""
    if given := os.environ.get("WAREHOUSE_VERSION"):
        return given
    try:
        done = subprocess.run(["git", "-C", REPOSITORY, "describe", "--always", "--dirty", "--tags"], capture_output=True, text=True, timeout=10)
        if done.returncode == 0 and done.stdout.strip():
            return done.stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        pass
    try:
        return metadata.version("county-warehouse")
    except metadata.PackageNotFoundError:
        return "unknown"
