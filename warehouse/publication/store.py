"""The tables that hold row versions, and the views that readers see; made from the candidate marts.

Structure is changed before a publication's own transaction, and only where something is missing: readers of
marts that stand are never in its way.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import psycopg
from psycopg import sql

from warehouse.dbt_sources import accumulating, forms_of_marts
from warehouse.grants import own_rows
from warehouse.roles import FREE_DIMENSIONS, VIEWS
from warehouse.settings import WarehouseError

VERSION_COLUMNS = ("opened_in", "closed_in")
OF_EVERY_STAR = ("dim_county", "dim_week")
PLANNED = ("week", "county_code", "submission_id", *VERSION_COLUMNS)  # columns that are looked up by and tell nothing of a county's figures
ATTEMPTS = 20  # for the short exclusive lock that a new column or view needs; a reader's long query may hold it up
PATIENCE = "40ms"  # readers that come while we wait for that lock wait no longer than this

# The row versions of the publication that is read
STANDING = "opened_in <= (select store.reading_publication()) and (closed_in is null or closed_in > (select store.reading_publication()))"
# The same, where nearly all rows are meant: of `opened_in <= …` the planner, who does not know the number, expects a third,
# of a star a twenty-seventh, and sorts or loops where it should hash; of something that is not null it expects nearly all.
STANDING_MOSTLY = STANDING.replace("opened_in <= (select store.reading_publication())", "nullif(opened_in <= (select store.reading_publication()), false) is not null")


@dataclass(frozen=True)
class Mart:
    """A candidate mart: its columns with SQL types and comments, its key, and the form a fact is made of."""

    name: str
    form: str | None  # None for a dimension
    columns: dict[str, tuple[str, str | None]]  # name → (type, comment)
    key: tuple[str, ...]
    comment: str | None

    @property
    def store(self) -> sql.Identifier:
        return sql.Identifier("store", self.name)

    @property
    def candidate(self) -> sql.Identifier:
        return sql.Identifier("candidate", self.name)

    @property
    def accumulating(self) -> bool:
        return self.form is not None and accumulating(self.form)

    @property
    def county_rows(self) -> bool:
        """Whether a county's login sees its own rows only."""
        return "county_code" in self.columns and self.name not in FREE_DIMENSIONS

    @property
    def sliced(self) -> bool:
        """The dimension that grows with every slice, the list of submissions."""
        return self.form is None and self.key == ("submission_id",)

    def names(self, prefix: str = "") -> sql.Composable:
        return _list(self.columns, prefix)

    def keys(self, prefix: str = "") -> sql.Composable:
        return _list(self.key, prefix)


def _list(names, prefix: str = "") -> sql.Composable:
    return sql.SQL(", ").join(sql.Identifier(prefix, n) if prefix else sql.Identifier(n) for n in names)


def candidate_marts(connection: psycopg.Connection) -> list[Mart]:
    """Every mart that dbt has made, dimensions first. Raises WarehouseError before the first build."""
    forms = forms_of_marts()
    tables = connection.execute(
        r"""select c.oid, c.relname, obj_description(c.oid)
            from pg_class c where c.relnamespace = to_regnamespace('candidate') and c.relkind = 'r'
              and (c.relname = any(%s) or c.relname ~ '^dim_(?!.*__dbt)') order by c.relname""",
        [list(forms)],
    ).fetchall()
    marts = []
    for oid, name, comment in tables:
        columns = _columns(connection, oid)
        key = connection.execute(
            """select array_agg(a.attname::text order by k.place) from pg_constraint p, unnest(p.conkey) with ordinality k (number, place), pg_attribute a
               where p.conrelid = %s and p.contype = 'p' and a.attrelid = p.conrelid and a.attnum = k.number""",
            [oid],
        ).fetchone()[0]
        marts.append(Mart(name, forms.get(name), columns, tuple(key or ()), comment))
    lacking = set(forms) - {m.name for m in marts} | {m.name for m in marts if not m.key}
    if lacking:
        raise WarehouseError(f"The candidate marts are not complete ({', '.join(sorted(lacking)[:5])}). Run the build first.")
    return marts


