"""What a reviewer is shown, and what stays on record of the answer."""

from __future__ import annotations

import datetime as dt

import psycopg
import pytest

from warehouse import approval
from warehouse.settings import WarehouseError

pytestmark = pytest.mark.database
UNTIL = dt.datetime(2020, 6, 17, 12, tzinfo=dt.UTC)


def check_run(connection, verdict="warnings"):
    return connection.execute(
        "insert into quality.check_run (judged_at, publish_week, verdict, errors, warnings) values (now(), '2020-W24', %s, 2, 1) returning check_run_id", [verdict]
    ).fetchone()[0]


def record(connection):
    return connection.execute("select check_run_id, decision, decided_by, note from quality.approval order by approval_id").fetchall()


@pytest.mark.parametrize(
    ("policy", "verdict", "asks"),
    [("never", "warnings", False), ("on_warnings", "clean", False), ("on_warnings", "warnings", True), ("always", "clean", True)],
)
def test_when_a_person_is_needed(policy, verdict, asks):
    assert approval.needed(policy, verdict) is asks


def test_an_unknown_policy_is_named():
    with pytest.raises(WarehouseError, match="sometimes"):
        approval.needed("sometimes", "clean")


def test_errors_cannot_be_approved_away(connection):
    run = check_run(connection, "blocked")
    with pytest.raises(WarehouseError, match="cannot be approved"):
        approval.require_current(connection, run)
    with pytest.raises(WarehouseError, match="no finished check run 99"):
        approval.require_current(connection, 99)


def test_what_was_built_after_the_judgement_is_not_published_on_its_strength(connection):
    connection.autocommit = True
    connection.execute("insert into ops.build_run (publish_week, succeeded) values ('2020-W24', true)")
    run = check_run(connection)
    approval.require_current(connection, run)
    connection.execute("insert into ops.build_run (publish_week, succeeded) values ('2020-W24', false)")
    with pytest.raises(WarehouseError, match="nobody has judged"):
        approval.require_current(connection, run)


def test_a_decision_is_made_once_and_a_new_request_overtakes_the_old(connection):
    connection.autocommit = True
    first, second = check_run(connection), check_run(connection)
    approval.ask(connection, approval.Stake(first, "2020-W24", "warnings", 2), UNTIL)
    approval.ask(connection, approval.Stake(second, "2020-W24", "warnings", 2), UNTIL)
    approval.answer(connection, second, "approved", "王审核", "已核实")
    approval.answer(connection, second, "rejected", "李科长", None)  # answered already: nothing happens
    assert record(connection) == [(first, "overtaken", None, None), (second, "approved", "王审核", "已核实")]
    with pytest.raises(psycopg.errors.RestrictViolation):
        connection.execute("update quality.approval set decided_by = '别人' where check_run_id = %s", [second])
    with pytest.raises(psycopg.errors.RestrictViolation):
        connection.execute("delete from quality.approval")


def test_a_decision_needs_a_name_unless_time_decided(connection):
    connection.autocommit = True
    run = check_run(connection)
    approval.ask(connection, approval.Stake(run, "2020-W24", "warnings", 0), UNTIL)
    with pytest.raises(psycopg.errors.CheckViolation):
        approval.answer(connection, run, "approved", "")
    approval.answer(connection, run, "lapsed", None)
    assert record(connection) == [(run, "lapsed", None, None)]


def test_the_reviewer_sees_rules_counties_money_and_revisions():
    stake = approval.Stake(
        7, "2020-W24", "warnings", 2,
        warnings=[{"rule_id": "EMP-006", "text_zh": "本周比上周|下降", "form": "EMP", "findings": 3, "counties": ["甲县", "乙县"]}],
        marts=[{"mart": "fct_x", "form": "X", "zh": "某表", "added": 1200, "changed": 2, "removed": 1, "revised": 3}],
        revised_by={"yuan": 1_234_500.0, "persons": 40.0},
        warned_figures={"households": {"figures": 3, "sum": 1800.0}},
    )  # fmt: skip
    text = approval.describe(stake)
    for part in ("2020-W24", "检查批次 7", "2 处错误", "EMP-006", "甲县、乙县", "本周比上周\\|下降", "1,200", "123.45 万元", "40 人", "1,800 户（3 个单元格）"):
        assert part in text, part
