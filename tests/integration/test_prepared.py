"""Files read ahead: the same in the end as read by the loader, whatever happens to what was kept of them."""

from __future__ import annotations

import datetime as dt
import errno
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import psycopg
import pytest

from demo.generate import write_week
from demo.places import load_counties
from ingestion import personal, prepared
from ingestion.contracts import contracts
from ingestion.prepared import Prepared
from ingestion.receive import receive
from ingestion.rotation import rotate
from ingestion.rounds import FileRow
from tests.end_to_end.personal_scan import Persons, in_files
from warehouse import batches, database, originals
from warehouse.keys import keyring
from warehouse.settings import REPOSITORY, Settings

pytestmark = pytest.mark.database
FORMS = ("EMP01", "COP03", "MON02", "IND02")
SENT = [dt.datetime(2020, 6, day, 1, tzinfo=dt.UTC) for day in (9, 16)]


@pytest.fixture(scope="module")
def weeks(tmp_path_factory):
    """Two weeks of four counties, the second with faults, so that forms are accepted, judged by the week before and returned."""
    folder, counties = tmp_path_factory.mktemp("weeks"), [c.code for c in load_counties(2020)[:4]]
    return [write_week(folder / f"w{n}", n, counties=counties, forms=FORMS, payouts=6, faults=n == 24, last=26) for n in (23, 24)]


@pytest.fixture
def spread(monkeypatch):
    """Few files are many, and three tasks may read at a time."""
    monkeypatch.setenv("WAREHOUSE_INTAKE_SLOTS", "3")
    for name, value in (("SINGLE", 2), ("SPREAD_FILES", 3), ("SPREAD_GROUPS", 3)):
        monkeypatch.setattr(batches, name, value)


@pytest.fixture
def waiting(settings, weeks, read_in_order):
    """A home in which the files of both weeks wait, with the secrets of `read_in_order`, and a connection to it."""
    shutil.copytree(read_in_order[0], settings.home / "secrets")
    with database.connect(settings, autocommit=True) as connection:
        received(connection, settings, weeks)
        yield connection


def received(connection, settings, weeks):
    for demo, at in zip(weeks, SENT, strict=True):
        receive(connection, settings, demo.folder, now=at)


def groups(connection, settings) -> list[list[int]]:
    found = batches.batches(connection, settings, single=2)
    assert len(found) == 3 and all(batch.ahead for batch in found)
    return [batch.file_ids for batch in found]


def rows(connection, settings) -> dict[str, list]:
    """All that loading leaves but clock times and what is sealed, which stands here opened."""

    def ask(text):
        return connection.execute(text).fetchall()

    found = {
        "files": ask("select to_jsonb(f) - '{recorded_at,finished_at,file_modified_at,original_path}'::text[] from intake.file f order by file_id"),
        "submissions": ask("select to_jsonb(s) - 'loaded_at' from intake.submission s order by submission_id"),
        "findings": sorted(ask("select (to_jsonb(f) - '{finding_id,found_at,closed_at}'::text[])::text from quality.finding f")),
        "rejected": sorted(ask("select to_jsonb(r)::text from intake.rejected_row r")),
        "slices": sorted(ask("select form, county_code, week from ops.pending_slice")),
    }
    for code in contracts().codes:
        found[code] = ask(f"select to_jsonb(r) from raw.{code.lower()} r order by submission_id, row_no")
    found["persons"] = [
        (number, personal.values_of(connection, number, form, keyring(settings)))
        for number, form in ask("select submission_id, form from intake.submission where submission_id in (select submission_id from raw.personal) order by 1")
    ]
    return found


def kept(settings) -> list[str]:
    folder = settings.home / prepared.FOLDER
    return sorted(os.listdir(folder)) if folder.is_dir() else []


@pytest.fixture(scope="module")
def read_in_order(server, template, tmp_path_factory, weeks):
    """A home's secrets, and what comes of the files in it where the loader reads them itself."""
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute("drop database if exists read_in_order with (force)")
        admin.execute(f"create database read_in_order template {template} strategy file_copy")
    url = server.rsplit("/", 1)[0] + "/read_in_order"
    other = replace(Settings.from_environment(), home=tmp_path_factory.mktemp("in_order") / "home", url=url)
    other.prepare()
    with database.connect(other, autocommit=True) as connection:
        received(connection, other, weeks)
        batches.load_batch(connection, other, [number for (number,) in connection.execute("select file_id from intake.file")])
        yield other.home / "secrets", rows(connection, other)
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute("drop database read_in_order with (force)")


