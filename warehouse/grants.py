"""Roles and their rights as `roles` names them: all made at each migration, made good at each publication."""

from __future__ import annotations

import psycopg
from psycopg import sql

from ingestion.contract_model import Contracts
from ingestion.contracts import contracts
from warehouse.roles import (
    ACTED,
    AUDITOR,
    BI_READER,
    BUILT,
    COUNTY_TABLES,
    COUNTY_VIEWS,
    FREE_DIMENSIONS,
    KEPT,
    KEPT_BY_MIGRATION,
    LOADER,
    OWNED,
    PUBLISHER,
    READ,
    RIGHTS,
    STEPS,
    TRANSFORMER,
    UNKNOWN_COLUMNS,
    VIEWS,
    county_group,
)
from warehouse.settings import WarehouseError


def ensure(connection: psycopg.Connection) -> None:
    """Make the roles that are missing and give each the rights it lacks on what is there. In the caller's transaction.

    Rights are only ever added here. Raises WarehouseError where the login may neither make the roles nor find them made.
    """
    groups = [county_group(code) for (code,) in connection.execute("select county_code from reference.counties where valid_to is null")]
    _roles(connection, [*STEPS, VIEWS, BI_READER, AUDITOR, *groups])
    _views_role(connection)
    for schema, owner in OWNED.items():
        if schema in BUILT and not _exists(connection, schema):
            connection.execute(sql.SQL("create schema {} authorization {}").format(sql.Identifier(schema), sql.Identifier(owner)))
        _run(connection, _schema_rights(connection, owner, schema, "CREATE, USAGE"))
    _run(connection, _schema_rights(connection, VIEWS, "marts", "CREATE, USAGE"))
    _database_rights(connection, groups)
    _own(connection)
    ensure_grants(connection)


def ensure_grants(connection: psycopg.Connection) -> None:
    """Give each role the rights it lacks on the objects that are there now. Whoever runs it must own them, or their owner."""
    for role, schemas in RIGHTS.items():
        for schema, rules in schemas.items():
            _run(connection, _schema_rights(connection, role, schema, "USAGE"))
            for privileges, relations in rules:
                _run(connection, _relation_rights(connection, role, schema, privileges, relations))
    _run(connection, _sequence_rights(connection))
    _run(connection, _raw(connection, contracts()))
    _run(connection, _defaults(connection))
    _filter(connection)
    _counties(connection)


def _run(connection: psycopg.Connection, statements: list[sql.Composable]) -> None:
    for statement in statements:
        connection.execute(statement)


def _exists(connection: psycopg.Connection, schema: str) -> bool:
    return connection.execute("select to_regnamespace(%s) is not null", [schema]).fetchone()[0]


def _roles(connection: psycopg.Connection, names: list[str]) -> None:
    have = {name for (name,) in connection.execute("select rolname from pg_roles where rolname = any(%s)", [names])}
    for name in names:
        if name not in have:
            try:
                with connection.transaction():  # another database's migration may be making the same one
                    connection.execute(sql.SQL("create role {} nologin").format(sql.Identifier(name)))
            except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
                pass
            except psycopg.errors.InsufficientPrivilege as error:
                raise WarehouseError(
                    f"The role {name} is missing on this server and the login {connection.info.user} may not create it. "
                    f"Let an administrator run: alter role {connection.info.user} createrole; or create the roles of docs/roles.md."
                ) from error
    # whoever migrates owns the database: it hands objects over to the steps' roles and acts as each of them
    for name in ACTED:
        if not connection.execute("select pg_has_role(current_user, %s, 'usage')", [name]).fetchone()[0]:
            try:
                with connection.transaction():
                    connection.execute(sql.SQL("grant {} to current_user").format(sql.Identifier(name)))
            except psycopg.errors.InsufficientPrivilege as error:
                raise WarehouseError(
                    f"The login {connection.info.user} is no member of {name}. Let an administrator run: grant {', '.join(ACTED)} to {connection.info.user};"
                ) from error


