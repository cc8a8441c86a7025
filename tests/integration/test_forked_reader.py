"""A file read in a fork: what goes wrong in it is a refusal of that file."""

from __future__ import annotations

import datetime as dt
import os
import time
from pathlib import Path

import pytest

from ingestion.reader_process import REFUSAL_ZH, Question
from tests.integration import odd_reader
from warehouse.forked_reader import ForkedReader
from warehouse.settings import Settings

NOW = dt.datetime(2020, 6, 16, 4, tzinfo=dt.UTC)


@pytest.fixture
def ask(tmp_path):
    settings = Settings(tmp_path, None, Settings.from_environment().timezone)

    def ask(*names, seconds=5.0, read=odd_reader.read):
        with ForkedReader(settings, seconds, read) as reader:
            return list(reader.read(Question(Path(name), name, NOW) for name in names))

    return ask


def test_a_crash_and_a_hang_cost_their_file_and_nothing_else(ask):
    crash, hang, busy, last = ask("crash.xlsx", "hang.xlsx", "busy.xlsx", "last.xlsx", seconds=0.5)
    assert crash.file.refusal_zh == REFUSAL_ZH["crashed"] and "-6" in crash.trouble
    assert hang.file.refusal_zh == busy.file.refusal_zh == REFUSAL_ZH["hung"]
    assert last.file.refusal_zh is None and last.file.forms[0].rows == 1


def test_what_a_library_prints_reaches_nobody(ask, capfd):
    (answer,) = ask("noise.xlsx")
    assert answer.file.refusal_zh is None
    assert capfd.readouterr() == ("", "")


def test_a_file_that_eats_memory_is_refused(ask, monkeypatch):
    from ingestion import reader_process
    from ingestion.reader_process import read_here

    monkeypatch.setattr("warehouse.forked_reader.MEMORY_BYTES", 2**32)

    def greedy(question, pseudonyms):
        monkeypatch.setattr("warehouse.originals.size_of", lambda _: 2**40)  # there is no such file to be opened
        monkeypatch.setattr("ingestion.reading.read_file", lambda *_, **__: bytearray(2**33))
        return read_here(question, pseudonyms)

    (answer,) = ask("big.xlsx", read=greedy)
    assert answer.file.refusal_zh == reader_process.REFUSAL_ZH["memory"]


def test_an_answer_larger_than_a_pipe_arrives_whole(ask):
    def long(question, pseudonyms):
        answer = odd_reader.read(question, pseudonyms)
        answer.trouble = "x" * 2_000_000
        return answer

    (answer,) = ask("large.xlsx", read=long)
    assert len(answer.trouble) == 2_000_000


def test_the_reader_does_not_outlive_its_parent(tmp_path):
    note = tmp_path / "reader"

    def slow(question, pseudonyms):
        note.write_text(str(os.getpid()))
        time.sleep(30)

    parent = os.fork()
    if parent == 0:
        try:
            settings = Settings(tmp_path, None, Settings.from_environment().timezone)
            list(ForkedReader(settings, 30, slow).read([Question(Path("a"), "a", NOW)]))
        finally:
            os._exit(0)
    until = time.monotonic() + 10
    while not (note.exists() and note.read_text()) and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(parent, 9)
    os.waitpid(parent, 0)
    child = Path(f"/proc/{note.read_text()}/stat")
    while child.exists() and child.read_text().rpartition(")")[2].split()[0] not in "ZX" and time.monotonic() < until:
        time.sleep(0.02)
    assert not child.exists() or child.read_text().rpartition(")")[2].split()[0] in "ZX"