@pytest.fixture
def by_the_loader(read_in_order):
    return read_in_order[1]


def test_read_side_by_side_all_is_as_if_read_in_order(spread, waiting, settings, by_the_loader):
    assert {s[0]["state"] for s in by_the_loader["submissions"]} == {"on_time", "returned"} and by_the_loader["persons"]
    tasks = groups(waiting, settings)
    for last_first in reversed(tasks):
        assert waiting.execute("select count(*) from intake.file where outcome is not null").fetchone()[0] == 0  # what came before is not read yet
        batches.load_batch(waiting, settings, last_first, ahead=True)
    assert rows(waiting, settings) == by_the_loader
    assert kept(settings) == []


def test_tasks_in_turn_load_as_far_as_has_been_read(spread, waiting, settings, by_the_loader):
    tasks = groups(waiting, settings)
    for done, task in enumerate(tasks, 1):
        batches.load_batch(waiting, settings, task, ahead=True)
        loaded = [number for (number,) in waiting.execute("select file_id from intake.file where outcome is not null order by file_id")]
        assert loaded == sorted(number for task in tasks[:done] for number in task)
    assert rows(waiting, settings) == by_the_loader


def test_nothing_is_read_twice(spread, waiting, settings, monkeypatch):
    tasks = groups(waiting, settings)
    for task in tasks:
        assert batches._read(waiting, settings, task, None)
    assert len(kept(settings)) == sum(map(len, tasks))

    def nobody_reads(*_):
        raise AssertionError("a file was read again")

    monkeypatch.setattr("ingestion.reader_process.ReaderPool._ask", nobody_reads)
    monkeypatch.setattr("warehouse.forked_reader._Fork", nobody_reads)
    for task in tasks:
        batches.load_batch(waiting, settings, task, ahead=True)
    assert waiting.execute("select count(*) from intake.file where outcome is null").fetchone()[0] == 0


class Planted:
    """Tells when somebody unpickles it."""

    def __reduce__(self):
        return os.mkdir, (os.environ["PLANTED"],)


def _cut_off(folder, first, second, settings):
    (folder / first).chmod(0o600)
    with open(folder / first, "r+b") as file:
        file.truncate(100)


def _altered(folder, first, second, settings):
    (folder / first).chmod(0o600)
    data = bytearray((folder / first).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / first).write_bytes(data)


def _emptied(folder, first, second, settings):
    (folder / first).chmod(0o600)
    (folder / first).write_bytes(b"")


def _planted(folder, first, second, settings):
    (folder / first).unlink()
    (folder / first).write_bytes(pickle.dumps((first, Planted())))


def _of_another_file(folder, first, second, settings):
    shutil.copy(folder / second, folder / "x")
    os.replace(folder / "x", folder / first)


def _not_a_prepared_file(folder, first, second, settings):
    (folder / first).unlink()
    originals.write(folder / first, b"sealed, but no answer", keyring(settings))


@pytest.mark.parametrize("harm", [_cut_off, _altered, _emptied, _planted, _of_another_file, _not_a_prepared_file])
def test_a_damaged_one_is_read_anew(spread, waiting, settings, by_the_loader, harm, monkeypatch, tmp_path):
    monkeypatch.setenv("PLANTED", str(tmp_path / "planted"))
    tasks = groups(waiting, settings)
    for task in tasks:
        batches._read(waiting, settings, task, None)
    folder, (first, second) = settings.home / prepared.FOLDER, kept(settings)[:2]
    harm(folder, first, second, settings)
    for task in tasks:
        batches.load_batch(waiting, settings, task, ahead=True)
    assert rows(waiting, settings) == by_the_loader
    assert kept(settings) == [] and not (tmp_path / "planted").exists()


