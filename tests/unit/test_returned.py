"""The workbook that goes back: marks where the faults are, content as it was, nothing executable added."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import zipfile
from pathlib import Path

import openpyxl
import pytest
import xlsxwriter
from openpyxl.comments import Comment
from openpyxl.styles import Font, PatternFill

from ingestion import returned_book
from ingestion.model import Block, ColumnSource, FileReading, Finding, FormReading
from ingestion.returned import write_outbox, write_returned

SHEET = "就业扶贫周报表"
COLUMNS = {"township": ColumnSource(0, "乡镇"), "labour_force": ColumnSource(1, "贫困劳动力人数"), "employed_away": ColumnSource(2, "外出务工人数")}
ROWS = [
    ["甲县就业扶贫周报表", None, None],
    ["填报单位：甲县　截至日期：2020-06-14", None, None],
    ["乡镇", "贫困劳动力人数", "外出务工人数"],
    ["甲镇", 100, 60],
    ["乙镇", 200, "abc"],
]


def form(sheet=SHEET, member="", rows=2):
    return FormReading("EMP01", "1.0.0", "451002", "甲县", "2020-W24", dt.date(2020, 6, 14), member, sheet, [Block(1, member, sheet, (3, 3), COLUMNS)], sheet_row=list(range(4, 4 + rows)))


def fault(rule="GEN-TYPE", severity="error", cell="C5", sheet=SHEET, member="", **more):
    return Finding(rule, severity, "不是整数", "EMP01", "451002", "2020-W24", member, sheet, cell, **{"field": "employed_away", "value": "abc", "expected": "整数", **more})


def reading(path: Path, forms, **more):
    content = path.read_bytes()
    return FileReading(path.name, hashlib.sha256(content).hexdigest(), len(content), forms=forms, **more)


@pytest.fixture
def original(tmp_path):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = SHEET
    for row in ROWS:
        sheet.append(row)
    sheet["A1"].font = Font(bold=True, size=18)
    sheet["A1"].fill = PatternFill("solid", fgColor="DDEEFF")
    sheet.merge_cells("A1:C1")
    sheet.column_dimensions["A"].width = 33
    path = tmp_path / "甲县周报.xlsx"
    book.save(path)
    return path


def returned(original, forms, findings, folder, **more):
    path = write_returned(original, reading(original, forms, **more), findings, folder)
    return path, openpyxl.load_workbook(path)


def test_faulty_cell_is_filled_and_told_and_the_look_stays(original, tmp_path):
    path, book = returned(original, [form()], [fault(), fault("EMP-009", "warning", difference="-3")], tmp_path / "out")
    assert path.name == "甲县周报（检查结果）.xlsx"
    assert book.sheetnames == ["检查结果说明", SHEET]
    cell = book[SHEET]["C5"]
    assert cell.value == "abc"
    assert cell.fill.fgColor.rgb.endswith("F8C9C4")  # the graver of the two
    for part in ("GEN-TYPE", "EMP-009", "不是整数", "填报：abc", "应为：整数", "差额：-3", "改正："):
        assert part in cell.comment.text
    assert book[SHEET]["A1"].font.size == 18 and book[SHEET].column_dimensions["A"].width == 33
    assert "A1:C1" in {str(r) for r in book[SHEET].merged_cells.ranges}
    assert book[SHEET]["C4"].comment is None and book[SHEET]["B5"].value == 200


def test_summary_lists_forms_and_findings_with_links(original, tmp_path):
    _, book = returned(original, [form()], [fault("EMP-009", "warning", "C4"), fault()], tmp_path / "out")
    summary = book["检查结果说明"]
    values = [[c.value for c in row] for row in summary.iter_rows()]
    assert ["就业扶贫周报表", SHEET, "退回", "2020-W24", 2] in [row[2:7] for row in values]
    listed = {row[6]: (row[1], row[4], row[5]) for row in values if row[6] in ("GEN-TYPE", "EMP-009")}
    assert listed == {"GEN-TYPE": ("错误", "C5", "外出务工人数"), "EMP-009": ("提醒", "C4", "外出务工人数")}
    links = {c.hyperlink.location for row in summary.iter_rows() for c in row if c.hyperlink}
    assert links == {f"'{SHEET}'!C5", f"'{SHEET}'!C4"}


def test_warnings_alone_leave_the_form_accepted(original, tmp_path):
    _, book = returned(original, [form()], [fault("EMP-009", "warning")], tmp_path / "out")
    states = [row[4].value for row in book["检查结果说明"].iter_rows() if row[2].value == "就业扶贫周报表" and row[7].value and "条" in str(row[7].value)]
    assert states == ["已接收"]


def test_a_finding_without_cell_marks_its_heading(original, tmp_path):
    _, book = returned(original, [form()], [fault("EMP-009", "warning", "")], tmp_path / "out")
    assert "EMP-009" in book[SHEET]["C3"].comment.text


def test_a_finding_in_a_merged_cell_marks_its_corner(original, tmp_path):
    _, book = returned(original, [form()], [fault(cell="B1")], tmp_path / "out")
    assert "GEN-TYPE" in book[SHEET]["A1"].comment.text


def test_text_never_becomes_a_formula_and_odd_formulas_become_values(original, tmp_path):
    book = openpyxl.load_workbook(original)
    sheet = book[SHEET]
    sheet["A4"].value = "=1+1"
    sheet["A4"].data_type = "s"
    sheet["B4"].value = "=SUM(C4:C4)"
    sheet["D4"].value = '=WEBSERVICE("http://example.invalid/"&A4)'
    sheet["D5"].value = "=[1]Sheet1!A1"
    sheet["D6"].value = "@甲"
    sheet["D6"].hyperlink = "http://example.invalid/"
    book.save(original)
    _, book = returned(original, [form()], [fault(value="=1+1", difference="-3")], tmp_path / "out")
    sheet = book[SHEET]
    assert (sheet["A4"].value, sheet["A4"].data_type, sheet["A4"].quotePrefix) == ("=1+1", "s", True)
    assert (sheet["B4"].value, sheet["B4"].data_type) == ("=SUM(C4:C4)", "f")
    assert sheet["D4"].data_type != "f" and sheet["D5"].data_type != "f"
    assert sheet["D6"].data_type == "s" and sheet["D6"].hyperlink is None
    assert not [c for row in book["检查结果说明"].iter_rows() for c in row if c.data_type == "f"]


def test_formulas_that_stay_keep_the_value_they_showed(tmp_path):
    path = tmp_path / "公式.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet(SHEET)
        for number, row in enumerate(ROWS):
            sheet.write_row(number, 0, row)
        sheet.write_formula("B6", "=SUM(B4:B5)", None, 300)
        sheet.write_formula("C6", '=IF(B6<1,"<无>","&有")', None, "&有")
        sheet.write_formula("D6", "=B6/0", None, "#DIV/0!")
    out = write_returned(path, reading(path, [form()]), [fault()], tmp_path / "out")
    shown, kept = (openpyxl.load_workbook(out, data_only=d)[SHEET] for d in (True, False))
    assert [shown[a].value for a in ("B6", "C6", "D6")] == [300, "&有", "#DIV/0!"]
    assert [kept[a].value for a in ("B6", "C6", "D6")] == ["=SUM(B4:B5)", '=IF(B6<1,"<无>","&有")', "=B6/0"]


def test_mended_and_sent_again_loses_the_old_marks(original, tmp_path):
    first, _ = returned(original, [form()], [fault()], tmp_path / "out")
    _, book = returned(first, [form()], [fault("EMP-009", "warning", "C4")], tmp_path / "again")
    assert book.sheetnames == ["检查结果说明", SHEET]
    assert book[SHEET]["C5"].comment is None and book[SHEET]["C5"].fill.fill_type is None
    assert "EMP-009" in book[SHEET]["C4"].comment.text


def test_the_countys_own_comment_is_kept(original, tmp_path):
    book = openpyxl.load_workbook(original)
    book[SHEET]["C5"].comment = Comment("已与镇里核实", "县里")
    book.save(original)
    _, book = returned(original, [form()], [fault()], tmp_path / "out")
    assert "已与镇里核实" in book[SHEET]["C5"].comment.text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_csv_comes_back_as_a_workbook_with_the_same_content(tmp_path, encoding):
    path = tmp_path / "甲县.csv"
    lines = [",".join(str(v) if v is not None else "" for v in row) for row in ROWS] + ['=HYPERLINK("x"),-5,007']
    path.write_bytes("\r\n".join(lines).replace('"x"', '""x""').replace("=HYPERLINK", '"=HYPERLINK').replace(")", ')"').encode(encoding))
    _, book = returned(path, [form(sheet="")], [fault(sheet="")], tmp_path / "out")
    sheet = book.worksheets[1]
    assert [c.value for c in sheet[5]] == ["乙镇", "200", "abc"]
    assert [(c.value, c.data_type) for c in sheet[6]] == [('=HYPERLINK("x")', "s"), ("-5", "s"), ("007", "s")]
    assert "GEN-TYPE" in sheet["C5"].comment.text


def test_zip_comes_back_as_a_zip_with_one_workbook_a_member(original, tmp_path):
    path = tmp_path / "甲县.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(original, "a/一.xlsx")
        archive.writestr("二.csv", "乡镇,贫困劳动力人数,外出务工人数\n甲镇,1,x\n".encode("gb18030"))
        archive.writestr("../../三.csv", "不相干")
    forms = [form(member="a/一.xlsx"), form(sheet="", member="二.csv", rows=1)]
    findings = [fault(member="a/一.xlsx"), fault(sheet="", member="二.csv", cell="C2")]
    out = write_returned(path, reading(path, forms), findings, tmp_path / "out")
    assert out.name == "甲县（检查结果）.zip"
    with zipfile.ZipFile(out) as archive:
        assert sorted(archive.namelist()) == ["一（检查结果）.xlsx", "二（检查结果）.xlsx"]
        second = openpyxl.load_workbook(io.BytesIO(archive.read("二（检查结果）.xlsx")))
    assert "GEN-TYPE" in second.worksheets[1]["C2"].comment.text


def test_a_refused_file_gets_the_sentence(tmp_path):
    path = tmp_path / "坏.xls"
    path.write_bytes(b"<html>")
    _, book = returned(path, [], [], tmp_path / "out", refusal_zh="这不是 Excel 文件，请另存为 .xlsx。")
    assert book.sheetnames == ["检查结果说明"]
    assert "这不是 Excel 文件，请另存为 .xlsx。" in [c.value for row in book["检查结果说明"].iter_rows() for c in row]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"\xd0\xcf\x11\xe0 broken", b"\x00" * 50])
def test_an_original_that_cannot_be_opened_still_gives_the_list(tmp_path, content):
    path = tmp_path / "坏.xlsx"
    path.write_bytes(content)
    _, book = returned(path, [form()], [fault()], tmp_path / "out")
    assert "GEN-TYPE" in [row[6].value for row in book["检查结果说明"].iter_rows()]


def test_when_openpyxl_fails_the_values_are_copied(original, tmp_path, monkeypatch):
    monkeypatch.setattr(returned_book, "_marked_copy", lambda *_: 1 / 0)
    _, book = returned(original, [form()], [fault()], tmp_path / "out")
    assert book[SHEET]["B5"].value == 200 and "GEN-TYPE" in book[SHEET]["C5"].comment.text


def test_a_csv_looks_like_a_table_and_its_text_stays_text(tmp_path):
    path = tmp_path / "甲县.csv"
    path.write_text("甲县就业扶贫周报表\n填报单位：甲县\n乡镇,贫困劳动力人数,外出务工人数\n=1+1,100,abc\n乙镇,200,3\n", encoding="utf-8")
    _, book = returned(path, [form(sheet="")], [fault(sheet="", cell="C4")], tmp_path / "out")
    sheet = book.worksheets[1]
    seen = {c.coordinate: (bool(c.font.b), c.alignment.horizontal, c.border.left.style) for row in sheet.iter_rows() for c in row if c.value is not None}
    assert seen["A3"] == seen["C3"] == (True, "center", "thin")
    assert seen["B4"] == seen["A5"] == (False, None, "thin")
    assert seen["A2"] == (False, None, None)
    assert (sheet["A4"].value, sheet["A4"].data_type, sheet["A4"].quotePrefix, sheet["A4"].border.left.style) == ("=1+1", "s", True, "thin")
    assert not sheet["A5"].quotePrefix and sheet["C4"].fill.fgColor.rgb.endswith("F8C9C4")


def test_a_large_list_comes_back_slim(tmp_path):
    path = tmp_path / "大.csv"
    lines = ["奖补资金发放明细表", "填报单位：甲县", "流水号,金额"] + [f"{n},{n}" for n in range(4, 100_004)]
    path.write_text("\n".join(lines), encoding="utf-8")
    big = FormReading("IND02", "1", "451002", "", "2020-W24", None, "", "", [Block(1, "", "", (3, 3), {})], sheet_row=list(range(100_000)))
    _, book = returned(path, [big], [Finding("GEN-TYPE", "error", "x", "IND02", "451002", "2020-W24", cell="B50000")], tmp_path / "out")
    rows = list(book.worksheets[1].iter_rows(values_only=True))
    assert [r[0] for r in rows] == [1, 2, 3, 50_000]
    assert rows[3][1:] == ("50000", "50000")
    assert "GEN-TYPE" in book.worksheets[1]["C4"].comment.text


def test_same_name_from_another_file_does_not_overwrite_and_the_same_file_does(original, tmp_path):
    first, _ = returned(original, [form()], [fault()], tmp_path / "out")
    again, _ = returned(original, [form()], [fault()], tmp_path / "out")
    book = openpyxl.load_workbook(original)
    book[SHEET]["B5"] = 201
    book.save(original)
    other, _ = returned(original, [form()], [fault()], tmp_path / "out")
    assert first == again != other


@pytest.mark.database
def test_outbox_from_the_database_holds_what_is_not_clean(connection, settings, original):
    content = original.read_bytes()
    sha = hashlib.sha256(content).hexdigest()
    kept = settings.archive / sha[:2] / sha
    kept.parent.mkdir(parents=True)
    kept.write_bytes(content)
    ids = [
        connection.execute(
            "insert into intake.file (sha256, original_name, original_path, size_bytes, received_at, outcome, message_zh) values (%s, %s, %s, 1, '2020-06-15 10:00+08', %s, %s) returning file_id",
            [digest, name, name, outcome, message],
        ).fetchone()[0]
        for digest, name, outcome, message in (
            (sha, "甲县周报.xlsx", "returned", None),
            ("0" * 64, "clean.xlsx", "loaded", None),
            ("1" * 64, "坏.xls", "refused", "文件已加密。"),
        )
    ]
    layout = '[{"block": 1, "member": "", "sheet": "就业扶贫周报表", "columns": {"employed_away": {"col": "C", "heading": "外出务工人数", "factor": "1"}}}]'
    submission = connection.execute(
        """insert into intake.submission (file_id, form, contract_version, county_code, week, version, received_at, state, rows_read, rows_loaded, rows_rejected, sheet, layout)
           values (%s, 'EMP01', '1.0.0', '451002', '2020-W24', 1, '2020-06-15 10:00+08', 'returned', 2, 0, 2, '就业扶贫周报表', %s) returning submission_id""",
        [ids[0], layout],
    ).fetchone()[0]
    connection.execute("insert into intake.rejected_row select %s, n, 1, n + 3 from generate_series(1, 2) n", [submission])
    for cell, rule, stage in (("C5", "GEN-TYPE", "reading"), ("", "EMP-009", "acceptance"), ("C4", "IND-008", "judgement")):
        connection.execute(
            """insert into quality.finding (rule_id, severity, stage, week, county_code, form, file_id, submission_id, sheet, cell, field, message_zh)
               values (%s, 'error', %s, '2020-W24', '451002', 'EMP01', %s, %s, '就业扶贫周报表', %s, 'employed_away', '不对')""",
            [rule, stage, ids[0], submission, cell],
        )
    paths = write_outbox(connection, settings, ids)
    assert [str(p.relative_to(settings.outbox)) for p in paths] == ["451002/2020-W24/甲县周报（检查结果）.xlsx", "未识别/2020-W25/坏（检查结果）.xlsx"]
    book = openpyxl.load_workbook(paths[0])
    marked = {c.coordinate for row in book[SHEET].iter_rows() for c in row if c.comment}
    assert marked == {"C5", "C3"}  # the finding without a cell marks its heading; judgements come after the file went back
