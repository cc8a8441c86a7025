"""Revisions: which published figures a publication changed, worked out from the row versions it opened and closed.

A week that is new in a publication is news, not a revision, and is left out; so is what only the passing of time
moves (the as-of date of the rectification ledger, and the days counted up to it).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from warehouse.publication.store import Mart

TECHNICAL = ("submission_id", "source_row_no", "opened_in", "closed_in")
COUNTED_UP = ("days_open", "is_overdue")  # of an accumulating fact: move with the date alone

# Weeks that are in this publication and in the one before
STANDING = """
create temporary table standing_week on commit drop as
select week from store.dim_week where opened_in < {n} and (closed_in is null or closed_in >= {n})
intersect
select week from store.dim_week where opened_in <= {n} and (closed_in is null or closed_in > {n})
"""
FILL = """
with come as (select * from rows_come where {week} in (select week from standing_week)),
gone as (select * from rows_gone where {week} in (select week from standing_week)),
-- of a row that only one side shows, its other side may lie in a week that is not standing
paired as (
    select {o_names}, o.{week} as week, o.submission_id, o.source_row_no, o.submission_id <> c.submission_id as is_other,
           to_jsonb(c) - {left_out} - case when {dated} and o.as_of_date <> c.as_of_date then {counted_up} else '{{}}'::text[] end as before,
           to_jsonb(o) - {left_out} - case when {dated} and o.as_of_date <> c.as_of_date then {counted_up} else '{{}}'::text[] end as after,
           'revised' as kind
    from come o join gone c on ({o_key}) = ({c_key})
    union all
    select {o_names}, o.{week}, o.submission_id, o.source_row_no, true, null, to_jsonb(o) - {left_out}, 'added'
    from come o where not exists (select from rows_gone c where ({c_key}) = ({o_key}))
    union all
    select {c_names}, c.{week}, c.submission_id, c.source_row_no, false, to_jsonb(c) - {left_out}, null, 'removed'
    from gone c where not exists (select from rows_come o where ({o_key}) = ({c_key}))
)
insert into store.revision (publication_id, mart, county_code, week, row_key, column_name, kind, old_value, new_value, submission_id, change_reason)
select {n}, {mart}, p.county_code, p.week, p.{own_key}::text, v.key, p.kind, p.before ->> v.key, p.after ->> v.key, p.submission_id,
       case when p.is_other then coalesce(r.change_reason, s.change_note) end
from paired p
cross join lateral jsonb_object_keys(coalesce(p.after, p.before)) v (key)
left join {raw} r on r.submission_id = p.submission_id and r.row_no = p.source_row_no
left join intake.submission s on s.submission_id = p.submission_id
where p.before -> v.key is distinct from p.after -> v.key and (p.before ->> v.key is not null or p.after ->> v.key is not null)
"""


def fill(connection: psycopg.Connection, marts: list[Mart], number: int) -> int:
    """Write ``store.revision`` for a publication whose row versions stand, in its transaction; returns how many rows."""
    connection.execute(sql.SQL(STANDING).format(n=sql.Literal(number)))
    filled = sum(_of_mart(connection, mart, number) for mart in marts if mart.form)
    connection.execute("drop table standing_week")
    return filled


def _of_mart(connection: psycopg.Connection, mart: Mart, number: int) -> int:
    # a row of a week has its other side in the same week, but where a mart accumulates; rows of a new week need not be looked at
    weeks = sql.SQL("true" if mart.accumulating else "week in (select week from standing_week)")
    parts = {"store": mart.store, "n": sql.Literal(number), "weeks": weeks}
    touched = connection.execute(
        sql.SQL("select exists (select from {store} where opened_in = {n} and {weeks}) or exists (select from {store} where closed_in = {n} and {weeks})").format(**parts)
    ).fetchone()[0]
    if not touched:
        return 0
    for name, column in (("rows_come", "opened_in"), ("rows_gone", "closed_in")):  # the planner knows how many these are, and the store's size does not matter
        connection.execute(
            sql.SQL("create temporary table {name} on commit drop as select * from {store} where {column} = {n} and {weeks}").format(
                name=sql.Identifier(name), column=sql.Identifier(column), **parts
            )
        )
        connection.execute(sql.SQL("analyze {}").format(sql.Identifier(name)))
    identity = [*mart.key, "county_code", "week", "as_of_date", *TECHNICAL]

    def array(names: Iterable[str]) -> sql.Composed:
        return sql.SQL("{}::text[]").format(sql.Literal(list(names)))

    filled = connection.execute(
        sql.SQL(FILL).format(
            n=sql.Literal(number), mart=sql.Literal(mart.name), raw=sql.Identifier("raw", mart.form.lower()),
            week=sql.Identifier("last_seen_week" if mart.accumulating else "week"), own_key=sql.Identifier(mart.key[-1]),
            o_key=mart.keys("o"), c_key=mart.keys("c"), o_names=_names(mart, "o"), c_names=_names(mart, "c"),
            dated=sql.Literal(mart.accumulating), left_out=array(identity), counted_up=array(COUNTED_UP),
        )
    ).rowcount  # fmt: skip
    connection.execute("drop table rows_come, rows_gone")
    return filled


def _names(mart: Mart, prefix: str) -> sql.Composable:
    """The key without the week, which is selected under its own name."""
    return sql.SQL(", ").join(sql.Identifier(prefix, name) for name in mart.key if name != "week")


def revisions(connection: psycopg.Connection, publication: int | None = None) -> list[dict[str, Any]]:
    """The rows of ``marts.fct_revision`` of one publication (default: the latest), in order of mart, county and row."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            """select publication_id, mart, county_code, week, row_key, column_name, kind, old_value, new_value, submission_id, change_reason
               from store.revision where publication_id = coalesce(%s, store.latest_publication())
               order by mart, county_code, week, row_key, column_name""",
            [publication],
        ).fetchall()
