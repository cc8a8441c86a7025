"""`warehouse grant`, `warehouse revoke`, `warehouse rotate-key`: who may read, and the keys of personal data."""

from __future__ import annotations

import click

from warehouse.commands.base import AS_JSON, connected, main, tell
from warehouse.logins import KINDS


@main.command()
@click.argument("login")
@click.option("--role", "kind", required=True, type=click.Choice(KINDS), help="What the login is for; pipeline is for the scheduler's own login.")
@click.option("--county", help="With --role county: the county's code.")
@click.option("--new-password", is_flag=True, help="Give a login that is there already a new random password.")
@AS_JSON
def grant(login: str, kind: str, county: str | None, new_password: bool, as_json: bool) -> None:
    """Let LOGIN read (or run the steps); a login that is not there yet is made, with a random password that is printed once.

    \b
    Examples: warehouse grant bi_tool --role bi_reader
              warehouse grant tianlin --role county --county 451029
    """
    from warehouse import logins

    with connected() as (connection, _):
        password = logins.grant(connection, login, kind, county, new_password)
        groups = [g for (g,) in connection.execute("select g.rolname from pg_auth_members m join pg_roles g on g.oid = m.roleid where m.member = to_regrole(%s)::oid order by 1", [login])]
    text = f"{login} is a member of {', '.join(groups)}."
    tell(as_json, {"login": login, "groups": groups, "password": password}, text + (f"\nPassword: {password}  (kept nowhere: note it now)" if password else ""))


@main.command()
@click.argument("login")
@AS_JSON
def revoke(login: str, as_json: bool) -> None:
    """Take LOGIN out of every group of the warehouse. The login itself stays on the server.

    \b
    Example: warehouse revoke tianlin
    """
    from warehouse import logins

    with connected() as (connection, _):
        groups = logins.revoke(connection, login)
    tell(as_json, {"login": login, "groups": groups}, f"{login} was taken out of {', '.join(groups)}." if groups else f"{login} was in no group of the warehouse.")


@main.command("rotate-key")
@click.option("--no-new-key", is_flag=True, help="Seal again with the newest key there is; make none. Where the keys come from a vault, or after a rotation that was cut off.")
@click.option("--keep-old", is_flag=True, help="Keep the old keys in secrets/data_keys, for backups that were sealed with them.")
@AS_JSON
def rotate_key(no_new_key: bool, keep_old: bool, as_json: bool) -> None:
    """A new key for personal data: everything sealed so far is sealed again with it. Pseudonyms stay what they are.

    \b
    Can be cut off and run again (with --no-new-key). Example: warehouse rotate-key --keep-old
    """
    from ingestion.rotation import rotate

    with connected() as (connection, settings):
        result = rotate(connection, settings, new_key=not no_new_key, keep_old=keep_old)
    gone = f" Retired: {', '.join(result['retired'])}." if result["retired"] else ""
    tell(as_json, result, f"Key {result['key']} seals now. Sealed again: {result['originals']:,} originals, {result['blocks']:,} blocks of rows.{gone}")