def test_one_of_another_version_name_or_key_is_not_used(spread, waiting, settings, monkeypatch):
    (row,) = waiting.execute(batches.WAITING + " order by file_id limit 1").fetchall()
    file = FileRow(*row[:-1])
    assert batches._read(waiting, settings, [file.file_id], None)
    have = Prepared(settings).take
    assert have(file) is not None
    assert have(replace(file, original_name="另一个名字.xlsx")) is None
    assert have(replace(file, received_at=file.received_at + dt.timedelta(days=365))) is None
    monkeypatch.setattr(prepared, "version", lambda: "another")
    assert have(file) is None
    monkeypatch.undo()
    monkeypatch.setenv("WAREHOUSE_PSEUDONYM_KEY", "k" * 64)
    assert Prepared(settings).take(file) is None
    monkeypatch.undo()
    rotate(waiting, settings)
    assert Prepared(settings).take(file) is None and kept(settings) == []


def test_the_version_is_that_of_code_contracts_and_places(tmp_path, monkeypatch):
    before = prepared.version.__wrapped__()
    contract = shutil.copy(next((REPOSITORY / "ingestion" / "contracts").glob("*.yaml")), tmp_path)
    monkeypatch.setenv("WAREHOUSE_CONTRACTS", str(tmp_path))
    with_contract = prepared.version.__wrapped__()
    with open(contract, "a", encoding="utf-8") as file:
        file.write("# another\n")
    assert len({before, with_contract, prepared.version.__wrapped__()}) == 3
    monkeypatch.delenv("WAREHOUSE_CONTRACTS")
    places = tmp_path / "places"
    shutil.copytree(REPOSITORY / "ingestion" / "reference", places)
    monkeypatch.setenv("WAREHOUSE_REFERENCE", str(places))
    assert prepared.version.__wrapped__() == before  # the same lists, wherever they lie
    with open(places / "villages.csv", "a", encoding="utf-8") as file:
        file.write("\n")
    assert prepared.version.__wrapped__() != before


def test_a_task_killed_while_it_reads_costs_nothing(spread, waiting, settings, by_the_loader):
    tasks = groups(waiting, settings)
    code = (
        "import json, sys\nfrom warehouse import batches, database\nfrom warehouse.settings import Settings\n"
        "settings = Settings.from_environment()\n"
        "with database.connect(settings, autocommit=True) as connection:\n"
        "    batches._read(connection, settings, json.loads(sys.argv[1]), lambda *_: sys.stdin.read(1))"  # waits to be killed
    )
    environment = os.environ | {"WAREHOUSE_HOME": str(settings.home), "WAREHOUSE_URL": settings.url}
    task = subprocess.Popen([sys.executable, "-c", code, str(tasks[0])], cwd=REPOSITORY, env=environment, stdin=subprocess.PIPE)
    while all(name.startswith(originals.DRAFT) for name in kept(settings)) and task.poll() is None:
        time.sleep(0.05)
    task.send_signal(signal.SIGKILL)
    task.wait()
    assert len(kept(settings)) >= 1
    (settings.home / prepared.FOLDER / f"{originals.DRAFT}1-half").write_bytes(b"half")
    for task in tasks:
        batches.load_batch(waiting, settings, task, ahead=True)
    assert rows(waiting, settings) == by_the_loader
    assert kept(settings) == [f"{originals.DRAFT}1-half"]  # perhaps somebody is writing it; cleared away when it is an hour old
    os.utime(settings.home / prepared.FOLDER / f"{originals.DRAFT}1-half", (0, 0))
    batches.load_batch(waiting, settings, tasks[0], ahead=True)
    assert kept(settings) == []


def test_what_a_killed_loader_left_is_cleared_away(spread, waiting, settings):
    tasks = groups(waiting, settings)
    for task in tasks:
        batches._read(waiting, settings, task, None)
    aside = shutil.copytree(settings.home / prepared.FOLDER, settings.home / "aside")
    batches.load_batch(waiting, settings, tasks[-1], ahead=True)
    shutil.copytree(aside, settings.home / prepared.FOLDER, dirs_exist_ok=True)
    before = rows(waiting, settings)
    batches.load_batch(waiting, settings, tasks[-1], ahead=True)
    assert kept(settings) == [] and rows(waiting, settings) == before


