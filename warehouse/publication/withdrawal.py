"""Taking the newest publication back, and holding back what came with it until it is released or superseded."""

from __future__ import annotations

import graphlib
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from warehouse.publication import revision
from warehouse.publication.ledger import Publication, enter, latest, lock, note_outside
from warehouse.publication.store import Mart, candidate_marts, ensure
from warehouse.roles import PUBLISHER, as_role
from warehouse.settings import WarehouseError


@as_role(PUBLISHER)
def withdraw(connection: psycopg.Connection, settings, *, reason: str, by: str) -> Publication:
    """Take the latest publication back: a new one is appended whose content is that of the one before.

    The submissions that came with it are held back (``intake.hold``), so that the next build does not bring them
    again: `release` lets one through, a county's corrected file takes its place. The candidates are set back as well.
    Raises WarehouseError without a reason or a name, when there is nothing before it, or while a build runs.
    """
    if not reason.strip() or not by.strip():
        raise WarehouseError("A withdrawal needs a reason and the name of who withdraws.")
    marts = candidate_marts(connection)
    ensure(connection, marts)
    if connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS:
        connection.commit()
    with connection.transaction():
        lock(connection)
        last = latest(connection)
        stands = (last.restores or last.publication_id) if last else 0
        before = latest(connection, stands - 1)
        if before is None:
            raise WarehouseError("There is no publication before this one to go back to." if last else "Nothing has been published yet.")
        number, target = last.publication_id + 1, before.publication_id
        opened = closed = 0
        for mart in marts:
            gone, come = _go_back(connection, mart.store, mart.names(), number, target)
            closed, opened = closed + gone, opened + come
        _go_back(connection, sql.Identifier("store", "publication_submission"), sql.Identifier("submission_id"), number, target)
        revision.fill(connection, marts, number)
        publication = enter(
            connection, marts, number, last,
            week=before.week, trigger="withdrawal", approved_by=by, note=reason, dbt_invocation_id=before.dbt_invocation_id,
            check_run_id=before.check_run_id, rows_opened=opened, rows_closed=closed, restores=before.restores or target,
        )  # fmt: skip
        _hold(connection, number, reason, by)
        _set_candidates_back(connection, marts, number)
        _note_again(connection, marts, number, before)
    note_outside(connection, settings)
    return publication


def _go_back(connection: psycopg.Connection, table: sql.Identifier, columns: sql.Composable, number: int, target: int) -> tuple[int, int]:
    """Close what was opened after the target, open again what was closed after it; returns (closed, opened)."""
    parts = {"table": table, "columns": columns, "n": sql.Literal(number), "target": sql.Literal(target)}

    def run(text: str) -> int:
        return connection.execute(sql.SQL(text).format(**parts)).rowcount

    closed = run("update {table} set closed_in = {n} where closed_in is null and opened_in > {target}")
    opened = run(
        "insert into {table} ({columns}, opened_in) select {columns}, {n} from {table} where opened_in <= {target} and closed_in > {target} and closed_in < {n}"
    )
    return closed, opened


# ---------------------------------------------------------------- holding back


def _hold(connection: psycopg.Connection, number: int, reason: str, by: str) -> None:
    """Hold what the withdrawn publication was made of and the restored one is not."""
    connection.execute(
        """insert into intake.hold (submission_id, reason, held_by, withdrawn_in)
           select p.submission_id, %(reason)s, %(by)s, %(n)s from store.publication_submission p
           where p.closed_in = %(n)s
             and not exists (select from store.publication_submission o where o.submission_id = p.submission_id and o.closed_in is null)
             and not exists (select from intake.hold h where h.submission_id = p.submission_id and h.released_at is null)""",
        {"n": number, "reason": reason, "by": by},
    )
    # a version that came after the restored one and was superseded before it was ever published must not come forward now
    connection.execute(
        """insert into intake.hold (submission_id, reason, held_by, withdrawn_in)
           select distinct s.submission_id, %(reason)s, %(by)s, %(n)s
           from intake.hold h
           join intake.submission t on t.submission_id = h.submission_id
           join intake.ever_accepted_submission s on (s.form, s.county_code, s.week) = (t.form, t.county_code, t.week) and s.version < t.version
           where h.withdrawn_in = %(n)s
             and s.version > coalesce((
                 select max(o.version) from store.publication_submission p join intake.submission o on o.submission_id = p.submission_id
                 where p.closed_in is null and (o.form, o.county_code, o.week) = (t.form, t.county_code, t.week)), 0)""",
        {"n": number, "reason": reason, "by": by},
    )


