"""Loading: whole forms or nothing, in order of arrival, and the same in the end however often it is cut short."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import threading
import time
from decimal import Decimal

import psycopg
import pytest

from ingestion import load as loading
from ingestion import personal
from ingestion.contracts import contracts
from ingestion.load import load, load_readings
from ingestion.model import Finding
from ingestion.pseudonyms import Pseudonyms
from ingestion.reader_process import ReaderPool
from tests.integration.readings import COUNTY, error, file_of, form_reading
from warehouse import database
from warehouse.calendar import publish_week
from warehouse.keys import keyring
from warehouse.settings import REPOSITORY

pytestmark = pytest.mark.database
CHANNELS = ["procurement", "direct"]


def sales(week, *amounts, **more):
    values = {"channel": CHANNELS[: len(amounts)], "sales": [Decimal(a) for a in amounts], "poor_persons_benefited": [1] * len(amounts)}
    return form_reading("COP03", week, values, **more)


def one(connection, query, *arguments):
    row = connection.execute(query, arguments).fetchone()
    connection.commit()
    return row[0] if row and len(row) == 1 else row


def everything(connection, query):
    rows = connection.execute(query).fetchall()
    connection.commit()
    return rows


def submissions(connection):
    return everything(connection, "select version, state, rows_loaded, superseded_by is not null from intake.submission order by submission_id")


# ---------------------------------------------------------------- rows


@pytest.mark.parametrize(
    "statement",
    [
        "insert into raw.cop03 select * from stray",
        "insert into raw.ind02 (submission_id, row_no, block_no, sheet_row) select submission_id, row_no, block_no, sheet_row from stray",
        "update raw.cop03 set submission_id = submission_id + 1",
        "delete from intake.submission",
        "truncate intake.submission cascade",
    ],
)
def test_no_row_is_without_its_submission(connection, settings, statement):
    """What a foreign key would promise."""
    load_readings(connection, settings, [file_of(connection, sales("2020-W24", 5), at="2020-06-16T09:00+08:00")])
    connection.execute("create temporary table stray as select * from raw.cop03")
    connection.execute("insert into stray (submission_id, row_no, block_no, sheet_row) select submission_id + 1, 2, 1, 2 from stray")
    connection.execute("update stray set row_no = row_no + 1")  # one row of a submission that is there, one of none
    connection.commit()
    with pytest.raises((psycopg.errors.ForeignKeyViolation, psycopg.errors.RestrictViolation)):
        connection.execute(statement)
    connection.rollback()
    assert everything(connection, "select row_no from raw.cop03 union all select row_no from raw.ind02") == [(1,)]
    assert connection.execute("update raw.cop03 set sheet_row = 9").rowcount == 1  # what is no key may be mended


def test_values_arrive_as_they_were_read(connection, settings):
    nasty = 'tab\tnewline\nback\\slash \\N \\. "quoted" \r 𠀀 nul\x00'
    fields = contracts().form("MON02").fields
    values = {f.name: [None, None] for f in fields} | {
        "household_no": ["H-1", "H-2"], "head_name": [nasty, ""], "id_number": ["X", None], "persons": [3, 0],
        "entered_date": [dt.date(2020, 1, 31), None],
    }  # fmt: skip
    reading = form_reading("MON02", "2020-W22", values)
    reading.source_text = [{"persons": "３ 人"}, None]
    reading.extra = [None, {"包联\t单位": nasty}]
    load_readings(connection, settings, [file_of(connection, reading, at="2020-06-01T09:00+08:00")])
    rows = everything(
        connection,
        """select row_no, block_no, sheet_row, household_no, head_name, id_number, persons, entered_date, cleared_date, source_text, extra, change_reason
           from raw.mon02 order by row_no""",
    )
    nothing = (None, None, None)  # of the person: that is sealed
    (submission,) = everything(connection, "select submission_id from intake.submission")[0]
    assert personal.values_of(connection, submission, "MON02", keyring(settings)) == {
        1: {"household_no": "H-1", "head_name": nasty, "id_number": "X"}, 2: {"household_no": "H-2", "head_name": "", "extra": {"包联\t单位": nasty}},
    }  # fmt: skip
    assert rows == [
        (1, 1, 5, *nothing, 3, dt.date(2020, 1, 31), None, {"persons": "３ 人"}, None, None),
        (2, 1, 6, *nothing, 0, None, None, None, None, None),
    ]


def test_pseudonyms_are_keyed_stable_and_the_same_in_every_form(connection, settings):
    monitored = form_reading("MON02", "2020-W22", {"household_no": ["H-1", "H-2", "H-1"], "id_number": ["1", None, "1"]})
    paid = form_reading("IND02", "2020-W22", {"payment_no": ["FF1"], "household_no": ["H-2"]})
    load_readings(connection, settings, [file_of(connection, monitored, paid, at="2020-06-01T09:00+08:00")])
    keys = [k for (k,) in everything(connection, "select household_key from raw.mon02 order by row_no")]
    assert keys[0] == keys[2] != keys[1]
    assert one(connection, "select household_key from raw.ind02") == keys[1]
    assert all(len(k) == 32 and "H-" not in k for k in keys)
    assert Pseudonyms("another secret").of_value("household_no", "H-1") != keys[0]
    assert everything(connection, "select id_key is null from raw.mon02 order by row_no") == [(False,), (True,), (False,)]


def test_findings_of_a_personal_key_carry_its_pseudonym(connection, settings):
    reading = form_reading("MON02", "2020-W22", {"household_no": ["H-1"]})
    fault = error(reading, 1, "persons")
    fault.row_key = "H-1"
    reading.findings.append(fault)
    load_readings(connection, settings, [file_of(connection, reading, at="2020-06-01T09:00+08:00")])
    assert one(connection, "select row_key from quality.finding") == Pseudonyms.of(settings).of_value("household_no", "H-1")


def test_a_count_beyond_the_column_is_a_finding_at_its_cell(connection, settings):
    reading = form_reading("COP03", "2020-W22", {"channel": CHANNELS, "sales": [1, 1], "poor_persons_benefited": [1, 3_000_000_000]})
    load_readings(connection, settings, [file_of(connection, reading, at="2020-06-01T09:00+08:00")])
    assert everything(connection, "select rule_id, cell, row_key, value from quality.finding") == [("GEN-TYPE", "C6", "direct", "3000000000")]
    assert submissions(connection) == [(1, "returned", 0, False)]


def test_an_error_returns_the_whole_form_and_keeps_the_place_of_each_row(connection, settings):
    bad, good = sales("2020-W22", 5, 6), sales("2020-W22", 7, county="451022")
    bad.findings.append(error(bad, 2, "sales"))
    result = load_readings(connection, settings, [file_of(connection, bad, good, at="2020-06-01T09:00+08:00")])
    assert submissions(connection) == [(1, "returned", 0, False), (1, "on_time", 1, False)]
    assert everything(connection, "select row_no, block_no, sheet_row from intake.rejected_row order by row_no") == [(1, 1, 5), (2, 1, 6)]
    assert one(connection, "select count(*) from raw.cop03") == 1
    assert (result.rows_read, result.rows_loaded, result.rows_rejected) == (3, 1, 2)
    assert everything(connection, "select form, county_code, week, built from ops.pending_slice") == [("COP03", "451022", "2020-W22", False)]


def test_the_layout_gives_each_value_its_cell(connection, settings):
    load_readings(connection, settings, [file_of(connection, sales("2020-W22", 5), at="2020-06-01T09:00+08:00")])
    (block,) = one(connection, "select layout from intake.submission")
    assert (block["block"], block["sheet"], block["header_rows"]) == (1, "Sheet1", [4, 4])
    assert block["columns"]["sales"] == {"col": "B", "heading": contracts().form("COP03").by_name["sales"].zh, "factor": "1"}


# ---------------------------------------------------------------- states and versions


def test_states_follow_from_the_due_time_and_what_came_before(connection, settings):
    deliveries = [
        ("2020-W22", "451002", "2020-06-02T12:00+08:00", "on_time"),  # the very minute it is due
        ("2020-W22", "451002", "2020-06-02T12:00:01+08:00", "corrected"),
        ("2020-W22", "451022", "2020-06-02T12:00:01+08:00", "late"),
        ("2020-W22", "451022", "2020-06-04T12:00+08:00", "corrected"),
        ("2020-W18", "451002", "2020-05-06T11:00+08:00", "on_time"),  # the holiday's dated exception
    ]
    files = [file_of(connection, sales(week, 5, county=county), at=at) for week, county, at, _ in deliveries]
    load_readings(connection, settings, files)
    assert [s[:2] for s in submissions(connection)] == [(1, "on_time"), (2, "corrected"), (1, "late"), (2, "corrected"), (1, "on_time")]


def test_after_a_returned_version_the_next_is_a_correction(connection, settings):
    bad = sales("2020-W22", 5)
    bad.findings.append(error(bad, 1, "sales"))
    load_readings(
        connection, settings,
        [file_of(connection, bad, at="2020-06-01T09:00+08:00"), file_of(connection, sales("2020-W22", 5), at="2020-06-05T09:00+08:00")],
    )  # fmt: skip
    assert submissions(connection) == [(1, "returned", 0, False), (2, "corrected", 1, False)]
    assert one(connection, "select status from quality.finding") == "resolved"


def test_an_accepted_form_supersedes_a_returned_one_does_not(connection, settings):
    first, bad, empty = sales("2020-W22", 5), sales("2020-W22", 6), sales("2020-W22", 0, empty=True)
    first.findings.append(Finding("GEN-COLUNK", "warning", "未知列", "COP03", COUNTY, "2020-W22"))
    bad.findings.append(error(bad, 1, "sales"))
    load_readings(connection, settings, [file_of(connection, first, at="2020-06-01T09:00+08:00"), file_of(connection, bad, at="2020-06-01T10:00+08:00")])
    assert submissions(connection) == [(1, "on_time", 1, False), (2, "returned", 0, False)]
    assert everything(connection, "select severity, status from quality.finding order by finding_id") == [("warning", "open"), ("error", "open")]
    connection.execute("update ops.pending_slice set built = true")
    load_readings(connection, settings, [file_of(connection, empty, at="2020-06-01T11:00+08:00")])
    assert submissions(connection) == [(1, "on_time", 1, True), (2, "returned", 0, False), (3, "empty", 0, False)]
    assert everything(connection, "select severity, status from quality.finding order by finding_id") == [("warning", "superseded"), ("error", "resolved")]
    assert one(connection, "select built from ops.pending_slice") is False


def test_two_versions_in_one_batch_are_loaded_one_after_the_other(connection, settings):
    files = [file_of(connection, sales("2020-W22", amount), sales("2020-W23", amount), at=f"2020-06-01T0{amount}:00+08:00") for amount in (7, 8, 9)]
    load_readings(connection, settings, files)
    assert everything(connection, "select week, version, superseded_by is null from intake.submission order by week, version") == [
        (week, version, version == 3) for week in ("2020-W22", "2020-W23") for version in (1, 2, 3)
    ]


def test_an_unknown_county_or_week_is_returned(connection, settings):
    unknown, timeless = sales("2020-W22", 5, county=None), sales(None, 5)
    for form in (unknown, timeless):
        form.findings.append(Finding("GEN-COUNTY", "error", "填报单位不属于本市", "COP03"))
    result = load_readings(connection, settings, [file_of(connection, unknown, timeless, at="2020-06-01T09:00+08:00")])
    assert [f.outcome for f in result.files] == ["returned"]
    assert everything(connection, "select county_code, week, state from intake.submission order by submission_id") == [
        (None, "2020-W22", "returned"), (COUNTY, None, "returned"),
    ]  # fmt: skip


# ---------------------------------------------------------------- files


def test_the_outcome_of_a_file_says_what_to_do(connection, settings):
    bad, good = sales("2020-W22", 5), sales("2020-W22", 5, county="451022")
    bad.findings.append(error(bad, 1, "sales"))
    foreign = Finding("GEN-FORM", "error", "“春耕备耕进度表”不是规定的报表。")
    at = "2020-06-01T09:00+08:00"
    result = load_readings(
        connection, settings,
        [
            file_of(connection, bad, good, at=at, name="partly.xlsx"),
            file_of(connection, at=at, name="foreign.xlsx", findings=[foreign]),
            file_of(connection, at=at, name="refused.xls", refusal_zh="该文件是网页，不是工作簿。"),
            file_of(connection, at=at, name="nothing.xlsx"),
            file_of(connection, sales("2020-W22", 0, empty=True, county="451024"), at=at, name="empty.xlsx"),
        ],
    )  # fmt: skip
    outcomes = everything(connection, "select original_name, outcome, message_zh, finished_at is not null from intake.file order by file_id")
    assert [(name, outcome) for name, outcome, _, _ in outcomes] == [
        ("partly.xlsx", "partly_loaded"), ("foreign.xlsx", "returned"), ("refused.xls", "refused"), ("nothing.xlsx", "refused"), ("empty.xlsx", "loaded"),
    ]  # fmt: skip
    assert contracts().form("COP03").zh in outcomes[0][2] and "1处错误" in outcomes[0][2]
    assert outcomes[2][2] == "该文件是网页，不是工作簿。"
    assert "空报1张" in outcomes[4][2]
    assert all(finished for *_, finished in outcomes)
    assert result.outcomes == {"refused": 2, "partly_loaded": 1, "returned": 1, "loaded": 1}


def test_a_file_that_the_database_will_not_take_is_refused_alone(connection, settings):
    def with_block(number):
        reading = sales("2020-W22", 5, county=["451002", "451022", "451024"][number])
        if number == 1:
            reading.block_no = [99_999]  # no smallint
        return file_of(connection, reading, at=f"2020-06-01T0{number}:00+08:00")

    result = load_readings(connection, settings, [with_block(n) for n in range(3)])
    assert [f.outcome for f in result.files] == ["loaded", "refused", "loaded"]
    assert "sqlstate=22003" in (settings.logs / "load.log").read_text()


# ---------------------------------------------------------------- conservation


def test_the_database_refuses_a_submission_whose_rows_are_not_there(connection, settings):
    load_readings(connection, settings, [file_of(connection, sales("2020-W22", 5, 6), at="2020-06-01T09:00+08:00")])
    connection.execute("update intake.submission set rows_read = 3, rows_loaded = 3")
    with pytest.raises(psycopg.errors.CheckViolation, match="says 3 rows loaded and 0 rejected, the tables hold 2 and 0"):
        connection.commit()


def test_the_database_refuses_rejected_rows_that_are_not_there(connection, settings):
    load_readings(connection, settings, [file_of(connection, sales("2020-W22", 5, 6), at="2020-06-01T09:00+08:00")])
    connection.execute("update intake.submission set rows_read = 3, rows_rejected = 1")
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.commit()


# ---------------------------------------------------------------- readers in their own processes


def waiting(connection, settings, *names):
    return [file_of(connection, at=f"2020-06-01T09:{n:02d}+08:00", name=name)[0] for n, name in enumerate(names)]


def test_a_crash_and_a_hang_cost_their_file_and_nothing_else(connection, settings):
    waiting(connection, settings, "slow.xlsx", "crash.xlsx", "noise.xlsx", "hang.xlsx", "last.xlsx")
    pool = ReaderPool(settings, workers=2, seconds_per_file=1.5, reader="tests.integration.odd_reader")
    result = load(connection, settings, pool=pool)
    assert [(f.name, f.outcome) for f in result.files] == [
        ("slow.xlsx", "loaded"), ("crash.xlsx", "refused"), ("noise.xlsx", "loaded"), ("hang.xlsx", "refused"), ("last.xlsx", "loaded"),
    ]  # fmt: skip
    assert "时间过长" in result.files[3].message_zh
    log = (settings.logs / "load.log").read_text()
    assert "reader ended with -6" in log and "hung" in log
    order = everything(connection, "select change_note from intake.submission order by version")
    assert order == [("slow.xlsx",), ("noise.xlsx",), ("last.xlsx",)]
    assert load(connection, settings).files == []


class _ShotAtTheDoor(ReaderPool):
    """Its first worker is dead before it has heard a word."""

    shot = False

    def _start(self):
        process = super()._start()
        if not self.shot:
            self.shot = True
            process.kill()
            process.wait()
        return process


def test_a_reader_shot_before_its_first_word_is_replaced(connection, settings):
    waiting(connection, settings, "a.xlsx")
    result = load(connection, settings, pool=_ShotAtTheDoor(settings, workers=1, reader="tests.integration.odd_reader"))
    assert result.outcomes == {"loaded": 1}


def test_only_the_files_asked_for_are_loaded(connection, settings):
    files = waiting(connection, settings, "a.xlsx", "b.xlsx", "c.xlsx")
    pool = ReaderPool(settings, workers=1, reader="tests.integration.odd_reader")
    load(connection, settings, file_ids=[files[1].file_id], pool=pool)
    assert everything(connection, "select original_name from intake.file where outcome is not null") == [("b.xlsx",)]


def test_two_loaders_at_once_load_each_file_once(connection, settings):
    waiting(connection, settings, *(f"{n}.xlsx" for n in range(12)))
    results = []

    def run():
        with database.connect(settings) as own:
            results.append(load(own, settings, pool=ReaderPool(settings, workers=1, reader="tests.integration.odd_reader")))

    threads = [threading.Thread(target=run) for _ in range(2)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert sorted(len(r.files) for r in results) == [0, 12]
    assert [v for v, *_ in submissions(connection)] == list(range(1, 13))


def test_a_kill_between_batches_changes_nothing_in_the_end(connection, settings, monkeypatch):
    names = [f"{n}.xlsx" for n in range(6)] + ["slow.xlsx"] + [f"{n}.xlsx" for n in range(7, 12)]
    waiting(connection, settings, *names)
    program = """
