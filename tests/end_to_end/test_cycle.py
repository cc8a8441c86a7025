"""Inbox to published mart in one call, then the ordinary week, then nothing new: the cycle as the city runs it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import zipfile

import pytest

from tests.end_to_end.personal_scan import Persons, in_files, in_tables, of_home
from warehouse import batches, cycle, database
from warehouse.calendar import due_at

pytestmark = [pytest.mark.database, pytest.mark.slow]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Three weeks of three counties; what must come of them is known without the warehouse."""
    from demo.generate import write_demo

    return write_demo(tmp_path_factory.mktemp("demo"), weeks=3, counties=3, payouts=5)


def after(settings, week) -> dt.datetime:
    """A time when a week has come due."""
    return due_at(week, "*", {}, settings.timezone) + dt.timedelta(days=3)


def accepted_rows(demo, weeks) -> int:
    return sum(len(rows) for (_, _, week), rows in demo.values.items() if week in weeks)


def test_backfill_then_a_week_then_nothing(settings, demo):
    first, last = demo.weeks[:-1], demo.weeks[-1]

    backfill = cycle.run_cycle(settings, inbox=demo.backfill, arrivals=demo.backfill / "arrivals.csv", now=after(settings, first[-1]))
    assert (backfill.outcome, backfill.publication, backfill.week) == ("published", 1, first[-1]), backfill.blocking_zh
    assert sum(backfill.files.values()) == sum(1 for f in demo.files if f.path.startswith(demo.backfill.name))
    assert backfill.rows["read"] == backfill.rows["loaded"] + backfill.rows["rejected"]
    assert demo.backfill.is_dir()  # a folder given by name is left as it is

    # the ordinary week comes through the inbox, which is empty afterwards
    shutil.copytree(demo.last_week, settings.inbox / demo.last_week.name)
    weekly = cycle.run_cycle(settings, now=after(settings, last), approve_as="审核人甲")
    assert (weekly.outcome, weekly.publication, weekly.week) == ("published", 2, last), weekly.blocking_zh
    assert list(settings.inbox.iterdir()) == []

    again = cycle.run_cycle(settings, now=after(settings, last))
    assert (again.outcome, again.exit_code, again.publication) == ("nothing", 3, None)

    with database.connect(settings, autocommit=True) as connection:
        ledger = connection.execute("select publication_id, week, approved_by from store.publication order by 1").fetchall()
        assert ledger == [(1, first[-1], cycle.UNREVIEWED), (2, last, "审核人甲")]
        waiting, pending = connection.execute(
            "select (select count(*) from intake.file where outcome is null), (select count(*) from ops.pending_slice)"
        ).fetchone()
        assert (waiting, pending) == (0, 0)
        loaded = connection.execute(
            "select sum(rows_loaded) from intake.submission where state <> 'returned' and superseded_by is null"
        ).fetchone()[0]
        assert loaded == accepted_rows(demo, demo.weeks)
        # an earlier publication can still be read as it was: nothing of the last week is in it
        count = "select count(*) filter (where week = %s), count(*) from marts.fct_employment_weekly"
        now_last, now_all = connection.execute(count, [last]).fetchone()
        connection.execute("set warehouse.publication = '1'")
        then_last, then_all = connection.execute(count, [last]).fetchone()
        assert then_last == 0 < now_last and then_all < now_all

        persons = Persons(demo)
        assert len(persons.numbers) > 50 and len(persons.names) > 20
        assert in_tables(connection, persons) == []
        assert connection.execute("select count(*) from raw.ind02 where bank_account_tail is not null or head_name is not null").fetchone() == (0,)
    sent = [zipfile.ZipFile(p) for p in demo.folder.rglob("*.xlsx")]
    strings = "".join(book.read(name).decode() for book in sent for name in book.namelist() if name == "xl/sharedStrings.xml" or "/sheet" in name)
    found = set(persons.within(strings))
    assert found & persons.numbers and found & persons.names  # what is looked for would be found
    folders = of_home(settings)
    assert {"archive", "reports", "logs", "dbt", "gx"} <= {f.name for f in folders}
    assert in_files(folders, persons) == []