def holds(connection: psycopg.Connection) -> list[dict[str, Any]]:
    """Every submission that is held back, newest first; ``is_superseded`` where a later version has taken its place."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            """select h.submission_id, s.form, s.county_code, s.week, s.version, f.original_path as file, h.reason, h.held_by, h.held_at, h.withdrawn_in,
                      exists (select from intake.accepted_submission a where (a.form, a.county_code, a.week) = (s.form, s.county_code, s.week)
                              and a.version > s.version) as is_superseded
               from intake.hold h join intake.submission s using (submission_id) join intake.file f using (file_id)
               where h.released_at is null order by h.hold_id desc"""
        ).fetchall()


@as_role(PUBLISHER)
def release(connection: psycopg.Connection, *, by: str, reason: str | None = None, submission_ids: list[int] | None = None) -> list[int]:
    """Let held submissions (default: all) through to the next build; returns their numbers. Raises WarehouseError.

    One that a later version has superseded is let go too, and stays superseded.
    """
    if not by.strip():
        raise WarehouseError("A release needs the name of who releases.")
    with connection.transaction():
        released = [
            number
            for (number,) in connection.execute(
                """update intake.hold set released_at = clock_timestamp(), released_by = %(by)s, release_reason = %(reason)s
                   where released_at is null and (%(ids)s::bigint[] is null or submission_id = any(%(ids)s)) returning submission_id""",
                {"by": by, "reason": reason, "ids": submission_ids},
            )
        ]
        wrong = set(submission_ids or ()) - set(released)
        if wrong:
            raise WarehouseError(f"Not held back: {', '.join(map(str, sorted(wrong)))}. `warehouse release --list` shows what is.")
        connection.execute(
            """insert into ops.pending_slice (form, county_code, week)
               select distinct form, county_code, week from intake.submission where submission_id = any(%s)
               on conflict (form, county_code, week) do update set built = false""",
            [released],
        )
    return sorted(released)


# ---------------------------------------------------------------- the candidates


def _set_candidates_back(connection: psycopg.Connection, marts: list[Mart], number: int) -> None:
    """Make the candidates what is published again, where the withdrawal or an unpublished build made them otherwise.

    A merge never takes a dimension's row away, so a build alone could not do it.
    """
    facts = [m for m in marts if m.form]
    for mart in facts:
        connection.execute(_on_affected("delete from {candidate} x where {affected}", mart, number))
    for mart in _referring_first(connection, [m for m in marts if not m.form]):
        parts = {"candidate": mart.candidate, "store": mart.store, "x": mart.keys("x"), "s": mart.keys("s")}
        connection.execute(
            sql.SQL("delete from {candidate} x where not exists (select from {store} s where s.closed_in is null and ({s}) = ({x}))").format(**parts)
        )
    for mart in reversed(_referring_first(connection, [m for m in marts if not m.form])):
        others = [c for c in mart.columns if c not in mart.key]
        changes = sql.SQL(", ").join(sql.SQL("{c} = excluded.{c}").format(c=sql.Identifier(c)) for c in others)
        connection.execute(
            sql.SQL(
                """insert into {candidate} ({columns})
                   select {columns} from {store} where closed_in is null except select {columns} from {candidate}
                   on conflict ({key}) do update set {changes}"""
            ).format(candidate=mart.candidate, store=mart.store, columns=mart.names(), key=mart.keys(), changes=changes)
        )
    for mart in facts:
        connection.execute(
            _on_affected("insert into {candidate} ({columns}) select {columns} from {store} x where x.closed_in is null and {affected}", mart, number)
        )


def _on_affected(text: str, mart: Mart, number: int) -> sql.Composable:
    """A statement on the rows ``x`` of the slices that the withdrawal touched, or that a build changed and nobody published."""
    columns = sql.SQL("county_code") if mart.accumulating else sql.SQL("county_code, week")
    place = sql.SQL("x.county_code") if mart.accumulating else sql.SQL("(x.county_code, x.week)")
    affected = sql.SQL(
        """{place} in (select {columns} from {store} where opened_in = {n} union select {columns} from {store} where closed_in = {n}
                       union select {columns} from ops.pending_slice where form = {form})"""
    ).format(place=place, columns=columns, store=mart.store, n=sql.Literal(number), form=sql.Literal(mart.form))
    return sql.SQL(text).format(candidate=mart.candidate, store=mart.store, columns=mart.names(), affected=affected)


def _referring_first(connection: psycopg.Connection, dimensions: list[Mart]) -> list[Mart]:
    """Dimensions in an order in which rows can be deleted: each before those that it refers to."""
    by_name = {m.name: m for m in dimensions}
    order: graphlib.TopologicalSorter[str] = graphlib.TopologicalSorter({name: () for name in by_name})
    for table, target in connection.execute(
        """select c.relname, t.relname from pg_constraint p join pg_class c on c.oid = p.conrelid join pg_class t on t.oid = p.confrelid
           where p.contype = 'f' and c.relnamespace = to_regnamespace('candidate') and c.relname <> t.relname"""
    ):
        if table in by_name and target in by_name:
            order.add(target, table)  # the one that refers comes out before the one referred to
    return [by_name[name] for name in order.static_order()]


def _note_again(connection: psycopg.Connection, marts: list[Mart], number: int, before: Publication) -> None:
    """Have the slices built and judged once more, from the restored publication's week on.

    The candidates reach no further than that week again; a line in ``ops.build_run`` says so, as after any build. If
    the last build was cut off, no project is named in it, and the next one makes everything anew.
    """
    for mart in marts:
        if mart.form:
            week = sql.Identifier("last_seen_week" if mart.accumulating else "week")
            connection.execute(
                sql.SQL(
                    """insert into ops.pending_slice (form, county_code, week)
                       select distinct {form}, county_code, {week} from {table} where opened_in = {n} or closed_in = {n}
                       on conflict (form, county_code, week) do update set built = false"""
                ).format(form=sql.Literal(mart.form), week=week, table=mart.store, n=sql.Literal(number))
            )
    connection.execute("update ops.pending_slice set built = false where built")
    connection.execute(
        """insert into ops.build_run (publish_week, dbt_invocation_id, slices, succeeded, project_hash, finished_at)
           select %s, %s, 0, true, (select case when succeeded then project_hash end from ops.build_run order by build_run_id desc limit 1), clock_timestamp()""",
        [before.week, before.dbt_invocation_id],
    )