def _views_role(connection: psycopg.Connection) -> None:
    """The publisher makes the views and hands them over. Nobody else is in this group, and it is in none."""
    if connection.execute("select pg_has_role(%s, %s, 'usage')", [PUBLISHER, VIEWS]).fetchone()[0]:
        return
    try:
        with connection.transaction():
            connection.execute(sql.SQL("grant {} to {}").format(sql.Identifier(VIEWS), sql.Identifier(PUBLISHER)))
    except psycopg.errors.InsufficientPrivilege as error:
        raise WarehouseError(f"{PUBLISHER} is no member of {VIEWS}. Let an administrator run: grant {VIEWS} to {PUBLISHER};") from error


def _database_rights(connection: psycopg.Connection, groups: list[str]) -> None:
    """Only the groups may connect, and only the steps make temporary tables. Left alone where the database is another's."""
    name, mine = connection.execute("select datname, pg_has_role(datdba, 'usage') from pg_database where datname = current_database()").fetchone()
    if not mine:
        return
    on = sql.Identifier(name)
    public = connection.execute("select has_database_privilege('public', %s, 'temp') or has_database_privilege('public', %s, 'connect')", [name, name]).fetchone()[0]
    if public:
        connection.execute(sql.SQL("revoke all on database {} from public").format(on))
    for role in [*STEPS, BI_READER, AUDITOR, *groups]:
        privileges = "connect, temporary" if role in STEPS else "connect"
        if not connection.execute("select has_database_privilege(%s, %s, %s)", [role, name, "temp" if role in STEPS else "connect"]).fetchone()[0]:
            connection.execute(sql.SQL("grant {} on database {} to {}").format(sql.SQL(privileges), on, sql.Identifier(role)))


def _own(connection: psycopg.Connection) -> None:
    """Hand over what an earlier version's login, or a restore without owners, made in the rooms of the steps."""
    for schema, owner in OWNED.items():
        found = connection.execute(
            """with ours as (
                   select c.oid, c.relname, c.relkind, pg_get_userbyid(c.relowner) as has, case when exists (
                       select from pg_policy p join pg_class t on t.oid = p.polrelid
                       where t.relnamespace = to_regnamespace('store') and t.relname = c.relname and %(schema)s = 'marts' and c.relkind = 'v'
                   ) then %(views)s else %(owner)s end as owner
                   from pg_class c where c.relnamespace = to_regnamespace(%(schema)s) and c.relkind in ('r', 'v', 'm', 'S', 'p') and not c.relname = any(%(kept)s)
               )
               select relname, relkind, owner from ours
               where has <> owner and not exists (select from pg_depend d where d.objid = ours.oid and d.deptype in ('i', 'a') and relkind = 'S')""",
            {"schema": schema, "owner": owner, "views": VIEWS, "kept": list(KEPT_BY_MIGRATION)},
        ).fetchall()
        for name, kind, owned_by in found:
            what = sql.SQL({"v": "view", "m": "materialized view", "S": "sequence"}.get(kind, "table"))
            connection.execute(sql.SQL("alter {} {} owner to {}").format(what, sql.Identifier(schema, name), sql.Identifier(owned_by)))


def _schema_rights(connection: psycopg.Connection, role: str, schema: str, privileges: str) -> list[sql.Composable]:
    lacks = connection.execute(
        "select exists (select from unnest(string_to_array(%s, ', ')) p where not has_schema_privilege(%s, %s, p)) from pg_namespace where nspname = %s",
        [privileges, role, schema, schema],
    ).fetchone()
    if not lacks or not lacks[0]:
        return []
    return [sql.SQL("grant {} on schema {} to {}").format(sql.SQL(privileges), sql.Identifier(schema), sql.Identifier(role))]


def _known(connection: psycopg.Connection, privileges: str) -> str:
    old = connection.info.server_version < 170000
    return ", ".join(p for p in privileges.split(", ") if not (old and p == KEPT))


