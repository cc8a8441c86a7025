"""REL-003: employed, willing and all persons follow each other; the willing stand in both comparisons."""

from tests.rules.builder import found

GOOD = {"employed_persons": 3, "willing_persons": 4, "persons": 4}


def test_pass():
    assert found("REL-003", "REL01", GOOD) == []


def test_fail_at_the_willing():
    findings = found("REL-003", "REL01", GOOD | {"employed_persons": 5}, GOOD | {"willing_persons": 6})
    assert {f.field for f in findings} == {"willing_persons"}
    assert [(f.row_no, f.value, f.expected, f.difference) for f in findings] == [(1, "4", "5", "-1"), (2, "6", "4", "2")]


def test_both_sides_fail_in_one_finding():
    assert len(found("REL-003", "REL01", {"employed_persons": 9, "willing_persons": 8, "persons": 7})) == 1


def test_a_blank_leaves_the_other_comparison():
    assert len(found("REL-003", "REL01", GOOD | {"employed_persons": 5, "persons": None})) == 1
    assert found("REL-003", "REL01", GOOD | {"willing_persons": None, "employed_persons": 99}) == []
