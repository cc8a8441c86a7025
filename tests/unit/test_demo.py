"""The made-up city: its figures hold to the rules of the forms, its files and its own account of them agree."""

from __future__ import annotations

import csv
import datetime as dt
import itertools
from collections import Counter
from decimal import Decimal

import pytest
from python_calamine import CalamineWorkbook

from demo import people
from demo.city import LEVELS, CountyYear, as_of_date
from demo.generate import write_demo, write_week
from demo.places import load_counties
from demo.styles import STYLES, assign
from ingestion.contracts import contracts
from ingestion.reading import read_file

WEEKS = 26


@pytest.fixture(scope="module")
def courses():
    """Half a year of every county, nothing written."""
    return [CountyYear(county, payouts=15) for county in load_counties(2020)]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return write_demo(tmp_path_factory.mktemp("demo"), weeks=4, payouts=6, processes=1)


def every_week(courses):
    return ((course.county, n, course.week(n)) for course in courses for n in range(1, WEEKS + 1))


def test_the_check_digit_is_that_of_the_standards_own_example():
    assert people.check_digit("11010519491231002") == "X"
    assert people.check_digit("44052418800101001") == "4"


def test_no_two_people_share_an_id_number_and_none_changes_household(courses):
    owner: dict[str, str] = {}
    for _, _, forms in every_week(courses):
        for row in (*forms["IND02"], *forms["MON02"]):
            number = row["id_number"]
            assert people.check_digit(number[:17]) == number[17]
            assert dt.date(1944, 1, 1) <= dt.datetime.strptime(number[6:14], "%Y%m%d").date() < dt.date(1995, 1, 1)
            assert owner.setdefault(number, row["household_no"]) == row["household_no"]


def test_every_form_due_is_there_with_every_field_and_every_key_once(courses):
    for county, _, forms in every_week(courses):
        expected = {f.code for f in contracts().forms if f.expected_from == "all_counties" or county.exits_this_year}
        assert set(forms) == expected
        for code, rows in forms.items():
            form = contracts().form(code)
            assert rows, code
            assert {tuple(sorted(row)) for row in rows} == {tuple(sorted(form.by_name))}
            assert max(Counter(row[form.key.name] for row in rows).values()) == 1
            assert all(row[f.name] is not None for row in rows for f in form.fields if f.required)


def test_running_totals_never_fall_and_constants_stay(courses):
    for course in courses:
        for n, (code, rows) in itertools.product(range(2, WEEKS + 1), course.week(1).items()):
            form = contracts().form(code)
            before = {r[form.key.name]: r for r in course.week(n - 1)[code]} if form.listing == "level" and rows else {}
            after = {r[form.key.name]: r for r in course.week(n)[code]}
            assert set(before) <= set(after), f"{code}: a row disappeared in week {n}"
            for key, row in before.items():
                for f in form.fields:
                    if f.kind == "cumulative":
                        assert row[f.name] <= after[key][f.name], (code, n, f.name)
                    if f.kind == "constant":
                        assert row[f.name] == after[key][f.name], (code, n, f.name)


def test_employment_relocation_and_campaigns_hold_to_their_row_rules(courses):
    for _, _, forms in every_week(courses):
        for r in forms["EMP01"]:
            assert r["employed_away"] == r["away_other_province"] + r["away_in_province"] + r["employed_in_county"]
            assert r["away_guangdong"] <= r["away_other_province"]
            assert r["employed_away"] + r["returned_unemployed"] <= r["labour_force"]
            assert r["workshops_resumed"] <= r["workshops_recognised"] and r["public_post_holders"] <= r["public_posts"]
        for r in forms["REL01"]:
            assert r["employed_households"] <= r["willing_households"] <= r["households"] <= r["persons"]
            assert r["employed_persons"] <= r["willing_persons"] <= r["persons"]
            assert r["facility_projects_completed"] <= r["facility_projects_started"] <= r["facility_projects_planned"]
        for r in forms["CAM01"]:
            assert r["completed"] <= r["started"] <= r["planned"] and r["invested"] <= r["investment"]
        for r in forms["SOC01"]:
            assert r["low_income_poor_persons"] <= r["low_income_persons"]
        assert all(r["resolved"] <= r["affected"] for r in forms["EPI01"])
        assert all(r["poor_jobs"] <= r["jobs"] and r["invested"] <= r["contract_amount"] for r in forms["COP04"])
        assert all(r["poor_persons"] <= r["persons"] for r in forms["COP02"])


