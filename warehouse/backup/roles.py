"""The database's roles and who is in which, which belong to the server and so to no dump."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
from psycopg import sql

from warehouse.settings import WarehouseError

FILE = "roles.json"
ATTRIBUTES = {"rolcanlogin": "login", "rolinherit": "inherit", "rolcreaterole": "createrole", "rolcreatedb": "createdb", "rolbypassrls": "bypassrls"}


def write(connection: psycopg.Connection, folder: Path) -> None:
    """Every role but superusers and the server's own, without passwords: those are given anew after a restore."""
    listed = ", ".join(ATTRIBUTES)
    roles = [
        dict(zip(("name", *ATTRIBUTES), row, strict=True))
        for row in connection.execute(f"select rolname, {listed} from pg_roles where not rolsuper and rolname !~ '^pg_' and rolname <> current_user order by 1")
    ]
    names = [role["name"] for role in roles]
    members = connection.execute(
        """select distinct g.rolname, m.rolname from pg_auth_members a join pg_roles g on g.oid = a.roleid join pg_roles m on m.oid = a.member
           where (m.rolname = any(%s) or m.rolname = current_user) and (g.rolname = any(%s) or g.rolname ~ '^pg_') order by 1, 2""",
        [names, names],
    ).fetchall()
    members = [(group, "" if member == connection.info.user else member) for group, member in members]  # '': whoever connects
    options = connection.execute(
        """select r.rolname, o from pg_db_role_setting s join pg_roles r on r.oid = s.setrole, unnest(s.setconfig) o
           where s.setdatabase = 0 and r.rolname = any(%s) order by 1, 2""",
        [names],
    ).fetchall()
    (folder / FILE).write_text(json.dumps({"roles": roles, "members": members, "options": options}, indent=1), encoding="utf-8")


def make(connection: psycopg.Connection, folder: Path) -> list[str]:
    """Make the roles that the server lacks; returns their names. Raises WarehouseError where that is not allowed."""
    told = json.loads((folder / FILE).read_text(encoding="utf-8"))
    have = {name for (name,) in connection.execute("select rolname from pg_roles")}
    made = []
    try:
        for role in told["roles"]:
            if role["name"] not in have:
                words = " ".join(word if role[column] else f"no{word}" for column, word in ATTRIBUTES.items())
                connection.execute(sql.SQL("create role {} " + words).format(sql.Identifier(role["name"])))
                made.append(role["name"])
        for group, member in told["members"]:
            if member in made or group in made or not member:
                connection.execute(sql.SQL("grant {} to {}").format(sql.Identifier(group), sql.Identifier(member) if member else sql.SQL("current_user")))
        for name, option in told["options"]:
            if name in made:
                key, _, value = option.partition("=")
                connection.execute(sql.SQL("alter role {} set {} = {}").format(sql.Identifier(name), sql.Identifier(*key.split(".")), sql.Literal(value)))
    except psycopg.errors.InsufficientPrivilege as error:
        raise WarehouseError(
            f"The user {connection.info.user} may not create the roles of this backup ({folder / FILE}). Let an administrator create them, then restore again."
        ) from error
    return made
