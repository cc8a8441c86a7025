"""A full disk is no fault of a delivery, and two who empty one inbox do not trip over each other."""

from __future__ import annotations

import errno
import os
import threading

import pytest

from ingestion import receive as intake
from warehouse import cycle, database
from warehouse.locks import INTAKE

pytestmark = pytest.mark.database


@pytest.fixture
def drop(settings):
    folder = settings.inbox / "drop"
    folder.mkdir()
    lines = ["path,received_at"]
    for name in ("a", "b", "c"):
        (folder / f"{name}.csv").write_text(name, encoding="utf-8")
        lines.append(f"{name}.csv,2020-06-16T08:00:00+08:00")
    (folder / "arrivals.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_a_delivery_that_finds_no_room_stays_where_it_lies_and_is_taken_when_there_is(settings, connection, drop, monkeypatch):
    connection.autocommit = True
    archive, taken = intake._archive, []

    def full_after_one(*arguments):
        if taken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken.append(arguments)
        return archive(*arguments)

    monkeypatch.setattr(intake, "_archive", full_after_one)
    with pytest.raises(intake.DiskFault, match="free some disk"):
        cycle.take_inbox(connection, settings)
    assert drop.is_dir() and not (settings.home / "set_aside").exists()
    monkeypatch.setattr(intake, "_archive", archive)
    assert cycle.take_inbox(connection, settings) == []
    assert connection.execute("select original_path from intake.file order by 1").fetchall() == [("a.csv",), ("b.csv",), ("c.csv",)]
    assert list(settings.inbox.iterdir()) == []


def test_the_second_who_empties_the_inbox_waits_for_the_first(settings, connection, drop):
    connection.autocommit = True
    ended: list[list[str]] = []

    def take() -> None:
        with database.connect(settings, autocommit=True) as mine:
            ended.append(cycle.take_inbox(mine, settings))

    connection.execute("select pg_advisory_lock(%s)", [INTAKE])
    threads = [threading.Thread(target=take) for _ in range(2)]
    for thread in threads:
        thread.start()
    waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database())"
    while connection.execute(waiting).fetchone()[0] < 2:
        assert all(thread.is_alive() for thread in threads)
    assert not ended and drop.is_dir()
    connection.execute("select pg_advisory_unlock(%s)", [INTAKE])
    for thread in threads:
        thread.join(60)
    assert ended == [[], []]
    assert connection.execute("select count(*) from intake.file").fetchone()[0] == 3
    assert list(settings.inbox.iterdir()) == []
