"""The dashboards without their server: the files are what the generator makes, every chart's query runs on the published
marts and says what SQL written by hand says, for the latest publication and for an earlier one."""

from __future__ import annotations

import re
from decimal import Decimal

import psycopg
import pytest
import yaml
from bi_queries import chart_query, measure_query, rendered
from metric_queries import QUERIES, SLICES
from small_city import SILENT, WEEKS, WHOLE, make

from bi import generate, login, views
from bi.charts import catalogued
from bi.dashboards import pages
from bi.datasets import datasets
from reporting.metrics import catalogue, reading
from warehouse import database

pytestmark = [pytest.mark.database, pytest.mark.slow]
SUBJECTS = {"city-overview", "employment", "industry-subsidy", "relocation", "cooperation", "funds", "campaigns", "exit", "monitoring", "rectification", "data-quality"}
CHARTS = [c for p in pages() for c in p.charts]
FACTS = {d.key: d for d in datasets().values() if set(d.measures) & set(catalogue())}


@pytest.fixture(scope="module")
def city(server, template, tmp_path_factory):
    return make(server, template, tmp_path_factory.mktemp("city"))


@pytest.fixture(scope="module")
def addresses(city):
    return login.prepare(city.settings, "superset_of_the_small_city")


@pytest.fixture
def reader(addresses):
    """A connection with the login that Superset has."""
    with psycopg.connect(addresses[0], autocommit=True) as connection:
        yield connection


# ---------------------------------------------------------------- the files


def test_the_committed_files_are_what_the_generator_makes():
    committed = {p.relative_to(generate.ASSETS).as_posix(): p.read_text(encoding="utf-8") for p in generate.ASSETS.rglob("*.yaml")}
    assert committed == generate.files()


def test_ids_stay_and_every_reference_leads_somewhere():
    known = {name: yaml.safe_load(text) for name, text in generate.files().items()}
    ids = {d["uuid"]: name for name, d in known.items() if "uuid" in d}
    assert len(ids) == len(known) - 1  # all but metadata.yaml have an id of their own
    assert known["dashboards/employment.yaml"]["uuid"] == "a21a465f-d035-5c0e-9344-b58041b4495f", "an id that changes leaves the old dashboard behind"
    for name, document in known.items():
        if name.startswith("datasets/"):
            assert ids[document["database_uuid"]] == "databases/warehouse.yaml"
        elif name.startswith("charts/"):
            assert ids[document["dataset_uuid"]].startswith("datasets/")
        elif name.startswith("dashboards/"):
            placed = [box["meta"]["uuid"] for box in document["position"].values() if isinstance(box, dict) and box["type"] == "CHART"]
            assert placed and all(ids[chart].startswith("charts/") for chart in placed)
            assert [f["targets"][0]["column"]["name"] for f in document["metadata"]["native_filter_configuration"]] == ["publication", "week", "county_name"]


def test_no_file_names_a_password_or_a_machine():
    for name, text in generate.files().items():
        assert not re.search(r"://(?!warehouse_bi:XXXXXXXXXX@localhost:5432/)", text), name


def test_every_subject_has_a_page_and_every_headline_metric_a_place():
    assert {p.slug for p in pages()} >= SUBJECTS
    assert catalogued(CHARTS) == set(catalogue())


def test_titles_and_headings_are_chinese():
    for chart in CHARTS:
        assert re.search(r"[一-鿿]", chart.title), chart.title
        for column in chart.query["columns"]:
            name = column if isinstance(column, str) else column["sqlExpression"]
            assert re.search(r"[一-鿿]", chart.dataset.columns[name][0]), (chart.title, name)


def test_every_page_says_what_it_rests_on():
    for page in pages():
        if page.slug != "data-quality":
            assert {m.name for m in page.charts[0].measures} == {"own", "carried", "carried_names"}
            forms = {next(f for f in page.forms if f"'{f}'" in page.charts[0].where)} if page.forms else set()
            assert forms


# ---------------------------------------------------------------- on the marts


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_every_metric_of_a_dataset_equals_sql_written_by_hand(city, reader, name):
    about = catalogue()[name]
    dataset = next(d for d in FACTS.values() if name in d.measures)
    scale = 10000 if about.unit == "yuan" else 1
    slices = [(about.never[0], code) for code in SLICES[about.never[0]]] if about.never and not about.across else [(None, None)]
    with database.connect(city.settings, autocommit=True) as owner:
        for number in (1, 2):
            (label, week) = owner.execute("select publication, week from bi.publication where publication_id = %s", [number]).fetchone()
            for column, code in slices:
                where = " and ".join(["weeks_back = 0" if dataset.weekly else "true", *([f"{column} = '{code}'"] if column else [])])
                (found,) = reader.execute(measure_query(dataset, name, where, {"publication": [label]})).fetchone()
                with reading(owner, number):
                    (expected,) = owner.execute(QUERIES[name].replace(":w", f"'{week}'").replace(":slice", f"{column} = '{code}'")).fetchone()
                if found is None or expected is None:
                    assert (found or 0) == (expected or 0) and (found is None) == (expected is None or about.may_be_empty), (number, code)
                else:
                    assert abs(Decimal(found) - Decimal(expected) / scale) < Decimal("1e-9"), (number, code)


