"""The catalogue of metrics: it agrees with the marts, its dbt file is up to date, and official writing rounds half up."""

import re
from decimal import Decimal

import pytest
import yaml

from ingestion.contracts import contracts
from reporting import semantic
from reporting.addresses import Address, NoAddress
from reporting.brief import OUTLINE, markdown
from reporting.brief.composer import SLOT, split_name
from reporting.brief.elements import Run
from reporting.brief.period import period
from reporting.brief.writing import change, in_table, numeral, shortest, written
from reporting.metrics import CATALOGUE, catalogue, unit_word
from reporting.overviews import overviews
from warehouse.dbt_sources import fact_columns, forms_of_marts

SQL_WORDS = {"and", "or", "not", "is", "null", "distinct"}


def columns(mart):
    return {c["name"]: c["data_type"] for c in fact_columns(contracts(), forms_of_marts()[mart])}


def test_every_fact_has_metrics_and_every_metric_names_columns_that_exist():
    assert {m.mart for m in catalogue().values()} == set(forms_of_marts())
    for metric in catalogue().values():
        text = re.sub(r"'[^']*'", "", " ".join(filter(None, (metric.value, metric.over, metric.where, metric.filter))))
        named = set(re.findall(r"[a-z_]\w*", text)) - SQL_WORDS
        assert named <= set(columns(metric.mart)), metric.name
        assert set(metric.never) | set(metric.sum_over) <= set(columns(metric.mart)), metric.name


def test_levels_are_never_summed_over_weeks_and_ratios_over_nothing():
    for metric in catalogue().values():
        assert metric.time == "flow" or "week" not in metric.sum_over, metric.name
        if metric.is_ratio or metric.agg == "distinct":
            assert metric.sum_over == (), metric.name


def test_what_overlaps_or_counts_different_things_is_never_summed():
    never = {m.mart: set(m.never) for m in catalogue().values()}
    assert never["fct_fiscal_fund_weekly"] == {"fund_line"}
    assert never["fct_campaign_weekly"] == {"project_kind"}
    assert never["fct_epidemic_impact_weekly"] == {"impact"}
    assert {m.name for m in catalogue().values() if m.across} == {"campaign_investment", "campaign_invested", "campaign_invested_rate"}


def test_flows_are_what_the_contracts_call_flows():
    """A metric is a flow exactly if its form lists events, or its field is the week's own."""
    for metric in catalogue().values():
        form = contracts().form(metric.form)
        field = form.by_name.get(metric.value or "")
        expected = form.listing == "events" or (field is not None and field.kind == "flow")
        assert (metric.time == "flow") == expected, metric.name


def test_a_catalogue_that_contradicts_itself_is_refused(tmp_path, monkeypatch):
    document = yaml.safe_load(CATALOGUE.read_text(encoding="utf-8"))
    document["marts"]["fct_employment_weekly"]["sum_over"].append("week")
    wrong = tmp_path / "metrics.yaml"
    wrong.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    monkeypatch.setattr("reporting.metrics.CATALOGUE", wrong)
    with pytest.raises(ValueError, match="only what happened in a week"):
        catalogue.__wrapped__()


def test_the_semantic_models_are_up_to_date():
    assert semantic.TARGET.read_text(encoding="utf-8") == semantic.text(), "run `python -m reporting.semantic`"


def test_levels_are_non_additive_over_time_in_dbt():
    document = semantic.document()
    assert {m["name"] for m in document["metrics"]} >= set(catalogue())
    measures = {m["name"]: m for model in document["semantic_models"] for m in model["measures"]}
    assert measures["measure_employed_away"]["non_additive_dimension"] == {"name": "as_of_date", "window_choice": "max"}
    assert "non_additive_dimension" not in measures["measure_transported_persons"]


@pytest.mark.slow
def test_dbt_accepts_the_semantic_models(tmp_path, monkeypatch):
    for name in ("HOST", "PORT", "USER", "DBNAME"):
        monkeypatch.setenv(f"DBT_WAREHOUSE_{name}", "1")
    monkeypatch.setenv("DBT_ENV_SECRET_WAREHOUSE_PASSWORD", "x")
    from dbt.cli.main import dbtRunner

    project = str(semantic.PROJECT)
    done = dbtRunner().invoke(["parse", "--log-level", "none", "--project-dir", project, "--profiles-dir", project, "--target-path", str(tmp_path), "--log-path", str(tmp_path)])
    assert done.success, done.exception
    assert set(catalogue()) <= {key.rsplit(".", 1)[1] for key in done.result.metrics}


def test_units_of_what_is_counted_by_kind_come_from_the_labels():
    assert unit_word(catalogue()["campaign_planned"], {"project_kind": "housing"}) == "户"
    assert unit_word(catalogue()["epidemic_affected"], {"impact": "unsold_produce"}) == "吨"


