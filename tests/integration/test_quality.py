"""Quality as data: the grid of intended checks, the life of a finding, and rules whose severity has a date."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest
from warehouse_rows import submit

from expectations import dated
from expectations import judge as judgement
from expectations.judge import judge
from expectations.marts import Mart
from expectations.suites import suite
from ingestion.contract_model import ContractError, Contracts
from ingestion.contracts import contracts

COUNTY, OTHER = "451002", "451003"
WEEKS = ["2020-W21", "2020-W22", "2020-W23", "2020-W24"]


def at(settings, month, day, hour=12):
    return dt.datetime(2020, month, day, hour, tzinfo=settings.timezone)


def run(connection, settings, **options):
    return judge(connection, settings, now=at(settings, 6, 17), great_expectations=False, **options)


def with_rule(rule_id: str, **changed) -> Contracts:
    """The contracts with one rule that says more of itself."""
    of = contracts()
    forms = tuple(
        dataclasses.replace(
            form, rules=tuple(dataclasses.replace(r, definition=r.definition | changed) if r.id == rule_id else r for r in form.rules)
        )
        for form in of.forms
    )
    return dataclasses.replace(of, forms=forms)


# ---------------------------------------------------------------- dates

PROMOTED = [{"from": "2020-06-08", "severity": "error"}, {"from": "2020-01-01", "severity": "warning"}]


def rule(**changed):
    return dataclasses.replace(contracts().rules["COP-007"], definition=changed)


@pytest.mark.parametrize(
    ("on", "severity"), [("2019-12-31", "warning"), ("2020-06-07", "warning"), ("2020-06-08", "error"), ("2021-01-01", "error")]
)
def test_severity_by_date(on, severity):
    assert dated.severity_on(rule(severities=PROMOTED), dt.date.fromisoformat(on)) == severity


@pytest.mark.parametrize(("on", "holds"), [("2020-03-01", False), ("2020-03-02", True), ("2020-03-09", True), ("2020-03-10", False)])
def test_a_rule_holds_between_its_dates(on, holds):
    assert dated.in_force(rule(validFrom="2020-03-02", validTo="2020-03-09"), dt.date.fromisoformat(on)) is holds


@pytest.mark.parametrize(
    "wrong",
    [{"severities": [{"since": "2020-01-01", "severity": "error"}]}, {"severities": [{"from": "2020-01-01", "severity": "fatal"}]}, {"validFrom": "March"}, {"owner": "nobody"}],
    ids=["from", "severity", "date", "owner"],
)
def test_what_a_contract_says_wrongly_is_named(wrong):
    with pytest.raises(ContractError, match="COP-007"):
        dated.in_force(rule(**wrong), dt.date(2020, 1, 1)), dated.severity_on(rule(**wrong), dt.date(2020, 1, 1)), dated.owner(rule(**wrong))


def test_terms_are_cut_where_the_severity_changes():
    cut = [t for t in dated.terms(with_rule("COP-007", severities=PROMOTED, owner="rule_owner")) if t.rule_id == "COP-007"]
    assert [(t.valid_from, t.valid_to, t.severity, t.owner) for t in cut] == [
        (dt.date(2020, 1, 1), dt.date(2020, 6, 7), "warning", "rule_owner"),
        (dt.date(2020, 6, 8), None, "error", "rule_owner"),
    ]


def test_every_rule_of_every_form_has_a_term_and_a_threshold():
    of = contracts()
    terms = {(t.rule_id, t.form) for t in dated.terms(of)}
    assert terms >= {(r.id, form.code) for form in of.forms for r in form.rules}
    assert all(t.threshold for t in dated.terms(of))


def test_great_expectations_ask_for_a_promoted_rule_only_since_then():
    form = next(f for f in with_rule("EMP-001", severities=PROMOTED).forms if f.code == "EMP01")
    columns = {f.name for f in form.fields} - {"township"} | {"week", "county_code", "as_of_date", "submission_id", "carried_from_week", "township_code"}
    made = suite(form, Mart("EMP01", "fct_employment_weekly", frozenset(columns)))
    queries = {a["meta"]["rule_id"]: a["unexpected_rows_query"] for _, a in made.expectations if a["meta"]["rule_id"].startswith("EMP")}
    assert "between '2020-06-08' and 'infinity'" in queries["EMP-001"] and "carried_from_week" in queries["EMP-001"]
    assert "between" not in queries["EMP-002"]


def disagreeing(connection, week):
    submit(connection, "COP01", COUNTY, week, [{"arrived": 9, "spent": 5}])
    submit(connection, "FUN01", COUNTY, week, [{"fund_line": "cooperation", "arrived": 9, "spent": 4}])


@pytest.mark.database
def test_a_rule_that_is_promoted_leaves_the_past_alone_unless_asked(connection, settings, monkeypatch):
    results = "select week, severity, status from quality.check_result_current where rule_id = 'COP-007' and county_code = %s and form = 'COP01' order by 1"
    for week in WEEKS[2:]:
        disagreeing(connection, week)
    run(connection, settings)
    expected = [(WEEKS[2], "warning", "pass_with_violations"), (WEEKS[3], "warning", "pass_with_violations")]
    assert connection.execute(results, [COUNTY]).fetchall() == expected
    monkeypatch.setattr(judgement, "contracts", lambda: with_rule("COP-007", severities=PROMOTED))  # W24 ends on the 14th
    run(connection, settings)
    assert connection.execute(results, [COUNTY]).fetchall() == expected  # nobody asked
    run(connection, settings, again=(WEEKS[2], WEEKS[3]))
    assert connection.execute(results, [COUNTY]).fetchall() == [expected[0], (WEEKS[3], "error", "fail")]
    run(connection, settings, again=(WEEKS[2], WEEKS[2]), rules_on=dt.date(2020, 6, 30))
    assert connection.execute(results, [COUNTY]).fetchall() == [(WEEKS[2], "error", "fail"), (WEEKS[3], "error", "fail")]
    assert connection.execute("select distinct severity from quality.finding where rule_id = 'COP-007'").fetchall() == [("error",)]


@pytest.mark.database
def test_a_rule_out_of_force_finds_nothing_and_has_no_result(connection, settings, monkeypatch):
    monkeypatch.setattr(judgement, "contracts", lambda: with_rule("COP-007", validFrom="2020-06-08"))
    for week in WEEKS[2:]:
        disagreeing(connection, week)
    run(connection, settings)
    assert connection.execute("select distinct week from quality.finding where rule_id = 'COP-007'").fetchall() == [(WEEKS[3],)]
    assert connection.execute("select distinct week from quality.check_grid where rule_id = 'COP-007'").fetchall() == [(WEEKS[3],)]


# ---------------------------------------------------------------- the grid


@pytest.mark.database
def test_a_result_that_is_missing_shows_as_missing(connection, settings):
    submit(connection, "COP04", COUNTY, WEEKS[3], [{}])
    run(connection, settings)
    grid = "select status, count(*) from quality.check_grid where county_code = %s group by 1"
    whole = dict(connection.execute(grid, [COUNTY]).fetchall())
    assert "missing" not in whole
    assert sum(whole.values()) == connection.execute(
        "select count(*) from quality.check_result r where county_code = %s and form in ('*', 'COP04') or county_code = %s and form in (select form from quality.reporting_status where county_code = %s) and form <> 'COP04'",
        [COUNTY, COUNTY, COUNTY],
    ).fetchone()[0]
    connection.execute("delete from quality.check_result where county_code = %s and form = 'COP04' and rule_id = 'COE-001'", [COUNTY])
    connection.execute("delete from quality.check_result where county_code = %s", [OTHER])
    assert dict(connection.execute(grid, [COUNTY]).fetchall())["missing"] == 1
    (lost,) = connection.execute("select rule_id, severity, owner, threshold from quality.check_grid where county_code = %s and status = 'missing'", [COUNTY])
    assert lost == ("COE-001", "error", "county", contracts().rules["COE-001"].definition["expression"])
    assert {s for s, _ in connection.execute(grid, [OTHER])} == {"missing"}


@pytest.mark.database
def test_what_is_not_due_yet_is_not_missing(connection, settings):
    submit(connection, "COP04", COUNTY, WEEKS[3], [{}])
    judge(connection, settings, now=at(settings, 6, 15), publish_week=WEEKS[2], great_expectations=False)
    assert connection.execute("select count(*) from quality.reporting_status where status = 'expected'").fetchone()[0] > 0
    assert connection.execute("select distinct county_code from quality.check_grid where week = %s and form <> '*'", [WEEKS[3]]).fetchall() == [(COUNTY,)]


# ---------------------------------------------------------------- the life of a finding


def find(connection, submission, key, rule_id="EMP-005", severity="warning", stage="reading", **more):
    return connection.execute(
        """insert into quality.finding (rule_id, severity, stage, week, county_code, form, submission_id, cell, row_key, field, message_zh, status)
           select %s, %s, %s, week, county_code, form, submission_id, 'C5', %s, 'f', '…', %s from intake.submission where submission_id = %s returning finding_id""",
        [rule_id, severity, stage, key, more.get("status", "open"), submission],
    ).fetchone()[0]


def life(connection, finding):
    return connection.execute(
        "select found_as, life, first_seen_week, since_week, resolved_week from quality.finding_life where finding_id = %s", [finding]
    ).fetchone()


@pytest.mark.database
def test_new_persisting_resolved_reopened(connection):
    s = [submit(connection, "EMP01", COUNTY, week, [{"township": "451002001"}]) for week in WEEKS]
    stays = [find(connection, n, "stays") for n in s]
    gone = find(connection, s[0], "gone")
    again = [find(connection, s[0], "again"), find(connection, s[2], "again"), find(connection, s[3], "again")]
    fresh = find(connection, s[3], "fresh")
    assert life(connection, stays[0]) == ("new", "persisting", WEEKS[0], WEEKS[0], None)
    assert life(connection, stays[3]) == ("persisting", "persisting", WEEKS[0], WEEKS[0], None)
    assert life(connection, gone) == ("new", "resolved", WEEKS[0], WEEKS[0], WEEKS[1])
    assert life(connection, again[0]) == ("new", "resolved", WEEKS[0], WEEKS[0], WEEKS[1])
    assert life(connection, again[1]) == ("reopened", "persisting", WEEKS[0], WEEKS[2], None)
    assert life(connection, again[2]) == ("persisting", "persisting", WEEKS[0], WEEKS[2], None)
    assert life(connection, fresh) == ("new", "new", WEEKS[3], WEEKS[3], None)
    connection.execute("update quality.finding set status = 'waived' where finding_id = %s", [fresh])
    assert life(connection, fresh)[1] == "waived"


@pytest.mark.database
def test_a_form_sent_again_resolves_what_it_mends_and_carries_on_what_it_does_not(connection):
    back = submit(connection, "EMP01", COUNTY, WEEKS[0], [{}], state="returned")
    mended, left = find(connection, back, "a", severity="error"), find(connection, back, "b", severity="error")
    connection.execute("insert into intake.rejected_row values (%s, 1, 1, 5)", [back])
    once_more = submit(connection, "EMP01", COUNTY, WEEKS[0], [{}], state="returned")
    connection.execute("insert into intake.rejected_row values (%s, 1, 1, 5)", [once_more])
    now = find(connection, once_more, "b", severity="error")
    assert life(connection, mended)[1:] == ("resolved", WEEKS[0], WEEKS[0], WEEKS[0])
    assert life(connection, left)[1] == life(connection, now)[1] == "persisting"


@pytest.mark.database
def test_other_counties_and_empty_reports_do_not_count(connection):
    first = submit(connection, "EMP01", COUNTY, WEEKS[0], [{}])
    held = find(connection, first, "k")
    submit(connection, "EMP01", OTHER, WEEKS[1], [{}])
    submit(connection, "EMP01", COUNTY, WEEKS[1], [])
    assert life(connection, held)[1] == "new"


@pytest.mark.database
def test_a_returned_form_says_nothing_of_rules_that_did_not_get_to_it(connection):
    first = submit(connection, "EMP01", COUNTY, WEEKS[0], [{}])
    fell = find(connection, first, "k", rule_id="EMP-009", stage="acceptance")
    back = submit(connection, "EMP01", COUNTY, WEEKS[1], [{}], state="returned")
    connection.execute("insert into intake.rejected_row values (%s, 1, 1, 5)", [back])
    find(connection, back, "x", severity="error")
    assert life(connection, fell)[1] == "new"  # acceptance never looked at the second week
    submit(connection, "EMP01", COUNTY, WEEKS[2], [{}])
    assert life(connection, fell)[1:] == ("resolved", WEEKS[0], WEEKS[0], WEEKS[2])


@pytest.mark.database
def test_every_finding_has_one_life_and_an_owner(connection, settings, monkeypatch):
    monkeypatch.setattr(judgement, "contracts", lambda: with_rule("COP-007", owner="rule_owner"))
    disagreeing(connection, WEEKS[3])
    run(connection, settings)
    connection.execute("insert into quality.finding (rule_id, severity, stage, message_zh) values ('GEN-FORM', 'error', 'reading', '无法识别')")
    lives = connection.execute("select rule_id, life, owner from quality.finding_life order by 1").fetchall()
    assert lives == [("COP-007", "new", "rule_owner"), ("GEN-FORM", "new", "county")]
