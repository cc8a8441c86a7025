"""The views that readers see: on what their filter stands, what is left of it when that is lost, and how they are planned."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from small_city import COUNTIES, WHOLE, make

from warehouse import database, grants, roles
from warehouse.publication.store import candidate_marts, ensure

pytestmark = [pytest.mark.database, pytest.mark.slow]
NAME = "fct_employment_weekly"
FACT, TABLE = f"marts.{NAME}", f"store.{NAME}"
STAR = f"""
select c.short_name, w.iso_year, sum(f.employed_away), count(*)
from {FACT} f join marts.dim_county c using (county_code) join marts.dim_week w using (week) group by 1, 2
"""


@pytest.fixture(scope="module")
def city(server, template, tmp_path_factory):
    return make(server, template, tmp_path_factory.mktemp("city"))


@pytest.fixture
def admin(city):
    """The database's owner, in a transaction that is taken back."""
    with database.connect(city.settings) as connection, connection.transaction(force_rollback=True):
        yield connection


@contextlib.contextmanager
def reading_as(connection: psycopg.Connection, role: str):
    connection.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
    yield
    connection.execute("set local role none")


def counties(connection: psycopg.Connection) -> set[str]:
    return {code for (code,) in connection.execute(f"select distinct county_code from {FACT}")}


def owner(connection: psycopg.Connection) -> str:
    return connection.execute("select pg_get_userbyid(relowner) from pg_class where oid = to_regclass(%s)", [FACT]).fetchone()[0]


# -- what the filter stands on -----------------------------------------------------------------------


def test_every_filtered_mart_stands_on_a_policy_that_its_owner_is_under(admin):
    """A policy does not hold for who owns the table, or may act as its owner, or is above all policies."""
    found = admin.execute(
        """select v.relname, t.relrowsecurity, r.rolsuper or r.rolbypassrls or pg_has_role(v.relowner, t.relowner, 'member'),
                  (select array_agg(p.polname::text) from pg_policy p where p.polrelid = t.oid)
           from pg_class v join pg_class t on t.relname = v.relname and t.relnamespace = 'store'::regnamespace join pg_roles r on r.oid = v.relowner
           where v.relnamespace = 'marts'::regnamespace and v.relkind = 'v'
             and exists (select from pg_attribute a where a.attrelid = v.oid and a.attname = 'county_code') and not v.relname = any(%s)""",
        [list(roles.FREE_DIMENSIONS)],
    ).fetchall()
    assert len(found) > 20
    assert {(secured, above, tuple(policies)) for _, secured, above, policies in found} == {(True, False, ("own_county",))}


def test_without_its_policy_the_view_still_shows_a_county_its_own_rows(admin):
    """As a restore without owners leaves it; the next migration hands the views back."""
    admin.execute(f"alter view {FACT} owner to {roles.PUBLISHER}")
    with reading_as(admin, f"county_{WHOLE}"):
        assert counties(admin) == {WHOLE}
    with reading_as(admin, roles.BI_READER):
        assert counties(admin) == set(COUNTIES)
    database.migrate(admin)
    assert owner(admin) == roles.VIEWS


def test_a_view_of_an_earlier_version_is_made_anew_by_the_next_publication(admin):
    rows = admin.execute(f"select count(*) from {FACT}").fetchone()
    columns = ", ".join(c for (c,) in admin.execute("select attname from pg_attribute where attrelid = to_regclass(%s) and attnum > 0 order by attnum", [FACT]))
    admin.execute(f"alter table {TABLE} disable row level security")
    admin.execute(f"drop policy own_county on {TABLE}")
    admin.execute(f"alter view {FACT} owner to {roles.PUBLISHER}")
    admin.execute(
        f"""create or replace view {FACT} with (security_barrier) as select {columns} from {TABLE} x
            where opened_in <= (select store.reading_publication()) and (closed_in is null or closed_in > (select store.reading_publication()))
              and {grants.own_rows("x")}"""
    )
    with roles.acting(admin, roles.PUBLISHER):
        ensure(admin, candidate_marts(admin))
    assert owner(admin) == roles.VIEWS
    assert admin.execute("select reloptions from pg_class where oid = to_regclass(%s)", [FACT]).fetchone() == (None,)
    test_every_filtered_mart_stands_on_a_policy_that_its_owner_is_under(admin)
    assert admin.execute(f"select count(*) from {FACT}").fetchone() == rows
    with reading_as(admin, f"county_{WHOLE}"):
        assert counties(admin) == {WHOLE}


