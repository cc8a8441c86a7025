"""Which slices a build takes on, without starting dbt."""

import re

import pytest
from warehouse_rows import submit

from warehouse import database
from warehouse.build import BUILD_LOCK, _note_followers, _open_run, build
from warehouse.settings import WarehouseError

pytestmark = pytest.mark.database
COUNTY, OTHER = "451022", "451024"


def follow(connection, week, everything=False):
    """Note what follows and open a run; returns the slices of COP03 and DIS01 that it took."""
    _note_followers(connection, week, everything=everything)
    _open_run(connection, week, "models:codes", everything)
    return connection.execute("select form, county_code, week from ops.build_slice order by 1, 2, 3").fetchall()


def finish(connection):
    connection.execute("update ops.build_run set succeeded = true")
    connection.execute("update ops.pending_slice set built = true where (form, county_code, week) in (select form, county_code, week from ops.build_slice)")


def weeks(form, county, *numbers):
    return [(form, county, f"2020-W{n}") for n in numbers]


def test_a_county_that_falls_silent_has_a_slice_in_every_week_up_to_the_horizon(connection):
    submit(connection, "COP03", COUNTY, "2020-W20", [{}])
    submit(connection, "DIS01", COUNTY, "2020-W20", [{}])
    assert follow(connection, "2020-W22") == weeks("COP03", COUNTY, 20, 21, 22) + weeks("DIS01", COUNTY, 20)
    finish(connection)
    assert follow(connection, "2020-W22") == []
    assert follow(connection, "2020-W23") == weeks("COP03", COUNTY, 23)  # events are not carried


def test_a_correction_takes_the_weeks_up_to_the_next_own_one(connection):
    for week in ("2020-W20", "2020-W22", "2020-W24"):
        submit(connection, "COP03", COUNTY, week, [{}])
    submit(connection, "COP03", OTHER, "2020-W20", [{}])
    follow(connection, "2020-W25")
    finish(connection)
    submit(connection, "COP03", COUNTY, "2020-W20", [{}])
    assert follow(connection, "2020-W25") == weeks("COP03", COUNTY, 20, 21, 22)


def test_a_week_that_is_not_due_waits(connection):
    submit(connection, "COP03", COUNTY, "2020-W22", [{}])
    submit(connection, "COP03", COUNTY, "2020-W23", [{}])
    assert follow(connection, "2020-W22") == weeks("COP03", COUNTY, 22)
    finish(connection)
    assert follow(connection, "2020-W23") == weeks("COP03", COUNTY, 23)


def test_a_slice_noted_again_gets_a_new_time(connection):
    """What the build compares to tell whether a slice changed while it ran."""
    submit(connection, "COP03", COUNTY, "2020-W22", [{}])
    before = connection.execute("select noted_at from ops.pending_slice").fetchone()[0]
    submit(connection, "COP03", COUNTY, "2020-W22", [{}])
    assert connection.execute("select noted_at from ops.pending_slice").fetchone()[0] > before


def test_two_builds_at_once_are_refused(settings, connection):
    connection.execute("select pg_advisory_lock(%s)", [BUILD_LOCK])
    with pytest.raises(WarehouseError, match="Another build"):
        build(settings, publish_week="2020-W22")


def test_nothing_accepted_is_nothing_to_build(settings):
    result = build(settings, publish_week=None, now=None)
    assert (result.build_run_id, result.slices, result.succeeded) == (None, 0, True)
    with database.connect(settings) as connection:
        assert connection.execute("select count(*) from ops.build_run").fetchone() == (0,)


def test_new_tables_lock_what_they_refer_to_in_one_order(settings, connection):
    """Two threads of a first build, each waiting for a table that the other has, would be a deadlock."""
    submit(connection, "COP03", COUNTY, "2020-W22", [{}])
    connection.commit()
    assert build(settings, publish_week="2020-W22").succeeded
    made = [text for path in (settings.home / "dbt/target/run").rglob("*.sql") if (text := path.read_text(encoding="utf-8")).count(" references ")]
    assert len(made) > 10
    for text in made:
        head, _, body = text.partition("create ")
        referred = sorted(set(re.findall(r" references (\S+) \(", body)))
        assert re.findall(r"lock table (.+) in share row exclusive mode", head) == [", ".join(referred)]
