"""Backup, restore into an empty home, verify, next week's load: nobody has to help, and no figure is another."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from demo.generate import write_week
from expectations.judge import judge
from ingestion.load import load
from ingestion.receive import receive
from warehouse import database
from warehouse.backup import backup, restore
from warehouse.build import build
from warehouse.calendar import due_at
from warehouse.commands.trace import verify
from warehouse.cycle import take_inbox
from warehouse.embedded import EmbeddedServer
from warehouse.publication import publish, withdraw
from warehouse.settings import Settings, WarehouseError

LONG = bool(os.environ.get("WAREHOUSE_LONG"))
COUNTIES, FORMS = ("451002", "451026"), ("EMP01", "FUN01", "MON02")

pytestmark = [pytest.mark.database, pytest.mark.slow]


def week(settings: Settings, folder: Path, number: int, corrected: bool = False) -> None:
    """Receive, load, build, judge and publish a demonstration week; ``corrected``: with other figures for the week before."""
    due = due_at(f"2020-W{number}", "*", {}, settings.timezone)
    demo = write_week(folder / "week", number, counties=COUNTIES, forms=FORMS, payouts=4)
    with database.connect(settings, autocommit=True) as connection:
        receive(connection, settings, demo.folder, now=due - dt.timedelta(hours=5))
        if corrected:
            again = write_week(folder / "again", number - 1, counties=COUNTIES[:1], forms=FORMS[:1], seed=77)
            receive(connection, settings, again.folder, now=due - dt.timedelta(hours=4))
        load(connection, settings, workers=0)
        make_public(connection, settings, due + dt.timedelta(hours=1))


def make_public(connection, settings: Settings, now: dt.datetime):
    build(settings, now=now)
    verdict = judge(connection, settings, now=now, great_expectations=False)
    assert verdict.verdict != "blocked", verdict
    return publish(connection, settings, check_run_id=verdict.check_run_id, approved_by="审核人甲")


def published_bytes(settings: Settings) -> dict[tuple[int, str], bytes]:
    """Every mart of every publication as PostgreSQL writes it, in the order in which its text sorts."""
    found = {}
    with database.connect(settings, autocommit=True) as connection:
        connection.execute("set timezone = 'UTC'")
        marts = [name for (name,) in connection.execute("select viewname from pg_views where schemaname = 'marts' order by 1")]
        numbers = [n for (n,) in connection.execute("select publication_id from store.publication order by 1")]
        for number in numbers:
            connection.execute(f"set warehouse.publication = '{number}'")
            for mart in marts:
                with connection.cursor().copy(f'copy (select m.* from marts.{mart} m order by m::text collate "C") to stdout') as copy:
                    found[number, mart] = b"".join(copy)
    return found


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    """A home with an embedded server of its own: two weeks, a correction, a withdrawal, and a file waiting in the inbox."""
    folder = tmp_path_factory.mktemp("original")
    settings = replace(Settings.from_environment(), home=folder / "home", url=None)
    settings.prepare()
    database.start(settings)
    week(settings, folder / "w22", 22)
    week(settings, folder / "w23", 23, corrected=True)
    with database.connect(settings, autocommit=True) as connection:
        withdraw(connection, settings, reason="误发布", by="审核人乙")
        connection.execute("create role auditor_for_restore nologin")
        connection.execute("grant usage on schema marts to auditor_for_restore")
    write_week(folder / "w24", 24, counties=COUNTIES, forms=FORMS, payouts=4).folder.rename(settings.inbox / "w24")
    for path in (settings.inbox / "w24").rglob("*"):
        os.utime(path, (time.time() - 60, time.time() - 60))
    yield settings
    EmbeddedServer(settings).stop()


@pytest.fixture(scope="module")
def saved(city, tmp_path_factory) -> Path:
    """The backup's folder; its keys lie beside it as keys.tar."""
    folder = tmp_path_factory.mktemp("saved")
    backup(city, folder / "backup", keys_file=folder / "keys.tar")
    return folder / "backup"


@pytest.fixture(scope="module")
def restored(city, saved, tmp_path_factory):
    settings = replace(city, home=tmp_path_factory.mktemp("empty") / "home")
    result = restore(settings, saved, keys_file=saved.parent / "keys.tar")
    assert result.faults == []
    yield settings
    EmbeddedServer(settings).stop()


