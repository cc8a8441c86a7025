"""REL-008: the 合计 equals the sum of its rows, column by column."""

from tests.rules.builder import found, total

ROWS = ({"site_code": "AZ1", "persons": 10}, {"site_code": "AZ2", "persons": 5})


def of_total(*rows, **values):
    return found("REL-008", "REL01", *(rows or ROWS), totals=[total("合计", 2, **values)])


def test_pass():
    assert of_total(persons=15) == []


def test_fail_in_the_column():
    (finding,) = of_total(persons=17)
    assert (finding.row_key, finding.row_no, finding.field, finding.cell) == ("", None, "persons", "X102")
    assert (finding.value, finding.expected, finding.difference) == ("17", "15", "2")


def test_not_evaluable():
    assert of_total(persons=None) == []
    assert of_total(ROWS[0], ROWS[1] | {"persons": None}, persons=17) == []
    assert of_total(ROWS[0], ROWS[0], persons=17) == []
    assert of_total(ROWS[0], ROWS[1] | {"site_code": None}, persons=17) == []
