"""The inbox: configured senders, size and number of files; what is not let in is told and kept."""

from __future__ import annotations

import datetime as dt
import os

import psycopg
import pytest
import sqlalchemy
from small_city import LISTED, WHOLE

from demo.generate import write_week
from expectations.validation import _address
from ingestion import door
from ingestion.load import load
from warehouse import database
from warehouse.build import database_address, invoke
from warehouse.cycle import take_inbox
from warehouse.dbt_sources import PROJECT
from warehouse.settings import WarehouseError

pytestmark = pytest.mark.database


def put(settings, place: str, data: bytes = b"x"):
    path = settings.inbox / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    old = dt.datetime(2020, 6, 15).timestamp()
    os.utime(path, (old, old))
    return path


def received(connection):
    return connection.execute("select original_path, sender from intake.file order by file_id").fetchall()


def aside(settings):
    return sorted(p.name for p in (settings.home / "set_aside").rglob("*") if p.is_file())


def test_without_a_list_everybody_is_let_in(connection, settings):
    put(settings, "a.xlsx", b"1")
    put(settings, "右江/b.xlsx", b"2")
    connection.autocommit = True
    assert take_inbox(connection, settings) == []
    assert received(connection) == [("a.xlsx", None), ("右江/b.xlsx", None)]


def test_a_sender_who_is_not_configured_is_set_aside_and_told_of(connection, settings):
    (settings.home / door.FILE).write_text(f"sender,county_code\nyoujiang,{WHOLE}\n", encoding="utf-8")
    put(settings, "youjiang/good.xlsx", b"1")
    put(settings, "stranger/bad.xlsx", b"2")
    put(settings, "nobody.xlsx", b"3")
    put(settings, "stranger2/list.xlsx", b"4")
    put(settings, "stranger2/arrivals.csv", b"path,received_at\nlist.xlsx,2020-06-15T09:00+08:00\n")
    connection.autocommit = True
    faults = take_inbox(connection, settings)
    assert received(connection) == [("youjiang/good.xlsx", "youjiang")]
    assert len(faults) == 4 and any("“stranger” is no configured sender" in f for f in faults) and any("no sender's folder" in f for f in faults)
    assert aside(settings) == ["arrivals.csv", "bad.xlsx", "list.xlsx", "nobody.xlsx"]


def test_a_sender_does_not_say_when_its_files_came(connection, settings):
    (settings.home / door.FILE).write_text(f"sender,county_code\nyoujiang,{WHOLE}\n", encoding="utf-8")
    put(settings, "youjiang/late.xlsx", b"1")
    put(settings, "youjiang/arrivals.csv", b"path,received_at\nlate.xlsx,2001-01-01T09:00+08:00\n")
    connection.autocommit = True
    assert take_inbox(connection, settings) == []
    times = dict(connection.execute("select original_path, received_at from intake.file").fetchall())
    assert set(times) == {"youjiang/late.xlsx", "youjiang/arrivals.csv"} and min(times.values()).year > 2001


@pytest.mark.slow
def test_a_county_that_is_not_the_senders_is_returned(connection, settings, tmp_path):
    (settings.home / door.FILE).write_text(f"sender,county_code\nyoujiang,{WHOLE}\n", encoding="utf-8")
    demo = write_week(tmp_path / "week", 24, counties=[WHOLE, LISTED], payouts=6, forms=("EMP01",))
    for file in demo.files:
        put(settings, f"youjiang/{file.county_code}.xlsx", (demo.folder / file.path).read_bytes())
    connection.autocommit = True
    assert take_inbox(connection, settings) == []
    load(connection, settings, workers=0)
    states = dict(connection.execute("select county_code, state = 'returned' from intake.submission").fetchall())
    assert states == {WHOLE: False, LISTED: True}
    rule, message = connection.execute("select rule_id, message_zh from quality.finding where county_code = %s and severity = 'error'", [LISTED]).fetchone()
    assert rule == "GEN-COUNTY" and "报送单位“youjiang”" in message
    assert any(LISTED in p.parts or p.name.startswith(LISTED) for p in settings.outbox.rglob("*.xlsx"))


def test_a_list_that_cannot_be_used_lets_nobody_in(connection, settings):
    put(settings, "a/b.xlsx")
    for text in ("who,what\n", "sender,county_code\na,45\n", "sender,county_code\n../x,451002\n"):
        (settings.home / door.FILE).write_text(text, encoding="utf-8")
        with pytest.raises(WarehouseError, match=r"senders\.csv"):
            take_inbox(connection, settings)
        connection.rollback()
    assert received(connection) == []


def test_too_large_is_set_aside_too_many_wait(connection, settings, monkeypatch):
    (settings.home / door.FILE).write_text(f"sender,county_code\na,{WHOLE}\nb,{LISTED}\n", encoding="utf-8")
    monkeypatch.setenv(door.SIZE, "1")
    monkeypatch.setenv(door.RATE, "2")
    put(settings, "a/large.xlsx", bytes(2**20 + 1))
    for n in range(4):
        put(settings, f"a/{n}.xlsx", bytes([n]))
    put(settings, "b/other.xlsx", b"b")
    connection.autocommit = True
    faults = take_inbox(connection, settings)
    assert [p for p, _ in received(connection)] == ["a/0.xlsx", "a/1.xlsx", "b/other.xlsx"]
    assert len(faults) == 2 and "at most 1 MB" in faults[0] and "more than 2 files within an hour" in faults[1]
    assert aside(settings) == ["large.xlsx"] and sorted(p.name for p in settings.inbox.rglob("*.xlsx")) == ["2.xlsx", "3.xlsx"]
    take_inbox(connection, settings)
    assert len(received(connection)) == 3  # the hour is not over
    connection.execute("update intake.file set recorded_at = recorded_at - interval '2 hours'")
    assert take_inbox(connection, settings) == [] and len(received(connection)) == 5
    monkeypatch.setenv(door.RATE, "none")
    with pytest.raises(WarehouseError, match="WAREHOUSE_UPLOADS_HOUR"):
        take_inbox(connection, settings)


def test_every_client_insists_on_tls_where_the_address_asks_for_it(settings):
    """The embedded server has none: who insists is refused, and each of the three ways to the database insists."""
    from dataclasses import replace

    asking = replace(settings, url=settings.url + "?sslmode=require")
    with pytest.raises(WarehouseError, match="SSL"):
        database.connect(asking)
    with pytest.raises(sqlalchemy.exc.OperationalError, match="SSL"):
        sqlalchemy.create_engine(_address(asking, ["2020-W24"])).connect()
    with database.connect(replace(settings, url=settings.url + "?sslmode=allow")) as connection:
        address = database_address(connection)
    assert address["DBT_WAREHOUSE_SSLMODE"] == "allow"
    with pytest.raises(WarehouseError, match="SSL"):
        invoke(settings, PROJECT, address | {"DBT_WAREHOUSE_SSLMODE": "require"}, ["run", "--select", "stg_emp01__rows"])
    assert isinstance(psycopg.connect(settings.url).close(), type(None))
