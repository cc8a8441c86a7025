"""COP-003: a project's status agrees with its dates and spending."""

import datetime as dt

import pytest

from tests.rules.builder import found, places, spoiled

BEGIN, END, LATE = dt.date(2020, 3, 1), dt.date(2020, 6, 1), dt.date(2020, 6, 15)


def of(status, start=None, end=None, spent=0, **more):
    row = {"project_no": "P1", "status": status, "start_date": start, "completion_date": end, "spent": spent}
    return places(found("COP-003", "COP01", row, **more))


def test_pass():
    assert of("completed", BEGIN, END, 9) == of("in_progress", BEGIN, None, 9) == of("not_started") == []


@pytest.mark.parametrize(
    "row",
    [("completed", BEGIN), ("completed", None, END), ("completed", END, BEGIN), ("completed", BEGIN, LATE), ("not_started", BEGIN), ("not_started", None, None, 5)],
)
def test_fail(row):
    assert of(*row) == [("P1", "status")]


def test_not_evaluable():
    assert of(None, BEGIN, END) == []
    assert of("not_started", None, None, None) == []
    assert of("completed", BEGIN, None, 9, findings=[spoiled("completion_date", 1)]) == []