def _relation_rights(connection: psycopg.Connection, role: str, schema: str, privileges: str, relations: tuple[str, ...] | None) -> list[sql.Composable]:
    """Grants that are missing; the owner's own rights count as given."""
    privileges = _known(connection, privileges)
    lacking = connection.execute(
        """select c.relname from pg_class c where c.relnamespace = to_regnamespace(%(schema)s) and c.relkind in ('r', 'v', 'm', 'p')
           and (%(only)s::text[] is null or c.relname = any(%(only)s))
           and exists (select from unnest(string_to_array(%(privileges)s, ', ')) p where not has_table_privilege(%(role)s, c.oid, p)) order by 1""",
        {"schema": schema, "only": None if relations is None else list(relations), "privileges": privileges, "role": role},
    ).fetchall()
    return [
        sql.SQL("grant {} on {} to {}").format(sql.SQL(privileges), sql.Identifier(schema, name), sql.Identifier(role)) for (name,) in lacking
    ]


def _rights_of_all(connection: psycopg.Connection, roles: list[str], schema: str, privilege: str, relations: tuple[str, ...]) -> list[sql.Composable]:
    """The same for many roles, which a nation has a thousand of: one look for all of them, and one statement a relation."""
    lacking = connection.execute(
        """select c.relname, array_agg(r.role order by r.role) from pg_class c cross join unnest(%(roles)s::text[]) r (role)
           where c.relnamespace = to_regnamespace(%(schema)s) and c.relkind in ('r', 'v', 'm', 'p') and c.relname = any(%(only)s)
             and not has_table_privilege(r.role, c.oid, %(privilege)s) group by 1 order by 1""",
        {"roles": roles, "schema": schema, "only": list(relations), "privilege": privilege},
    ).fetchall()
    return [
        sql.SQL("grant {} on {} to {}").format(sql.SQL(privilege), sql.Identifier(schema, name), sql.SQL(", ").join(map(sql.Identifier, of)))
        for name, of in lacking
    ]


def _sequence_rights(connection: psycopg.Connection) -> list[sql.Composable]:
    lacking = connection.execute(
        """select r, n.nspname, c.relname from unnest(%s::text[]) r, pg_class c join pg_namespace n on n.oid = c.relnamespace
           where c.relkind = 'S' and n.nspname in ('intake', 'quality', 'ops') and not has_sequence_privilege(r, c.oid, 'usage') order by 1, 2, 3""",
        [list(STEPS)],
    ).fetchall()
    return [sql.SQL("grant usage on sequence {} to {}").format(sql.Identifier(schema, name), sql.Identifier(role)) for role, schema, name in lacking]


def ensure_raw_grants(connection: psycopg.Connection, of: Contracts) -> None:
    """Rights on the raw tables of these contracts, new ones included; nothing on a server that has no roles yet."""
    if connection.execute("select count(*) from pg_roles where rolname = any(%s)", [list(ACTED)]).fetchone()[0] < len(ACTED):
        return
    for privileges, relations in RIGHTS[LOADER]["raw"]:
        _run(connection, _relation_rights(connection, LOADER, "raw", privileges, relations))
    _run(connection, _raw(connection, of))


def personal_columns(of: Contracts) -> dict[str, set[str]]:
    """raw table → its columns that hold, or may hold, personal data."""
    found: dict[str, set[str]] = {}
    for form in of.forms:
        found.setdefault(form.code.lower(), set(UNKNOWN_COLUMNS)).update(f.name for f in form.fields if f.personal)
    return found


def _raw(connection: psycopg.Connection, of: Contracts) -> list[sql.Composable]:
    """Who is not the loader reads typed rows without what is, or may be, about a person."""
    made: list[sql.Composable] = []
    personal = personal_columns(of)
    for role in (TRANSFORMER, PUBLISHER, AUDITOR):
        made += _schema_rights(connection, role, "raw", "USAGE")
        lacking = connection.execute(
            """select c.relname, array_agg(a.attname::text order by a.attnum) from pg_class c join pg_attribute a on a.attrelid = c.oid
               where c.relnamespace = to_regnamespace('raw') and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped
                 and not has_column_privilege(%s, c.oid, a.attnum, 'select') group by 1 order by 1""",
            [role],
        ).fetchall()
        for table, columns in lacking:
            allowed = [c for c in columns if table in personal and c not in personal[table]]
            if allowed:
                names = sql.SQL(", ").join(map(sql.Identifier, allowed))
                made.append(sql.SQL("grant select ({}) on {} to {}").format(names, sql.Identifier("raw", table), sql.Identifier(role)))
    return made


