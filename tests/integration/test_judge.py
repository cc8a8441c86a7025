"""Judgement as a whole: results, status, waivers and the gate, over submissions put straight into the database."""

from __future__ import annotations

import datetime as dt

import pytest
from warehouse_rows import submit

from expectations import cross_form
from expectations.judge import judge
from expectations.waivers import grant_waiver
from ingestion.contracts import contracts
from warehouse import roles
from warehouse.settings import WarehouseError

pytestmark = pytest.mark.database
COUNTY, OTHER, EXITING = "451002", "451003", "451026"
WEEK, BEFORE = "2020-W24", "2020-W23"


def at(settings, month, day, hour=12, minute=0):
    return dt.datetime(2020, month, day, hour, minute, tzinfo=settings.timezone)


@pytest.fixture
def now(settings):
    return at(settings, 6, 17)


def run(connection, settings, now, **options):
    return judge(connection, settings, now=now, great_expectations=False, **options)


def result(connection, rule, form, county=COUNTY, week=WEEK):
    return connection.execute(
        """select status, rows_checked, rows_violated from quality.check_result_current
           where (rule_id, form, county_code, week) = (%s, %s, %s, %s)""",
        [rule, form, county, week],
    ).fetchone()


def find(connection, submission, rule, severity, cell="C5", row_key="k", stage="reading"):
    """A finding as reading or acceptance leaves it."""
    connection.execute(
        """insert into quality.finding (rule_id, severity, stage, week, county_code, form, submission_id, cell, row_key, message_zh)
           select %s, %s, %s, week, county_code, form, submission_id, %s, %s, '…' from intake.submission where submission_id = %s""",
        [rule, severity, stage, cell, row_key, submission],
    )


def built(connection):
    connection.execute("update ops.pending_slice set built = true")


def candidate(connection, mart, *columns):
    with roles.acting(connection, roles.TRANSFORMER):
        connection.execute(f"create table candidate.{mart} ({', '.join(columns)})")


ENTERPRISES = (
    "week text", "as_of_date date", "county_code text", "carried_from_week text", "submission_id bigint", "source_row_no integer",
    "enterprise_name text", "project_name text", "contract_amount numeric", "invested numeric", "jobs integer", "poor_jobs integer",
)  # fmt: skip


def build_enterprises(connection, carried=()):
    """What dbt would make of COP04: the accepted rows, and those carried forward."""
    candidate(connection, "fct_enterprise_weekly", *ENTERPRISES)
    rows = """insert into candidate.fct_enterprise_weekly
              select {week}, s.as_of_date, s.county_code, {carried}, r.submission_id, r.row_no, r.enterprise_name, r.project_name,
                     r.contract_amount, r.invested, r.jobs, r.poor_jobs
              from quality.accepted_submission s join raw.cop04 r using (submission_id)"""
    connection.execute(rows.format(week="s.week", carried="null"))
    for week, source in carried:
        connection.execute(rows.format(week=f"'{week}'", carried="s.week") + " where s.week = %s", [source])
    built(connection)


# ---------------------------------------------------------------- results


def test_every_rule_of_every_form_has_one_result_for_every_county_in_force(connection, settings, now):
    submit(connection, "COP04", COUNTY, WEEK, [{}])
    run(connection, settings, now)
    rules = [(r.id, code) for code in contracts().codes for r in (*contracts().form(code).rules, *contracts().general_rules)]
    per_county = len([r for r in rules if r[0] not in ("GEN-FORM", "GEN-NAME")]) + 2
    counts = connection.execute("select county_code, count(*) from quality.check_result group by 1").fetchall()
    assert len(counts) == 12 and {n for _, n in counts} == {per_county}


