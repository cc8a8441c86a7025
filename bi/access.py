"""Who may see what in Superset: readers of the city, and readers of one county. Run in Superset's environment.

``python -m bi.access sync`` brings roles and row filters to what the imported datasets ask for (after each import).
``python -m bi.access user NAME [--county CODE]`` makes a reader and prints a password.

A county's role carries its row filter itself, so that nobody can hold the role without the filter. Readers may open
dashboards and explore charts; SQL Lab, other data and everything that writes is closed to them.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from pathlib import Path

from bi.serve import environment

CITY = "市级查看"
COUNTY = "县级查看 {}"
PLAIN = ("Gamma",)  # Superset's role for readers; it opens no data by itself
SCHEMA = "bi"
ASSETS = Path(__file__).resolve().parent / "assets"
FORBIDDEN = ("SQLLab", "SavedQuery", "Query", "ImportExportRestApi", "CssTemplate")


def sync() -> None:
    """Every reader's role gets exactly the datasets of the dashboards; every county's filter lies on all that have counties."""
    from superset import db, security_manager
    from superset.connectors.sqla.models import RowLevelSecurityFilter, SqlaTable

    _role(CITY, security_manager, db)
    for role in security_manager.get_all_roles():
        if role.name.startswith(COUNTY.format("")):
            _county(role.name.removeprefix(COUNTY.format("")), security_manager, db, RowLevelSecurityFilter, SqlaTable)
    _clear(db)
    db.session.commit()


def _clear(db) -> None:
    """Charts and pages of ours that the repository no longer has go; what people made themselves stays."""
    import yaml
    from superset.models.dashboard import Dashboard
    from superset.models.slice import Slice

    for model, folder in ((Dashboard, "dashboards"), (Slice, "charts")):
        wanted = {yaml.safe_load(path.read_text(encoding="utf-8"))["uuid"] for path in (ASSETS / folder).glob("*.yaml")}
        for thing in db.session.query(model).filter_by(is_managed_externally=True):
            if str(thing.uuid) not in wanted:
                db.session.delete(thing)


def user(name: str, county: str | None) -> str:
    """Make a reader, or give an existing one this role and a new password; returns the password."""
    from superset import db, security_manager
    from superset.connectors.sqla.models import RowLevelSecurityFilter, SqlaTable

    role = _county(county, security_manager, db, RowLevelSecurityFilter, SqlaTable) if county else _role(CITY, security_manager, db)
    known, password = security_manager.find_user(name), secrets.token_urlsafe(12)
    if known is not None and any(r.name == "Admin" for r in known.roles):
        raise SystemExit(f"{name} is an administrator; choose another name.")
    if known is None:
        if not security_manager.add_user(name, name, county or "市级", f"{name}@localhost", role, password=password):
            raise SystemExit(f"Superset did not accept the user {name}.")
    else:
        known.roles = [role]
        security_manager.reset_password(known.id, password)
    db.session.commit()
    return password


def _role(name: str, security_manager, db):
    """A reader's role: Superset's plain reader without what writes or queries freely, and the datasets of the dashboards."""
    from superset.connectors.sqla.models import SqlaTable

    role = security_manager.add_role(name)
    plain = {p for base in PLAIN for p in security_manager.find_role(base).permissions if p.view_menu.name not in FORBIDDEN}
    tables = db.session.query(SqlaTable).filter(SqlaTable.schema == SCHEMA).all()
    role.permissions = [*plain, *(security_manager.add_permission_view_menu("datasource_access", table.perm) for table in tables)]
    return role


def _county(code: str, security_manager, db, rule_model, table_model):
    role = _role(COUNTY.format(code), security_manager, db)
    name = f"只看 {code}"
    rule = db.session.query(rule_model).filter_by(name=name).one_or_none()
    if rule is None:
        rule = rule_model(name=name)
        db.session.add(rule)
    rule.filter_type, rule.clause, rule.group_key, rule.roles = "Regular", f"county_code = '{code}'", "county", [role]
    rule.description = "县级用户只看本县的行"
    tables = db.session.query(table_model).filter(table_model.schema == SCHEMA).all()
    rule.tables = [t for t in tables if any(c.column_name == "county_code" for c in t.columns)]
    return role


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("sync")
    one = commands.add_parser("user")
    one.add_argument("name")
    one.add_argument("--county")
    given = parser.parse_args(arguments)
    if given.command == "user" and given.county is not None and not given.county.isdigit():
        raise SystemExit(f"{given.county} is not a county's code.")
    os.environ.update(environment())  # where Superset finds its configuration
    from superset.app import create_app

    with create_app().app_context():
        if given.command == "sync":
            sync()
        else:
            print(user(given.name, given.county))
    return 0


if __name__ == "__main__":
    sys.exit(main())
