"""IND-009: the county's payout_rate agrees with ours to the digits it printed."""

from decimal import Decimal

from tests.rules.builder import found

ROW = {"paid_subsidy": 118, "planned_subsidy": 120}  # 98.333… %


def rates(*written: tuple[str, str], row=ROW):
    """Findings for (value, text in the cell)."""
    rows = [row | {"payout_rate": Decimal(value)} for value, _ in written]
    return found("IND-009", "IND01", *rows, text=[{"payout_rate": text} for _, text in written], factor={"payout_rate": "0.01"})


def test_pass():
    assert rates(("0.9833", "98.33"), ("0.983", "98.3%"), ("0.98", "98"), ("0.983", "0.983"), ("0.9833333333", "98.33333333")) == []


def test_fail_to_the_printed_digit():
    findings = rates(("0.9834", "98.34"), ("0.984", "98.4％"), ("0.97", "97"), ("0.982", "0.982"))
    assert [(f.row_no, f.field, f.expected, f.difference) for f in findings] == [
        (1, "payout_rate", "98.33", "0.01"),
        (2, "payout_rate", "98.3", "0.1"),
        (3, "payout_rate", "98", "-1"),
        (4, "payout_rate", "0.983", "-0.001"),
    ]


def test_more_than_all_is_legitimate():
    assert rates(("1.2", "120"), row={"paid_subsidy": 144, "planned_subsidy": 120}) == []


def test_not_evaluable():
    assert rates(("0.5", "50"), row={"paid_subsidy": 1, "planned_subsidy": 0}) == []
    assert rates(("0.5", "50"), row={"paid_subsidy": 1, "planned_subsidy": None}) == []
    assert rates(("0.5", "50"), row={"paid_subsidy": None, "planned_subsidy": 3}) == []
    assert found("IND-009", "IND01", ROW | {"payout_rate": None}) == []
