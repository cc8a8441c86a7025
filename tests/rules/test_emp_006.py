"""EMP-006: the county's rate_of_2019 agrees with ours to the digits it printed."""

from decimal import Decimal

from tests.rules.builder import found

ROW = {"employed_away": 118, "employed_away_2019": 120}  # 98.333… %


def rates(*written: tuple[str, str], row=ROW):
    """Findings for (value, text in the cell)."""
    rows = [row | {"rate_of_2019": Decimal(value)} for value, _ in written]
    return found("EMP-006", "EMP01", *rows, text=[{"rate_of_2019": text} for _, text in written], factor={"rate_of_2019": "0.01"})


def test_pass():
    assert rates(("0.9833", "98.33"), ("0.983", "98.3%"), ("0.98", "98"), ("0.983", "0.983"), ("0.9833333333", "98.33333333")) == []


def test_fail_to_the_printed_digit():
    findings = rates(("0.9834", "98.34"), ("0.984", "98.4％"), ("0.97", "97"), ("0.982", "0.982"))
    assert [(f.row_no, f.field, f.expected, f.difference) for f in findings] == [
        (1, "rate_of_2019", "98.33", "0.01"),
        (2, "rate_of_2019", "98.3", "0.1"),
        (3, "rate_of_2019", "98", "-1"),
        (4, "rate_of_2019", "0.983", "-0.001"),
    ]


def test_more_than_all_is_legitimate():
    assert rates(("1.2", "120"), row={"employed_away": 144, "employed_away_2019": 120}) == []


def test_not_evaluable():
    assert rates(("0.5", "50"), row={"employed_away": 1, "employed_away_2019": 0}) == []
    assert rates(("0.5", "50"), row={"employed_away": 1, "employed_away_2019": None}) == []
    assert rates(("0.5", "50"), row={"employed_away": None, "employed_away_2019": 3}) == []
    assert found("EMP-006", "EMP01", ROW | {"rate_of_2019": None}) == []
