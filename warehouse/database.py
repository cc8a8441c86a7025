"""Connections and migrations, for the embedded server and for an external one alike."""

from __future__ import annotations

from pathlib import Path

import psycopg

from warehouse.embedded import EmbeddedServer
from warehouse.locks import MIGRATION as MIGRATION_LOCK
from warehouse.settings import Settings, WarehouseError

MIGRATIONS = Path(__file__).parent / "migrations"


def url(settings: Settings) -> str:
    """The database's URL. Raises WarehouseError if the embedded server has not been started yet."""
    if settings.url:
        return settings.url
    server = EmbeddedServer(settings)
    if server.port is None:
        raise WarehouseError("The database of this home has never been started: run `warehouse up` or `warehouse cycle`.")
    return server.url()


def start(settings: Settings) -> str:
    """Make the database reachable and up to date; returns its URL. Safe to call at any time."""
    settings.prepare()
    address = settings.url or EmbeddedServer(settings).start()
    with connect(settings) as connection:
        if connection.info.server_version < 150000:
            raise WarehouseError(f"PostgreSQL 15 or newer is needed; this server is {connection.info.server_version // 10000}.")
        migrate(connection)
    _seal_once(settings)
    return address


def _seal_once(settings: Settings) -> None:
    """What an earlier version kept of persons in clear, in the archive and in raw tables. Cut off, it is taken up again."""
    from ingestion import personal
    from warehouse import originals, roles
    from warehouse.keys import keyring

    originals.seal_all(settings)
    with connect(settings, autocommit=True) as connection:
        if connection.execute("select from ops.once where name = 'personal data sealed'").fetchone():
            return
        with connection.transaction():
            connection.execute("select pg_advisory_xact_lock(%s)", [MIGRATION_LOCK])
            with roles.acting(connection, roles.LOADER):
                sealed = personal.seal_clear(connection, keyring(settings))
        if sealed:  # what was in clear is still in the tables' dead rows
            for (table,) in connection.execute("select tablename from pg_tables where schemaname = 'raw'").fetchall():
                connection.execute(f'vacuum full raw."{table}"')
        connection.execute("insert into ops.once (name) values ('personal data sealed') on conflict do nothing")


def connect(settings: Settings, **options) -> psycopg.Connection:
    """A new connection. Raises WarehouseError in place of the driver's text when nobody answers."""
    try:
        return psycopg.connect(url(settings), application_name="warehouse", **options)
    except psycopg.OperationalError as error:
        where = "the server in WAREHOUSE_URL" if settings.url else "the embedded database; start it with `warehouse up`"
        raise WarehouseError(f"No connection to {where}: {str(error).strip().splitlines()[-1]}") from error


def hashed(connection: psycopg.Connection, login: str, password: str) -> str:
    """What a statement says instead of a password: the server keeps just this, and logs the text of statements that fail."""
    return connection.pgconn.encrypt_password(password.encode(), login.encode()).decode()


def migrate(connection: psycopg.Connection) -> list[str]:
    """Apply what is new: numbered SQL files once each, then the tables made from contracts and reference data.

    Returns the names of the files applied. One transaction; several callers wait for each other.
    """
    from ingestion.raw_tables import synchronise  # contracts → raw tables; imports nothing of this module
    from warehouse import grants
    from warehouse.trace.origins import note_origins

    applied = []
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", [MIGRATION_LOCK])
        connection.execute("create schema if not exists ops")
        connection.execute("create table if not exists ops.migration (name text primary key, applied_at timestamptz not null default now())")
        done = {name for (name,) in connection.execute("select name from ops.migration")}
        files = sorted(MIGRATIONS.glob("*.sql"))
        unknown = done - {f.name for f in files}
        if unknown:
            raise WarehouseError(f"This database was made by a newer version of the project (it knows {max(unknown)}). Update the project, or use another WAREHOUSE_HOME.")
        for file in files:
            if file.name not in done:
                connection.execute(file.read_text(encoding="utf-8").encode())
                connection.execute("insert into ops.migration (name) values (%s)", [file.name])
                applied.append(file.name)
        synchronise(connection)
        note_origins(connection)
        grants.ensure(connection)
    return applied