def test_statuses_of_a_submission(connection, settings, now):
    returned = submit(connection, "EMP01", COUNTY, WEEK, [{}] * 9, state="returned")
    connection.execute(
        "insert into intake.rejected_row select %s, n, 1, n + 4 from generate_series(1, 9) n", [returned]
    )
    find(connection, returned, "EMP-001", "error", "C5", "451002001")
    find(connection, returned, "EMP-001", "error", "C6", "451002002")
    find(connection, returned, "EMP-001", "error", "D6", "451002002")
    find(connection, returned, "GEN-COLMISS", "error", "")
    connection.execute("update quality.finding set field = 'public_posts' where rule_id = 'GEN-COLMISS'")
    accepted = submit(connection, "COP04", COUNTY, WEEK, [{"enterprise_name": "甲"}, {"enterprise_name": "乙"}])
    find(connection, accepted, "COE-002", "warning")
    submit(connection, "DIS01", COUNTY, WEEK, [])
    run(connection, settings, now)
    assert result(connection, "EMP-001", "EMP01") == ("fail", 9, 2)  # rows, not cells
    assert result(connection, "EMP-002", "EMP01") == ("pass", 9, 0)
    assert result(connection, "EMP-005", "EMP01") == ("not_evaluable", None, None)  # its column is missing
    assert result(connection, "EMP-008", "EMP01") == ("not_evaluable", None, None)  # no week before
    assert result(connection, "COE-001", "COP04") == ("pass", 2, 0)
    assert result(connection, "COE-002", "COP04") == ("pass_with_violations", 2, 1)
    assert result(connection, "DIS-001", "DIS01")[0] == "not_evaluable"  # 空报
    assert result(connection, "CAM-001", "CAM01") == ("not_evaluable", None, None)  # 未收到
    assert result(connection, "EXI-001", "EXI01")[0] == "not_applicable"
    assert result(connection, "EXI-001", "EXI01", EXITING)[0] == "not_evaluable"
    assert result(connection, "GEN-RATE", "COP04")[0] == "not_applicable"  # has no percentages


def test_cross_week_rules_want_what_they_compare_with(connection, settings, now):
    for week in ("2020-W22", WEEK):
        submit(connection, "MON01", COUNTY, week, [{"township": "451002001"}])
        submit(connection, "SOC01", COUNTY, week, [{"township": "451002001"}])
    submit(connection, "SOC01", OTHER, WEEK, [{"township": "451003001"}])
    run(connection, settings, now)
    assert result(connection, "SOC-003", "SOC01")[0] == "pass"  # the last accepted week
    assert result(connection, "SOC-003", "SOC01", OTHER)[0] == "not_evaluable"
    assert result(connection, "MON-002", "MON01")[0] == "not_evaluable"  # the week directly before


def test_the_accepted_submission_is_what_results_are_about(connection, settings, now):
    accepted = submit(connection, "COP04", COUNTY, WEEK, [{}])
    returned = submit(connection, "COP04", COUNTY, WEEK, [], state="returned")
    find(connection, returned, "COE-001", "error")
    run(connection, settings, now)
    assert result(connection, "COE-001", "COP04") == ("pass", 1, 0)
    assert connection.execute(
        "select distinct submission_id from quality.check_result where form = 'COP04' and county_code = %s", [COUNTY]
    ).fetchall() == [(accepted,)]


def test_only_what_changed_is_judged_again(connection, settings, now):
    submit(connection, "COP04", COUNTY, BEFORE, [{}])
    submit(connection, "COP04", COUNTY, WEEK, [{}])
    run(connection, settings, now)
    assert run(connection, settings, now).results == {}
    submit(connection, "COP04", COUNTY, BEFORE, [{}, {}])
    again = run(connection, settings, now)
    judged = connection.execute("select distinct county_code, week from quality.check_result where check_run_id = %s", [again.check_run_id])
    assert judged.fetchall() == [(COUNTY, BEFORE)]


