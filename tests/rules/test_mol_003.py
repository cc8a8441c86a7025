"""MOL-003: a red household needs an intervention."""

from tests.rules.builder import found, spoiled

GOOD = {"household_no": "H1", "alert_level": "red", "intervention": "medical"}


def test_pass():
    assert found("MOL-003", "MON02", GOOD, GOOD | {"alert_level": "blue", "intervention": None}) == []


def test_fail():
    (finding,) = found("MOL-003", "MON02", GOOD | {"intervention": None})
    assert (finding.row_key, finding.field, finding.expected) == ("H1", "intervention", None)


def test_not_evaluable():
    assert found("MOL-003", "MON02", GOOD | {"alert_level": None, "intervention": None}) == []
    assert found("MOL-003", "MON02", GOOD | {"intervention": None}, findings=[spoiled("intervention", 1)]) == []
