"""EXV-002: a village with more than 5 % incidence is listed."""

from decimal import Decimal

from tests.rules.builder import found


def of(incidence, listed):
    row = {"village": "451026100208", "incidence": incidence and Decimal(incidence), "is_listed": listed}
    return [(f.row_key, f.field, f.expected) for f in found("EXV-002", "EXI02", row)]


def test_pass():
    assert of("0.05", False) == of("0.051", True) == []


def test_fail():
    assert of("0.0501", False) == [("451026100208", "is_listed", "是")]


def test_not_evaluable():
    assert of(None, False) == of("0.06", None) == []
