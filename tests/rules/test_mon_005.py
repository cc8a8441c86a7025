"""MON-005: the weekly counts equal the open households of the ledger, by township and colour."""

import datetime as dt

import pytest
from judged import WEEK, findings, status, submit

pytestmark = pytest.mark.database
COUNTY = "451002"
TOWNSHIP, VILLAGE = "451002001", "451002001001"
OTHER_TOWNSHIP, OTHER_VILLAGE = "451002002", "451002002001"


def household(number, level, cleared=None, village=VILLAGE):
    return {"household_no": f"H{number}", "village": village, "alert_level": level, "cleared_date": cleared}


def weekly(connection, red=0, yellow=0, blue=0, township=TOWNSHIP):
    row = {"township": township, "red_households": red, "yellow_households": yellow, "blue_households": blue}
    submit(connection, "MON01", COUNTY, WEEK, [row])


def test_open_households_are_those_not_cleared_by_the_as_of_date(connection, settings):
    ledger = [
        household(1, "red"),
        household(2, "red", dt.date(2020, 6, 14)),  # cleared on the as-of date itself
        household(3, "yellow", dt.date(2020, 6, 15)),
        household(4, "blue", village=OTHER_VILLAGE),
    ]
    submit(connection, "MON02", COUNTY, WEEK, ledger)
    weekly(connection, red=1, yellow=1)
    assert findings(connection, settings, "MON-005") == []
    assert status(connection, "MON-005", COUNTY) == "pass"


def test_one_finding_a_colour(connection, settings):
    submit(connection, "MON02", COUNTY, WEEK, [household(1, "red"), household(2, "blue")])
    weekly(connection, red=1, yellow=2)
    assert findings(connection, settings, "MON-005") == [
        (WEEK, COUNTY, TOWNSHIP, "blue_households", "0", "1", "-1"),
        (WEEK, COUNTY, TOWNSHIP, "yellow_households", "2", "0", "2"),
    ]
    assert status(connection, "MON-005", COUNTY) == "pass_with_violations"
    assert connection.execute(
        "select rows_violated from quality.check_result_current where rule_id = 'MON-005' and county_code = %s", [COUNTY]
    ).fetchone() == (1,)


@pytest.mark.parametrize("state", [None, "returned", "empty"])
def test_not_evaluable_without_the_ledger(connection, settings, state):
    if state:
        submit(connection, "MON02", COUNTY, WEEK, [], state=state)
    weekly(connection, red=3)
    assert findings(connection, settings, "MON-005") == []
    assert status(connection, "MON-005", COUNTY) == "not_evaluable"
