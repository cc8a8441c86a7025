"""What the database keeps for the dashboards: a login that can only read, and a database of Superset's own.

Both are made by the warehouse's own login, again and again without harm. Where that may not make logins or databases, the
error says what an administrator has to make.
"""

from __future__ import annotations

from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from bi import views
from warehouse import database
from warehouse.settings import Settings, WarehouseError

READER = "{}_bi"  # the login that Superset reads with; {} is the warehouse's database, so that several can share a server
OWNER = "{}_superset"  # the login that Superset keeps its own tables with
GROUP = "bi_reader"  # the readers' role of the warehouse, where there is one
READABLE = ("bi", "marts")
TIMEOUT = "60s"


def prepare(settings: Settings, metadata: str = "superset") -> tuple[str, str]:
    """Make views, login and Superset's database; returns (address to read from, address of Superset's database).

    ``metadata`` is the database's name. Raises WarehouseError where something may not be made, or nothing is published.
    """
    secrets = settings.secret("bi_reader_password", 24), settings.secret("bi_metadata_password", 24)
    with database.connect(settings, autocommit=True) as connection:
        views.ensure(connection)
        reader, owner = (name.format(connection.info.dbname) for name in (READER, OWNER))
        _login(connection, reader, secrets[0])
        _reading(connection, reader)
        _login(connection, owner, secrets[1])
        _database(connection, metadata, owner)
    address = database.url(settings)
    return _with_login(address, reader, secrets[0]), _with_login(address, owner, secrets[1], metadata)


def _login(connection: psycopg.Connection, name: str, password: str) -> None:
    # only a superuser may so much as mention SUPERUSER of a role that is there; one that a login like ours makes is none
    verb = "alter" if connection.execute("select true from pg_roles where rolname = %s", [name]).fetchone() else "create"
    try:
        connection.execute(sql.SQL(verb + " role {} login nocreatedb nocreaterole password {}").format(sql.Identifier(name), sql.Literal(database.hashed(connection, name, password))))
    except psycopg.errors.InsufficientPrivilege as error:
        raise WarehouseError(f"The login {name} may not be made or changed here ({error.diag.message_primary}); have an administrator give the warehouse's login CREATEROLE.") from error


def _reading(connection: psycopg.Connection, name: str) -> None:
    """What the reading login may do: read `bi` and `marts`, for a minute a query. Nothing is written, nothing else is seen."""
    reader = sql.Identifier(name)
    if connection.execute("select true from pg_roles where rolname = %s", [GROUP]).fetchone():
        try:
            connection.execute(sql.SQL("grant {} to {}").format(sql.Identifier(GROUP), reader))
        except psycopg.errors.InsufficientPrivilege as error:  # another database of the server made the group first
            raise WarehouseError(f"{name} may not become a member of {GROUP} here; have an administrator give the warehouse's login {GROUP} with admin option.") from error
    for schema in READABLE:
        where = sql.Identifier(schema)
        connection.execute(sql.SQL("grant usage on schema {} to {}").format(where, reader))
        connection.execute(sql.SQL("grant select on all tables in schema {} to {}").format(where, reader))
        connection.execute(sql.SQL("alter default privileges in schema {} grant select on tables to {}").format(where, reader))
    connection.execute(sql.SQL("alter role {} set default_transaction_read_only = on").format(reader))
    connection.execute(sql.SQL("alter role {} set statement_timeout = {}").format(reader, sql.Literal(TIMEOUT)))


def _database(connection: psycopg.Connection, name: str, login: str) -> None:
    if connection.execute("select true from pg_database where datname = %s", [name]).fetchone():
        return
    owner = sql.Identifier(login)
    try:
        connection.execute(sql.SQL("grant {} to current_user").format(owner))  # only a member may give a database away
        connection.execute(sql.SQL("create database {} owner {}").format(sql.Identifier(name), owner))
        connection.execute(sql.SQL("revoke connect on database {} from public").format(sql.Identifier(name)))
    except psycopg.errors.DuplicateDatabase:
        return
    except psycopg.errors.InsufficientPrivilege as error:
        raise WarehouseError(
            f"Superset's database “{name}” may not be made here ({error.diag.message_primary}). Have an administrator make it, owned by {login}, "
            "or name a database of your own in WAREHOUSE_BI_METADATA_URL."
        ) from error


def _with_login(url: str, user: str, password: str, name: str | None = None) -> str:
    parts = urlsplit(url)
    place = f"{parts.hostname}:{parts.port or 5432}"
    return urlunsplit(("postgresql", f"{user}:{quote(password)}@{place}", f"/{name}" if name else parts.path, parts.query, ""))
