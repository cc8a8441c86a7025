"""History without files: the weeks that a home has published are repeated into the past, row by row, in the database.

For measuring what depth costs. Every repetition is complete (intake, raw, results, candidates, row versions, the
ledger's list of submissions) and moved by whole weeks; numbers of rows that must differ (payments, batches, persons)
are marked with the repetition. What a chain of hashes vouches for is no longer true afterwards: `warehouse verify`
says so, and a home that was deepened is for nothing but measuring.
"""

from __future__ import annotations

import psycopg
from psycopg import sql

from expectations import payouts
from warehouse.calendar import monday_of, weeks_between
from warehouse.settings import WarehouseError

SCHEMAS = ("intake", "raw", "quality", "candidate", "store")
NUMBERED = {"intake.file": "file_id", "intake.submission": "submission_id"}  # identities that other tables refer to
MARKED = ("payment_no", "batch_no", "trip_no", "event_no", "household_key", "id_key")  # else a repetition would be a second payment

SHIFT = """
create function pg_temp.moved(week text, days integer) returns text immutable language sql
return to_char(to_date(week || '-1', 'IYYY-"W"IW-ID') - days, 'IYYY-"W"IW')"""


def deepen(connection: psycopg.Connection, weeks: int) -> tuple[str, str, int]:
    """Repeat the published weeks until there are at least ``weeks``; returns the first and the last one, and how many.

    Needs a superuser (foreign keys and append-only triggers are set aside) and an autocommit connection. Raises
    WarehouseError where nothing is published, or something waits to be.
    """
    first, last = connection.execute("select min(week), max(week) from store.dim_week where closed_in is null").fetchone()
    if first is None or connection.execute("select exists (select from ops.pending_slice)").fetchone()[0]:
        raise WarehouseError("Publish some weeks first, and everything that waits to be published.")
    block = len(weeks_between(first, last))
    times = -(-weeks // block) - 1
    if times > 0:
        with connection.transaction():
            connection.execute("set local session_replication_role = replica")
            connection.execute("set local work_mem = '256MB'")
            connection.execute(SHIFT)
            connection.execute("create temporary table repetition on commit drop as select k, k * %s * 7 as days from generate_series(1, %s) k", [block, times])
            for table, key in NUMBERED.items():
                _number(connection, table, key)
            for schema, table in _tables(connection):
                _repeat(connection, schema, table)
            connection.execute("drop function pg_temp.moved")
            payouts.recount(connection)
            # what was repeated has been judged already
            connection.execute(
                """update quality.check_run set submissions_to = (select max(submission_id) from intake.submission)
                   where check_run_id = (select max(check_run_id) from quality.check_run where basis is not null)"""
            )
        connection.execute("vacuum analyze")
        first, last = connection.execute("select min(week), max(week) from store.dim_week where closed_in is null").fetchone()
    return first, last, (monday_of(last) - monday_of(first)).days // 7 + 1


def _number(connection: psycopg.Connection, table: str, key: str) -> None:
    """A new number for each old one and repetition."""
    of_weeks = "where week is not null and county_code is not null" if table == "intake.submission" else "where exists (select from intake.submission s where s.file_id = t.file_id)"
    connection.execute(
        f"""create temporary table new_{key} on commit drop as
            select {key} as old, k, nextval(pg_get_serial_sequence('{table}', '{key}')) as new
            from (select {key} from {table} t {of_weeks} order by 1) t cross join repetition"""
    )
    connection.execute(f"create unique index on new_{key} (k, old)")
    connection.execute(f"analyze new_{key}")


def _tables(connection: psycopg.Connection) -> list[tuple[str, str]]:
    """Tables with something of a week in them."""
    return connection.execute(
        """select distinct n.nspname, c.relname
           from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
           where n.nspname = any(%s) and c.relkind in ('r', 'p') and not c.relispartition and not a.attisdropped
             and (a.attname in ('week', 'submission_id') or n.nspname || '.' || c.relname = 'intake.file')
             and (n.nspname, c.relname) not in (('store', 'publication'), ('store', 'revision'), ('quality', 'anomaly'), ('quality', 'reminder'))
             and not exists (select from pg_attribute f where f.attrelid = c.oid and f.attname = 'finding_no')  -- accumulating: one row whatever the weeks
             or n.nspname = 'raw' and c.relkind = 'r' and a.attname = 'submission_id'
           order by 1, 2""",
        [list(SCHEMAS)],
    ).fetchall()


def _repeat(connection: psycopg.Connection, schema: str, table: str) -> None:
    columns = connection.execute(
        """select attname, format_type(atttypid, null), attidentity <> '' from pg_attribute
           where attrelid = %s::regclass and attnum > 0 and not attisdropped and attgenerated = '' order by attnum""",
        [f"{schema}.{table}"],
    ).fetchall()
    numbered = NUMBERED.get(f"{schema}.{table}")
    kept = [(name, kind) for name, kind, identity in columns if not identity or name == numbered]
    names = {name for name, _ in kept}
    joins = []
    for column, key in (("submission_id", "submission_id"), ("file_id", "file_id")):
        if column in names:
            # a finding about a file has no submission; what has a week of its own is repeated all the same
            kind = "left join" if schema == "quality" else "join"
            joins.append(f"{kind} new_{key} as n_{column} on n_{column}.old = t.{column} and n_{column}.k = repetition.k")
    text = f"insert into {{table}} ({{names}}) overriding system value select {{values}} from {{table}} t cross join repetition {' '.join(joins)}"
    if "week" in names:
        text += " where t.week is not null"
    target = sql.Identifier(schema, table)
    connection.execute(
        sql.SQL(text).format(
            table=target,
            names=sql.SQL(", ").join(sql.Identifier(name) for name, _ in kept),
            values=sql.SQL(", ").join(sql.SQL(_value(schema, table, name, kind)) for name, kind in kept),
        )
    )


def _value(schema: str, table: str, name: str, kind: str) -> str:
    column = f't."{name}"'
    if name in ("submission_id", "file_id"):
        return f"n_{name}.new"
    if name == "opened_in":
        return "0"  # before the first publication, whose page would list all of it
    if name == "superseded_by":
        return f"(select new from new_submission_id x where x.old = {column} and x.k = repetition.k)"
    if kind == "text" and (name == "week" or name.endswith("_week")):
        return f"pg_temp.moved({column}, repetition.days)"
    if kind == "date":
        return f"{column} - repetition.days"
    if kind.startswith("timestamp"):
        return f"{column} - make_interval(days => repetition.days)"
    if name == "sha256":
        return f"encode(sha256(({column} || repetition.k)::bytea), 'hex')"
    if table == "dim_week" and name in ("iso_year", "iso_week", "month_no"):
        part = {"iso_year": "isoyear", "iso_week": "week", "month_no": "month"}[name]
        return f"extract({part} from t.as_of_date - repetition.days)::integer"
    if name in MARKED:
        return f"md5({column} || repetition.k)" if name.endswith("_key") else f"{column} || '~' || repetition.k"
    return column