def test_the_weekly_subsidies_are_what_was_paid_out_household_by_household(courses):
    for course in courses:
        households, yuan, numbers, seen = Counter(), Counter(), set(), set()
        for n in range(1, WEEKS + 1):
            forms = course.week(n)
            for r in forms["IND02"]:
                full = (r["quantity"] * r["rate"]).quantize(Decimal("0.01"))
                assert r["amount"] == full or (r["amount"] == course.county.cap_yuan < full)
                assert r["paid_date"].year == 2020 and as_of_date(2020, n) - dt.timedelta(6) <= r["paid_date"] <= as_of_date(2020, n)
                assert r["payment_no"] not in numbers and (r["household_no"], r["industry"]) not in seen
                numbers.add(r["payment_no"])
                seen.add((r["household_no"], r["industry"]))
                households[r["industry"]] += 1
                yuan[r["industry"]] += r["amount"]
            for r in forms["IND01"]:
                assert (r["paid_households"], r["paid_subsidy"]) == (households[r["industry"]], yuan[r["industry"]])
                assert r["paid_households"] <= r["accepted_households"] <= r["planned_households"]
                assert r["paid_subsidy"] <= r["planned_subsidy"] and r["covered_households"] <= r["capable_households"]


def test_funds_add_up_and_agree_with_the_project_ledger(courses):
    for _, n, forms in every_week(courses):
        lines = {r["fund_line"]: r for r in forms["FUN01"]}
        for field in ("arrived", "spent"):
            assert lines["special"][field] == sum(lines[level][field] for level in LEVELS)
            assert lines["cooperation"][field] == sum(r[field] for r in forms["COP01"])
        assert all(r["spent"] <= r["arrived"] <= r["budgeted"] for r in lines.values())
        for r in forms["COP01"]:
            assert r["spent"] <= r["arrived"] <= r["allocated"]
            if r["status"] == "completed":
                assert r["start_date"] <= r["completion_date"] <= as_of_date(2020, n)
            if r["status"] == "not_started":
                assert r["start_date"] is None and r["spent"] == 0


def test_the_monitoring_form_is_the_ledger_counted_and_rolls_from_week_to_week(courses):
    for course in courses:
        town_of = {v.code: v.township_code for v in course.county.villages}
        last: dict[str, int] = {}
        for n in range(1, WEEKS + 1):
            forms = course.week(n)
            still_open = Counter((town_of[r["village"]], r["alert_level"]) for r in forms["MON02"] if r["cleared_date"] is None)
            for r in forms["MON01"]:
                households = r["unstable_households"] + r["marginal_households"]
                assert [r[f"{c}_households"] for c in ("red", "yellow", "blue")] == [still_open[r["township"], c] for c in ("red", "yellow", "blue")]
                assert households == r["red_households"] + r["yellow_households"] + r["blue_households"]
                if r["township"] in last:
                    assert households == last[r["township"]] + r["new_households"] - r["cleared_households"]
                assert r["assisted_households"] >= r["red_households"]
                last[r["township"]] = households
            for r in forms["MON02"]:
                assert r["cleared_date"] is None or r["entered_date"] <= r["cleared_date"] <= as_of_date(2020, n)


def test_exit_criteria_agree_with_their_values_and_stay_met(courses):
    for course in courses:
        met: set[str] = set()
        for n in range(1, WEEKS + 1) if course.county.exits_this_year else ():
            forms = course.week(n)
            for r in forms["EXI01"]:
                low = r["criterion"] == "incidence"
                assert r["is_met"] == (r["current_value"] < r["standard_value"] if low else r["current_value"] >= r["standard_value"])
                assert r["is_met"] or (r["gap_note"] and r["criterion"] not in met)
                met |= {r["criterion"]} if r["is_met"] else set()
            for r in forms["EXI02"]:
                assert r["criteria_met"] + r["criteria_unmet"] == 12 and (r["incidence"] <= Decimal("0.05") or r["is_listed"])


def test_findings_of_inspections_are_closed_in_order(courses):
    for course in courses:
        verified: set[str] = set()
        for n in range(1, WEEKS + 1):
            for r in course.week(n)["REC01"]:
                closed = r["closed_date"]
                assert (closed is not None) == (r["status"] == "verified")
                assert closed is None or r["found_date"] <= closed <= as_of_date(2020, n)
                assert r["finding_no"] not in verified or r["status"] == "verified"
                verified |= {r["finding_no"]} if closed else set()


def test_every_style_is_used_and_the_old_name_belongs_to_a_renamed_county():
    counties = load_counties(2020)
    styles = assign(counties, 2020)
    assert sorted(s.key for s in styles.values()) == sorted(s.key for s in STYLES)
    assert all(county.former_name for county in counties if styles[county.code].former_name)


def test_each_file_is_listed_once_and_in_order_of_arrival(demo):
    listed = []
    for folder in (demo.backfill, demo.last_week):
        with (folder / "arrivals.csv").open(encoding="utf-8", newline="") as handle:
            rows = list(csv.DictReader(handle))
        times = [dt.datetime.fromisoformat(r["received_at"]) for r in rows]
        assert times == sorted(times)
        listed += [folder / r["path"] for r in rows]
    written = [p for p in demo.folder.rglob("*") if p.is_file() and p.name != "arrivals.csv"]
    assert sorted(listed) == sorted(written)


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    county = load_counties(2020)[3].code
    first, again, other = (write_week(tmp_path / name, 5, counties=[county], payouts=5, seed=seed) for name, seed in (("a", 7), ("b", 7), ("c", 8)))
    content = [[(f.path, (d.folder / f.path).read_bytes()) for f in d.files] for d in (first, again, other)]
    assert content[0] == content[1] != content[2]
    assert first.values == again.values != other.values


