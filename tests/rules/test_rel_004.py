"""REL-004: completed, started and planned facilities follow each other."""

from tests.rules.builder import found, places

GOOD = {"facility_projects_completed": 3, "facility_projects_started": 4, "facility_projects_planned": 4}


def test_pass():
    assert found("REL-004", "REL01", GOOD) == []


def test_each_link_fails_at_its_left_side():
    findings = found("REL-004", "REL01", GOOD | {"facility_projects_completed": 5}, GOOD | {"facility_projects_started": 6}, {"facility_projects_completed": 9, "facility_projects_started": 8, "facility_projects_planned": 7})
    assert [(f.row_no, f.field, f.expected, f.difference) for f in findings] == [
        (1, "facility_projects_completed", "4", "1"),
        (2, "facility_projects_started", "4", "2"),
        (3, "facility_projects_completed", "8", "1"),
        (3, "facility_projects_started", "7", "1"),
    ]


def test_a_blank_leaves_the_other_link():
    assert places(found("REL-004", "REL01", GOOD | {"facility_projects_completed": 5, "facility_projects_planned": None})) == [("", "facility_projects_completed")]
    assert found("REL-004", "REL01", GOOD | {"facility_projects_started": None, "facility_projects_completed": 99}) == []