def test_on_a_full_disk_the_loader_reads(spread, waiting, settings, by_the_loader, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    tasks, told = groups(waiting, settings), []
    monkeypatch.setattr("ingestion.prepared.originals.write", full)
    for task in tasks:
        batches.load_batch(waiting, settings, task, lambda what, *_: told.append(what), ahead=True)
    assert rows(waiting, settings) == by_the_loader
    assert any("No space left" in what for what in told)


def test_a_long_list_is_kept_to_its_last_row(spread, waiting, settings, by_the_loader, monkeypatch):
    monkeypatch.setattr("ingestion.copying.PIECE_ROWS", 3)  # in forks of this process: rows that still come in when the answer is there
    monkeypatch.setattr(batches, "FORKED_FILES", 10_000)
    tasks = groups(waiting, settings)
    for task in tasks:
        batches._read(waiting, settings, task, None)
    (settings.home / prepared.FOLDER / kept(settings)[0]).unlink()  # one of them is read by the loader
    for task in tasks:
        batches.load_batch(waiting, settings, task, ahead=True)
    assert rows(waiting, settings) == by_the_loader


def test_nobody_is_in_what_is_kept(spread, waiting, settings, weeks):
    for task in groups(waiting, settings):
        batches._read(waiting, settings, task, None)
    folder = settings.home / prepared.FOLDER
    opened = settings.home / "opened"
    opened.mkdir()
    for name in kept(settings):
        assert (folder / name).stat().st_mode & 0o077 == 0
        (opened / name).write_bytes(originals.read_sealed(folder / name, keyring(settings)))
    assert b"EMP01" in b"".join(p.read_bytes() for p in opened.iterdir())
    for demo in weeks:
        persons = Persons(demo)
        assert persons.numbers and persons.names
        assert in_files([folder, opened], persons) == []  # sealed, and without a clear value even so


# ---------------------------------------------------------------- how many tasks


def arrive(connection, files: int, size: str = "20000"):
    connection.execute("delete from intake.file")
    connection.execute(
        f"""insert into intake.file (sha256, original_name, original_path, size_bytes, received_at)
            select md5(n::text) || md5((-n)::text), n || '.xlsx', n || '.xlsx', {size}, timestamptz '2020-06-15 08:00+08' + n * interval '1 second'
            from generate_series(1, %s) n""",
        [files],
    )


@pytest.mark.parametrize(
    ("files", "slots", "tasks", "ahead"),
    [(35, 12, 35, False), (200, 12, 1, False), (832, None, 1, False), (832, 2, 1, False), (832, 12, 16, True), (201, 3, 16, True), (20_000, 12, 16, True)],
)
def test_few_and_meaty_tasks_whatever_arrives(settings, monkeypatch, files, slots, tasks, ahead):
    if slots:
        monkeypatch.setenv("WAREHOUSE_INTAKE_SLOTS", str(slots))
    with database.connect(settings, autocommit=True) as connection:
        arrive(connection, files)
        found = batches.batches(connection, settings)
        order = [number for (number,) in connection.execute("select file_id from intake.file order by received_at, file_id")]
    assert (len(found), {batch.ahead for batch in found}) == (tasks, {ahead})
    assert [number for batch in found for number in batch.file_ids] == order


def test_groups_are_of_a_size_in_bytes(settings, monkeypatch):
    monkeypatch.setenv("WAREHOUSE_INTAKE_SLOTS", "12")
    with database.connect(settings, autocommit=True) as connection:
        arrive(connection, 832, "case when n <= 416 then 10000 else 90000 end")
        found = batches.batches(connection, settings)
        sizes = dict(connection.execute("select file_id, size_bytes from intake.file").fetchall())
    of = [sum(sizes[number] for number in batch.file_ids) for batch in found]
    assert len(found) == 16 and max(of) < 1.2 * sum(of) / 16


def test_a_single_huge_file_leaves_no_empty_task():
    found = batches.evenly(list("abcdef"), [1, 1, 10**9, 1, 1, 1], 4)
    assert [one for group in found for one in group] == list("abcdef") and all(found)


@pytest.mark.parametrize("given", ["0", "many", "-3"])
def test_a_number_of_tasks_that_is_none_is_named(given):
    with pytest.raises(batches.WarehouseError, match="WAREHOUSE_INTAKE_SLOTS"):
        batches.slots({"WAREHOUSE_INTAKE_SLOTS": given})
