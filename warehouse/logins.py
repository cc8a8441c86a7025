"""Logins of readers and of the pipeline: made, put into the groups of `roles`, and taken out of them."""

from __future__ import annotations

import secrets

import psycopg
from psycopg import sql

from warehouse import database
from warehouse.roles import ACTED, AUDITOR, BI_READER, STEPS, county_group
from warehouse.settings import WarehouseError

KINDS = ("bi_reader", "auditor", "county", "pipeline")


def grant(connection: psycopg.Connection, login: str, kind: str, county: str | None = None, new_password: bool = False) -> str | None:
    """Make a login a member of a group, and make the login where there is none; returns the password that was made.

    ``kind`` is one of `KINDS`; a county needs its code. A login of the pipeline inherits nothing: it acts as the role of
    the step it does. Raises WarehouseError for a county that is not in force and for what the caller may not do.
    """
    groups = {"bi_reader": [BI_READER], "auditor": [AUDITOR], "pipeline": list(ACTED)}.get(kind)
    if groups is None:
        in_force = [c for (c,) in connection.execute("select county_code from reference.counties where valid_to is null order by 1")]
        if county not in in_force:
            raise WarehouseError(f"There is no county {county} in force. Known: {', '.join(in_force)}.")
        groups = [county_group(county)]
    elif county:
        raise WarehouseError("--county goes with --role county.")
    if login in {*STEPS, BI_READER, AUDITOR} or login.startswith(("county_", "pg_")):
        raise WarehouseError(f"{login} is the name of a group. Choose another for the login.")
    try:
        with connection.transaction():
            known = connection.execute("select from pg_roles where rolname = %s", [login]).fetchone() is not None
            password = secrets.token_urlsafe(18) if new_password or not known else None
            if not known:
                connection.execute(sql.SQL("create role {} login").format(sql.Identifier(login)))
            if password:
                connection.execute(sql.SQL("alter role {} login password {}").format(sql.Identifier(login), sql.Literal(database.hashed(connection, login, password))))
            if kind == "pipeline":
                connection.execute(sql.SQL("alter role {} noinherit").format(sql.Identifier(login)))
                connection.execute(sql.SQL("grant connect on database {} to {}").format(sql.Identifier(connection.info.dbname), sql.Identifier(login)))
            for group in groups:
                how = sql.SQL(" with inherit false, set true") if kind == "pipeline" and connection.info.server_version >= 160000 else sql.SQL("")
                connection.execute(sql.SQL("grant {} to {}").format(sql.Identifier(group), sql.Identifier(login)) + how)
    except psycopg.errors.InsufficientPrivilege as error:
        raise WarehouseError(
            f"The login {connection.info.user} may not do that: {str(error).splitlines()[0]}. It needs CREATEROLE, and the groups must be its own (`warehouse up`)."
        ) from error
    return password


def revoke(connection: psycopg.Connection, login: str) -> list[str]:
    """Take a login out of every group of the warehouse; returns their names. The login itself stays."""
    groups = [
        name
        for (name,) in connection.execute(
            r"""select g.rolname from pg_auth_members m join pg_roles g on g.oid = m.roleid join pg_roles u on u.oid = m.member
                where u.rolname = %s and (g.rolname = any(%s) or g.rolname ~ '^county_\d{6}$') order by 1""",
            [login, [*STEPS, BI_READER, AUDITOR]],
        )
    ]
    for group in groups:
        connection.execute(sql.SQL("revoke {} from {}").format(sql.Identifier(group), sql.Identifier(login)))
    return groups