def test_a_finding_that_stays_keeps_its_number(connection, settings, now):
    def fund(spent):
        submit(connection, "FUN01", COUNTY, WEEK, [{"fund_line": "cooperation", "arrived": 9, "spent": spent}])

    submit(connection, "COP01", COUNTY, WEEK, [{"arrived": 9, "spent": 5}])
    fund(4)
    run(connection, settings, now)
    first = connection.execute("select finding_id, expected from quality.finding").fetchall()
    fund(3)
    run(connection, settings, now)
    assert connection.execute("select finding_id, expected, status from quality.finding").fetchall() == [(first[0][0], "3", "open")]
    submit(connection, "COP01", COUNTY, WEEK, [{"arrived": 9, "spent": 6}])
    run(connection, settings, now)
    assert connection.execute("select value, status from quality.finding order by finding_id").fetchall() == [("5", "superseded"), ("6", "open")]


def test_a_rule_that_cannot_be_run_is_an_error_and_blocks(connection, settings, now, monkeypatch):
    broken = cross_form.RuleFile("COP-007", "…", None, "select nothing from nowhere")
    monkeypatch.setattr(cross_form, "rule_files", lambda: {"COP-007": broken})
    submit(connection, "COP01", COUNTY, WEEK, [{}])
    verdict = run(connection, settings, now)
    assert verdict.verdict == "blocked" and "COP-007" in verdict.blocking_zh
    assert result(connection, "COP-007", "COP01")[0] == "error"
    assert result(connection, "COP-001", "COP01")[0] == "pass"


# ---------------------------------------------------------------- reporting status


def statuses(connection, form="COP04", week=WEEK):
    return dict(
        connection.execute("select county_code, status from quality.reporting_status where (form, week) = (%s, %s)", [form, week]).fetchall()
    )


def test_reporting_status_follows_the_clock(connection, settings):
    submit(connection, "COP04", COUNTY, WEEK, [{}])
    submit(connection, "COP04", OTHER, WEEK, [], state="returned")
    run(connection, settings, at(settings, 6, 16))  # Tuesday 12:00 is still in time
    before = statuses(connection)
    assert (before[COUNTY], before[OTHER], before["451022"]) == ("on_time", "returned", "expected")
    run(connection, settings, at(settings, 6, 16, 12, 1))
    after = statuses(connection)
    assert (after[COUNTY], after[OTHER], after["451022"]) == ("on_time", "returned", "missing")
    assert len(after) == 12 and set(statuses(connection, "EXI01")) == {"451026", "451028", "451031"}


def test_an_extension_for_one_county(connection, settings):
    connection.execute(
        "insert into reference.calendar_exceptions (week, county_code, due_at, source) values (%s, %s, %s, 'letter')",
        [WEEK, "451022", at(settings, 6, 19)],
    )
    submit(connection, "COP04", COUNTY, WEEK, [{}])
    run(connection, settings, at(settings, 6, 17))
    assert statuses(connection)["451022"] == "expected" and statuses(connection)[OTHER] == "missing"


def test_weeks_that_nobody_reported_are_missing_and_a_correction_shows(connection, settings, now):
    submit(connection, "COP04", COUNTY, "2020-W22", [{}])
    submit(connection, "COP04", COUNTY, WEEK, [{}])
    submit(connection, "COP04", COUNTY, WEEK, [{}], state="corrected")
    run(connection, settings, now)
    assert statuses(connection, week=BEFORE)[COUNTY] == "missing"
    assert statuses(connection)[COUNTY] == "corrected"
    assert statuses(connection, week="2020-W21") == {} == statuses(connection, week="2020-W25")


# ---------------------------------------------------------------- waivers


def waive(connection, rule="COP-007", form="COP01", **change):
    about = {
        "rule_id": rule, "county_code": COUNTY, "form": form, "from_week": BEFORE, "to_week": WEEK, "granted_by": "李主任",
        "reason_zh": "年初结转资金未入台账", "expires_on": dt.date(2020, 7, 1),
    }  # fmt: skip
    return grant_waiver(connection, **(about | change))


def disagreeing(connection):
    submit(connection, "COP01", COUNTY, WEEK, [{"arrived": 9, "spent": 5}])
    submit(connection, "FUN01", COUNTY, WEEK, [{"fund_line": "cooperation", "arrived": 9, "spent": 4}])