@pytest.mark.parametrize(
    ("value", "unit", "word", "text"),
    [
        (9999, "persons", "人", "9999人"),
        (10000, "persons", "人", "1.00万人"),
        (285350, "persons", "人", "28.54万人"),  # 28.535 half up; a float would give 28.53
        (Decimal("0.76125"), "fraction", "", "76.13%"),
        (Decimal("1.0109"), "fraction", "", "101.09%"),
        (Decimal("99999949.99"), "yuan", "元", "9999.99万元"),
        (Decimal("100000000"), "yuan", "元", "1.00亿元"),
        (Decimal("1548065000"), "yuan", "元", "15.48亿元"),
        (Decimal("50"), "yuan", "元", "0.01万元"),
        (0, "households", "户", "0户"),
        (110406, "of_the_row", "人", "11.04万人"),
        (110406, "of_the_row", "吨", "110406吨"),
        (Decimal("1316.60"), "of_the_row", "吨", "1316.6吨"),
        (Decimal("1763.2987"), "yuan_per_household", "元", "1763.30元"),
    ],
)
def test_official_writing(value, unit, word, text):
    assert written(value, unit, word) == text


def test_tables_and_changes():
    assert in_table(Decimal("28692397.49"), "yuan") == "2869.24"
    assert in_table(Decimal("0.5"), "fraction") == "50.00"
    assert shortest(Decimal("1646.00")) == "1646"
    assert change(5, 8, "households", "户") == "−3户"
    assert change(Decimal("0.6745"), Decimal("0.5860"), "fraction", "") == "+8.85个百分点"
    assert change(7, 7, "persons", "人") == "持平"
    assert [numeral(n) for n in (1, 10, 11, 20, 23)] == ["一", "十", "十一", "二十", "二十三"]


def test_periods_by_the_sunday_of_their_weeks():
    assert (period("half-year", "2020-W26").since, period("half-year", "2020-W26").slug) == ("2020-W01", "2020-H1")
    assert (period("quarter", "2020-W24").since, period("quarter", "2020-W24").label) == ("2020-W14", "2020年第二季度")  # Sunday 5 April
    assert (period("month", "2020-W24").since, period("month", "2020-W24").slug) == ("2020-W23", "2020-06")  # Sunday 7 June
    assert period("half-year", "2020-W27").label == "2020年下半年"  # Sunday 5 July
    assert period("week", "2020-W24").label == "2020年第24周（6月8日至6月14日）"


def test_no_figure_is_typed_into_the_outline_and_every_slot_is_known():
    document = yaml.safe_load(OUTLINE.read_text(encoding="utf-8"))
    words = {"place", "whole", "office", "period", "as_of", "week", "publication", "issue", "target"}
    for report in document["reports"].values():
        for name in report["compare"]:
            split_name(name)
        texts = [*report["titles"].values(), report.get("subtitle", "")]
        texts += [b.get("text", "") + b.get("heading", "") for s in report["sections"] for b in s["blocks"]] + [s["heading"] for s in report["sections"]]
        for text in texts:
            for name, part in SLOT.findall(text):
                if name not in words:
                    split_name(f"{name}[{part}]" if part else name)
            assert not re.search(r"\d", SLOT.sub("", text).replace("2019年", "")), text
        tables = [b["table"] for s in report["sections"] for b in s["blocks"] if "table" in b]
        assert all(m in catalogue() for t in tables for m in t["metrics"])


def test_a_figure_without_an_address_is_refused():
    with pytest.raises(NoAddress):
        Address(3, "marts.fct_employment_weekly", 12, "select 1")  # rows, and no way to their cells
    with pytest.raises(NoAddress):
        Address(3, "marts.fct_employment_weekly", 0, "")


def test_text_that_people_write():
    found = markdown.elements("# 做法\n\n坚持**党建引领**，外出务工{employed_away}。\n\n1. 第一\n2. 第二\n\n<script>alert(1)</script>", lambda text, bold: [Run(text, bold=bold)])
    assert [e.text for e in found] == ["做法", "坚持党建引领，外出务工{employed_away}。", "1．第一", "2．第二", "<script>alert(1)</script>"]
    assert found[0].level == 2 and [r.text for r in found[1].runs if r.bold] == ["党建引领"]


def test_overviews_cover_every_star_in_both_languages():
    views = overviews()
    stars = {contracts().form(f).star for f in forms_of_marts().values()}
    assert {f"{star}_overview" for star in stars} <= {v.name for v in views}
    assert len(stars) == 12 and len(views) == len(forms_of_marts())
    for view in views:
        assert all(" | " in c.comment for c in view.columns) and " | " in view.comment
        names = [c.name for c in view.columns]
        assert len(names) == len(set(names)) and {"county_name", "publication_id"} <= set(names)
