"""Running counts of payments: after whatever happened to the lists, rules find what they would find in all payments of the year."""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from decimal import Decimal

import pytest
from warehouse_rows import submit

from expectations import payouts
from expectations.judge import judge
from warehouse import roles

pytestmark = pytest.mark.database
COUNTIES, WEEKS, INDUSTRIES = ("451002", "451003"), ("2019-W52", "2020-W22", "2020-W23", "2020-W24"), ("mango", "bee")
NOW = dt.datetime(2020, 6, 17, 4, tzinfo=dt.UTC)


def payments(rng: random.Random, week: str) -> list[dict]:
    """Few households, persons and batches, so that they meet; days of this week and of others, as counties date them."""
    sunday = dt.date.fromisocalendar(int(week[:4]), int(week[6:]), 7)
    return [
        {
            "payment_no": f"P{rng.randrange(10**9)}", "batch_no": rng.choice(["B1", "B2"]), "household_no": f"H{rng.randrange(4)}", "id_number": f"I{rng.randrange(5)}",
            "industry": rng.choice(INDUSTRIES), "amount": Decimal(rng.randrange(1, 50_000)) / 100, "paid_date": sunday - dt.timedelta(rng.choice([-8, 0, 1, 3, 9])),
        }
        for _ in range(rng.randrange(4))
    ]  # fmt: skip


def happen(connection, rng: random.Random) -> None:
    """A list or a report arrives, another version of one, one is held back, or all that was is let go."""
    county, week = rng.choice(COUNTIES), rng.choice(WEEKS)
    match rng.choice(["list", "list", "list", "report", "hold", "release"]):
        case "list":
            submit(connection, "IND02", county, week, payments(rng, week))
        case "report":
            rows = [{"industry": i, "paid_households": rng.randrange(3), "paid_subsidy": rng.randrange(100)} for i in INDUSTRIES]
            submit(connection, "IND01", county, week, rows)
        case "hold":
            held = connection.execute(
                """insert into intake.hold (submission_id, reason, held_by)
                   select submission_id, '误发布', '审核人' from intake.accepted_submission where form = 'IND02' order by md5(submission_id::text || %s) limit 1
                   returning submission_id""",
                [rng.random()],
            ).fetchall()
            note(connection, held)
        case "release":
            note(connection, connection.execute("update intake.hold set released_at = now(), released_by = '审核人' where released_at is null returning submission_id").fetchall())


def note(connection, submissions: list[tuple[int]]) -> None:
    """As a withdrawal and a release do."""
    connection.execute(
        """insert into ops.pending_slice (form, county_code, week) select distinct form, county_code, week from intake.submission where submission_id = any(%s)
           on conflict (form, county_code, week) do update set built = false""",
        [[number for (number,) in submissions]],
    )


def standing(connection) -> list[tuple]:
    return connection.execute(
        """select s.county_code, s.week, left(s.week, 4), p.row_no, p.payment_no, p.industry, p.batch_no, p.household_key, p.id_key, p.paid_date, p.amount
           from quality.accepted_submission s join raw.ind02 p using (submission_id) where s.form = 'IND02'"""
    ).fetchall()


def expected_counts(rows: list[tuple]) -> tuple[dict, dict]:
    """(county, year, industry, day) → yuan and new households; (county, year, industry, household) → its first day."""
    first: dict[tuple, dt.date] = {}
    for county, _, year, _, _, industry, _, household, _, day, _ in rows:
        key = county, year, industry, household
        first[key] = min(day, first.get(key, day))
    days: dict[tuple, list] = defaultdict(lambda: [Decimal(0), 0])
    for county, _, year, _, _, industry, _, _, _, day, amount in rows:
        days[county, year, industry, day][0] += amount
    for (county, year, industry, _), day in first.items():
        days[county, year, industry, day][1] += 1
    return {k: tuple(v) for k, v in days.items()}, first


