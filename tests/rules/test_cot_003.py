"""COT-003: a number is used once; within one form the second is at fault."""

from tests.rules.builder import found


def test_pass():
    assert found("COT-003", "COP02", {"trip_no": "N1"}, {"trip_no": "N2"}) == []


def test_fail_at_the_second():
    findings = found("COT-003", "COP02", {"trip_no": "N1"}, {"trip_no": "N2"}, {"trip_no": "N1"}, {"trip_no": "N1"})
    assert [(f.row_key, f.cell, f.value) for f in findings] == [("N1", "A7", "N1"), ("N1", "A8", "N1")]
    assert "第5行" in findings[0].message_zh


def test_blank_numbers_are_no_pair():
    assert found("COT-003", "COP02", {"trip_no": None}, {"trip_no": None}) == []
