"""MON-004: the 合计 equals the sum of its rows, column by column."""

from tests.rules.builder import found, total

ROWS = ({"township": "451026100", "marginal_persons": 10}, {"township": "451026101", "marginal_persons": 5})


def of_total(*rows, **values):
    return found("MON-004", "MON01", *(rows or ROWS), totals=[total("合计", 2, **values)])


def test_pass():
    assert of_total(marginal_persons=15) == []


def test_fail_in_the_column():
    (finding,) = of_total(marginal_persons=17)
    assert (finding.row_key, finding.row_no, finding.field, finding.cell) == ("", None, "marginal_persons", "X102")
    assert (finding.value, finding.expected, finding.difference) == ("17", "15", "2")


def test_not_evaluable():
    assert of_total(marginal_persons=None) == []
    assert of_total(ROWS[0], ROWS[1] | {"marginal_persons": None}, marginal_persons=17) == []
    assert of_total(ROWS[0], ROWS[0], marginal_persons=17) == []
    assert of_total(ROWS[0], ROWS[1] | {"township": None}, marginal_persons=17) == []
