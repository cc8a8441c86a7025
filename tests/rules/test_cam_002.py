"""CAM-002: invested is not more than the whole investment."""

from tests.rules.builder import found

GOOD = {"project_kind": "medical", "investment": 500, "invested": 500}


def test_pass():
    assert found("CAM-002", "CAM01", GOOD) == []


def test_fail():
    (finding,) = found("CAM-002", "CAM01", GOOD, GOOD | {"invested": 501})
    assert (finding.row_no, finding.field) == (2, "invested")
    assert (finding.expected, finding.difference) == ("500", "1")


def test_not_evaluable():
    assert found("CAM-002", "CAM01", GOOD | {"invested": 501} | {"investment": None}) == []