def test_the_command_line_tells_a_machine_the_same_and_a_reload_changes_nothing(settings, demo):
    environment = os.environ | {"WAREHOUSE_HOME": str(settings.home), "WAREHOUSE_URL": settings.url}
    warehouse = [sys.executable, "-c", "from warehouse.cli import main; main()"]
    arguments = ["cycle", "--json", "--inbox", str(demo.backfill), "--arrivals", str(demo.backfill / "arrivals.csv"), "--approve-as", "审核人乙"]
    done = subprocess.run([*warehouse, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert told["publication"] == 1 and told["week"] in demo.weeks[:-1]
    assert set(told["seconds"]) == {"start", "receive", "load", "build", "judge", "publish", "report"}
    assert told["report_fault"] is None
    assert "load: files" in done.stderr  # progress, and not among the JSON

    with database.connect(settings, autocommit=True) as connection:
        assert cycle.mark_week(connection, demo.weeks[0]) > 0
        with pytest.raises(cycle.WarehouseError, match="Nothing was accepted"):
            cycle.mark_week(connection, "2019-W40")
    assert cycle.run_cycle(settings, now=cycle.last_arrival(demo.backfill / "arrivals.csv", settings)).outcome == "nothing"


@pytest.fixture
def inbox(settings, connection, tmp_path):
    """The inbox of a home without data; files of any bytes will do for intake."""
    connection.autocommit = True
    return settings.inbox


def put(folder, **files) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")


def received(connection) -> dict[str, dt.datetime]:
    return dict(connection.execute("select original_path, received_at from intake.file").fetchall())


def test_a_drop_counts_as_received_when_its_manifest_says_so(settings, connection, inbox):
    put(inbox / "drop", a="1", b="2", arrivals="path,received_at\na.csv,2020-06-16T11:59:00+08:00\n")
    put(inbox, loose="3")
    assert cycle.take_inbox(connection, settings) == []
    when = received(connection)
    assert when["a.csv"] == dt.datetime(2020, 6, 16, 3, 59, tzinfo=dt.UTC)
    assert set(when) == {"a.csv", "loose.csv", "drop/b.csv"}  # not in the manifest: received with the rest, not lost
    assert when["drop/b.csv"].year > 2020
    assert not any(p.is_file() for p in inbox.rglob("*"))


def test_a_drop_that_cannot_be_followed_is_set_aside_and_holds_nobody_up(settings, connection, inbox):
    put(inbox / "broken", a="1", arrivals="path,received_at\nmissing.csv,yesterday\n")
    put(inbox / "good", b="2", arrivals="path,received_at\nb.csv,2020-06-16T11:59:00+08:00\n")
    (fault,) = cycle.take_inbox(connection, settings)
    assert "yesterday" in fault and "set_aside" in fault
    assert set(received(connection)) == {"b.csv"}
    assert list(inbox.iterdir()) == []
    assert [p.name for p in (settings.home / "set_aside").glob("*/*.csv")].count("a.csv") == 1


def test_a_drop_half_cleared_away_when_the_power_went_is_finished(settings, connection, inbox):
    put(inbox / "drop", a="1", b="2", arrivals="path,received_at\na.csv,2020-06-16T11:59:00+08:00\nb.csv,2020-06-16T11:59:00+08:00\n")
    cycle.take_inbox(connection, settings)
    put(inbox / f"{cycle.RECEIVED}drop", b="2", arrivals="path,received_at\na.csv,2020-06-16T11:59:00+08:00\n")
    assert cycle.take_inbox(connection, settings) == []
    assert set(received(connection)) == {"a.csv", "b.csv"}
    assert list(inbox.iterdir()) == []


def test_few_files_are_one_batch_each_many_one_for_each_week_they_came_in(settings, connection, inbox):
    lines = [f"f{n:03}.csv,2020-0{1 + n // 20}-06T08:{n % 20:02}:00+08:00" for n in range(60)]
    put(inbox / "drop", arrivals="path,received_at\n" + "\n".join(lines) + "\n", **{f"f{n:03}": str(n) for n in range(60)})
    cycle.take_inbox(connection, settings)
    single = batches.batches(connection, settings, single=60)
    assert [len(batch.file_ids) for batch in single] == [1] * 60 and single[0].label == "f000.csv"
    weekly = batches.batches(connection, settings, single=50)
    assert [len(batch.file_ids) for batch in weekly] == [20, 20, 20]
    assert [batch.label[:8] for batch in weekly] == ["2020-W02", "2020-W06", "2020-W10"]
    few = batches.batches(connection, settings, single=10, at_most=2)
    assert [len(batch.file_ids) for batch in few] == [40, 20]
    assert few[0].label == "2020-W02 to 2020-W06: 40 files"
    in_order = [number for batch in single for number in batch.file_ids]
    assert [number for batch in few for number in batch.file_ids] == in_order  # of arrival, and nothing lost


def test_a_task_that_runs_out_of_turn_loads_what_came_earlier_first(settings, connection, inbox, monkeypatch):
    put(inbox / "drop", a="1", b="2", c="3", arrivals="path,received_at\na.csv,2020-06-16T08:00+08:00\nb.csv,2020-06-16T09:00+08:00\nc.csv,2020-06-16T10:00+08:00\n")
    cycle.take_inbox(connection, settings)
    order = [batch.file_ids[0] for batch in batches.batches(connection, settings)]
    asked = []
    monkeypatch.setattr("ingestion.load.load", lambda *_, file_ids, **__: asked.append(list(file_ids)))
    batches.load_batch(connection, settings, [order[1]])
    assert asked == [order[:2]]
    connection.execute("update intake.file set outcome = 'refused' where file_id = any(%s)", [order[:2]])
    assert batches.load_batch(connection, settings, [order[1]]) is None  # repeated: nothing to do
    assert asked == [order[:2]]


def test_without_files_there_is_nothing_to_publish(settings):
    result = cycle.run_cycle(settings)
    assert (result.outcome, result.exit_code) == ("nothing", 3)
    assert "build" not in result.seconds
    assert dataclasses.asdict(result)["files"] == {}
