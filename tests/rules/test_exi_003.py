"""EXI-003: an unmet criterion needs a reason."""

from tests.rules.builder import found, spoiled

GOOD = {"criterion": "power", "is_met": False, "gap_note": "电网改造"}


def test_pass():
    assert found("EXI-003", "EXI01", GOOD, GOOD | {"is_met": True, "gap_note": None}) == []


def test_fail():
    (finding,) = found("EXI-003", "EXI01", GOOD | {"gap_note": None})
    assert (finding.row_key, finding.field, finding.expected) == ("power", "gap_note", None)


def test_not_evaluable():
    assert found("EXI-003", "EXI01", GOOD | {"is_met": None, "gap_note": None}) == []
    assert found("EXI-003", "EXI01", GOOD | {"gap_note": None}, findings=[spoiled("gap_note", 1)]) == []
