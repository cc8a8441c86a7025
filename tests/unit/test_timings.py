"""The split of a run's time: nothing is lost and nothing counted twice."""

from __future__ import annotations

import datetime as dt

import pytest

from warehouse.timings import describe, split

ZERO = dt.datetime(2020, 6, 16, 12, tzinfo=dt.UTC)


def task(name, start, end, entered=None, left=None, phases=()):
    def at(s):
        return None if s is None else ZERO + dt.timedelta(seconds=s)

    return {"task_id": name, "start": at(start), "end": at(end), "entered": at(entered), "left": at(left), "phases": list(phases)}


def test_every_second_between_first_and_last_task_has_one_place():
    rows = {
        row.step: row
        for row in split(
            [
                task("load_files", 1, 3, 1.25, 2.75),
                task("load_files", 3.5, 5, 3.75, 4.5),
                task("build", 6, 10, 6.5, 9.5, [("building slices", 0.5), ("dbt models", 1.5)]),
                task("judge", 10, 14, 10, 14, [("judging rules", 1.0), ("validating marts", 0.5), ("suite", 2.0)]),
            ]
        )
    }
    load, build, judge = rows["load_files"], rows["build"], rows["judge"]
    assert (load.tasks, load.seconds["work"], load.seconds["start"], load.seconds["finish"], load.seconds["scheduling"]) == (2, 2.25, 0.5, 0.75, 0.5)
    assert (build.seconds["dbt"], build.seconds["work"], build.seconds["scheduling"]) == (2.0, 1.0, 1.0)
    assert (judge.seconds["great_expectations"], judge.seconds["work"]) == (2.5, 1.5)
    assert sum(row.total for row in rows.values()) == pytest.approx(13)


def test_tasks_side_by_side_are_not_counted_twice():
    rows = split([task("scan", 0, 4, 1, 3), task("announce", 2, 6, 3, 5)])
    assert sum(row.total for row in rows) == pytest.approx(6)


def test_a_task_that_left_no_note_is_work_and_a_clock_askew_does_not_make_time():
    (row,) = split([task("report", 0, 2)])
    assert row.seconds["work"] == 2
    (row,) = split([task("report", 0, 2, -1, 3)])
    assert row.seconds["work"] == 2 and row.total == 2


def test_the_table_says_what_a_task_costs_around_its_step():
    row = split([task("scan", 0, 2, 0.5, 1.75)])[0]
    text = describe({"run": "r", "week": "2020-W24", "wall": 2.0, "rows": [{"step": "scan", "tasks": 1, **row.seconds, "total": row.total}]})
    assert "0.8 s (38%)" in text and "0.75 s a task" in text