# -- what a reader gets ------------------------------------------------------------------------------


def test_who_may_read_the_store_reads_all_of_it(admin):
    """Every version of every row: the policy is for counties, and the publication is chosen by the views."""
    every = admin.execute(f"select count(*) from {TABLE}").fetchone()
    assert every > admin.execute(f"select count(*) from {FACT}").fetchone()
    for role in (roles.AUDITOR, roles.TRANSFORMER, roles.PUBLISHER):
        with reading_as(admin, role):
            assert admin.execute(f"select count(*) from {TABLE}").fetchone() == every, role


def test_a_condition_of_one_s_own_meets_no_row_of_another_publication(admin):
    """A figure that was corrected, and that no row has any more, cannot make a query fail; where it stands, it does."""
    (gone,) = admin.execute(f"select employed_away from {TABLE} where closed_in is not null and employed_away not in (select employed_away from {FACT}) limit 1").fetchone()
    asked = f"select count(*) from {FACT} where 1 / (employed_away - {gone}) is not null"
    for role in (roles.BI_READER, f"county_{WHOLE}"):
        with reading_as(admin, role):
            admin.execute(asked)
            admin.execute("set local warehouse.publication = '1'")
            with pytest.raises(psycopg.errors.DivisionByZero), admin.transaction():
                admin.execute(asked)
            admin.execute("set local warehouse.publication = ''")


@pytest.mark.parametrize("role", [roles.BI_READER, f"county_{WHOLE}"])
def test_a_reader_compares_two_publications_in_one_statement(admin, role):
    with reading_as(admin, role):
        first, second, latest = (
            admin.execute(f"select count(*), sum(employed_away) from {source}").fetchone()
            for source in (f"marts.as_published(null::{FACT}, 1)", f"marts.as_published(null::{FACT}, 2)", FACT)
        )
        assert first != second == latest
        for number in ("99", "null"):
            with pytest.raises(psycopg.errors.InvalidParameterValue, match="There is no publication"), admin.transaction():
                admin.execute(f"select count(*) from marts.as_published(null::{FACT}, {number})")


@pytest.mark.parametrize("role", [roles.BI_READER, f"county_{WHOLE}"])
@pytest.mark.parametrize("publication", ["", "1"])
def test_a_parallel_plan_gives_the_same_rows(admin, role, publication):
    with reading_as(admin, role):
        admin.execute("select set_config('warehouse.publication', %s, true)", [publication])
        alone = sorted(admin.execute(STAR).fetchall())
        for setting in ("parallel_setup_cost", "parallel_tuple_cost", "min_parallel_table_scan_size", "min_parallel_index_scan_size"):
            admin.execute(f"set local {setting} = 0")
        assert "Parallel" in str(admin.execute("explain " + STAR).fetchall())
        assert sorted(admin.execute(STAR).fetchall()) == alone != []


def test_the_planner_sees_through_the_view(admin):
    """It expects about as many rows as there are, where it would loop or sort for a third, and hands on no column that is not asked for."""
    for mart in (NAME, "dim_county", "dim_week"):
        admin.execute(f"analyze store.{mart}")
    with reading_as(admin, roles.BI_READER):
        for setting in ("enable_nestloop", "enable_mergejoin"):
            admin.execute(f"set local {setting} = off")  # so that each table is read once, as a whole
        ((plan,),) = admin.execute("explain (format json, verbose) " + STAR).fetchall()
        scans = {node["Relation Name"]: node for node in nodes(plan[0]["Plan"]) if "Relation Name" in node}
        for mart in (NAME, "dim_county", "dim_week"):
            (rows,) = admin.execute(f"select count(*) from marts.{mart}").fetchone()
            assert rows / 2 <= scans[mart]["Plan Rows"] <= rows * 2, mart
            assert not [column for column in scans[mart]["Output"] if "NULL" in column]


def nodes(plan: dict) -> Iterator[dict]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)
