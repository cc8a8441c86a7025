"""Contracts and the dbt project agree both ways: generated files are fresh, every field has its column and formula."""

import re

import pytest
import yaml

from ingestion.contracts import contracts
from ingestion.expressions import Expression, expression
from ingestion.raw_tables import raw_columns
from warehouse import dbt_sources
from warehouse.dbt_sources import PROJECT

CODES = contracts().codes


def fact_sql(code: str) -> str:
    return (PROJECT / "models/marts" / contracts().form(code).star / f"{dbt_sources.mart_of_form(code)}.sql").read_text(encoding="utf-8")


def test_generated_files_are_what_the_contracts_say():
    stale = [str(p.relative_to(PROJECT)) for p, text in dbt_sources.files().items() if not p.exists() or p.read_text(encoding="utf-8") != text]
    assert not stale, "run `python -m warehouse.dbt_sources`"


def test_no_generated_file_is_left_over():
    made = set(dbt_sources.files())
    marked = {p for p in PROJECT.rglob("*") if p.suffix in (".sql", ".yml") and dbt_sources.MARK in p.read_text(encoding="utf-8")}
    assert marked <= made


def test_every_form_has_a_fact_and_every_fact_a_form():
    assert set(dbt_sources.marts()["facts"]) == set(CODES)
    facts = {p.stem for p in (PROJECT / "models/marts").rglob("fct_*.sql")}
    assert facts == set(dbt_sources.forms_of_marts())


@pytest.mark.parametrize("code", CODES)
def test_a_fact_selects_every_field_and_nothing_unknown(code):
    """The contract dbt enforces is generated; the SQL is written by hand and must name the same columns."""
    columns = {c["name"] for c in dbt_sources.fact_columns(contracts(), code)}
    text = fact_sql(code)
    if "slice_columns()" in text:
        text += " week, as_of_date, county_code, carried_from_week, submission_id, source_row_no\n"
    text = re.sub(r"\{\{ increment\('(\w+)'\) \}\}", r"\1_increment", text)
    missing = {name for name in columns if not re.search(rf"\b{name}\b", text)}
    assert not missing
    named = set(re.findall(r"^\s+[rl]\.(\w+),?$", text, re.M)) | set(re.findall(r"\bas (\w+),?$", text, re.M))
    assert named - columns <= {
        "slice", "r", "previous", "l", "horizon", "first_seen_week", "last_seen_week", "first_week", "s", "t", "held", "newest", "oldest",
    }  # fmt: skip


@pytest.mark.parametrize("code", CODES)
def test_declared_rates_are_worked_out_as_the_rule_says(code):
    expected = dbt_sources.declared(contracts().form(code))
    found = {name: (a, b) for a, b, name in re.findall(r"\{\{ rate\('(\w+)', '(\w+)'\) \}\} as (\w+)", fact_sql(code))}
    assert found == expected
    assert set(expected) == {f.name for f in contracts().form(code).fields if f.kind == "declared"}


@pytest.mark.parametrize("code", CODES)
def test_every_cumulative_field_has_its_increment(code):
    cumulative = {f.name for f in contracts().form(code).fields if f.kind == "cumulative"}
    assert set(re.findall(r"\{\{ increment\('(\w+)'\) \}\}", fact_sql(code))) == cumulative


@pytest.mark.parametrize("code", CODES)
def test_personal_data_stay_behind(code):
    form = contracts().form(code)
    personal = {f.name for f in form.fields if f.personal}
    staging = (PROJECT / f"models/staging/{code.lower()}/stg_{code.lower()}__rows.sql").read_text(encoding="utf-8")
    columns = {c["name"] for c in dbt_sources.fact_columns(contracts(), code)}
    assert not personal & columns
    assert not [name for name in personal if re.search(rf"\b{name}\b", staging)]


def test_sources_name_every_raw_column():
    document = yaml.safe_load((PROJECT / "models/sources.yml").read_text(encoding="utf-8"))
    raw = {t["name"]: {c["name"] for c in t["columns"]} for t in document["sources"][0]["tables"]}
    assert raw == {code.lower(): set(raw_columns(contracts().form(code))) for code in CODES}


def test_every_mart_and_column_is_described_in_both_languages():
    models = [
        model
        for path in (PROJECT / "models/marts").rglob("*.yml")
        for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models", [])
    ]
    assert len(models) == len(CODES) + len(list((PROJECT / "models/marts/dimensions").glob("dim_*.sql")))
    for model in models:
        for about in (model, *model["columns"]):
            zh, bar, en = about["description"].partition(" | ")
            assert bar and re.search(r"[一-鿿]", zh) and re.search(r"[a-zA-Z]", en), (model["name"], about["name"])


def test_exposures_rest_on_every_fact():
    document = yaml.safe_load((PROJECT / "models/marts/exposures.yml").read_text(encoding="utf-8"))
    for exposure in document["exposures"]:
        assert set(dbt_sources.forms_of_marts()) <= {ref[5:-2] for ref in exposure["depends_on"]}


@pytest.mark.parametrize("code", CODES)
def test_every_derived_column_says_what_it_is_made_of(code):
    about = dbt_sources.marts()["facts"][code]
    derived, formulas = {d[0] for d in about.get("derived", [])}, about.get("formulas", {})
    columns = tuple(c["name"] for c in dbt_sources.fact_columns(contracts(), code))
    assert set(formulas) == derived
    for name, formula in formulas.items():
        assert set(formula["inputs"]) <= set(columns) - {name}
        if "formula" in formula:
            assert set(Expression.names(expression(formula["formula"], columns).root)) == set(formula["inputs"])
