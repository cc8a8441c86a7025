"""The rules' language: what it accepts, three truth values, exact numbers."""

import datetime as dt
import itertools
from decimal import Decimal

import pytest

from ingestion.expressions import CONTEXT, Expression, ExpressionError

FIELDS = ("a", "b", "c")
NOTHING = dict.fromkeys(CONTEXT)


@pytest.mark.parametrize(
    "text",
    [
        "a <= d",  # no such field
        "a.real <= b",
        "a[0] <= b",
        "__import__('os')",
        "abs(a) <= b",
        "round2(a, b) <= c",
        "blank(a + b)",
        "[x for x in a]",
        "lambda: a",
        "a ** b <= c",
        "a <= b'x'",
        "a <=",
        "(a := b) <= c",
        "a is b",
    ],
)
def test_refused(text):
    with pytest.raises(ExpressionError):
        Expression(text, FIELDS)


@pytest.mark.parametrize(
    "text",
    [
        "a <= b <= c",
        "a == b + c",
        "a <= b and b <= c",
        "a <= b or not blank(c)",
        "not (a < b) or c == 1",
        "a == (b < c if c == 2 else b >= c)",
        "a not in (1, 2) or b >= c",
        "a != 1 or (blank(b) and c == 0)",
        "a / b <= c",
        "round2(a * b) == c",
        "a >= 0.5 * b",
    ],
)
def test_fast_and_slow_agree(text):
    """What the loop passes never fails; whatever fails, the loop has picked."""
    rows = list(itertools.product((None, 0, 1, 2), repeat=3))
    expression = Expression(text, FIELDS)
    columns = dict(zip(FIELDS, zip(*rows, strict=True), strict=True))
    picked = set(expression.suspects(columns, NOTHING))
    failing = {i for i, row in enumerate(rows) if expression.failures(dict(zip(FIELDS, row, strict=True)))}
    assert failing <= picked
    assert failing, "the example has rows that fail"
    whole = {i for i in picked if None not in rows[i]}
    assert {i for i in whole if "/" not in text} <= failing, "a whole row is picked only if it fails"


def test_rows_alike_are_judged_alike(monkeypatch):
    """A rule remembers the values that passed it: those that fail are told in every row, and those beyond its memory too."""
    monkeypatch.setattr("ingestion.expressions.MOST_PASSED", 2)
    small, large, half = 1, 10**9, Decimal("0.5")
    columns = {"a": [small, large, small, large, half, half, large, None], "b": [large, small, large, small, large, large, half, large]}
    assert Expression("a <= b", FIELDS).suspects(columns, NOTHING) == [1, 3, 6, 7]


def test_unknown_is_neither_true_nor_false():
    def value(text, **row):
        return Expression(text, FIELDS).value(row)

    assert value("a <= b", a=1) is None
    assert value("a <= b or c == 1", c=1) is True
    assert value("a <= b or c == 1", c=2) is None
    assert value("a <= b and c == 1", c=2) is False
    assert value("not (a <= b)", a=1) is None
    assert value("a + b", a=1) is None
    assert value("a / b", a=1, b=0) is None


def test_numbers_are_exact():
    assert Expression("a <= 0.1", FIELDS).value({"a": Decimal("0.1")}) is True
    assert Expression("a / b", FIELDS).value({"a": 1, "b": 8}) == Decimal("0.125")
    assert Expression("round2(a)", FIELDS).value({"a": Decimal("2.345")}) == Decimal("2.35")
    assert not Expression("a >= 0.1 * b", FIELDS).suspects({"a": [Decimal("0.3")], "b": [3]}, NOTHING)


def test_dates_and_places():
    late = Expression("year(a) == reporting_year and a <= as_of_date", FIELDS)
    context = NOTHING | {"reporting_year": 2020, "as_of_date": dt.date(2020, 6, 14)}
    days = [dt.date(2020, 6, 14), dt.date(2020, 6, 15), None, dt.date(2019, 6, 14)]
    assert late.suspects({"a": days}, context) == [1, 2, 3]
    assert [len(late.failures({"a": d} | context)) for d in days] == [0, 1, 0, 1]
    here = Expression("county_of(a) == county_code", FIELDS)
    home = {"v1": "c1", "v2": "c2"}.get
    assert here.suspects({"a": ["v1", "v2"]}, NOTHING | {"county_code": "c1"}, home) == [1]
    assert here.failures({"a": "v3", "county_code": "c1"}, home) == []


def test_absurd_numbers_do_no_harm():
    product = Expression("round2(a * b) == c", FIELDS)
    assert product.suspects({"a": [Decimal("1e30")], "b": [Decimal("1e30")], "c": [1]}, NOTHING) == [0]
    assert len(product.failures({"a": Decimal("1e30"), "b": 1, "c": 1})) == 1
