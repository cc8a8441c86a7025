"""What kind of file it is, by its content; one sentence for what can't be read; bounds for what is hostile."""

import io
import tracemalloc
import zipfile

import openpyxl
import pytest
import xlsxwriter
import xlwt

from tests.unit.reading_files import book, cop03, csv_bytes, read, zipped


def _xlsx(tmp_path) -> bytes:
    return book(tmp_path / "whole.xlsx", {"a": cop03()}).read_bytes()


def _xls(path, rows):
    workbook = xlwt.Workbook()
    sheet = workbook.add_sheet("消费")
    for r, row in enumerate(rows):
        for c, cell in enumerate(row):
            sheet.write(r, c, cell)
    workbook.save(str(path))
    return path


@pytest.mark.parametrize("name", ["a.xlsx", "a.xls", "a.csv", "a.dat"])
@pytest.mark.parametrize("kind", ["xlsx", "xls", "utf-8", "utf-8-sig", "gb18030", "utf-16", "zip"])
def test_read_by_content_not_by_name(tmp_path, kind, name):
    path = tmp_path / name
    if kind == "xlsx":
        path.write_bytes(_xlsx(tmp_path))
    elif kind == "xls":
        _xls(path, cop03())
    elif kind == "zip":
        zipped(path, {"x/一.csv": csv_bytes(cop03(), "gb18030")})
    else:
        path.write_bytes(csv_bytes(cop03(), kind))
    result = read(path)
    assert result.refusal_zh is None
    (form,) = result.forms
    assert (form.form, form.county_code, form.week, form.rows) == ("COP03", "451002", "2020-W24", 4)
    assert [str(v) for v in form.values["sales"]] == ["105000.00", "200000.00", "300000.00", "400000.00"]
    assert form.member == ("x/一.csv" if kind == "zip" else "")


