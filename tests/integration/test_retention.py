"""Personal data is erased from an archived original: just those cells, on record, and the trail holds."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import zipfile

import openpyxl
import psycopg
import pytest

from ingestion import personal, retention
from ingestion.containers import sheets_of
from ingestion.retention import Place
from warehouse import originals
from warehouse.keys import keyring
from warehouse.settings import WarehouseError

ID_NUMBER, OTHER = "451026199001011234", "451026198502022345"


def workbook() -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "明细 & 表"
    for row in (["姓名", "身份证号", "金额"], ["张三", ID_NUMBER, 1200.5], ["李四", OTHER, 800], ["张三", "无", None]):
        sheet.append(row)
    sheet["D2"] = "=C2*2"
    book.create_sheet("其他").append([OTHER])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def table(encoding="utf-8-sig") -> bytes:
    return f'姓名,身份证号,"金额,元"\r\n张三,{ID_NUMBER},1200.5\r\n李四,{OTHER},800\r\n'.encode(encoding)


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("明细.xlsx", workbook())
        made.writestr("明细.csv", table())
    return out.getvalue()


def cells(data):
    return {(g.member, g.name): [list(r) for r in g.rows] for g in sheets_of(data)}


def inside(data: bytes) -> bytes:
    """Everything in a file, unpacked, at any depth."""
    if not data.startswith(b"PK"):
        return data
    with zipfile.ZipFile(io.BytesIO(data)) as made:
        return b"".join(inside(made.read(n)) for n in made.namelist())


@pytest.mark.parametrize(
    ("data", "member", "sheet", "cell"),
    [
        (workbook(), "", "明细 & 表", "B2"),
        (table(), "", "", "B2"),
        (table("gb18030"), "", "", "B2"),
        (archive(), "明细.xlsx", "明细 & 表", "B2"),
        (archive(), "明细.csv", "", "B2"),
    ],
    ids=["xlsx", "csv", "gbk", "zip-xlsx", "zip-csv"],
)
def test_just_that_cell_is_blank_and_the_text_is_nowhere_in_the_file(data, member, sheet, cell):
    before, after = cells(data), retention.blanked(data, [Place(member, sheet, cell)])
    expected = {key: [list(row) for row in rows] for key, rows in before.items()}
    assert expected[member, sheet][1][1] == ID_NUMBER
    expected[member, sheet][1][1] = ""
    assert cells(after) == expected
    others = sum(any(ID_NUMBER in map(str, row) for row in rows) for rows in expected.values())
    assert (ID_NUMBER.encode() in inside(after)) == bool(others)


def test_formulas_stay_and_a_text_that_another_cell_shares_stays_there():
    after = retention.blanked(workbook(), [Place("", "明细 & 表", "A2"), Place("", "明细 & 表", "B3")])
    book = openpyxl.load_workbook(io.BytesIO(after))
    sheet = book["明细 & 表"]
    assert (sheet["A2"].value, sheet["A4"].value, sheet["B3"].value, sheet["D2"].value) == (None, "张三", None, "=C2*2")
    assert book["其他"]["A1"].value == OTHER


def test_a_name_that_windows_wrote_in_gbk_stays_the_same_member():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr(zipfile.ZipInfo("MMMM.csv"), table())
    data = out.getvalue().replace(b"MMMM.csv", "明细".encode("gb18030") + b".csv")
    ((member, sheet),) = cells(data)
    assert member == "明细.csv"
    after = cells(retention.blanked(data, [Place(member, sheet, "B2")]))
    assert set(after) == {(member, sheet)} and after[member, sheet][1][1] == ""


@pytest.mark.parametrize(("sheet", "cell"), [("不存在", "B2"), ("明细 & 表", "B0"), ("明细 & 表", "二")])
def test_a_place_that_is_not_there_is_named(sheet, cell):
    with pytest.raises(WarehouseError):
        retention.blanked(workbook(), [Place("", sheet, cell)])


def test_numbers_are_found_wherever_they_stand():
    assert retention.find_numbers(workbook(), {OTHER}) == [Place("", "明细 & 表", "B3"), Place("", "其他", "A1")]
    assert retention.find_numbers(b"\x00\x01 no table", {OTHER}) == []


# ---------------------------------------------------------------- in the database


@pytest.fixture
def received(connection, settings):
    """A payout list in the archive, loaded: two rows, with its layout."""
    data = workbook()
    sha256 = hashlib.sha256(data).hexdigest()
    assert originals.store(settings, io.BytesIO(data)) == (sha256, len(data))
    file_id = connection.execute(
        "insert into intake.file (sha256, original_name, original_path, size_bytes, received_at, outcome) values (%s, '明细.xlsx', '明细.xlsx', %s, '2020-06-15', 'loaded') returning file_id",
        [sha256, len(data)],
    ).fetchone()[0]
    layout = '[{"block": 1, "member": "", "sheet": "明细 & 表", "columns": {"id_number": {"col": "B"}, "payee": {"col": "A"}}}]'
    submission = connection.execute(
        """insert into intake.submission (file_id, form, contract_version, county_code, week, as_of_date, version, received_at, state, rows_read, rows_loaded, rows_rejected, layout)
           values (%s, 'IND02', '1.0.0', '451026', '2020-W24', '2020-06-14', 1, '2020-06-15', 'on_time', 2, 2, 0, %s) returning submission_id""",
        [file_id, layout],
    ).fetchone()[0]
    for row in (2, 3):
        connection.execute("insert into raw.ind02 (submission_id, row_no, block_no, sheet_row, id_key) values (%s, %s, 1, %s, 'k')", [submission, row - 1, row])
    personal.write(connection, submission, [personal.seal("IND02", 1, 2, {"id_number": [ID_NUMBER, OTHER], "source_text": [{"id_number": ID_NUMBER}, None]}, keyring(settings))])
    connection.commit()
    return file_id, submission, sha256


WHO = {"by": "李科长", "reason": "本人申请"}
CELL = [Place("", "明细 & 表", "B2")]


@pytest.mark.database
def test_an_erasure_is_on_record_and_the_hash_of_what_came_stays(connection, settings, received):
    file_id, submission, sha256 = received
    done = retention.erase(connection, settings, file_id=file_id, cells=CELL, **WHO)
    assert ID_NUMBER.encode() not in inside(originals.read(settings, sha256))
    assert originals.digest(settings, sha256) == done.sha256_after == retention.expected_hashes(connection)[sha256] != sha256
    assert connection.execute("select sha256 from intake.file where file_id = %s", [file_id]).fetchone() == (sha256,)
    said = connection.execute("select cells, erased_by, reason, sha256_before from intake.erasure").fetchone()
    assert said == ([{"member": "", "sheet": "明细 & 表", "cell": "B2"}], "李科长", "本人申请", sha256)
    assert personal.values_of(connection, submission, "IND02", keyring(settings)) == {2: {"id_number": OTHER}}
    assert connection.execute("select id_key from raw.ind02").fetchall() == [("k",), ("k",)]
    assert done.rows_blanked == 1
    second = retention.erase(connection, settings, file_id=file_id, cells=[Place("", "明细 & 表", "B3")], **WHO)
    assert retention.expected_hashes(connection) == {sha256: second.sha256_after}


@pytest.mark.database
@pytest.mark.parametrize("wrong", [{"by": " "}, {"reason": ""}, {"file_id": 99}, {"cells": []}, {"cells": [Place("", "没有", "A1")]}], ids=lambda w: next(iter(w)))
def test_an_erasure_that_cannot_be_changes_nothing(connection, settings, received, wrong):
    file_id, _, sha256 = received
    with pytest.raises(WarehouseError):
        retention.erase(connection, settings, **({"file_id": file_id, "cells": CELL} | WHO | wrong))
    assert originals.digest(settings, sha256) == sha256
    assert connection.execute("select count(*) from intake.erasure").fetchone() == (0,)


@pytest.mark.database
def test_the_record_cannot_be_changed(connection, settings, received):
    retention.erase(connection, settings, file_id=received[0], cells=CELL, **WHO)
    for statement in ("delete from intake.erasure", "update intake.erasure set reason = 'x'"):
        with pytest.raises(psycopg.Error, match="append-only"):
            connection.execute(statement)
        connection.rollback()


@pytest.mark.database
def test_a_number_is_found_in_the_archive_with_the_persons_other_cells(connection, settings, received):
    found = retention.find_in_archive(connection, settings, {OTHER.lower()})
    assert set(found) == {received[0]}
    assert Place("", "明细 & 表", "B3") in found[received[0]] and Place("", "其他", "A1") in found[received[0]]


@pytest.mark.database
def test_what_is_past_its_time(connection, received):
    assert retention.past(connection, dt.date(2030, 6, 14)) == []
    assert [f for f, *_ in retention.past(connection, dt.date(2030, 6, 16))] == [received[0]]
    assert retention.policy()["originals_years"] == 10 == retention.policy()["publications_years"]
