"""The twenty questions of docs/questions.md: each query is run as it stands, and answered from the generator's truth."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from decimal import ROUND_HALF_UP, Decimal

import pytest
from small_city import COUNTIES, SILENT, WEEKS, WHOLE, make, standing

from ingestion.contracts import contracts
from ingestion.reference import codes
from warehouse import database
from warehouse.settings import REPOSITORY

pytestmark = [pytest.mark.database, pytest.mark.slow]
PAGE = (REPOSITORY / "docs" / "questions.md").read_text(encoding="utf-8")
QUESTIONS = re.findall(r"\*\*(\d+)\. .*?```sql\n(.*?)\n```", PAGE, flags=re.S)
WEEK = WEEKS[1]


@pytest.fixture(scope="module")
def city(server, template, tmp_path_factory):
    return make(server, template, tmp_path_factory.mktemp("city"))


@pytest.fixture(scope="module")
def answers(city):
    with database.connect(city.settings, autocommit=True) as connection:
        return {int(number): connection.execute(query).fetchall() for number, query in QUESTIONS}


def percent(part, whole):
    return (Decimal(part) * 100 / Decimal(whole)).quantize(Decimal("0.01"), ROUND_HALF_UP)


def name(county):
    return codes().county_name(county)


def label(form, field, code):
    return contracts().form(form).by_name[field].values[code][0]


def totals(city, form, *fields, week=WEEK, where=lambda row: True):
    """County → sums of fields by the truth."""
    found = {}
    for county, row in standing(city, form, week):
        if where(row):
            before = found.get(county, [0] * len(fields))
            found[county] = [a + row[f] for a, f in zip(before, fields, strict=True)]
    return found


def test_there_are_twenty_short_ones():
    assert [int(n) for n, _ in QUESTIONS] == list(range(1, 21))
    for number, query in QUESTIONS:
        assert len(query.splitlines()) <= 4 and " join " not in query, number
        assert set(re.findall(r"(?:from|join) (\w+)\.", query)) == {"marts"}, number


def test_employment(city, answers):
    by_county = totals(city, "EMP01", "employed_away", "employed_away_2019")
    away, base = (sum(v[i] for v in by_county.values()) for i in (0, 1))
    assert answers[1] == [(away, percent(away, base))]
    assert sorted(answers[2]) == sorted((name(c), a, percent(a, b)) for c, (a, b) in by_county.items())
    assert [r[2] for r in answers[2]] == sorted(r[2] for r in answers[2])
    most = sorted(((-r["returned_unemployed"], r["township"], c) for c, r in standing(city, "EMP01", WEEK)))[:3]
    assert answers[3] == [(name(c), codes().place_name(t), -n) for n, t, c in most]
    assert answers[4] == [(name(SILENT), WEEKS[0])]
    before = totals(city, "EMP01", "employed_away", week=WEEKS[0])
    assert sorted(answers[5]) == sorted((name(c), by_county[c][0] - before[c][0]) for c in COUNTIES)


def test_industry(city, answers):
    by_county = totals(city, "IND01", "paid_subsidy", "planned_subsidy")
    assert sorted(answers[6]) == sorted((name(c), percent(a, b)) for c, (a, b) in by_county.items())
    by_industry = Counter()
    for _, row in standing(city, "IND01", WEEK):
        by_industry[row["industry"]] += row["paid_subsidy"]
    industry, most = max(by_industry.items(), key=lambda item: item[1])
    assert codes().industry(answers[7][0][0]) == industry
    assert answers[7][0][1] == (most / 10000).quantize(Decimal("0.01"), ROUND_HALF_UP)
    paid = [r for (form, _, week), rows in city.truth.items() if (form, week) == ("IND02", WEEK) for r in rows]
    assert answers[8] == [(len(paid), sum(r["amount"] for r in paid), len({r["household_no"] for r in paid}))]


def test_funds_and_campaigns(city, answers):
    def rate(r):
        return percent(r["spent"], r["arrived"])

    lines = standing(city, "FUN01", WEEK)
    assert sorted(answers[9]) == sorted((name(c), rate(r)) for c, r in lines if r["fund_line"] == "special")
    low = [(name(c), r["fund_line"]) for c, r in lines if r["spent"] * 2 < r["arrived"]]
    assert low and len(answers[10]) == len(low) and sorted(a[0] for a in answers[10]) == sorted(c for c, _ in low)
    done = totals(city, "CAM01", "completed", "planned", where=lambda r: r["project_kind"] == "housing")
    completed, planned = (sum(v[i] for v in done.values()) for i in (0, 1))
    assert answers[11] == [(completed, planned, percent(completed, planned))]
    new = Counter()
    for county in COUNTIES:
        now, before = (city.truth.get(("CAM01", county, week)) for week in (WEEK, WEEKS[0]))
        earlier = {r["project_kind"]: r["completed"] for r in before}
        for row in now or ():
            new[label("CAM01", "project_kind", row["project_kind"])] += row["completed"] - earlier[row["project_kind"]]
    assert dict(answers[12]) == dict(new)


def test_exit_relocation_and_cooperation(city, answers):
    unmet = sorted((name(c), label("EXI01", "criterion", r["criterion"]), r["current_value"]) for c, r in standing(city, "EXI01", WEEK) if not r["is_met"])
    assert sorted(a[:3] for a in answers[13]) == unmet
    listed = defaultdict(list)
    for county, row in standing(city, "EXI02", WEEK):
        if row["is_listed"]:
            listed[name(county)].append(row["poor_persons"])
    assert answers[14] == sorted((c, len(v), sum(v)) for c, v in listed.items())
    zero = sorted((name(c), r["site_name"], r["willing_households"] - r["employed_households"]) for c, r in standing(city, "REL01", WEEK) if r["willing_households"] > r["employed_households"])
    assert zero and sorted(answers[15]) == zero
    by_status = defaultdict(lambda: [0, 0, 0])
    for _, row in standing(city, "COP01", WEEK):
        mine = by_status[label("COP01", "status", row["status"])]
        mine[0], mine[1], mine[2] = mine[0] + 1, mine[1] + row["spent"], mine[2] + row["arrived"]
    assert {a[0]: a[1:] for a in answers[16]} == {s: (n, percent(spent, arrived) if arrived else None) for s, (n, spent, arrived) in by_status.items()}
    trips = [r for (form, _, _), rows in city.truth.items() if form == "COP02" for r in rows]
    assert answers[17] == [(sum(r["persons"] for r in trips), sum(r["poor_persons"] for r in trips))]


def test_monitoring_rectification_and_revisions(city, answers):
    assert sorted(answers[18]) == sorted((name(c), n) for c, (n,) in totals(city, "MON01", "red_households").items())
    by_source = defaultdict(list)
    for _, row in standing(city, "REC01", WEEK):
        by_source[label("REC01", "source", row["source"])].append(row["status"] in ("done", "verified"))
    assert {a[0]: a[1:] for a in answers[19]} == {s: (len(v), percent(sum(v), len(v))) for s, v in by_source.items()}
    revised = {column: n for mart, county, week, column, n in answers[20] if (mart, county, week) == ("fct_employment_weekly", WHOLE, WEEKS[0])}
    old = {r["township"]: r for r in city.first_sent["EMP01", WHOLE, WEEKS[0]]}
    new = city.truth["EMP01", WHOLE, WEEKS[0]]
    assert revised["employed_away"] == sum(r["employed_away"] != old[r["township"]]["employed_away"] for r in new)
    assert {(a[0], a[1]) for a in answers[20]} == {("fct_employment_weekly", WHOLE)}
