"""EMP-007: the 合计 equals the sum of the townships, column by column."""

from decimal import Decimal

from ingestion.reference import codes
from tests.rules.builder import COUNTY, found, spoiled, total

TOWNSHIPS = codes().townships_of(COUNTY)
ROWS = [{"township": t, "labour_force": 100, "employed_away": 10, "away_guangdong": 4, "rate_of_2019": Decimal("0.9")} for t in TOWNSHIPS]
ALL = len(TOWNSHIPS)
RIGHT = {"labour_force": 100 * ALL, "employed_away": 10 * ALL, "away_guangdong": 4 * ALL}


def of_total(rows=ROWS, position=ALL, unreadable=(), findings=(), **values):
    return found("EMP-007", "EMP01", *rows, totals=[total("合计", position, unreadable=unreadable, **values)], findings=findings)


def test_pass_last_or_first_row():
    assert of_total(**RIGHT) == []
    assert of_total(position=0, **RIGHT) == []


def test_fail_one_finding_a_column():
    findings = of_total(**RIGHT | {"employed_away": 10 * ALL + 3, "away_guangdong": 4 * ALL - 1})
    assert [(f.row_key, f.field, f.difference) for f in findings] == [("", "employed_away", "3"), ("", "away_guangdong", "-1")]
    assert findings[0].cell == f"X{100 + ALL}"


def test_rates_are_not_added_up():
    assert of_total(rate_of_2019="0.9") == []


def test_blank_optional_cells_leave_the_rest_comparable():
    rows = [ROWS[0] | {"away_guangdong": None}, *ROWS[1:]]
    assert of_total(rows, **RIGHT | {"away_guangdong": 4 * ALL - 4}) == []
    assert len(of_total(rows, **RIGHT)) == 1


def test_an_unreadable_cell_silences_its_column_only():
    rows = [ROWS[0] | {"away_guangdong": None}, *ROWS[1:]]
    wrong = RIGHT | {"labour_force": 1, "away_guangdong": 1}
    assert [f.field for f in of_total(rows, findings=[spoiled("away_guangdong", 1)], **wrong)] == ["labour_force"]
    assert [f.field for f in of_total(unreadable=["labour_force"], **wrong)] == ["away_guangdong"]


def test_a_total_that_still_holds_a_missing_township_is_one_cause():
    assert of_total(ROWS[1:], position=ALL - 1, **RIGHT) == []
    less = {name: value - value // ALL for name, value in RIGHT.items()}
    assert [f.field for f in of_total(ROWS[1:], position=ALL - 1, **less | {"employed_away": 1})] == ["employed_away"]
