"""What a withdrawal holds back is accepted no longer, anywhere: the versions before it stand, and are compared with."""

import datetime as dt

import pytest

from ingestion.contracts import contracts
from ingestion.load import load_readings
from ingestion.template import accepted_before
from tests.integration.readings import COUNTY, file_of, form_reading
from warehouse.calendar import publish_week
from warehouse.publication import holds, release
from warehouse.settings import WarehouseError

pytestmark = pytest.mark.database


def send(connection, settings, week, sales, at):
    values = {"channel": ["procurement"], "sales": [sales], "poor_persons_benefited": [1]}
    load_readings(connection, settings, [file_of(connection, form_reading("COP03", week, values), at=at)])
    return connection.execute("select max(submission_id) from intake.submission").fetchone()[0]


def hold(connection, submission):
    connection.execute("insert into intake.hold (submission_id, reason, held_by) values (%s, '误发布', '审核人')", [submission])
    connection.commit()


def accepted(connection):
    return connection.execute("select week, version from intake.accepted_submission order by 1, 2").fetchall()


def test_the_version_before_stands_again_and_a_corrected_one_takes_its_place(connection, settings):
    send(connection, settings, "2020-W22", 100, "2020-06-01T09:00+08:00")
    second = send(connection, settings, "2020-W22", 200, "2020-06-01T10:00+08:00")
    assert accepted(connection) == [("2020-W22", 2)]
    hold(connection, second)
    assert accepted(connection) == [("2020-W22", 1)]
    send(connection, settings, "2020-W22", 150, "2020-06-01T11:00+08:00")
    assert accepted(connection) == [("2020-W22", 3)]
    assert [(h["submission_id"], h["is_superseded"]) for h in holds(connection)] == [(second, True)]
    release(connection, by="审核人")
    assert accepted(connection) == [("2020-W22", 3)]  # what was superseded stays superseded


def test_the_next_week_is_compared_with_what_stands(connection, settings):
    send(connection, settings, "2020-W22", 100, "2020-06-01T09:00+08:00")
    second = send(connection, settings, "2020-W22", 200, "2020-06-01T10:00+08:00")
    hold(connection, second)
    third = send(connection, settings, "2020-W23", 150, "2020-06-08T09:00+08:00")  # below 200, above 100
    assert connection.execute("select state from intake.submission where submission_id = %s", [third]).fetchone() == ("on_time",)
    assert accepted_before(connection, COUNTY, "2020-W23", contracts())["COP03"][0]["sales"] == 100


def test_a_week_that_is_held_back_altogether_is_not_due_to_be_published(connection, settings):
    now = dt.datetime(2020, 7, 1, tzinfo=dt.UTC)
    send(connection, settings, "2020-W22", 100, "2020-06-01T09:00+08:00")
    later = send(connection, settings, "2020-W23", 150, "2020-06-08T09:00+08:00")
    assert publish_week(connection, now) == "2020-W23"
    hold(connection, later)
    assert publish_week(connection, now) == "2020-W22"
    connection.execute("update ops.pending_slice set built = true")
    assert release(connection, by="审核人", reason="核实无误") == [later]
    assert publish_week(connection, now) == "2020-W23"
    assert connection.execute("select week from ops.pending_slice where not built").fetchall() == [("2020-W23",)]


def test_only_what_is_held_can_be_released_and_by_someone(connection, settings):
    number = send(connection, settings, "2020-W22", 100, "2020-06-01T09:00+08:00")
    hold(connection, number)
    with pytest.raises(WarehouseError, match="name"):
        release(connection, by=" ")
    with pytest.raises(WarehouseError, match=f"Not held back: {number + 1}"):
        release(connection, by="审核人", submission_ids=[number, number + 1])
    assert len(holds(connection)) == 1