REFUSED = {
    "empty": (b"", "空的"),
    "only blanks": (b"\xef\xbb\xbf \r\n", "空的"),
    "html": ("<html><body><table><tr><td>单位采购</td></tr></table></body></html>".encode(), "网页"),
    "xml": (b"<?xml version='1.0'?><Workbook/>", "网页"),
    "pdf": (b"%PDF-1.4\n\x00\x01\x02" + bytes(range(256)), "不是 Excel"),
    "encrypted": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le") + b"\0" * 600, "密码"),
    "another office file": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600 + "WordDocument".encode("utf-16-le"), "不是 Excel"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_one_sentence(tmp_path, case):
    content, word = REFUSED[case]
    path = tmp_path / "报表.xls"
    path.write_bytes(content)
    result = read(path)
    assert result.forms == [] and word in result.refusal_zh and result.refusal_zh.count("。") == 1


def test_truncated_workbook_is_refused(tmp_path):
    path = tmp_path / "a.xlsx"
    path.write_bytes(_xlsx(tmp_path)[:-700])
    assert "损坏" in read(path).refusal_zh


@pytest.mark.parametrize("member", ["../../x.csv", "/etc/x.csv", "a/../../x.csv", "C:\\x.csv"])
def test_member_outside_the_archive_is_refused(tmp_path, member):
    path = zipped(tmp_path / "a.zip", {"好.csv": csv_bytes(cop03()), member: csv_bytes(cop03())})
    assert "不安全" in read(path).refusal_zh


def test_archive_in_archive_is_told_and_the_rest_read(tmp_path):
    inner = zipped(tmp_path / "i.zip", {"a.csv": csv_bytes(cop03())}).read_bytes()
    result = read(zipped(tmp_path / "o.zip", {"i.zip": inner, "b.csv": csv_bytes(cop03()), "说明.txt": "请查收".encode()}))
    assert [f.member for f in result.forms] == ["b.csv"]
    assert [(f.rule_id, f.member) for f in result.findings] == [("GEN-FORM", "i.zip")]
    assert result.ignored_sheets == ["说明.txt"]


def test_bomb_is_refused_without_unpacking(tmp_path):
    path = tmp_path / "b.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as part:
            for _ in range(120):
                part.write(b" " * 1024**2)
    tracemalloc.start()
    refusal = read(path).refusal_zh
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "反常" in refusal and peak < 20 * 1024**2


def _with_sheet(data: bytes, change) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            content = old.read(info)
            new.writestr(info.filename, change(content) if info.filename.endswith("sheet1.xml") else content)
    return out.getvalue()


def test_declared_dimension_costs_nothing(tmp_path):
    path = tmp_path / "d.xlsx"
    path.write_bytes(_with_sheet(_xlsx(tmp_path), lambda x: x.replace(b'ref="A1:C7"', b'ref="A1:XFD1048576"')))
    assert b"XFD1048576" in zipfile.ZipFile(path).read("xl/worksheets/sheet1.xml")
    (form,) = read(path).forms
    assert form.rows == 4


def test_cell_at_the_far_corner_is_refused(tmp_path):
    path = tmp_path / "f.xlsx"
    far = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
    path.write_bytes(_with_sheet(_xlsx(tmp_path), lambda x: x.replace(b"</sheetData>", far)))
    assert "反常" in read(path).refusal_zh


def test_damaged_column_number_in_an_old_workbook_is_refused(tmp_path):
    rows = cop03([["单位采购", 10.5, 100], *[[f"渠道{i}" * 20, 20, 200] for i in range(200)]])
    data = _xls(tmp_path / "a.xls", rows).read_bytes()
    at = data.index((0x00FD).to_bytes(2, "little") + (10).to_bytes(2, "little"))  # a cell with a shared string
    assert read(tmp_path / "a.xls").refusal_zh is None
    (tmp_path / "b.xls").write_bytes(data[: at + 6] + b"\xff\xff" + data[at + 8 :])
    assert "损坏" in read(tmp_path / "b.xls").refusal_zh


def test_formulas_come_with_their_cached_value(tmp_path):
    path = tmp_path / "f.xlsx"
    path.write_bytes(_with_sheet(_xlsx(tmp_path), lambda x: x.replace(b"<v>10.5</v>", b"<f>5+5.5</f><v>10.5</v>")))
    assert str(read(path).forms[0].values["sales"][0]) == "105000.00"


def test_hidden_and_instruction_sheets_are_ignored(tmp_path):
    sheets = {
        "填表说明": [["填表说明"], ["1.《消费扶贫周报表》按渠道填报。", "每周二"], ["2. 单位", "万元"]],
        "消费": cop03(),
        "下拉选项": [["单位采购", 1], ["商超专柜", 2], ["电商平台", 3]],
        "旧": cop03(county="田东县"),
        "空": [],
    }
    result = read(book(tmp_path / "a.xlsx", sheets, hidden=("旧",)))
    assert [f.county_code for f in result.forms] == ["451002"]
    assert result.findings == [] and set(result.ignored_sheets) == {"填表说明", "下拉选项", "旧", "空"}


def test_unknown_form_is_told_beside_good_ones(tmp_path):
    other = [["春耕备耕进度表"], ["填报单位：右江区"], ["乡镇", "计划面积（亩）", "已完成（亩）"], ["百城街道", 3, 2], ["龙景街道", 3, 2]]
    result = read(book(tmp_path / "a.xlsx", {"春耕": other, "消费": cop03()}))
    assert [f.form for f in result.forms] == ["COP03"]
    assert [(f.rule_id, f.severity, f.sheet, f.value) for f in result.findings] == [("GEN-FORM", "error", "春耕", "春耕备耕进度表")]


def test_macros_and_links_are_not_followed(tmp_path):
    workbook = openpyxl.load_workbook(io.BytesIO(_xlsx(tmp_path)))
    workbook.active["D4"] = "=cmd|'/c calc'!A1"
    path = tmp_path / "m.xlsm"
    workbook.save(path)
    assert read(path).forms[0].rows == 4


def test_a_sheet_that_repeats_few_texts_very_often_is_no_damaged_file(tmp_path):
    rows = cop03([["单位采购", "—", "—"]] * 2000)
    workbook = xlsxwriter.Workbook(tmp_path / "表.xlsx")  # counts every use of a text, as Excel does
    sheet = workbook.add_worksheet()
    for number, row in enumerate(rows):
        sheet.write_row(number, 0, row)
    workbook.close()
    result = read(tmp_path / "表.xlsx")
    assert result.refusal_zh is None and [f.form for f in result.forms] == ["COP03"]
