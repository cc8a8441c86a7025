"""A new form by contract alone: a YAML file is put down, and everything else follows. A change of the form is a second file."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import openpyxl
import pytest
import yaml
from spring_contract import JUNE, MAY, ROWS, contracts_folder, workbook

from expectations.judge import judge
from ingestion import contracts as contract_module
from ingestion.contracts import FOLDER, load_contracts
from ingestion.load import load
from ingestion.raw_tables import synchronise
from ingestion.reading import read_file
from ingestion.receive import receive
from ingestion.reference import codes
from ingestion.template import write_template
from warehouse import dbt_sources, dictionary
from warehouse.settings import REPOSITORY

COUNTY, MAY_WEEK, JUNE_WEEK = "451002", "2020-W21", "2020-W24"
MAY_SUNDAY, JUNE_SUNDAY = "2020年5月24日", "2020年6月14日"
RECEIVED = dt.datetime(2020, 6, 15, 9, 0, tzinfo=dt.timezone(dt.timedelta(hours=8)))


@pytest.fixture(params=["may", "june"])
def of(request, tmp_path):
    """The project's contracts and the new form's: its first version, or both."""
    texts = (MAY.replace("'2020-05-31'", "null"),) if request.param == "may" else (MAY, JUNE)
    return load_contracts(FOLDER, contracts_folder(tmp_path / "contracts", *texts))


@pytest.fixture
def city(tmp_path, monkeypatch):
    """A city that keeps contracts of its own outside the repository. Call it with their texts."""

    def with_contracts(*texts):
        monkeypatch.setenv(contract_module.ENVIRONMENT, str(contracts_folder(tmp_path / "contracts", *texts)))
        contract_module.contracts.cache_clear()
        return contract_module.contracts()

    yield with_contracts
    monkeypatch.undo()
    contract_module.contracts.cache_clear()


def deliver(connection, settings, path):
    receive(connection, settings, path.parent, arrivals=None)
    connection.execute("update intake.file set received_at = %s where outcome is null", [RECEIVED])
    connection.commit()
    result = load(connection, settings, workers=0)
    path.unlink()
    return result


def one(connection, query, *arguments):
    row = connection.execute(query, arguments).fetchone()
    return row[0] if row and len(row) == 1 else row


# ---------------------------------------------------------------- without a database


def test_a_workbook_of_it_is_read(of, tmp_path):
    (form,) = read_file(workbook(tmp_path / "春耕.xlsx", "may", MAY_SUNDAY), received_at=RECEIVED, contracts=of).forms
    assert (form.form, form.county_code, form.week, form.findings) == ("SPR01", COUNTY, MAY_WEEK, [])
    assert form.values["crop"] == ["rice", "maize"]
    assert form.values["sown_area"] == [Decimal("800.5"), 120]
    assert form.values["subsidy"] == [Decimal(32000), Decimal(10000)]  # the 单位 line says 万元


def test_its_rules_find_a_planted_fault_in_its_cell(of, tmp_path):
    rows = [["水稻", 1200, 800.5, 3.2], ["玉米", 500, 520, 1], ["合计", 1700, 1330.5, 4.2]]
    (form,) = read_file(workbook(tmp_path / "春耕.xlsx", "may", MAY_SUNDAY, rows), received_at=RECEIVED, contracts=of).forms
    found = {(f.rule_id, f.cell, f.row_key, f.expected) for f in form.findings}
    assert found == {("SPR-001", "C5", "maize", "500"), ("SPR-003", "C6", "", "1320.5")}


def test_the_template_asks_for_it_and_what_it_asks_for_is_read(of, tmp_path):
    path = write_template(tmp_path / "空表.xlsx", COUNTY, MAY_WEEK, of, codes())
    sheet = openpyxl.load_workbook(path)["春耕备耕进度周报表"]
    headings = [c.value for c in sheet[3]]
    assert headings[:3] == ["作物", "计划面积（亩）", "已播面积（亩）"]
    (form,) = [f for f in read_file(path, received_at=RECEIVED, contracts=of).forms if f.form == "SPR01"]
    assert set(form.blocks[0].columns) == {"crop", "planned_area", "sown_area", "subsidy"}


def test_sources_staging_and_seeds_follow(of):
    files = {str(p.relative_to(dbt_sources.PROJECT)): text for p, text in dbt_sources.files(of).items()}
    sources = yaml.safe_load(files["models/sources.yml"])["sources"][0]["tables"]
    columns = next([c["name"] for c in t["columns"]] for t in sources if t["name"] == "spr01")
    assert {"crop", "planned_area", "sown_area", "subsidy", "submission_id", "row_no"} <= set(columns)
    staging = files["models/staging/spr01/stg_spr01__rows.sql"]
    assert "source('raw', 'spr01')" in staging and "r.sown_area" in staging
    form = next(line for line in files["seeds/reporting_form.csv"].splitlines() if line.startswith("SPR01,"))
    assert form == "SPR01,春耕备耕进度周报表,Spring planting weekly,spring_planting,,level"  # no mart yet
    assert "SPR01,crop,maize,玉米,2" in files["seeds/code_label.csv"]
    if len([f for f in of.forms if f.code == "SPR01"]) == 2:
        assert "households" in columns and "r.households" in staging


def test_the_dictionary_lists_it(of):
    section = dictionary.page(of).split("\n## SPR01\n")[1].split("\n## ")[0]
    assert "| `sown_area` |" in section and "SPR-001" in section and "尚无" in section


def test_a_build_runs_on_a_copy_and_leaves_the_repository_alone(of, settings_of_home):
    before = (dbt_sources.PROJECT / "models/sources.yml").read_text(encoding="utf-8")
    copy = dbt_sources.project(settings_of_home, of)
    assert copy.is_relative_to(settings_of_home.home)
    assert (copy / "models/staging/spr01/stg_spr01__rows.sql").is_file() and (copy / "dbt_project.yml").is_file()
    assert (dbt_sources.PROJECT / "models/sources.yml").read_text(encoding="utf-8") == before
    assert not (REPOSITORY / "dbt_project/models/staging/spr01").exists()


@pytest.fixture
def settings_of_home(tmp_path):
    from warehouse.settings import Settings

    return Settings(tmp_path / "home", None, Settings.from_environment().timezone)


# ---------------------------------------------------------------- versions


def test_a_form_that_changes_in_june_still_reads_mays_files(tmp_path):
    both = load_contracts(FOLDER, contracts_folder(tmp_path / "contracts", MAY, JUNE))
    (may,) = read_file(workbook(tmp_path / "五月.xlsx", "may", MAY_SUNDAY), received_at=RECEIVED, contracts=both).forms
    (june,) = read_file(workbook(tmp_path / "六月.xlsx", "june", JUNE_SUNDAY), received_at=RECEIVED, contracts=both).forms
    assert (may.contract_version, may.findings, may.values["sown_area"]) == ("1.0.0", [], [Decimal("800.5"), 120])
    assert (june.contract_version, june.findings, june.values["sown_area"]) == ("2.0.0", [], [1000, 300])
    assert june.values["households"] == [60, 20] and "households" not in may.values


def test_mays_table_does_not_do_for_june(tmp_path):
    both = load_contracts(FOLDER, contracts_folder(tmp_path / "contracts", MAY, JUNE))
    (form,) = read_file(workbook(tmp_path / "六月.xlsx", "may", JUNE_SUNDAY), received_at=RECEIVED, contracts=both).forms
    assert {(f.rule_id, f.field) for f in form.findings if f.severity == "error"} == {("GEN-COLMISS", "sown_area"), ("GEN-COLMISS", "households")}


@pytest.mark.database
def test_versions_share_a_raw_table_that_gets_the_new_column(connection, settings, city, tmp_path):
    city(MAY.replace("'2020-05-31'", "null"))
    synchronise(connection)
    columns = "select array_agg(column_name::text) from information_schema.columns where table_schema = 'raw' and table_name = 'spr01'"
    assert "households" not in one(connection, columns)
    deliver(connection, settings, workbook(tmp_path / "收件" / "五月.xlsx", "may", MAY_SUNDAY))
    city(MAY, JUNE)
    synchronise(connection)
    assert "households" in one(connection, columns)
    deliver(connection, settings, workbook(tmp_path / "收件" / "六月.xlsx", "june", JUNE_SUNDAY))
    late = workbook(tmp_path / "收件" / "五月更正.xlsx", "may", MAY_SUNDAY, [["水稻", 1200, 810.5, 3.2], ["玉米", 500, 120, 1]])
    deliver(connection, settings, late)
    staging = dbt_sources.files()[dbt_sources.PROJECT / "models/staging/spr01/stg_spr01__rows.sql"]
    for source in ("raw', 'spr01", "intake', 'accepted_submission"):
        staging = staging.replace("{{ source('" + source + "') }}", source.replace("', '", "."))
    staging = staging.replace("{{ week_of_rows() }}", "s.week")  # as dbt renders it for PostgreSQL
    rows = connection.execute(f"select week, crop, sown_area, households from ({staging}) s order by week, source_row_no").fetchall()
    assert rows == [
        (MAY_WEEK, "rice", Decimal("810.5"), None), (MAY_WEEK, "maize", 120, None),
        (JUNE_WEEK, "rice", 1000, 60), (JUNE_WEEK, "maize", 300, 20),
    ]  # fmt: skip
    versions = connection.execute("select week, version, contract_version from intake.submission order by submission_id").fetchall()
    assert versions == [(MAY_WEEK, 1, "1.0.0"), (JUNE_WEEK, 1, "2.0.0"), (MAY_WEEK, 2, "1.0.0")]


# ---------------------------------------------------------------- loaded, checked, reported on


@pytest.mark.database
def test_it_is_loaded_checked_and_reported_on_without_a_mart(connection, settings, city, tmp_path):
    city(MAY.replace("'2020-05-31'", "null"))
    synchronise(connection)
    first = deliver(connection, settings, workbook(tmp_path / "收件" / "五月.xlsx", "may", MAY_SUNDAY))
    assert (dict(first.states), first.rows_loaded) == ({"late": 1}, 2)
    assert one(connection, "select sum(sown_area), sum(subsidy) from raw.spr01") == (Decimal("920.5"), Decimal(42000))
    fallen = [["水稻", 1200, 700, 3.2], ["玉米", 500, 120, 1]]
    second = deliver(connection, settings, workbook(tmp_path / "收件" / "下周.xlsx", "may", "2020年5月31日", fallen))
    assert dict(second.states) == {"returned": 1}
    assert one(connection, "select rule_id, cell, expected from quality.finding") == ("SPR-002", "C4", "800.5")
    verdict = judge(connection, settings, now=RECEIVED, publish_week="2020-W22", great_expectations=False)
    assert verdict.blocking_zh is None
    status = dict(connection.execute("select week, status from quality.reporting_status where form = 'SPR01' and county_code = %s", [COUNTY]).fetchall())
    assert status == {MAY_WEEK: "late", "2020-W22": "returned"}
    result = dict(connection.execute("select week, status from quality.check_result_current where rule_id = 'SPR-002' and county_code = %s", [COUNTY]).fetchall())
    assert result == {MAY_WEEK: "not_evaluable", "2020-W22": "fail"}


@pytest.mark.database
def test_the_pages_show_a_form_without_a_mart(connection, settings, city, tmp_path):
    from reporting.site import build_site

    city(MAY.replace("'2020-05-31'", "null"))
    synchronise(connection)
    deliver(connection, settings, workbook(tmp_path / "收件" / "五月.xlsx", "may", MAY_SUNDAY))
    judge(connection, settings, now=RECEIVED, publish_week=MAY_WEEK, great_expectations=False)
    connection.commit()
    index = build_site(connection, settings)
    assert any("SPR01" in p.read_text(encoding="utf-8") for p in index.parent.rglob("*.html"))


def test_the_planted_figures_are_what_the_tests_say():
    """The totals above by hand: 800.5 + 120 mu, (3.2 + 1) × 10,000 yuan."""
    assert [sum(row[n] for row in ROWS["may"][:2]) for n in (1, 2, 3)] == pytest.approx(ROWS["may"][2][1:])