def _columns(connection: psycopg.Connection, oid: int) -> dict[str, tuple[str, str | None]]:
    return {
        name: (kind, comment)
        for name, kind, comment in connection.execute(
            """select attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum)
               from pg_attribute where attrelid = %s and attnum > 0 and not attisdropped order by attnum""",
            [oid],
        )
    }


def stored_columns(connection: psycopg.Connection, name: str) -> dict[str, tuple[str, str | None]]:
    """Columns of ``store.<mart>`` without the version columns; empty where the table is not there yet."""
    oid = connection.execute("select to_regclass(%s)::oid", [f"store.{name}"]).fetchone()[0]
    return {n: about for n, about in (_columns(connection, oid) if oid else {}).items() if n not in VERSION_COLUMNS}


def ensure(connection: psycopg.Connection, marts: list[Mart]) -> None:
    """Create what the marts need and the store lacks. Raises WarehouseError where a column changed its type."""
    for mart in marts:
        have = stored_columns(connection, mart.name)
        for name, (kind, _) in mart.columns.items():
            if name in have and have[name][0] != kind:
                raise WarehouseError(
                    f"store.{mart.name}.{name} is {have[name][0]}, the new build has {kind}. Published rows are not rewritten: "
                    "give the figure a new column name in the contract."
                )
        if not have:
            with connection.transaction():
                _create(connection, mart)
                _view(connection, mart)
        elif (new := [name for name in mart.columns if name not in have]) or not _up_to_date(connection, mart):
            _extend(connection, mart, new)
        _comments(connection, mart)


def _create(connection: psycopg.Connection, mart: Mart) -> None:
    body = sql.SQL(", ").join(sql.SQL("{} " + kind).format(sql.Identifier(name)) for name, (kind, _) in mart.columns.items())

    def run(text: str, **parts: sql.Composable) -> None:
        connection.execute(sql.SQL(text).format(table=mart.store, **parts))

    # the two come first: every reading looks at them, and a row is taken apart only as far as it must be
    run("create table {table} (opened_in bigint not null, closed_in bigint, {body}, check (closed_in > opened_in))", body=body)
    run("create unique index on {table} ({key}) where closed_in is null", key=mart.keys())
    run("create index on {table} (opened_in)")
    run("create index on {table} (closed_in) where closed_in is not null")
    if mart.form:
        run("create index on {table} (submission_id) where closed_in is null")
        place = ("county_code",) if mart.accumulating else ("week", "county_code")  # readers ask for weeks, of a publication that need not be the latest
        run("create index on {table} ({place})", place=_list(place))
    if mart.county_rows:
        _without_statistics(connection, mart, list(mart.columns))
    _guard(connection, mart.name, list(mart.columns))


def _without_statistics(connection: psycopg.Connection, mart: Mart, names: list[str]) -> None:
    """The planner's guesses, which EXPLAIN shows to anyone, must not tell a county what others' figures are."""
    for name in names:
        if name not in PLANNED and name not in mart.key:
            connection.execute(sql.SQL("alter table {} alter column {} set statistics 0").format(mart.store, sql.Identifier(name)))


def _guard(connection: psycopg.Connection, name: str, columns: list[str]) -> None:
    """A row version may be closed and nothing else, and opened and closed in the next publication only."""

    def run(text: str) -> None:
        connection.execute(sql.SQL(text).format(table=sql.Identifier("store", name), columns=_list([*columns, "opened_in"])))

    # its owner too: what a trigger refuses, no right should promise
    run("revoke delete, truncate on {table} from current_user")
    run("create or replace trigger append_only before delete or truncate on {table} for each statement execute function store.refuse()")
    run("create or replace trigger never_rewritten before update of {columns} on {table} for each statement execute function store.refuse()")
    run("create or replace trigger closed_once before update of closed_in on {table} for each row when (old.closed_in is not null) execute function store.refuse()")
    connection.execute("select store.guard_versions(%s)", [f"store.{name}"])


