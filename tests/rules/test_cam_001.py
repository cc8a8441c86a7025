"""CAM-001: completed, started and planned follow each other."""

from tests.rules.builder import found, places

GOOD = {"completed": 3, "started": 4, "planned": 4}


def test_pass():
    assert found("CAM-001", "CAM01", GOOD) == []


def test_each_link_fails_at_its_left_side():
    findings = found("CAM-001", "CAM01", GOOD | {"completed": 5}, GOOD | {"started": 6}, {"completed": 9, "started": 8, "planned": 7})
    assert [(f.row_no, f.field, f.expected, f.difference) for f in findings] == [
        (1, "completed", "4", "1"),
        (2, "started", "4", "2"),
        (3, "completed", "8", "1"),
        (3, "started", "7", "1"),
    ]


def test_a_blank_leaves_the_other_link():
    assert places(found("CAM-001", "CAM01", GOOD | {"completed": 5, "planned": None})) == [("", "completed")]
    assert found("CAM-001", "CAM01", GOOD | {"started": None, "completed": 99}) == []
