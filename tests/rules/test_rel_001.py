"""REL-001: a household has at least one person; the persons are at fault."""

from tests.rules.builder import found

GOOD = {"site_code": "AZ1", "households": 100, "persons": 100}


def test_pass():
    assert found("REL-001", "REL01", GOOD) == []


def test_fail():
    (finding,) = found("REL-001", "REL01", GOOD, GOOD | {"persons": 90})
    assert (finding.row_no, finding.field) == (2, "persons")
    assert (finding.expected, finding.difference) == ("100", "-10")


def test_not_evaluable():
    assert found("REL-001", "REL01", GOOD | {"persons": 90} | {"households": None}) == []