from ingestion import load as loading
from ingestion.reader_process import ReaderPool
from warehouse import database
from warehouse.settings import Settings
loading.BATCH_FILES = 2
settings = Settings.from_environment()
with database.connect(settings) as connection:
    loading.load(connection, settings, pool=ReaderPool(settings, workers=1, reader="tests.integration.odd_reader"))
"""
    environment = os.environ | {"WAREHOUSE_HOME": str(settings.home), "WAREHOUSE_URL": settings.url, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen([sys.executable, "-c", program], env=environment)
    deadline = time.monotonic() + 20
    while one(connection, "select count(*) from intake.file where outcome is not null") == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = one(connection, "select count(*) from intake.file where outcome is not null")
    assert 0 < done < len(names)
    monkeypatch.setattr(loading, "BATCH_FILES", 2)
    load(connection, settings, pool=ReaderPool(settings, workers=1, reader="tests.integration.odd_reader"))
    found = everything(
        connection,
        """select f.original_name, s.version, s.rows_loaded, count(r.row_no) from intake.file f join intake.submission s using (file_id)
           left join raw.cop03 r using (submission_id) group by 1, 2, 3 order by s.version""",
    )
    assert found == [(name, n, 1, 1) for n, name in enumerate(names, 1)]
    assert one(connection, "select count(*) from intake.submission where superseded_by is null") == 1


# ---------------------------------------------------------------- the week to publish


def test_the_week_to_publish_is_the_newest_accepted_one_that_is_due(connection, settings):
    noon = dt.datetime.fromisoformat("2020-06-09T12:00:00+08:00")
    assert publish_week(connection, noon) is None
    bad = sales("2020-W24", 5)
    bad.findings.append(error(bad, 1, "sales"))
    files = [file_of(connection, sales(w, 5), at="2020-06-01T09:00+08:00") for w in ("2020-W22", "2020-W23")]
    load_readings(connection, settings, [*files, file_of(connection, bad, at="2020-06-15T09:00+08:00")])
    assert publish_week(connection, noon) == "2020-W23"
    assert publish_week(connection, noon - dt.timedelta(seconds=1)) == "2020-W22"
    assert publish_week(connection, noon + dt.timedelta(days=30)) == "2020-W23"
    connection.execute("insert into reference.calendar_exceptions (week, county_code, due_at) values ('2020-W23', '*', '2020-06-10T12:00+08')")
    assert publish_week(connection, noon) == "2020-W22"
    connection.commit()
