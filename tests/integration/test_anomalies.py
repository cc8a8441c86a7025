"""Anomalies in the database: found in candidate marts, kept with a reviewer's verdict, and the verdict is used."""

from __future__ import annotations

import numpy as np
import pytest

from expectations import anomalies
from expectations.marts import candidates
from ingestion.contracts import contracts
from warehouse.settings import WarehouseError

pytestmark = pytest.mark.database
WEEKS = [f"2020-W{n:02d}" for n in range(10, 26)]
LAST, BEFORE = WEEKS[-1], WEEKS[-2]
TOWNSHIP = "451003T05"


@pytest.fixture
def townships(connection):
    """Six counties of eight townships in one candidate mart; figures drift a little from week to week."""
    connection.execute("create schema if not exists candidate")
    connection.execute(
        """create table candidate.fct_safety_net_weekly
           (week text, county_code text, township_code text, carried_from_week text, low_income_persons integer, subsidy_paid numeric)"""
    )
    rng = np.random.default_rng(3)
    rows = []
    for county in range(451001, 451007):
        for township in range(8):
            people, paid = 700 + 90 * township, 50_000
            for week in WEEKS:
                people += int(rng.integers(1, 9))
                paid += int(rng.integers(9_000, 11_000))
                rows.append((week, str(county), f"{county}T{township:02d}", people, paid))
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into candidate.fct_safety_net_weekly (week, county_code, township_code, low_income_persons, subsidy_paid) values (%s, %s, %s, %s, %s)", rows
        )
    return connection


def change(connection, week, expression, township=TOWNSHIP, column="low_income_persons"):
    connection.execute(f"update candidate.fct_safety_net_weekly set {column} = {expression} where (week, township_code) = (%s, %s)", [week, township])


def look(connection, *weeks):
    anomalies.detect(connection, candidates(connection), contracts(), weeks or [LAST], None)
    return anomalies.listing(connection, (weeks or [LAST])[-1])


def test_ordinary_weeks_have_none(townships):
    assert look(townships, *WEEKS) == []
    assert townships.execute("select count(*) from quality.anomaly").fetchone() == (0,)


def test_what_stands_out_is_ranked_by_what_is_at_stake(townships):
    change(townships, LAST, "low_income_persons + 700")
    change(townships, LAST, "subsidy_paid + 3000000", "451004T01", "subsidy_paid")
    first, second = look(townships)
    assert (first["rank"], first["column_name"], first["row_key"], first["at_stake_unit"]) == (1, "low_income_persons", TOWNSHIP, "persons")
    assert 680 < first["at_stake"] < 720  # 700 people weigh more than 300 times 10,000 yuan
    assert (second["rank"], second["county_code"], second["at_stake_unit"]) == (2, "451004", "yuan")
    assert "低保" in first["text_zh"] and "元" in second["text_zh"]


def test_carried_rows_are_nobodys_figures(townships):
    change(townships, LAST, "low_income_persons + 700")
    townships.execute("update candidate.fct_safety_net_weekly set carried_from_week = %s where week = %s and township_code = %s", [BEFORE, LAST, TOWNSHIP])
    assert look(townships) == []


def test_a_verdict_is_kept_and_what_is_mended_goes(townships):
    change(townships, LAST, "low_income_persons + 700")
    change(townships, LAST, "low_income_persons + 800", "451002T02")
    found = {a["row_key"]: a["anomaly_id"] for a in look(townships)}
    anomalies.review(townships, found[TOWNSHIP], verdict="explained", by="李科长", note="两镇合并")
    change(townships, LAST, "low_income_persons - 800", "451002T02")
    (kept,) = look(townships)
    assert (kept["anomaly_id"], kept["verdict"], kept["reviewer"], kept["note"], kept["rank"]) == (found[TOWNSHIP], "explained", "李科长", "两镇合并", None)
    change(townships, LAST, "low_income_persons - 700")
    assert look(townships) == []  # no longer standing …
    assert [a["verdict"] for a in anomalies.listing(townships, LAST, everything=True)] == ["explained"]  # … but on record


def test_what_is_confirmed_leaves_the_baseline(townships):
    change(townships, BEFORE, "low_income_persons + 700")
    (odd,) = look(townships, BEFORE)
    change(townships, LAST, "low_income_persons + 700")
    assert look(townships) == []  # beside the week before it looks right
    anomalies.review(townships, odd["anomaly_id"], verdict="confirmed", by="李科长", note="多报一位")
    assert [a["row_key"] for a in look(townships)] == [TOWNSHIP]


def test_a_false_alarm_is_not_raised_again_unless_it_is_further_out(townships):
    week = WEEKS[-4]
    change(townships, week, "low_income_persons + 400")
    (odd,) = look(townships, week)
    anomalies.review(townships, odd["anomaly_id"], verdict="false_alarm", by="李科长", note=None)
    change(townships, LAST, "low_income_persons + 350")
    assert look(townships) == []
    change(townships, LAST, "low_income_persons + 3000")
    assert [a["row_key"] for a in look(townships)] == [TOWNSHIP]


def test_figures_that_stand_still_are_told_once_until_they_move(townships):
    for back in range(7):
        change(townships, WEEKS[-1 - back], "4321")
    townships.execute("create table later as select * from candidate.fct_safety_net_weekly where week = %s", [LAST])
    townships.execute("delete from candidate.fct_safety_net_weekly where week = %s", [LAST])
    (before,) = look(townships, BEFORE)
    townships.execute("insert into candidate.fct_safety_net_weekly select * from later")
    (now,) = look(townships)
    assert (before["score"], now["score"], now["baseline_week"]) == (6, 7, WEEKS[-7])
    assert townships.execute("select count(*) from quality.anomaly").fetchone() == (1,)


@pytest.mark.parametrize("wrong", [{"verdict": "fine"}, {"by": " "}, {"note": ""}, {"anomaly_id": 999}], ids=lambda w: next(iter(w)))
def test_a_verdict_needs_a_name_and_a_reason(townships, wrong):
    change(townships, LAST, "low_income_persons + 700")
    (odd,) = look(townships)
    said = {"anomaly_id": odd["anomaly_id"], "verdict": "confirmed", "by": "李科长", "note": "多报"} | wrong
    with pytest.raises(WarehouseError):
        anomalies.review(townships, said.pop("anomaly_id"), **said)