def second_payments(rows: list[tuple]) -> tuple[set, set]:
    """Numbers of the payments that INL-004 and INL-006 are about, by the words of the rules."""
    in_order = sorted(rows, key=lambda r: (r[9], r[1], r[0], r[3]))
    again, other_household, seen, household_of = set(), set(), set(), {}
    for _, _, _, _, payment, industry, batch, household, person, _, _ in in_order:
        if (person, industry, batch) in seen:
            again.add(payment)
        seen.add((person, industry, batch))
        if household_of.setdefault(person, household) != household:
            other_household.add(payment)
    return again, other_household


def counted(connection) -> tuple[dict, dict]:
    days = {tuple(r[:4]): tuple(r[4:]) for r in connection.execute("select * from ops.payout_day where (amount, households) <> (0, 0)")}
    return days, {tuple(r[:4]): r[4] for r in connection.execute("select * from ops.payout_household")}


def found(connection, rule: str) -> list[tuple]:
    return connection.execute(
        "select week, county_code, row_key, field, value, expected from quality.finding where rule_id = %s and status = 'open' order by 1, 2, 3, 4", [rule]
    ).fetchall()


@pytest.mark.parametrize("seed", range(4))
def test_counts_and_findings_are_those_of_all_payments(connection, settings, seed):
    rng, told = random.Random(seed), 0
    for step in range(10):
        for _ in range(rng.randrange(2, 5)):
            happen(connection, rng)
        connection.execute("update ops.pending_slice set built = true")
        judge(connection, settings, now=NOW, publish_week="2020-W24", great_expectations=False)
        if rng.random() < 0.5:  # published: what was noted is noted no longer
            connection.execute("delete from ops.pending_slice")
        rows = standing(connection)
        assert counted(connection) == expected_counts(rows), step
        again, other_household = second_payments(rows)
        assert {f[2] for f in found(connection, "INL-004")} == again, step
        assert {f[2] for f in found(connection, "INL-006")} == other_household, step
        told += len(again) + len(other_household)
    assert told, "nothing was ever found"
    reports, before = found(connection, "IND-008"), counted(connection)
    with connection.transaction(), roles.acting(connection, roles.TRANSFORMER):
        payouts.recount(connection)
    assert counted(connection) == before
    judge(connection, settings, now=NOW, publish_week="2020-W24", great_expectations=False, again=(WEEKS[0], WEEKS[-1]))
    assert found(connection, "IND-008") == reports


def test_what_a_weekly_report_must_say_is_added_up_from_the_days(connection, settings):
    """First paid in a list of a later week, for a day of an earlier one: it counts by the day, as the rule says."""
    for week in WEEKS[1:]:
        submit(connection, "IND02", COUNTIES[0], week, [])
    judge(connection, settings, now=NOW, great_expectations=False)
    paid = {"industry": "mango", "batch_no": "B", "amount": 100}
    late = [paid | {"payment_no": "P1", "household_no": "H1", "id_number": "I1", "paid_date": dt.date(2020, 5, 30)}]
    late += [paid | {"payment_no": "P2", "household_no": "H1", "id_number": "I1", "batch_no": "C", "paid_date": dt.date(2020, 6, 12)}]
    submit(connection, "IND02", COUNTIES[0], "2020-W24", late)
    for week, subsidy in (("2020-W22", 100), ("2020-W23", 100), ("2020-W24", 300)):
        submit(connection, "IND01", COUNTIES[0], week, [{"industry": "mango", "paid_households": 1, "paid_subsidy": subsidy}])
    judge(connection, settings, now=NOW, great_expectations=False)
    assert found(connection, "IND-008") == [("2020-W24", COUNTIES[0], "mango", "paid_subsidy", "300", "200")]


def test_only_lists_that_changed_are_read(connection, settings):
    submit(connection, "IND02", COUNTIES[0], "2020-W22", payments(random.Random(1), "2020-W22"))
    submit(connection, "IND02", COUNTIES[1], "2020-W22", payments(random.Random(2), "2020-W22"))
    with connection.transaction():
        assert payouts.count(connection) == 2
        assert payouts.count(connection) == 0
        submit(connection, "IND02", COUNTIES[1], "2020-W22", payments(random.Random(3), "2020-W22"))
        assert payouts.count(connection) == 2  # one version off, one on
        assert payouts.count(connection, everything=True) == 0