def test_one_week_can_be_had_for_some_counties_and_forms(tmp_path):
    codes = [c.code for c in load_counties(2020)][:2]
    some = write_week(tmp_path, 8, counties=codes, forms=["EMP01", "FUN01"])
    assert set(some.values) == {(form, code, "2020-W08") for form in ("EMP01", "FUN01") for code in codes}
    assert {form for f in some.files for form in f.forms} == {"EMP01", "FUN01"}


def test_the_account_of_what_stands_agrees_with_the_statuses(demo):
    assert set(demo.values) == {key for key, status in demo.status.items() if status not in ("missing", "returned")}
    last = demo.weeks[-1]
    lost = {code for form, code, week in demo.status if week == last and demo.status[form, code, week] == "missing" and form == "EMP01"}
    assert len(lost) == 1
    untouched = {code for _, code, _ in demo.status} - {p.county_code for p in demo.planted if p.severity == "error" and p.week == last} - lost
    assert len(untouched) >= 7
    assert Counter(f.outcome for f in demo.files)["duplicate"] == 1 and Counter(f.outcome for f in demo.files)["refused"] == 1
    assert {"on_time", "late", "corrected", "returned", "missing"} == set(demo.status.values())


def test_planted_cells_hold_what_was_planted(demo):
    """The addresses in the account, looked up in the files with another library than the project's own reader."""
    planted = {p.rule_id: p for p in demo.planted}
    assert len(planted) == len(demo.planted) == 12
    truth = {(p.rule_id): demo.values.get((p.form, p.county_code, p.week)) for p in demo.planted}
    assert truth["EMP-001"] is None and truth["SOC-002"] is None  # returned and not sent again
    read = {rule: _cell(demo.folder / p.path, p.sheet, p.cell) for rule, p in planted.items() if p.sheet and not p.member}
    towns = {t.name for c in load_counties(2020) if c.code == planted["GEN-PLACE"].county_code for t in c.townships}
    assert read["GEN-PLACE"] not in towns and any(read["GEN-PLACE"].startswith(name[:2]) for name in towns)
    assert read["GEN-REQ"] == ""
    wrong = read["INL-001"]
    assert people.check_digit(wrong[:17]) != wrong[17] and wrong[:17] in {r["id_number"][:17] for r in truth["INL-001"]}
    for rule, field in (("MON-003", "assisted_households"), ("EPI-001", "resolved")):
        row = next(r for r in truth[rule] if str(r[contracts().form(planted[rule].form).key.name]) == planted[rule].row_key)
        assert planted[rule].field == field
        assert (float(read[rule]) == row[field]) == (rule == "MON-003")  # the warning stands, the error was mended


@pytest.mark.slow
def test_the_reader_finds_the_truth_and_the_planted_faults_and_nothing_else(demo):
    """Every file through the project's reader; what only the database can judge (other weeks, other forms) is left out."""
    account: dict[str, set[tuple]] = {}
    for e in (*demo.planted, *demo.warnings):
        if contracts().rules[e.rule_id].scope not in ("cross_week", "cross_form"):
            account.setdefault(e.path, set()).add((e.rule_id, e.severity, e.form, e.row_key, e.field, e.member, e.sheet, e.cell))
    last_reading = {}
    for file in demo.files:
        reading = read_file(demo.folder / file.path, received_at=file.received_at)
        if file.outcome == "refused":
            assert reading.refusal_zh
            continue
        assert reading.refusal_zh is None
        assert {(f.form, f.county_code, f.week) for f in reading.forms} == {(form, file.county_code, file.week) for form in file.forms}
        found = [*reading.findings, *itertools.chain.from_iterable(f.findings for f in reading.forms)]
        key = {"MON02": ""}  # its row keys are personal until they are replaced by pseudonyms
        as_told = {(f.rule_id, f.severity, f.form, key.get(f.form, f.row_key), f.field, f.member, f.sheet, f.cell) for f in found}
        if file.outcome != "duplicate":
            assert as_told == account.get(file.path, set()), file.path
        last_reading |= {(f.form, f.county_code, f.week): f for f in reading.forms if f.acceptable}
    assert set(last_reading) == set(demo.values)
    for key, rows in demo.values.items():
        for field in contracts().form(key[0]).fields:
            if field.kind != "declared":
                assert last_reading[key].values.get(field.name, [None] * len(rows)) == [row[field.name] for row in rows], (key, field.name)


def _cell(path, sheet, address):
    letters = "".join(filter(str.isalpha, address))
    column = -1
    for letter in letters:
        column = (column + 1) * 26 + ord(letter) - 65
    rows = CalamineWorkbook.from_path(path).get_sheet_by_name(sheet).to_python(skip_empty_area=False)
    return rows[int(address[len(letters) :]) - 1][column]
