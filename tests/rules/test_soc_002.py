"""SOC-002: the 合计 equals the sum of its rows, column by column."""

from tests.rules.builder import found, total

ROWS = ({"township": "451026100", "medical_insured_poor": 10}, {"township": "451026101", "medical_insured_poor": 5})


def of_total(*rows, **values):
    return found("SOC-002", "SOC01", *(rows or ROWS), totals=[total("合计", 2, **values)])


def test_pass():
    assert of_total(medical_insured_poor=15) == []


def test_fail_in_the_column():
    (finding,) = of_total(medical_insured_poor=17)
    assert (finding.row_key, finding.row_no, finding.field, finding.cell) == ("", None, "medical_insured_poor", "X102")
    assert (finding.value, finding.expected, finding.difference) == ("17", "15", "2")


def test_not_evaluable():
    assert of_total(medical_insured_poor=None) == []
    assert of_total(ROWS[0], ROWS[1] | {"medical_insured_poor": None}, medical_insured_poor=17) == []
    assert of_total(ROWS[0], ROWS[0], medical_insured_poor=17) == []
    assert of_total(ROWS[0], ROWS[1] | {"township": None}, medical_insured_poor=17) == []
