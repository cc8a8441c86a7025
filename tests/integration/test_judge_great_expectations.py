"""Great Expectations over candidates: the suites come from the contracts, and what they find blocks."""

from __future__ import annotations

import datetime as dt
import os
import re

import pytest
from test_judge import COUNTY, ENTERPRISES, WEEK, build_enterprises
from warehouse_rows import submit

from expectations import validation, validation_process
from expectations.judge import judge
from expectations.marts import Mart
from expectations.row_sql import Untranslatable, row_sql
from expectations.suites import suite
from ingestion.contracts import contracts

COLUMNS = frozenset(c.split()[0] for c in ENTERPRISES)


@pytest.fixture
def now(settings):
    return dt.datetime(2020, 6, 17, tzinfo=settings.timezone)


def mart_of(code):
    """A mart with every column that may leave raw."""
    from warehouse.dbt_sources import column_name, mart_of_form

    names = {column_name(f) for f in contracts().form(code).fields} - {None}
    return Mart(code, mart_of_form(code), frozenset(names | {"week", "as_of_date", "county_code", "submission_id"}))


@pytest.mark.parametrize("code", contracts().codes)
def test_every_error_row_rule_is_asked_or_its_reason_is_written_down(code):
    made = suite(contracts().form(code), mart_of(code))
    asked = {a["meta"]["rule_id"] for _, a in made.expectations}
    wanted = {r.id for r in contracts().form(code).rules_of("row") if r.severity == "error"}
    assert wanted <= asked | made.skipped.keys()
    assert all(re.search(r"has no column|b\.week", reason) for reason in made.skipped.values())


def test_what_a_mart_does_not_have_is_not_asked():
    form = contracts().form("COP04")
    made = suite(form, Mart("COP04", "fct_enterprise_weekly", COLUMNS - {"poor_jobs"}))
    assert list(made.skipped) == ["COE-001"] and "poor_jobs" in made.skipped["COE-001"]
    with pytest.raises(Untranslatable):
        row_sql("unheard_of <= jobs", form, made.mart)


@pytest.mark.database
@pytest.mark.parametrize(
    "expression, row, holds",
    [
        ("completed <= started <= planned", (1, 2, 3), True),
        ("completed <= started <= planned", (1, 4, 3), False),
        ("completed <= started <= planned", (None, 4, 3), False),
        ("completed <= started <= planned", (None, 2, 3), None),
        ("not blank(completed) or started == 2", (None, 2, 0), True),
        ("not blank(completed) or started == 2", (None, 3, 0), False),
        ("completed / planned >= 0.5", (1, 0, 2), True),
        ("completed / planned >= 0.5", (1, 0, 0), None),
        ("started not in (1, 2)", (0, 2, 0), False),
        ("round2(completed * 0.125) == 0.13", (1, 0, 0), True),
        ("started > 1 if blank(completed) else started < 1", (None, 2, 0), True),
        ("started > 1 if blank(completed) else started < 1", (5, 2, 0), False),
    ],
)
def test_sql_and_the_rules_own_evaluation_agree(connection, expression, row, holds):
    from ingestion.expressions import Expression

    form = contracts().form("CAM01")
    names = ("completed", "started", "planned")
    condition = row_sql(expression, form, mart_of("CAM01"))
    assert Expression(expression, form.by_name).value(dict(zip(names, row, strict=True))) is holds
    (found,) = connection.execute(f"select {condition} from (values (%s::integer, %s::integer, %s::integer)) b (completed, started, planned)", row).fetchone()
    assert found is holds


@pytest.mark.database
@pytest.mark.slow
def test_candidates_that_break_an_error_rule_block_and_docs_are_written(connection, settings, now):
    submit(connection, "COP04", COUNTY, WEEK, [{"enterprise_name": "甲", "poor_jobs": 1}, {"enterprise_name": "乙", "poor_jobs": 2}])
    build_enterprises(connection)
    connection.commit()  # Great Expectations has a session of its own
    good = judge(connection, settings, now=now)
    assert (good.verdict, good.blocking_zh) == ("clean", None)
    evaluated = connection.execute("select gx_success, gx_evaluated, gx_failed from quality.check_run").fetchone()
    assert evaluated == (True, 4, 0)  # key, required, not negative, COE-001; the form has no options
    assert (settings.reports / "data_docs" / "index.html").exists()

    connection.execute("update candidate.fct_enterprise_weekly set poor_jobs = jobs + 1 where enterprise_name = '甲'")
    connection.execute("update candidate.fct_enterprise_weekly set invested = -1, project_name = null where enterprise_name = '乙'")
    connection.execute("insert into candidate.fct_enterprise_weekly select * from candidate.fct_enterprise_weekly where enterprise_name = '甲'")
    connection.commit()
    bad = judge(connection, settings, now=now)
    assert bad.verdict == "blocked"
    for rule in ("COE-001", "GEN-NEG", "GEN-REQ", "GEN-KEY"):
        assert rule in bad.blocking_zh
    assert "invested" in bad.blocking_zh and "project_name" in bad.blocking_zh
    assert connection.execute("select gx_failed from quality.check_run where check_run_id = %s", [bad.check_run_id]).fetchone() == (4,)

    text = "".join(p.read_text(errors="ignore") for p in (settings.home / "gx").rglob("*.y*ml"))
    assert "WAREHOUSE_GX_URL" in text and settings.url.split(":")[2].split("@")[0] not in text  # no password on disk
    assert "WAREHOUSE_GX_URL" not in os.environ


@pytest.mark.database
@pytest.mark.slow
def test_great_expectations_that_cannot_run_blocks(connection, settings, now, monkeypatch):
    def fail(*_):
        raise RuntimeError("no")

    monkeypatch.setattr(validation, "validate", fail)
    submit(connection, "COP04", COUNTY, WEEK, [{}])
    build_enterprises(connection)
    verdict = judge(connection, settings, now=now)
    assert verdict.verdict == "blocked" and "RuntimeError" in verdict.blocking_zh


@pytest.fixture
def broken(connection):
    """A candidate that breaks an error rule."""
    submit(connection, "COP04", COUNTY, WEEK, [{"enterprise_name": "甲", "poor_jobs": 1}])
    build_enterprises(connection)
    connection.execute("update candidate.fct_enterprise_weekly set poor_jobs = jobs + 1")
    connection.commit()


@pytest.fixture
def beside():
    """A process that validates for the next one who asks."""
    validation_process.start()
    yield validation_process._started.process
    validation_process.stop()


@pytest.mark.database
@pytest.mark.slow
def test_a_process_beside_says_the_same(connection, settings, now, broken, beside, monkeypatch):
    def fail(*_):
        raise AssertionError("in this process")

    said = []
    with monkeypatch.context() as patched:
        patched.setattr(validation, "validate", fail)
        there = judge(connection, settings, now=now, progress=lambda *what: said.append(what))
    assert "COE-001" in there.blocking_zh and ("validating marts", 1, 1) in said
    assert judge(connection, settings, now=now).blocking_zh == there.blocking_zh  # it had its one task: this is done here


@pytest.mark.database
@pytest.mark.slow
def test_a_process_that_is_lost_takes_no_check_with_it(connection, settings, now, broken, beside):
    beside.kill()
    beside.wait()
    assert "COE-001" in judge(connection, settings, now=now).blocking_zh


def test_what_nobody_asked_for_ends_with_the_block():
    from warehouse.warm import warming

    with warming():
        process = validation_process._started.process
        assert process.poll() is None
    assert process.poll() is not None and validation_process._started is None
