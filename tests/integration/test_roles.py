"""What each role may and may not do: tried with real logins, and written down as docs/roles.md."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from small_city import COUNTIES, WHOLE, make

from bi import login
from ingestion.contracts import contracts
from tests.integration import role_matrix
from tests.integration.logins import STRANGER, logins
from warehouse import database, roles
from warehouse.logins import grant, revoke
from warehouse.publication import publish
from warehouse.settings import WarehouseError

pytestmark = [pytest.mark.database, pytest.mark.slow]
PERSONAL = {(f.code.lower(), field.name) for f in contracts().forms for field in f.fields if field.personal}


@pytest.fixture(scope="module")
def city(server, template, tmp_path_factory):
    return make(server, template, tmp_path_factory.mktemp("city"))


@pytest.fixture(scope="module")
def entered(city):
    with logins(city.settings, list(role_matrix.ROLES)) as made, contextlib.ExitStack() as stack:
        yield {role: stack.enter_context(made.connect(role)) for role in role_matrix.ROLES}


@pytest.fixture(scope="module")
def matrix(city, entered):
    with database.connect(city.settings, autocommit=True) as admin:
        known = role_matrix.relations(admin)
    return role_matrix.try_all(entered, known)


def test_the_page_says_what_was_tried(matrix):
    if os.environ.get("WAREHOUSE_WRITE_DOCS"):
        role_matrix.write(matrix)
    assert role_matrix.on_page(role_matrix.PAGE.read_text(encoding="utf-8")) == "\n".join(role_matrix.lines(matrix)), "run `make roles`"


# What is owed, said here without looking at how it is granted


def may(matrix, role, letters):
    return {name for name, by_role in matrix.items() if "." in name and name not in role_matrix.FUNCTIONS and set(letters) & set(by_role[role])}


def in_schema(names):
    return {name.split(".")[0] for name in names}


def test_nobody_but_the_publisher_writes_the_ledger(matrix):
    for role in role_matrix.ROLES:
        written = {name for name in may(matrix, role, "IUDT") if name.startswith("store.")}
        assert bool(written) == (role == roles.PUBLISHER), (role, written)
    assert "T" not in matrix["store.publication"][roles.PUBLISHER] and "U" not in matrix["store.publication"][roles.PUBLISHER]


def test_readers_change_nothing_anywhere(matrix):
    for role in (roles.BI_READER, roles.AUDITOR, f"county_{WHOLE}", STRANGER):
        assert not may(matrix, role, "IUDT"), role
        assert not any(by_role[role] for name, by_role in matrix.items() if name.startswith("create in")), role


def test_only_the_loader_reads_personal_data(city, entered):
    with database.connect(city.settings) as admin:
        tables = admin.execute("select table_schema, table_name, column_name from information_schema.columns where table_schema = 'raw'").fetchall()
    tried = 0
    for schema, table, column in tables:
        if (table, column) not in PERSONAL and column not in roles.UNKNOWN_COLUMNS:
            continue
        tried += 1
        for role, connection in entered.items():
            allowed = role_matrix.may(connection, f'select "{column}" from {schema}.{table}')
            assert allowed == (role == roles.LOADER), (role, table, column)
    assert tried > 20


def test_the_auditor_reads_everything_else(city, matrix):
    lacking = {name for name, by_role in matrix.items() if "." in name and name not in role_matrix.FUNCTIONS and by_role[roles.AUDITOR] not in ("S", "c")}
    assert lacking == {"raw.personal"}
    assert {name.split(".")[0] for name, by_role in matrix.items() if "." in name and by_role[roles.AUDITOR] == "c"} == {"raw"}


def test_a_reader_of_the_marts_reads_nothing_but_the_marts(matrix):
    assert in_schema(may(matrix, roles.BI_READER, "Ssc")) == {"marts"}
    assert all("S" in by_role[roles.BI_READER] for name, by_role in matrix.items() if name.startswith("marts."))


def test_a_login_without_a_group_reads_nothing(matrix):
    assert not may(matrix, STRANGER, "Ssc")


def test_a_step_keeps_to_its_room(matrix):
    assert in_schema(may(matrix, roles.LOADER, "IUDT")) == {"intake", "raw", "quality", "ops"}
    assert in_schema(may(matrix, roles.TRANSFORMER, "IUDT")) == {"quality", "ops", "staging", "intermediate", "candidate"}
    assert in_schema(may(matrix, roles.PUBLISHER, "IUDT")) == {"intake", "quality", "ops", "store", "marts", "candidate"}


def test_a_county_sees_its_own_rows_and_the_same_dimensions_as_all(city, matrix, entered):
    mine = matrix.keys() & may(matrix, f"county_{WHOLE}", "Ssc")
    assert in_schema(mine) == {"marts", "quality"}
    free = {name for name in mine if matrix[name][f"county_{WHOLE}"] == "S"}
    assert free == {f"marts.{name}" for name in roles.FREE_DIMENSIONS} | {"quality.rule", "quality.rule_term"}
    county, admin = entered[f"county_{WHOLE}"], entered[roles.AUDITOR]
    compared = 0
    for name in sorted(mine - free):
        table = sql.Identifier(*name.split("."))
        seen = county.execute(sql.SQL("select count(*) from {}").format(table)).fetchone()[0]
        there = admin.execute(sql.SQL("select count(*) from {} where county_code = any(%s)").format(table), [[WHOLE, "*"]]).fetchone()[0]
        assert seen == there, name
        compared += bool(seen)
    assert compared > 40


def test_counties_together_see_what_the_city_sees(city):
    """Nothing is lost between them: their rows add up to the city's, in every fact and overview."""
    with logins(city.settings, [f"county_{c}" for c in COUNTIES]) as made, contextlib.ExitStack() as stack:
        entered = [stack.enter_context(made.connect(f"county_{c}")) for c in COUNTIES]
        with database.connect(city.settings, autocommit=True) as admin:
            views = [n for (n,) in admin.execute("select viewname from pg_views where schemaname = 'marts' and viewname ~ '^fct_|_overview$'")]
            for view in views:
                count = sql.SQL("select count(*) from {}").format(sql.Identifier("marts", view))
                assert sum(c.execute(count).fetchone()[0] for c in entered) == admin.execute(count).fetchone()[0], view
    assert len(views) > 30


