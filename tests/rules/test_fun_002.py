"""FUN-002: the county's spending_rate agrees with ours to the digits it printed."""

from decimal import Decimal

from tests.rules.builder import found

ROW = {"spent": 118, "arrived": 120}  # 98.333… %


def rates(*written: tuple[str, str], row=ROW):
    """Findings for (value, text in the cell)."""
    rows = [row | {"spending_rate": Decimal(value)} for value, _ in written]
    return found("FUN-002", "FUN01", *rows, text=[{"spending_rate": text} for _, text in written], factor={"spending_rate": "0.01"})


def test_pass():
    assert rates(("0.9833", "98.33"), ("0.983", "98.3%"), ("0.98", "98"), ("0.983", "0.983"), ("0.9833333333", "98.33333333")) == []


def test_fail_to_the_printed_digit():
    findings = rates(("0.9834", "98.34"), ("0.984", "98.4％"), ("0.97", "97"), ("0.982", "0.982"))
    assert [(f.row_no, f.field, f.expected, f.difference) for f in findings] == [
        (1, "spending_rate", "98.33", "0.01"),
        (2, "spending_rate", "98.3", "0.1"),
        (3, "spending_rate", "98", "-1"),
        (4, "spending_rate", "0.983", "-0.001"),
    ]


def test_more_than_all_is_legitimate():
    assert rates(("1.2", "120"), row={"spent": 144, "arrived": 120}) == []


def test_not_evaluable():
    assert rates(("0.5", "50"), row={"spent": 1, "arrived": 0}) == []
    assert rates(("0.5", "50"), row={"spent": 1, "arrived": None}) == []
    assert rates(("0.5", "50"), row={"spent": None, "arrived": 3}) == []
    assert found("FUN-002", "FUN01", ROW | {"spending_rate": None}) == []