def test_every_publication_of_every_mart_is_the_same_byte_for_byte(city, restored):
    before, after = published_bytes(city), published_bytes(restored)
    assert {number for number, _ in before} == {1, 2, 3} and len({mart for _, mart in before}) > 20
    assert before[1, "fct_employment_weekly"] == before[3, "fct_employment_weekly"] != before[2, "fct_employment_weekly"]
    assert before[2, "fct_revision"]
    assert {key for key in before if before[key] != after.get(key)} == set()
    assert before.keys() == after.keys()


def test_verify_passes_and_sees_an_original_that_is_lost_after_the_restore(restored):
    with database.connect(restored, autocommit=True) as connection:
        assert verify(connection, restored) == []
        lost = next(p for p in restored.archive.rglob("*") if len(p.name) == 64)
        aside = restored.home / "aside"
        lost.rename(aside)
        assert [f for f in verify(connection, restored) if "missing from the archive" in f]
        aside.rename(lost)


def test_roles_and_their_rights_come_back(restored):
    with database.connect(restored, autocommit=True) as connection:
        assert connection.execute("select has_schema_privilege('auditor_for_restore', 'marts', 'usage')").fetchone()[0]


def test_next_weeks_load_goes_on_by_itself_and_ends_where_the_original_does(city, restored):
    """The week that waited in the inbox when the backup was made, in both homes: same rows, same pseudonyms."""
    due = due_at("2020-W24", "*", {}, city.timezone)
    for settings in (city, restored):
        with database.connect(settings, autocommit=True) as connection:
            assert take_inbox(connection, settings) == []
            load(connection, settings, workers=0)
            assert make_public(connection, settings, due + dt.timedelta(hours=1)).publication_id == 4
            assert verify(connection, settings) == []
    before, after = published_bytes(city), published_bytes(restored)
    facts = [key for key in before if key[0] == 4 and key[1].startswith("fct_") and key[1] != "fct_revision"]
    assert len(facts) > 10 and any(before[key] for key in facts)
    assert [key for key in facts if before[key] != after[key]] == []
    with database.connect(restored) as connection:
        assert connection.execute("select count(*) from store.fct_employment_weekly where week = '2020-W24' and opened_in = 4").fetchone()[0] > 0


def test_keys_are_in_a_file_of_their_own_and_nowhere_else(city, saved):
    secrets = {path.name: path.read_text().strip() for path in (city.home / "secrets").iterdir()}
    assert {"pseudonym_key", "postgres_password"} <= secrets.keys()
    for path in (p for p in saved.rglob("*") if p.is_file()):
        data = path.read_bytes()
        assert not [name for name, secret in secrets.items() if secret.encode() in data], path
    assert (saved.parent / "keys.tar").stat().st_mode & 0o077 == 0
    assert saved.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("harm", ["altered", "missing", "added"])
def test_a_backup_that_is_not_whole_is_not_restored(city, saved, tmp_path, harm):
    broken = tmp_path / "backup"
    shutil.copytree(saved, broken)
    victim = next(p for p in (broken / "home" / "archive").rglob("*") if len(p.name) == 64)
    if harm == "altered":
        victim.chmod(0o644)
        victim.write_bytes(victim.read_bytes()[:-1] + b"x")
    elif harm == "missing":
        victim.unlink()
    else:
        victim.with_name("more").touch()
    home = tmp_path / "home"
    with pytest.raises(WarehouseError, match="not what was written"):
        restore(replace(city, home=home), broken, keys_file=saved.parent / "keys.tar")
    assert not home.exists()


def test_refusals_leave_the_place_as_it_was(city, saved, tmp_path):
    occupied = tmp_path / "occupied"
    (occupied / "archive").mkdir(parents=True)
    (occupied / "archive" / "something").write_text("mine")
    with pytest.raises(WarehouseError, match="not empty"):
        restore(replace(city, home=occupied), saved, keys_file=saved.parent / "keys.tar")
    assert [p.name for p in occupied.rglob("*")] == ["archive", "something"]

    with pytest.raises(WarehouseError, match="pseudonym_key"):
        restore(replace(city, home=tmp_path / "keyless"), saved)
    assert not (tmp_path / "keyless").exists()

    with pytest.raises(WarehouseError, match="holds something already"):
        backup(city, saved)
    with pytest.raises(WarehouseError, match="inside of"):
        backup(city, city.home / "backup")
    with pytest.raises(WarehouseError, match="no backup"):
        restore(replace(city, home=tmp_path / "none"), tmp_path)


