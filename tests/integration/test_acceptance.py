"""Cross-week rules: each kind against what was accepted before."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ingestion.contracts import contracts
from ingestion.load import load_readings
from tests.integration.readings import error, file_of, form_reading

pytestmark = pytest.mark.database
ON_TIME = {"2020-W22": "2020-06-01T09:00+08:00", "2020-W23": "2020-06-08T09:00+08:00", "2020-W24": "2020-06-15T09:00+08:00"}


@pytest.fixture
def deliver(connection, settings):
    """Load one form of a week; returns (state, [(rule, row_key, field, cell, value, expected)])."""

    def deliver(form, week, values, at=None, **more):
        reading = more.pop("reading") if "reading" in more else form_reading(form, week, values, **more)
        load_readings(connection, settings, [file_of(connection, reading, at=at or ON_TIME.get(week, "2020-06-20T09:00+08:00"))])
        submission, state = connection.execute("select submission_id, state from intake.submission order by submission_id desc limit 1").fetchone()
        rows = connection.execute(
            """select rule_id, row_key, field, cell, value, expected from quality.finding
               where submission_id = %s and stage = 'acceptance' order by finding_id""",
            [submission],
        ).fetchall()
        connection.commit()
        return state, rows

    return deliver


def consumption(sales, persons=(10, 10)):
    return {"channel": ["procurement", "direct"][: len(sales)], "sales": sales, "poor_persons_benefited": list(persons)[: len(sales)]}




def test_a_cumulative_figure_that_falls_returns_the_form_and_names_the_cell(deliver, connection):
    assert deliver("COP03", "2020-W22", consumption([Decimal("100.50"), Decimal(7)])) == ("on_time", [])
    state, findings = deliver("COP03", "2020-W23", consumption([Decimal("99.50"), Decimal(7)]))
    assert state == "returned"
    assert findings == [("COC-001", "procurement", "sales", "B5", "99.5", "100.5")]
    assert connection.execute("select difference from quality.finding where rule_id = 'COC-001'").fetchone() == ("-1",)


def test_it_may_fall_with_a_reason_in_the_row_or_a_note_below_the_table(deliver):
    deliver("COP03", "2020-W22", consumption([Decimal(100), Decimal(7)]))
    assert deliver("COP03", "2020-W23", consumption([Decimal(99), Decimal(7)]), change_reason=["核减重复", None]) == ("on_time", [])
    assert deliver("COP03", "2020-W24", consumption([Decimal(98), Decimal(6)]), change_note="变化原因：核减") == ("on_time", [])


def test_a_reason_in_one_row_does_not_excuse_another(deliver):
    deliver("COP03", "2020-W22", consumption([Decimal(100), Decimal(7)]))
    state, findings = deliver("COP03", "2020-W23", consumption([Decimal(99), Decimal(6)]), change_reason=["核减", None])
    assert (state, [f[1] for f in findings]) == ("returned", ["direct"])


def test_the_comparison_is_with_the_last_accepted_week_not_the_returned_one(deliver):
    deliver("COP03", "2020-W22", consumption([Decimal(100), Decimal(7)]))
    assert deliver("COP03", "2020-W23", consumption([Decimal(50), Decimal(7)]))[0] == "returned"
    assert [f[5] for f in deliver("COP03", "2020-W24", consumption([Decimal(60), Decimal(7)]))[1]] == ["100"]


def test_an_empty_week_is_passed_over(deliver):
    deliver("COP03", "2020-W22", consumption([Decimal(100), Decimal(7)]))
    assert deliver("COP03", "2020-W23", consumption([None, None], (None, None)), empty=True) == ("empty", [])
    assert deliver("COP03", "2020-W24", consumption([Decimal(60), Decimal(7)]))[0] == "returned"


def test_a_new_year_starts_from_nothing(deliver):
    deliver("COP03", "2020-W53", consumption([Decimal(100), Decimal(7)]))
    assert deliver("COP03", "2021-W01", consumption([Decimal(1), Decimal(0)]))[1] == []


def test_another_countys_figures_do_not_count(deliver):
    deliver("COP03", "2020-W22", consumption([Decimal(100), Decimal(7)]), county="451022")
    assert deliver("COP03", "2020-W23", consumption([Decimal(1), Decimal(1)])) == ("on_time", [])


def test_a_form_returned_by_reading_hears_of_its_falls_too_but_not_twice_of_one_cell(deliver):
    deliver("COP03", "2020-W22", consumption([Decimal(100), Decimal(7)]))
    reading = form_reading("COP03", "2020-W23", consumption([Decimal(90), Decimal(6)]))
    reading.findings.append(error(reading, 1, "sales"))
    state, findings = deliver("COP03", "2020-W23", None, reading=reading)
    assert (state, [(f[1], f[2]) for f in findings]) == ("returned", [("direct", "sales")])


def employment(township="451002102", away=1000, base=2000):
    other, province = away // 2, away // 4
    return {
        "township": [township], "labour_force": [9000], "employed_away": [away], "away_other_province": [other],
        "away_in_province": [province], "employed_in_county": [away - other - province], "returned_unemployed": [1],
        "employed_away_2019": [base], "workshops_recognised": [1], "workshops_resumed": [1], "workshop_poor_workers": [1],
        "public_posts": [1], "public_post_holders": [1],
    }  # fmt: skip


def test_a_base_that_is_changed_is_a_warning(deliver):
    deliver("EMP01", "2020-W22", employment(base=2011))
    state, findings = deliver("EMP01", "2020-W23", employment(base=2100))
    assert state == "on_time"
    assert [f[:3] + f[4:] for f in findings] == [("EMP-008", "451002102", "employed_away_2019", "2100", "2011")]


@pytest.mark.parametrize(("away", "flagged"), [(590, True), (610, False), (1390, False), (1410, True)])
def test_a_jump_of_two_fifths_is_told_without_any_history(deliver, away, flagged):
    deliver("EMP01", "2020-W22", employment(away=1000))
    state, findings = deliver("EMP01", "2020-W23", employment(away=away))
    assert state == "on_time"
    assert [f[0] for f in findings] == (["EMP-009"] if flagged else [])


def test_a_small_township_may_jump(deliver):
    deliver("EMP01", "2020-W22", employment(away=200))
    assert deliver("EMP01", "2020-W23", employment(away=20)) == ("on_time", [])


def test_a_step_far_outside_the_townships_own_history(deliver):
    for number, away in enumerate([1000, 1004, 999, 1003, 1001, 1006, 1002, 1005]):
        assert deliver("EMP01", f"2020-W{10 + number}", employment(away=away))[1] == []
    assert [f[0] for f in deliver("EMP01", "2020-W18", employment(away=800))[1]] == ["EMP-009"]


def test_the_same_step_where_such_steps_are_usual(deliver):
    for number, away in enumerate([1000, 1250, 1000, 1230, 1010, 1260, 1000, 1240]):
        deliver("EMP01", f"2020-W{10 + number}", employment(away=away))
    assert deliver("EMP01", "2020-W18", employment(away=1000))[1] == []


def findings_ledger(numbers, statuses):
    values = {f.name: [None] * len(numbers) for f in contracts().form("REC01").fields}
    return values | {"finding_no": numbers, "status": statuses}


def test_a_row_that_is_no_longer_listed(deliver):
    deliver("REC01", "2020-W22", findings_ledger(["WT-1", "WT-2"], ["open", "open"]))
    _, findings = deliver("REC01", "2020-W23", findings_ledger(["WT-2", "WT-3"], ["open", "open"]))
    assert findings == [("REC-004", "WT-1", "finding_no", "", None, "WT-1")]


def test_a_key_that_cannot_be_read_is_not_also_missing(deliver):
    deliver("REC01", "2020-W22", findings_ledger(["WT-1", "WT-2"], ["open", "open"]))
    _, findings = deliver("REC01", "2020-W23", findings_ledger([None, "WT-2"], ["open", "open"]))
    assert findings == []


def test_what_was_verified_stays_verified(deliver):
    deliver("REC01", "2020-W22", findings_ledger(["WT-1", "WT-2"], ["verified", "open"]))
    _, findings = deliver("REC01", "2020-W23", findings_ledger(["WT-1", "WT-2"], ["open", "verified"]))
    assert [(f[0], f[1], f[4], f[5]) for f in findings] == [("REC-005", "WT-1", "open", "verified")]


def monitoring(unstable, marginal, new, cleared):
    values = {f.name: [0] for f in contracts().form("MON01").fields}
    return values | {
        "township": ["451002102"], "unstable_households": [unstable], "marginal_households": [marginal],
        "new_households": [new], "cleared_households": [cleared],
    }  # fmt: skip


def test_levels_follow_from_last_weeks_and_the_changes(deliver):
    deliver("MON01", "2020-W22", monitoring(10, 5, 0, 0))
    assert deliver("MON01", "2020-W23", monitoring(12, 5, 3, 1))[1] == []
    assert [(f[0], f[2], f[4], f[5]) for f in deliver("MON01", "2020-W24", monitoring(12, 6, 3, 1))[1]] == [
        ("MON-002", "unstable_households", "18", "19")
    ]


def test_the_balance_needs_the_week_directly_before(deliver):
    deliver("MON01", "2020-W22", monitoring(10, 5, 0, 0))
    assert deliver("MON01", "2020-W24", monitoring(99, 5, 3, 1))[1] == []


def payments(numbers):
    values = {f.name: [None] * len(numbers) for f in contracts().form("IND02").fields}
    return values | {"payment_no": numbers}


def test_a_payment_number_may_come_once_a_year_whichever_week_came_first(deliver):
    deliver("IND02", "2020-W22", payments(["FF1", "FF2"]))
    state, findings = deliver("IND02", "2020-W23", payments(["FF3", "FF1"]))
    assert (state, findings) == ("returned", [("INL-002", "FF1", "payment_no", "A6", "FF1", None)])
    assert deliver("IND02", "2020-W23", payments(["FF3"]), at="2020-06-08T10:00+08:00") == ("on_time", [])
    late = deliver("IND02", "2020-W22", payments(["FF1", "FF3"]), at="2020-06-09T09:00+08:00")
    assert late == ("returned", [("INL-002", "FF3", "payment_no", "A6", "FF3", None)])


def test_a_newer_version_of_the_same_week_may_repeat_its_numbers(deliver):
    deliver("IND02", "2020-W22", payments(["FF1", "FF2"]))
    assert deliver("IND02", "2020-W22", payments(["FF1", "FF2"]), at="2020-06-01T11:00+08:00") == ("on_time", [])
    # and the older version's numbers no longer count
    deliver("IND02", "2020-W22", payments(["FF9"]), at="2020-06-01T12:00+08:00")
    assert deliver("IND02", "2020-W23", payments(["FF1"])) == ("on_time", [])


def test_numbers_of_another_year_or_county_do_not_count(deliver):
    deliver("IND02", "2020-W53", payments(["FF1"]))
    deliver("IND02", "2021-W01", payments(["FF2"]), county="451022")
    assert deliver("IND02", "2021-W01", payments(["FF1", "FF2"]))[1] == []
