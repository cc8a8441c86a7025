"""Rows of a long form that come in piece by piece while they are loaded, and what becomes of them when their reader is lost."""

from __future__ import annotations

import itertools
import os
import signal
import time

import pytest

from ingestion import aside, containers, copying
from ingestion.load import load
from ingestion.model import FileReading
from ingestion.pseudonyms import Pseudonyms
from ingestion.reader_process import REFUSAL_ZH, Answer, Question, read_here
from tests.integration.readings import file_of, form_reading
from warehouse.forked_reader import ForkedReader

ROWS = 2 * copying.PIECE_ROWS + 7


def answer(name: str, rows: int = ROWS) -> FileReading:
    """Sales through as many channels as there are rows; the channel is free text for this form's raw table."""
    values = {"channel": [f"channel {n}" for n in range(rows)], "sales": list(range(rows)), "poor_persons_benefited": [1] * rows}
    return FileReading(name, "0" * 64, 1, [form_reading("COP03", "2020-W22", values)])


def long(question: Question, pseudonyms: Pseudonyms) -> Answer:
    return Answer(copying.prepare(answer(question.name), pseudonyms))


def lines(answer: Answer) -> bytes:
    return b"".join(itertools.chain.from_iterable(f.lines_for(1) for f in answer.file.forms))


@pytest.mark.parametrize("rows", [0, 1, copying.PIECE_ROWS // 2, copying.PIECE_ROWS // 2 + 1, copying.PIECE_ROWS, ROWS])
def test_every_row_is_in_one_piece(rows):
    prepared = copying.prepare(answer("长表.xlsx", rows), Pseudonyms("0" * 64)).forms[0]
    numbers = [int(line.split(b"\t")[1]) for line in b"".join(prepared.lines_for(1)).splitlines()]
    assert numbers == list(range(1, rows + 1))


def shot_after(pieces: int, times: int, note):
    """A reader that dies when it has handed out so many pieces; the first ``times`` times it is asked."""

    def read(question, pseudonyms):
        whole = long(question, pseudonyms)
        with note.open("a") as asked:
            asked.write("x")
        if len(note.read_text()) <= times:
            form, more = whole.file.forms[0], whole.file.forms[0].pieces.once()
            form.pieces = copying.Pieces(_then_die(more, pieces))
        return whole

    return read


def _then_die(more, pieces):
    yield from itertools.islice(more, pieces)
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def expected(settings):
    return lines(long(Question(None, "a", None), Pseudonyms.of(settings)))


@pytest.mark.parametrize("died_after", [0, 1, 2])
def test_rows_are_whole_although_their_reader_died_on_the_way(settings, expected, tmp_path, died_after):
    reader = ForkedReader(settings, 30, shot_after(died_after, 1, tmp_path / "asked"))
    assert [lines(a) for a in reader.read([Question(None, "a", None)])] == [expected]
    assert (tmp_path / "asked").read_text() == "xx"


def test_rows_that_nobody_asked_for_in_time_are_still_there(settings, expected):
    first, second = ForkedReader(settings, 30, long).read([Question(None, "a", None), Question(None, "b", None)])
    assert lines(first) == lines(second) == expected


def test_a_file_whose_reader_dies_twice_is_refused_and_nothing_of_it_is_loaded(connection, settings, tmp_path):
    waiting = [file_of(connection, at=f"2020-06-01T09:0{n}+08:00", name=name)[0] for n, name in enumerate(["a.xlsx", "b.xlsx"])]
    result = load(connection, settings, pool=ForkedReader(settings, 30, shot_after(1, 2, tmp_path / "asked")))
    assert [(f.file_id, f.outcome, f.rows_loaded) for f in result.files] == [(waiting[0].file_id, "refused", 0), (waiting[1].file_id, "loaded", ROWS)]
    assert result.files[0].message_zh == REFUSAL_ZH["crashed"] and "reader ended with -9" in (settings.logs / "load.log").read_text()
    assert connection.execute("select count(*), count(distinct submission_id) from raw.cop03").fetchone() == (ROWS, 1)


@pytest.mark.parametrize("loss, kind", [(MemoryError(), "memory"), (ValueError("a county's cell"), "failed")])
def test_rows_that_cannot_be_made_cost_their_file_and_nothing_else(connection, settings, loss, kind):
    def read(question, pseudonyms):
        whole = answer(question.name)
        if question.name == "bad.xlsx":
            whole.forms[0].source_text[-1] = Odd(loss)
        return Answer(copying.prepare(whole, pseudonyms))

    for n, name in enumerate(["good.xlsx", "bad.xlsx", "last.xlsx"]):
        file_of(connection, at=f"2020-06-01T09:0{n}+08:00", name=name)
    result = load(connection, settings, pool=ForkedReader(settings, 30, read))
    assert [f.outcome for f in result.files] == ["loaded", "refused", "loaded"]
    assert result.files[1].message_zh == REFUSAL_ZH[kind] and "county" not in (settings.logs / "load.log").read_text()


class Odd(dict):
    """Something in the last row that cannot be written out."""

    def __init__(self, loss: Exception) -> None:
        super().__init__(a="b")
        self.loss = loss

    def items(self):
        raise self.loss


# ---------------------------------------------------------------- a check beside the reading


@pytest.fixture
def all_beside(monkeypatch):
    monkeypatch.setattr(containers, "BESIDE_FROM", 0)


FAR = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'


@pytest.mark.parametrize("damage", [FAR + b"</sheetData>", None])
def test_what_the_check_refuses_is_refused_in_the_same_words_beside_the_reading(settings, tmp_path, all_beside, damage):
    from tests.unit.test_reading_containers import _with_sheet, _xlsx

    path = tmp_path / "b.xlsx"
    path.write_bytes(_with_sheet(_xlsx(tmp_path), lambda x: x.replace(b"</sheetData>", damage or b"</sheetData>")))
    (found,) = ForkedReader(settings, 30, read_here).read([Question(path, "b.xlsx", None)])
    alone = read_here(Question(path, "b.xlsx", None), Pseudonyms.of(settings))
    assert found.file.refusal_zh == alone.file.refusal_zh and ("极远" in (found.file.refusal_zh or "")) == bool(damage)
    assert [f.rows for f in found.file.forms] == [f.rows for f in alone.file.forms]


def test_a_reading_that_fails_before_the_check_is_done_waits_for_its_words(settings, tmp_path, all_beside, monkeypatch):
    from tests.unit.test_reading_containers import _with_sheet, _xlsx

    check = containers._check_parts

    def slowly(*given):
        time.sleep(0.5)
        return check(*given)

    monkeypatch.setattr(containers, "_check_parts", slowly)
    path = tmp_path / "b.xlsx"
    path.write_bytes(_with_sheet(_xlsx(tmp_path), lambda x: x.replace(b"</sheetData>", FAR + b"</broken>")))
    (found,) = ForkedReader(settings, 30, read_here).read([Question(path, "b.xlsx", None)])
    assert "极远" in found.file.refusal_zh


def test_a_check_that_fails_stops_its_process_and_only_where_that_is_allowed():
    def fails():
        raise ValueError

    with pytest.raises(ValueError):
        aside.beside(fails)
    for asks in (True, False):  # whoever is in the middle of a file is stopped there, and not only when it asks
        pid = os.fork()
        if pid == 0:
            aside.allow()
            wait = aside.beside(fails)
            if asks:
                wait()
            else:
                time.sleep(20)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -aside.STOPPED, asks