def test_a_login_of_two_counties_sees_both(city):
    with logins(city.settings, [f"county_{WHOLE}"]) as made, database.connect(city.settings, autocommit=True) as admin:
        grant(admin, made.name(f"county_{WHOLE}"), "county", COUNTIES[1])
        with made.connect(f"county_{WHOLE}") as connection:
            assert {c for (c,) in connection.execute("select distinct county_code from marts.fct_employment_weekly")} == set(COUNTIES[:2])


def test_a_renamed_county_keeps_what_it_sent_under_its_old_code(city):
    with database.connect(city.settings) as admin, admin.transaction(force_rollback=True):
        for code in ("451082", "451023", WHOLE):
            admin.execute("insert into quality.reporting_status (week, county_code, form, status, due_at, judged_at) values ('2019-W50', %s, 'EMP01', 'late', now(), now())", [code])
        admin.execute("set local role county_451082")
        assert {c for (c,) in admin.execute("select county_code from quality.reporting_status")} == {"451082", "451023"}


# Logins


def test_granting_is_safe_to_repeat_and_can_be_taken_back(city):
    with database.connect(city.settings, autocommit=True) as admin:
        login = f"analyst_{os.getpid()}"
        try:
            assert grant(admin, login, "bi_reader")
            assert grant(admin, login, "bi_reader") is None  # the password stays what it is
            assert grant(admin, login, "bi_reader", new_password=True)
            assert revoke(admin, login) == ["bi_reader"]
        finally:
            admin.execute(sql.SQL("drop role {}").format(sql.Identifier(login)))
        with pytest.raises(WarehouseError, match="There is no county 999999"):
            grant(admin, login, "county", "999999")
        with pytest.raises(WarehouseError, match="name of a group"):
            grant(admin, "county_451002", "bi_reader")