def test_a_waived_violation_is_shown_and_needs_no_approval_until_it_expires(connection, settings, now):
    disagreeing(connection)
    assert run(connection, settings, now).verdict == "warnings"
    waive(connection)
    submit(connection, "DIS01", COUNTY, WEEK, [])  # anything that has the county judged again
    verdict = run(connection, settings, now)
    assert (verdict.verdict, verdict.warnings) == ("clean", 0)
    assert connection.execute("select status from quality.finding").fetchall() == [("waived",)]
    assert result(connection, "COP-007", "COP01")[0] == "pass_with_violations"
    run(connection, settings, at(settings, 7, 2))
    assert connection.execute("select status from quality.finding").fetchall() == [("open",)]


@pytest.mark.parametrize(
    "change",
    [{"granted_by": " "}, {"reason_zh": ""}, {"rule_id": "COP-099"}, {"form": "FUN01"}, {"county_code": "999999"}, {"to_week": "2020-W20"}, {"from_week": "W20"}],
    ids=lambda c: next(iter(c)),
)
def test_a_waiver_that_cannot_be_is_refused(connection, change):
    with pytest.raises(WarehouseError):
        waive(connection, **change)


def test_a_waiver_of_other_weeks_or_counties_changes_nothing(connection, settings, now):
    disagreeing(connection)
    waive(connection, to_week=BEFORE)
    waive(connection, county_code=OTHER)
    assert run(connection, settings, now).verdict == "warnings"


# ---------------------------------------------------------------- the gate


def test_candidates_that_agree_with_what_was_loaded_pass(connection, settings, now):
    submit(connection, "COP04", COUNTY, BEFORE, [{"enterprise_name": "甲"}])
    connection.execute(
        "insert into ops.pending_slice (form, county_code, week) values ('COP04', %s, %s)", [COUNTY, WEEK]
    )
    build_enterprises(connection, carried=[(WEEK, BEFORE)])
    verdict = run(connection, settings, now, publish_week=WEEK)
    assert (verdict.verdict, verdict.blocking_zh) == ("clean", None)
    assert connection.execute("select verdict, finished_at is not null from quality.check_run").fetchall() == [("clean", True)]


def test_a_lost_row_blocks(connection, settings, now):
    submit(connection, "COP04", COUNTY, WEEK, [{"enterprise_name": "甲"}, {"enterprise_name": "乙"}])
    build_enterprises(connection)
    connection.execute("delete from candidate.fct_enterprise_weekly where enterprise_name = '乙'")
    verdict = run(connection, settings, now)
    assert verdict.verdict == "blocked" and "装载2行、候选1行" in verdict.blocking_zh


def test_rows_of_a_submission_that_does_not_stand_block(connection, settings, now):
    submit(connection, "COP04", COUNTY, WEEK, [{"enterprise_name": "甲"}])
    build_enterprises(connection)
    submit(connection, "COP04", COUNTY, WEEK, [{"enterprise_name": "甲"}])
    built(connection)  # as if the build had missed the newer one
    verdict = run(connection, settings, now)
    assert verdict.verdict == "blocked" and "未被接收" in verdict.blocking_zh


def test_a_slice_without_its_mart_blocks(connection, settings, now):
    submit(connection, "COP04", COUNTY, WEEK, [{}])
    built(connection)
    assert "COP04" in run(connection, settings, now).blocking_zh


def test_a_returned_form_does_not_block(connection, settings, now):
    submit(connection, "COP04", COUNTY, WEEK, [{"enterprise_name": "甲"}])
    returned = submit(connection, "EMP01", COUNTY, WEEK, [], state="returned")
    find(connection, returned, "EMP-001", "error")
    build_enterprises(connection)
    verdict = run(connection, settings, now)
    assert (verdict.verdict, verdict.errors) == ("clean", 1)
