"""EXI-001: is_met agrees with the value against the standard; incidence must be below it."""

from tests.rules.builder import found


def of(criterion, current, met, standard=3):
    row = {"criterion": criterion, "standard_value": standard, "current_value": current, "is_met": met}
    return [(f.row_key, f.field, f.expected) for f in found("EXI-001", "EXI01", row)]


def test_pass():
    assert of("water", 3, True) == of("water", 2, False) == of("incidence", 2, True) == of("incidence", 3, False) == []


def test_fail():
    assert of("water", 2, True) == [("water", "is_met", "否")]
    assert of("incidence", 2, False) == [("incidence", "is_met", "是")]
    assert of("incidence", 3, True) == [("incidence", "is_met", "否")]


def test_not_evaluable():
    assert of("water", None, True) == of("water", 2, None) == of(None, 2, True) == []