def test_a_login_that_may_not_act_as_a_step_is_told_so(city):
    with logins(city.settings, [roles.BI_READER]) as made, made.connect(roles.BI_READER) as connection:
        connection.execute("select 1")
        with pytest.raises(WarehouseError, match=r"may not act as warehouse_publisher.*--role pipeline"):
            publish(connection, city.settings, check_run_id=None, approved_by="x")


def test_migrating_twice_grants_nothing_new(city):
    acl = "select array_agg((oid, relacl, relowner)::text order by oid) from pg_class"
    with database.connect(city.settings, autocommit=True) as admin:
        before = admin.execute(acl).fetchone()
        database.migrate(admin)
        assert admin.execute(acl).fetchone() == before


# A server of one's own, where the login is no superuser


def test_an_ordinary_owner_with_createrole_runs_everything(server, template, tmp_path):
    """The whole cycle, from the first migration on, with a login that owns the database and may create roles, and no more."""
    from small_city import _publish, write_week

    name, owner, worker, dashboards = (f"{what}_{os.getpid()}" for what in ("owned", "owner", "worker", "dashboards"))
    address = conninfo_to_dict(server)
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"create role {owner} login createrole password 'owner'")
        admin.execute(f"create database {name} owner {owner}")
        # other databases of the server made the groups first: an owner is then given them by an administrator
        admin.execute(f"grant {', '.join([*roles.ACTED, login.GROUP])} to {owner} with admin option")
        try:
            settings = replace(database_settings(), home=tmp_path / "home", url=f"postgresql://{owner}:owner@{address['host']}:{address['port']}/{name}")
            database.start(settings)
            demo = write_week(tmp_path / "w23", 23, counties=[WHOLE], payouts=6)
            with database.connect(settings, autocommit=True) as connection:
                _publish(connection, settings, [demo], "2020-W23")
                assert connection.execute("select count(*) from marts.fct_employment_weekly").fetchone()[0] > 0
                password = grant(connection, worker, "pipeline")
            # the scheduler's own login: it inherits nothing and acts as the role of each step
            working = replace(settings, url=f"postgresql://{worker}:{password}@{address['host']}:{address['port']}/{name}")
            with database.connect(working, autocommit=True) as connection:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute("select * from store.publication")
                _publish(connection, working, [write_week(tmp_path / "w24", 24, counties=[WHOLE], payouts=6)], "2020-W24")
                with roles.acting(connection, roles.AUDITOR):
                    assert connection.execute("select max(publication_id) from store.publication").fetchone()[0] == 2
            # the dashboards' logins and database, made once and again at every later start
            admin.execute(f"alter role {owner} createdb")
            addresses = login.prepare(settings, dashboards)
            assert login.prepare(settings, dashboards) == addresses
            for place, table in zip(addresses, ("marts.fct_employment_weekly", "pg_tables"), strict=True):
                with psycopg.connect(place) as connection:
                    assert connection.execute(f"select count(*) from {table}").fetchone()[0] > 0
        finally:
            for each in (dashboards, name):
                admin.execute(f"drop database if exists {each} with (force)")
            for role in (worker, login.READER.format(name), login.OWNER.format(name), owner):
                admin.execute(f"drop role if exists {role}")


def test_no_statement_tells_a_password(city, monkeypatch):
    """PostgreSQL writes a statement that fails into its log, and every one where an administrator asks for it."""
    said, execute = [], psycopg.Connection.execute
    monkeypatch.setattr(psycopg.Connection, "execute", lambda self, query, *more, **options: said.append(query.as_string(self) if isinstance(query, sql.Composable) else query) or execute(self, query, *more, **options))
    worker = f"quiet_{os.getpid()}"
    with database.connect(city.settings, autocommit=True) as connection:
        passwords = [grant(connection, worker, "auditor"), *(conninfo_to_dict(a)["password"] for a in login.prepare(city.settings, "superset_of_the_small_city"))]
        connection.execute(f"drop role {worker}")
    changes = [text for text in said if " password " in text]
    assert len(changes) == 3 and all(passwords)
    assert not [text for text in said if any(p in text for p in passwords)]


def database_settings():
    from warehouse.settings import Settings

    return Settings.from_environment()
