"""Real logins on the small city: one a role, made as the data team makes them, gone afterwards."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from warehouse import database, roles
from warehouse.logins import grant
from warehouse.settings import Settings

_numbers = itertools.count(1)
STRANGER = "stranger"  # a login that belongs to no group


class Logins:
    """``connect(role)`` is a new connection of the login that is a member of that group alone."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.passwords: dict[str, str] = {}
        self.number = next(_numbers)

    def name(self, role: str) -> str:
        return f"login_{role}_{os.getpid()}_{self.number}"

    def make(self, admin: psycopg.Connection, role: str) -> None:
        login = self.name(role)
        if role in (roles.BI_READER, roles.AUDITOR):
            self.passwords[role] = grant(admin, login, role)
        elif role.startswith("county_"):
            self.passwords[role] = grant(admin, login, "county", role.removeprefix("county_"))
        else:
            self.passwords[role] = "not a secret"
            admin.execute(sql.SQL("create role {} login password {}").format(sql.Identifier(login), sql.Literal(self.passwords[role])))
            database_name = sql.Identifier(admin.info.dbname)
            admin.execute(sql.SQL("grant connect on database {} to {}").format(database_name, sql.Identifier(login)))
            if role != STRANGER:
                admin.execute(sql.SQL("grant {} to {}").format(sql.Identifier(role), sql.Identifier(login)))

    def connect(self, role: str, **options) -> psycopg.Connection:
        given = conninfo_to_dict(self.settings.url) | {"user": self.name(role), "password": self.passwords[role]}
        return psycopg.connect(make_conninfo(**given), autocommit=True, **options)


@contextlib.contextmanager
def logins(settings: Settings, wanted: list[str]) -> Iterator[Logins]:
    """Logins for some roles; the database's own rights are brought up to date first, as a migration does."""
    made = Logins(settings)
    with database.connect(settings, autocommit=True) as admin:
        database.migrate(admin)
        try:
            for role in wanted:
                made.make(admin, role)
            yield made
        finally:
            for role in made.passwords:
                login = sql.Identifier(made.name(role))
                admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", [made.name(role)])
                admin.execute(sql.SQL("drop owned by {}").format(login))
                admin.execute(sql.SQL("drop role {}").format(login))
