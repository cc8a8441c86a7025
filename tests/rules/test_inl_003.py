"""INL-003: an amount is quantity times rate, or the household's cap where that passes it."""

from decimal import Decimal

from tests.rules.builder import found


def of(quantity, rate, amount, **more):
    row = {"payment_no": "F1", "quantity": Decimal(quantity), "rate": Decimal(rate), "amount": amount and Decimal(amount)}
    return [(f.row_key, f.field, f.expected, f.difference) for f in found("INL-003", "IND02", row, **more)]


def test_pass():
    assert of("3.5", "300", "1050") == []
    assert of("1.115", "3", "3.35") == []  # 3.345 rounds half up
    assert of("30", "300", "5000") == of("30", "300", "9000") == []


def test_fail():
    assert of("3.5", "300", "1060") == [("F1", "amount", "1050", "10")]
    assert of("30", "300", "8000") == [("F1", "amount", "9000 或 5000", "-1000")]
    assert of("3", "300", "5000") == [("F1", "amount", "900", "4100")]


def test_not_evaluable():
    assert of("3", "300", None) == []
    assert of("3", "300", "5000", week="2019-W30") == []  # no cap is known, so it may be the cap
