"""REL-002: employed, willing and all households follow each other; the willing stand in both comparisons."""

from tests.rules.builder import found

GOOD = {"employed_households": 3, "willing_households": 4, "households": 4}


def test_pass():
    assert found("REL-002", "REL01", GOOD) == []


def test_fail_at_the_willing():
    findings = found("REL-002", "REL01", GOOD | {"employed_households": 5}, GOOD | {"willing_households": 6})
    assert {f.field for f in findings} == {"willing_households"}
    assert [(f.row_no, f.value, f.expected, f.difference) for f in findings] == [(1, "4", "5", "-1"), (2, "6", "4", "2")]


def test_both_sides_fail_in_one_finding():
    assert len(found("REL-002", "REL01", {"employed_households": 9, "willing_households": 8, "households": 7})) == 1


def test_a_blank_leaves_the_other_comparison():
    assert len(found("REL-002", "REL01", GOOD | {"employed_households": 5, "households": None})) == 1
    assert found("REL-002", "REL01", GOOD | {"willing_households": None, "employed_households": 99}) == []