def test_a_restore_that_was_cut_off_is_begun_again_by_the_same_command(city, saved, tmp_path):
    home = tmp_path / "home"
    environment = {k: v for k, v in os.environ.items() if k != "WAREHOUSE_URL"} | {"WAREHOUSE_HOME": str(home)}
    command = [sys.executable, "-c", "from warehouse.cli import main; main()", "restore", str(saved), "--keys", str(saved.parent / "keys.tar"), "--json"]
    cut = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (home / "postgres" / "port").exists():
        assert cut.poll() is None
        time.sleep(0.02)
    cut.kill()
    cut.wait()
    assert (home / "restore.json").exists()
    settings = replace(city, home=home)
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        assert json.loads(done.stdout)["faults"] == []
        assert not (home / "restore.json").exists()
        with database.connect(settings) as connection:
            assert connection.execute("select count(*) from store.publication").fetchone()[0] == 3
    finally:
        EmbeddedServer(settings).stop()


def test_a_server_of_ones_own_is_restored_into_an_empty_database_of_another(settings, server, saved, tmp_path):
    """Into WAREHOUSE_URL; a database in use is refused."""
    keys = saved.parent / "keys.tar"
    used = replace(settings, home=tmp_path / "home")
    with pytest.raises(WarehouseError, match="not empty"):
        restore(used, saved, keys_file=keys)
    name = f"restored_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"create database {name}")
    target = replace(used, url=server.rsplit("/", 1)[0] + "/" + name)
    try:
        result = restore(target, saved, keys_file=keys)
        assert (result.faults, result.publications) == ([], 3)
    finally:
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(f"drop database if exists {name} with (force)")
            admin.execute("drop owned by auditor_for_restore; drop role auditor_for_restore")


@pytest.mark.long
@pytest.mark.skipif(not LONG, reason="only with WAREHOUSE_LONG=1")
def test_a_base_backup_and_archived_wal_bring_back_any_moment(tmp_path, monkeypatch):
    """Base backup, a week more, then a mishap: the home as it stood between the two, originals and returned workbooks included."""
    monkeypatch.setenv("WAREHOUSE_WAL_ARCHIVE", str(tmp_path / "wal"))
    settings = replace(Settings.from_environment(), home=tmp_path / "home", url=None)
    settings.prepare()
    database.start(settings)
    server = EmbeddedServer(settings)
    try:
        week(settings, tmp_path / "w22", 22)
        backup(settings, tmp_path / "base", base=True, keys_file=tmp_path / "keys.tar")
        week(settings, tmp_path / "w23", 23, corrected=True)
        wanted = published_bytes(settings)
        with psycopg.connect(server.url(), autocommit=True) as connection:
            (moment,) = connection.execute("select clock_timestamp()").fetchone()
            time.sleep(0.1)
            connection.execute("drop schema store cascade")
            (last,) = connection.execute("select pg_walfile_name(pg_switch_wal())").fetchone()
            until = time.monotonic() + 60
            while not (tmp_path / "wal" / last).exists():
                assert time.monotonic() < until, "the WAL is not archived"
                time.sleep(0.1)
    finally:
        server.stop()
    monkeypatch.delenv("WAREHOUSE_WAL_ARCHIVE")
    found = replace(settings, home=tmp_path / "found")
    try:
        result = restore(
            found, tmp_path / "base", keys_file=tmp_path / "keys.tar", wal=tmp_path / "wal", to=moment, originals=settings.archive
        )
        assert (result.faults, result.publications, result.week) == ([], 2, "2020-W23")
        assert published_bytes(found) == wanted

        def tree(s):
            return sorted(p.relative_to(s.outbox).as_posix() for p in s.outbox.rglob("*") if p.is_file())

        assert tree(found) == tree(settings)
        week(found, tmp_path / "w24", 24)  # and goes on as a server of its own, no longer recovering
    finally:
        EmbeddedServer(found).stop()