def _view(connection: psycopg.Connection, mart: Mart) -> None:
    """What readers see. The filter by county stands in the view and as a policy: docs/decisions/0009 says why."""
    own = own_rows(mart.name)

    def run(text: str, **parts: sql.Composable) -> None:
        connection.execute(sql.SQL(text).format(view=sql.Identifier("marts", mart.name), table=mart.store, **parts))

    run(
        "create or replace view {view} as select {columns} from {table} where {condition}",
        columns=_list(stored_columns(connection, mart.name)),  # in the store's order, so that new ones come last
        condition=sql.SQL(f"{STANDING_MOSTLY} and {own}" if mart.county_rows else STANDING_MOSTLY if mart.name in OF_EVERY_STAR else STANDING),
    )
    if mart.county_rows:
        run("alter table {table} enable row level security")
        run("drop policy if exists own_county on {table}")
        run("create policy own_county on {table} for select using ({own})", own=sql.SQL(own))
        run("alter view {view} owner to {owner}", owner=sql.Identifier(VIEWS))


def _up_to_date(connection: psycopg.Connection, mart: Mart) -> bool:
    """False for the view of an earlier version, and where the policy or the owner that it stands on is another."""
    definition, owner, policy = connection.execute(
        """select pg_get_viewdef(v.oid), pg_get_userbyid(v.relowner), t.relrowsecurity and exists (select from pg_policy p where p.polrelid = t.oid and p.polname = 'own_county')
           from pg_class v, pg_class t where v.oid = to_regclass(%s) and t.oid = to_regclass(%s)""",
        [f"marts.{mart.name}", f"store.{mart.name}"],
    ).fetchone()
    mostly = "NULLIF" in definition or not (mart.county_rows or mart.name in OF_EVERY_STAR)
    return mostly and (not mart.county_rows or ("reads_all" in definition and policy and owner == VIEWS))


def _extend(connection: psycopg.Connection, mart: Mart, new: list[str]) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with connection.transaction():
                connection.execute(f"set local lock_timeout = '{PATIENCE}'")
                for name in new:
                    kind = sql.SQL(mart.columns[name][0])
                    connection.execute(sql.SQL("alter table {} add column {} {}").format(mart.store, sql.Identifier(name), kind))
                if mart.county_rows:
                    _without_statistics(connection, mart, list(mart.columns))
                _view(connection, mart)
                _guard(connection, mart.name, list(stored_columns(connection, mart.name)))
            return
        except psycopg.errors.LockNotAvailable as error:
            if attempt == ATTEMPTS:
                raise WarehouseError(f"marts.{mart.name} has to be changed, but a reader's query holds it. Publish again when the query has ended.") from error
            time.sleep(0.5)


def _comments(connection: psycopg.Connection, mart: Mart) -> None:
    """Copy comments to view and table where they differ."""
    for schema, kind in (("marts", "view"), ("store", "table")):
        oid = connection.execute("select to_regclass(%s)::oid", [f"{schema}.{mart.name}"]).fetchone()[0]
        (have,) = connection.execute("select obj_description(%s)", [oid]).fetchone()
        target = sql.Identifier(schema, mart.name)
        if have != mart.comment:
            connection.execute(sql.SQL("comment on " + kind + " {} is {}").format(target, sql.Literal(mart.comment)))
        standing = _columns(connection, oid)
        for name, (_, comment) in mart.columns.items():
            if standing[name][1] != comment:
                column = sql.Identifier(schema, mart.name, name)
                connection.execute(sql.SQL("comment on column {} is {}").format(column, sql.Literal(comment)))
