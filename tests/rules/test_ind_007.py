"""IND-007: the 合计 equals the sum of its rows, column by column."""

from tests.rules.builder import found, total

ROWS = ({"industry": "mango", "planned_households": 10}, {"industry": "tea", "planned_households": 5})


def of_total(*rows, **values):
    return found("IND-007", "IND01", *(rows or ROWS), totals=[total("合计", 2, **values)])


def test_pass():
    assert of_total(planned_households=15) == []


def test_fail_in_the_column():
    (finding,) = of_total(planned_households=17)
    assert (finding.row_key, finding.row_no, finding.field, finding.cell) == ("", None, "planned_households", "X102")
    assert (finding.value, finding.expected, finding.difference) == ("17", "15", "2")


def test_not_evaluable():
    assert of_total(planned_households=None) == []
    assert of_total(ROWS[0], ROWS[1] | {"planned_households": None}, planned_households=17) == []
    assert of_total(ROWS[0], ROWS[0], planned_households=17) == []
    assert of_total(ROWS[0], ROWS[1] | {"industry": None}, planned_households=17) == []