@pytest.mark.parametrize("page", [p.slug for p in pages()])
def test_every_chart_of_a_page_has_rows(reader, page):
    for chart in next(p for p in pages() if p.slug == page).charts:
        assert reader.execute(chart_query(chart)).fetchall() or chart.title in MAY_BE_EMPTY, chart.title


MAY_BE_EMPTY = ("支出低于序时的县和资金", "超时限未整改的问题", "未达标的摘帽指标")  # lists of what ought not to be


def test_what_may_not_be_summed_comes_out_empty(reader):
    fund, employment = datasets()["fiscal_fund_overview"], datasets()["employment_overview"]
    assert reader.execute(measure_query(fund, "fund_spent", "weeks_back = 0")).fetchone() == (None,)  # lines overlap
    assert reader.execute(measure_query(fund, "fund_spent", "weeks_back = 0 and fund_line = 'special'")).fetchone()[0] > 0
    assert reader.execute(measure_query(employment, "employed_away", "true")).fetchone() == (None,)  # a level of two weeks
    assert reader.execute(measure_query(employment, "employed_away", "weeks_back = 1")).fetchone()[0] > 0


def test_filters_choose_publication_week_and_county(reader):
    employment = datasets()["employment_overview"]
    labels = dict(reader.execute("select publication_id, publication from bi.publication").fetchall())

    def distinct(filters):
        return reader.execute(f"select min(publication), max(publication), max(week), count(distinct county_code) from ({rendered(employment, filters)}) as t where weeks_back = 0").fetchone()

    assert distinct({}) == (labels[2], labels[2], WEEKS[1], 3)
    assert distinct({"publication": [labels[1]]}) == (labels[1], labels[1], WEEKS[0], 3)
    assert distinct({"week": [WEEKS[0]]}) == (labels[2], labels[2], WEEKS[0], 3)
    assert distinct({"week": [WEEKS[1]], "publication": [labels[1]]})[2] == WEEKS[0]  # what a publication does not show is not invented
    (name,) = reader.execute("select county_name from bi.coverage where county_code = %s limit 1", [WHOLE]).fetchone()
    assert distinct({"county_name": [name]})[3] == 1
    assert distinct({"county_name": ["' or true --"]}) == (None, None, None, 0)


def test_a_correction_shows_in_the_publication_that_brought_it_and_not_before(reader):
    employment = datasets()["employment_overview"]
    labels = dict(reader.execute("select publication_id, publication from bi.publication").fetchall())
    before, after = (
        reader.execute(measure_query(employment, "employed_away", f"county_code = '{WHOLE}' and week = '{WEEKS[0]}'", {"publication": [labels[n]]})).fetchone() for n in (1, 2)
    )
    assert before != after


def test_carried_figures_are_marked_on_the_axes_and_named_in_the_strip(reader):
    net, employment = datasets()["safety_net_overview"], datasets()["employment_overview"]
    marked = "select distinct county_label, week_label from ({}) as t where weeks_back = 0 and county_code = %s"
    assert reader.execute(marked.format(rendered(net)), [SILENT]).fetchall() == [("隆林各族自治县※W23", "W24※")]
    assert reader.execute(marked.format(rendered(employment)), [SILENT]).fetchall() == [("隆林各族自治县", "W24")]
    strip = next(c for p in pages() if p.slug == "support" for c in p.charts if c.dataset.key == "coverage")
    rows = {r[0]: r[5:] for r in reader.execute(chart_query(strip)).fetchall()}
    assert rows["兜底保障周报表"] == (2, 1, "隆林各族自治县（沿用W23）")
    ledger = next(c for p in pages() if p.slug == "rectification" for c in p.charts if c.dataset.key == "coverage")
    ((*_, own, carried, names),) = reader.execute(chart_query(ledger)).fetchall()
    assert (own, carried, names) == (2, 1, "隆林各族自治县（沿用W23）")  # a ledger stands as it was last sent


# ---------------------------------------------------------------- the logins


def test_the_reading_login_reads_the_views_and_nothing_else(reader):
    assert reader.execute("select count(*) > 0 from bi.employment_overview").fetchone()[0]
    for relation in ("raw.mon02", "intake.file", "quality.finding", "store.fct_employment_weekly", "reference.counties"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute(f"select * from {relation}")
    for statement in ("create table bi.x (a int)", "create table public.x (a int)", "drop view bi.week"):
        with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)):
            reader.execute(statement)
    reader.execute("set default_transaction_read_only = off")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute("create table public.x (a int)")


def test_no_view_shows_a_personal_field():
    from ingestion.contracts import contracts

    personal = {f.name for code in contracts().codes for f in contracts().form(code).fields if f.personal}
    assert personal and not personal & {c for v in views.views() for c in v.columns}


def test_preparing_again_changes_nothing_and_the_metadata_login_sees_no_figures(city, addresses):
    assert login.prepare(city.settings, "superset_of_the_small_city") == addresses
    with database.connect(city.settings, autocommit=True) as owner:
        assert views.ensure(owner) == []
    place = addresses[1].rsplit("/", 1)[0] + "/" + addresses[0].rsplit("/", 1)[1]
    with psycopg.connect(place, autocommit=True) as superset, pytest.raises(psycopg.errors.InsufficientPrivilege):
        superset.execute("select * from marts.dim_publication")
