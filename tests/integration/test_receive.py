"""Files arrive: archived as they are, recorded once."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import stat
import threading

import pytest

from ingestion.receive import archived, receive
from warehouse import database, originals
from warehouse.keys import keyring
from warehouse.settings import WarehouseError

pytestmark = pytest.mark.database


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "from the counties"
    folder.mkdir()
    return folder


def put(folder, name, content=b"content", age=60):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (path.stat().st_mtime - age,) * 2)
    return path


def rows(connection):
    found = connection.execute(
        "select original_path, outcome, duplicate_of is not null, message_zh from intake.file order by file_id"
    ).fetchall()
    connection.commit()
    return found


def manifest(folder, *lines):
    path = folder / "list.csv"
    path.write_text("path,received_at\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_bytes_are_kept_under_their_digest_and_cannot_be_changed(connection, settings, folder):
    put(folder, "县/周报.xlsx", b"as it came")
    result = receive(connection, settings, folder)
    copy = archived(settings, hashlib.sha256(b"as it came").hexdigest())
    assert originals.read_path(copy, keyring(settings)) == b"as it came" and b"as it came" not in copy.read_bytes()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o400
    assert copy.parent.name == copy.name[:2]
    assert len(result.file_ids) == 1
    assert rows(connection) == [("县/周报.xlsx", None, False, None)]
    assert not [p for p in settings.archive.rglob(".*") if p.is_file()]


def test_the_list_gives_order_and_times(connection, settings, folder):
    put(folder, "a.xlsx", b"a")
    put(folder, "b.xlsx", b"b")
    put(folder, "not listed.xlsx", b"c")
    listed = manifest(folder, "b.xlsx,2020-06-01T08:50:00+08:00", "a.xlsx,2020-06-01 09:00")
    receive(connection, settings, folder, listed)
    found = connection.execute("select original_path, received_at from intake.file order by file_id").fetchall()
    assert found == [
        ("b.xlsx", dt.datetime(2020, 6, 1, 0, 50, tzinfo=dt.UTC)),
        ("a.xlsx", dt.datetime(2020, 6, 1, 1, 0, tzinfo=dt.UTC)),  # a time without zone is the city's
    ]


def test_the_same_bytes_again_are_acknowledged_once_and_point_to_the_first(connection, settings, folder):
    put(folder, "a.xlsx", b"same")
    put(folder, "again.xlsx", b"same")
    listed = manifest(folder, "a.xlsx,2020-06-01T09:00:00+08:00", "again.xlsx,2020-06-02T09:00:00+08:00")
    first = receive(connection, settings, folder, listed)
    second = receive(connection, settings, folder, listed)
    assert (len(first.file_ids), len(first.duplicate_ids)) == (1, 1)
    assert (second.received, second.already_recorded) == (0, 2)
    (_, original), (_, copy) = [(r[0], r) for r in rows(connection)]
    assert original[1:] == (None, False, None)
    assert copy[1:3] == ("duplicate", True)
    assert "a.xlsx" in copy[3] and "未重复装载" in copy[3]


def test_a_folder_looked_at_twice_gives_nothing_new_but_a_file_sent_again_does(connection, settings, folder):
    path = put(folder, "a.xlsx", b"same")
    assert receive(connection, settings, folder).received == 1
    assert receive(connection, settings, folder).already_recorded == 1
    os.utime(path, (1_600_000_000, 1_600_000_000))
    assert len(receive(connection, settings, folder).duplicate_ids) == 1


@pytest.mark.parametrize("path", ["../outside.xlsx", "/etc/hostname", "sub/../../outside.xlsx", "way out/outside.xlsx"])
def test_no_path_leaves_the_folder(connection, settings, folder, path):
    put(folder.parent, "outside.xlsx")
    (folder / "way out").symlink_to(folder.parent)
    put(folder, "inside.xlsx")
    with pytest.raises(WarehouseError, match="leads out of"):
        receive(connection, settings, folder, manifest(folder, "inside.xlsx,2020-06-01T09:00:00+08:00", f"{path},2020-06-01T09:00:00+08:00"))
    assert rows(connection) == []


def test_links_hidden_and_temporary_files_are_left_alone(connection, settings, folder):
    put(folder, "a.xlsx")
    for name in ("~$a.xlsx", ".hidden.xlsx", "b.xlsx.part", "Thumbs.db", ".sync/c.xlsx"):
        put(folder, name, name.encode())
    (folder / "link.xlsx").symlink_to(put(folder.parent, "secret.xlsx", b"secret"))
    receive(connection, settings, folder)
    assert [r[0] for r in rows(connection)] == ["a.xlsx"]
    assert not archived(settings, hashlib.sha256(b"secret").hexdigest()).exists()


def test_a_listed_link_is_not_followed(connection, settings, folder):
    target = put(folder, "target.xlsx", b"target")
    (folder / "link.xlsx").symlink_to(target)
    with pytest.raises(WarehouseError, match=r"link\.xlsx: is a symbolic link"):
        receive(connection, settings, folder, manifest(folder, "link.xlsx,2020-06-01T09:00:00+08:00"))


def test_a_missing_file_is_named_and_the_others_are_taken(connection, settings, folder):
    put(folder, "a.xlsx", b"a")
    put(folder, "c.xlsx", b"c")
    listed = manifest(folder, *(f"{n}.xlsx,2020-06-01T09:00:00+08:00" for n in "abc"))
    with pytest.raises(WarehouseError, match=r"1 of 3 .*\n  b\.xlsx: the file is missing"):
        receive(connection, settings, folder, listed)
    assert [r[0] for r in rows(connection)] == ["a.xlsx", "c.xlsx"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,when\na,b\n", "needs the columns"),
        ("path,received_at\na.xlsx,yesterday\n", "line 2: 'yesterday' is no time"),
        ("path,received_at\n,2020-06-01\n", "line 2: no path"),
    ],
)
def test_a_list_that_cannot_be_used_says_where(connection, settings, folder, text, message):
    path = folder / "list.csv"
    path.write_text(text)
    with pytest.raises(WarehouseError, match=message):
        receive(connection, settings, folder, path)


def test_the_inbox_is_emptied_and_a_second_look_finds_nothing_to_complain_of(connection, settings):
    put(settings.inbox, "a.xlsx", b"a")
    (settings.inbox / "arrivals.csv").write_text("path,received_at\na.xlsx,2020-06-01T09:00:00+08:00\n")
    assert receive(connection, settings, settings.inbox).received == 1
    assert not (settings.inbox / "a.xlsx").exists()
    assert receive(connection, settings, settings.inbox).already_recorded == 1
    (settings.inbox / "arrivals.csv").unlink()
    put(settings.inbox, "b.xlsx", b"b")
    assert receive(connection, settings, settings.inbox).received == 1
    assert list(settings.inbox.iterdir()) == []


def test_a_file_that_grows_is_left_for_the_next_time(connection, settings, folder, monkeypatch):
    path = put(folder, "growing.xlsx", b"half", age=0)
    put(folder, "still.xlsx", b"whole", age=0)
    monkeypatch.setattr("ingestion.receive.time.sleep", lambda _: path.write_bytes(b"half and more"))
    result = receive(connection, settings, folder)
    assert result.skipped == ["growing.xlsx"]
    assert [r[0] for r in rows(connection)] == ["still.xlsx"]


def test_two_processes_at_once_record_each_file_once(settings, folder, connection):
    for number in range(20):
        put(folder, f"{number}.xlsx", b"%d" % (number % 10))
    listed = manifest(folder, *(f"{n}.xlsx,2020-06-01T09:{n:02d}:00+08:00" for n in range(20)))

    def take():
        with database.connect(settings) as own:
            receive(own, settings, folder, listed)

    threads = [threading.Thread(target=take) for _ in range(3)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    outcomes = [r[1] for r in rows(connection)]
    assert (len(outcomes), outcomes.count(None), outcomes.count("duplicate")) == (20, 10, 10)