def _defaults(connection: psycopg.Connection) -> list[sql.Composable]:
    """What dbt and a publication make later is readable from its first moment. Never for a county: see `_counties`."""
    have = {
        (owner, schema, str(acl))
        for owner, schema, acl in connection.execute(
            """select pg_get_userbyid(d.defaclrole), n.nspname, pg_get_userbyid(a.grantee) from pg_default_acl d join pg_namespace n on n.oid = d.defaclnamespace,
               aclexplode(d.defaclacl) a where d.defaclobjtype = 'r'"""
        )
    }
    made = []
    for schema, owner in OWNED.items():
        for role, schemas in RIGHTS.items():
            for privileges, relations in schemas.get(schema, ()):
                if relations is None and role != owner and (owner, schema, role) not in have:
                    made.append(
                        sql.SQL("alter default privileges for role {} in schema {} grant {} on tables to {}").format(
                            sql.Identifier(owner), sql.Identifier(schema), sql.SQL(privileges), sql.Identifier(role)
                        )
                    )
    return made


# ---------------------------------------------------------------- counties

OWN_ROWS = "(select store.reads_all()) or {alias}.county_code = any ((select store.own_counties())::text[])"


def own_rows(alias: str) -> str:
    """The condition under which a reader sees a row: both sides are looked up once a query."""
    return "(" + OWN_ROWS.format(alias=alias) + ")"


def _filter(connection: psycopg.Connection) -> None:
    """Views of quality show a county its own rows. They read tables with their owner's rights, so the filter is theirs."""
    found = connection.execute(
        """select c.relname, pg_get_viewdef(c.oid) from pg_class c
           where c.relnamespace = to_regnamespace('quality') and c.relkind = 'v' and c.relname = any(%s)""",
        [list(COUNTY_VIEWS)],
    ).fetchall()
    for name, definition in found:
        if "reads_all" not in definition:
            text = sql.SQL("create or replace view {} with (security_barrier) as select v.* from (" + definition.rstrip("; \n").replace("{", "{{").replace("}", "}}") + ") v where " + own_rows("v"))
            connection.execute(text.format(sql.Identifier("quality", name)))


def _counties(connection: psycopg.Connection) -> None:
    """A county reads marts that filter themselves, the dimensions that are the same for all, and its quality; nothing by default."""
    ensure_mart_grants(connection)
    groups = _county_groups(connection)
    for group in groups:
        for schema in ("marts", "quality"):
            _run(connection, _schema_rights(connection, group, schema, "USAGE"))
    _run(connection, _rights_of_all(connection, groups, "quality", READ, COUNTY_TABLES + COUNTY_VIEWS))
    for role in (*groups, *STEPS, AUDITOR):
        if not connection.execute("select has_function_privilege(%s, 'quality.trace_cell(text, bigint, text, text, text, text)', 'execute')", [role]).fetchone()[0]:
            connection.execute(sql.SQL("grant execute on function quality.trace_cell to {}").format(sql.Identifier(role)))


def ensure_mart_grants(connection: psycopg.Connection) -> None:
    """What a publication has made becomes readable to the counties. For the publisher, who owns it, and whoever is a member."""
    names = tuple(
        name
        for (name,) in connection.execute(
            """select c.relname from pg_class c where c.relnamespace = to_regnamespace('marts') and c.relkind = 'v' and pg_has_role(c.relowner, 'usage')
               and (c.relname = any(%s) or pg_get_viewdef(c.oid) like '%%reads_all%%' or c.relname like '%%\\_overview')""",
            [list(FREE_DIMENSIONS)],
        )
    )
    _run(connection, _rights_of_all(connection, _county_groups(connection), "marts", READ, names))


def _county_groups(connection: psycopg.Connection) -> list[str]:
    return [name for (name,) in connection.execute(r"select rolname from pg_roles where rolname ~ '^county_\d{6}$' order by 1")]
