"""COC-002: the 合计 equals the sum of its rows, column by column."""

from tests.rules.builder import found, total

ROWS = ({"channel": "fair", "sales": 10}, {"channel": "online", "sales": 5})


def of_total(*rows, **values):
    return found("COC-002", "COP03", *(rows or ROWS), totals=[total("合计", 2, **values)])


def test_pass():
    assert of_total(sales=15) == []


def test_fail_in_the_column():
    (finding,) = of_total(sales=17)
    assert (finding.row_key, finding.row_no, finding.field, finding.cell) == ("", None, "sales", "X102")
    assert (finding.value, finding.expected, finding.difference) == ("17", "15", "2")


def test_not_evaluable():
    assert of_total(sales=None) == []
    assert of_total(ROWS[0], ROWS[1] | {"sales": None}, sales=17) == []
    assert of_total(ROWS[0], ROWS[0], sales=17) == []
    assert of_total(ROWS[0], ROWS[1] | {"channel": None}, sales=17) == []
