"""Recognition and layout: titles, headings, tables that run on, totals, notes, county and week."""

import datetime as dt

import pytest

from ingestion.grid import a1
from tests.unit.reading_files import (
    COP03,
    COP03_ROWS,
    RECEIVED,
    SIGNED,
    book,
    cop03,
    csv_bytes,
    faults,
    head,
    read,
    read_rows,
    zipped,
)

CHANNELS = ["procurement", "supermarket", "online", "fair"]
SOC = ["乡镇", "农村低保对象", "其中：未脱贫贫困人口", "特困供养人员", "孤儿", "残疾人两项补贴", "贫困人口参加医保", "累计发放低保金"]
TOWNSHIPS = ["百城街道", "龙景街道", "阳圩镇", "四塘镇", "龙川镇", "永乐镇", "汪甸瑶族乡", "大楞乡", "泮水乡"]
SOC_ROWS = [[t, 10 + i, 5, 3, 2, 1, 20, 1.5] for i, t in enumerate(TOWNSHIPS)]


def soc(rows, heading=None):
    return [*head("兜底保障周报表"), heading or SOC, *rows]


@pytest.mark.parametrize(
    "headings",
    [
        ["渠道", "销售金额", "带动贫困人口"],
        ["销　售　渠　道", "采购销\n售金额 （万元）", "惠及贫困\n人口（人）"],
        ["销售渠道", "采购销售金额(万元)", "惠及贫困人口（单位：人）"],
        ["销售渠道 ", "采购销售金额（ 万元 ）", "惠及贫困人口"],
    ],
)
def test_headings_vary(tmp_path, headings):
    reading = read_rows(tmp_path, cop03(heading=headings))
    assert reading.values["channel"] == CHANNELS and str(reading.values["sales"][0]) == "105000.00" and not faults(reading)


def test_other_order_and_extra_columns(tmp_path):
    heading = ["序号", "惠及贫困人口", "包联单位", "销售渠道", "采购销售金额", "备注", "变化原因"]
    rows = [[i + 1, p, "市财政局", c, s, "已核", "退货" if i == 2 else ""] for i, (c, s, p) in enumerate(COP03_ROWS)]
    reading = read_rows(tmp_path, cop03(rows, heading))
    assert reading.values["channel"] == CHANNELS and reading.values["poor_persons_benefited"] == [100, 200, 300, 400]
    assert [(f.rule_id, f.severity, f.cell, f.value) for f in reading.findings] == [("GEN-COLUNK", "warning", "C3", "包联单位")]
    assert reading.extra[0] == {"包联单位": "市财政局", "备注": "已核"}
    assert reading.change_reason == [None, None, "退货", None]


def test_missing_required_column_returns_the_form(tmp_path):
    rows = [[c, "不详"] for c, _, _ in COP03_ROWS]
    reading = read_rows(tmp_path, cop03(rows, ["销售渠道", "惠及贫困人口"]))
    assert faults(reading) == [("GEN-COLMISS", "", "", "sales")] and reading.rows == 4 and not reading.acceptable


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_totals_blank_rows_notes_and_signatures_are_no_rows(tmp_path, place):
    rows = [list(r) for r in COP03_ROWS]
    rows.insert({"first": 0, "middle": 2, "last": 4}[place], ["合　计", 100.5, 1000])
    rows.insert(3, ["", "", ""])
    rows += [["注：1.本表由扶贫办填报；"], ["2.数据截至周日。"], ["变化原因：展销活动退货"], SIGNED]
    reading = read_rows(tmp_path, cop03(rows))
    assert reading.values["channel"] == CHANNELS and reading.change_note == "展销活动退货"
    assert not reading.findings  # the total is found, and agrees


def test_total_that_disagrees_is_seen_by_the_checks(tmp_path):
    reading = read_rows(tmp_path, cop03([*COP03_ROWS, ["合计", 100.5, 1001]]))
    assert [(f.cell, f.row_key, f.field) for f in reading.findings] == [("C8", "", "poor_persons_benefited")]


def test_tables_run_on_downwards(tmp_path):
    rows = [*COP03_ROWS[:2], ["", "", ""], ["消费扶贫周报表（续表）"], COP03, *COP03_ROWS[2:], ["合计", 100.5, 1000]]
    reading = read_rows(tmp_path, cop03(rows))
    assert reading.values["channel"] == CHANNELS and not reading.findings
    assert reading.block_no == [1, 1, 2, 2] and reading.sheet_row == [4, 5, 9, 10]


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("turned", [False, True])
def test_other_columns_of_the_same_rows(tmp_path, beside, turned):
    """续表 to the right or below with the key and the rest of the columns, perhaps in another order."""
    left = [r[:4] for r in SOC_ROWS]
    right = [[r[0], *r[4:]] for r in (reversed(SOC_ROWS) if turned else SOC_ROWS)]
    if beside:
        table = [[*SOC[:4], "", SOC[0], *SOC[4:]], *[[*a, "", *b] for a, b in zip(left, right, strict=True)]]
    else:
        table = [SOC[:4], *left, ["续表"], [SOC[0], *SOC[4:]], *right]
    reading = read_rows(tmp_path, [*head("兜底保障周报表"), *table])
    assert reading.rows == 9 and not reading.findings
    assert reading.values["low_income_persons"] == [10 + i for i in range(9)] and reading.values["orphans"] == [2] * 9
    for i in range(9):  # the cell that layout gives for a value holds the row's own key beside it
        block = reading.blocks[reading.block_no[i] - 1]
        source = block.columns["orphans"]
        row = reading.sheet_row[i] + source.row_offset
        assert table[row - 3][source.col - 1] == SOC_ROWS[i][0], a1(row, source.col)


def test_newspaper_columns_are_further_rows(tmp_path):
    table = [[*COP03, "", *COP03], [*COP03_ROWS[0], "", *COP03_ROWS[2]], [*COP03_ROWS[1], "", *COP03_ROWS[3]]]
    reading = read_rows(tmp_path, [*head(), *table])
    assert sorted(reading.values["channel"]) == sorted(CHANNELS) and not reading.findings


def test_two_forms_on_one_sheet(tmp_path):
    result = read(book(tmp_path / "a.xlsx", {"汇总": [*cop03(), SIGNED, [""], *soc(SOC_ROWS), SIGNED]}))
    assert [(f.form, f.rows, f.county_code, f.week) for f in result.forms] == [("COP03", 4, "451002", "2020-W24"), ("SOC01", 9, "451002", "2020-W24")]


def test_form_goes_on_in_another_sheet(tmp_path):
    result = read(book(tmp_path / "a.xlsx", {"1": cop03(COP03_ROWS[:2]), "2": [COP03, *COP03_ROWS[2:]]}))
    (form,) = result.forms
    assert form.values["channel"] == CHANNELS and [b.sheet for b in form.blocks] == ["1", "2"] and form.week == "2020-W24"


MERGED = ["A3:A5", "B3:H3", "B4:C4", "D4:F4", "G4:G5", "H4:H5"]


@pytest.mark.parametrize("merges", [MERGED, []], ids=["merged", "unmerged"])
def test_headings_of_three_rows(tmp_path, merges):
    headings = [
        ["乡镇", "主要指标", "", "", "", "", "", ""],
        ["", "农村低保情况", "", "其他保障对象", "", "", "贫困人口参加医保（人）", "累计发放低保金（元）"],
        ["", "低保人数", "其中：未脱贫贫困人口", "五保户", "孤儿", "残疾人两项补贴", "", ""],
    ]
    reading = read_rows(tmp_path, [*head("兜底保障周报表"), *headings, *SOC_ROWS], merges=merges)
    assert reading.rows == 9 and not reading.findings and reading.blocks[0].header_rows == (3, 5)
    assert str(reading.values["subsidy_paid"][0]) == "1.50"  # the heading's 元 beats the line's 万元


def test_row_of_column_numbers_is_no_data(tmp_path):
    assert read_rows(tmp_path, cop03([["甲", 1, 2], *COP03_ROWS])).rows == 4
    reading = read_rows(tmp_path, soc([["甲", 1, 2, 3, 4, 5, 6, 7], *SOC_ROWS]))
    assert reading.rows == 9 and not faults(reading)


def test_group_labels_and_subtotals(tmp_path):
    heading = ["项目编号", "项目名称", "资金来源", "项目类型", "下达资金", "到位资金", "已支出资金", "项目状态", "带动贫困人口"]

    def row(n, source):
        return [f"YG{n}", "甲项目", source, "产业", 100, 90, 80, "在建", 5]

    rows = [["一、广东省财政"], row(1, "广东省财政"), row(2, ""), ["小计", "", "", "", 200, 180, 160, "", 10], ["二、社会帮扶"], row(3, "社会帮扶")]
    rows.append(["合计", "", "", "", 300, 270, 240, "", 15])
    reading = read_rows(tmp_path, [*head("粤桂扶贫协作资金项目台账"), heading, *rows], merges=["C5:C6"])
    assert reading.values["project_no"] == ["YG1", "YG2", "YG3"]
    assert reading.values["fund_source"] == ["guangdong", "guangdong", "social"]  # one cell merged over two rows
    assert not faults(reading)


@pytest.mark.parametrize("rows", [[], [[c] for c, _, _ in COP03_ROWS], [[c, "—", "/"] for c, _, _ in COP03_ROWS]])
def test_keys_and_nothing_else_is_an_empty_report(tmp_path, rows):
    reading = read_rows(tmp_path, cop03([*rows, SIGNED]))
    assert reading.empty and reading.rows == 0 and reading.acceptable


# County and week


@pytest.mark.parametrize(
    ("county", "code"),
    [("右江区", "451002"), ("隆林县", "451031"), ("隆林各族自治县扶贫办", "451031"), ("田阳县", "451003"), ("百色市平果县扶贫开发办公室", "451082"), ("靖西", "451081")],
)
def test_county_names(tmp_path, county, code):
    assert read_rows(tmp_path, cop03(county=county)).county_code == code


def test_unknown_county_is_returned(tmp_path):
    reading = read_rows(tmp_path, cop03(county="东兰县"))
    assert reading.county_code is None and reading.county_text == "东兰县" and [f[0] for f in faults(reading)] == ["GEN-COUNTY"]


@pytest.mark.parametrize(
    "date", ["2020年6月14日", "2020.6.14", "2020/6/14", "2020-06-14", "6月14日", "20200614", "２０２０年６月１４日", "2020年第24周", "第24期"]
)
def test_week_from_as_of_date(tmp_path, date):
    reading = read_rows(tmp_path, cop03(date=date))
    assert (reading.week, reading.as_of_date) == ("2020-W24", dt.date(2020, 6, 14)) and not faults(reading)


@pytest.mark.parametrize(
    "title",
    [
        [["右江区消费扶贫周报表"], ["填报单位", "右江区", "截至日期", dt.date(2020, 6, 14), "单位", "人、万元"]],
        [["右江区消费扶贫周报表"], ["填报单位（盖章）：右江区扶贫办　　截至日期：6月14日　　单位：人、万元"]],
        [["右江区2020年第24周消费扶贫周报表"], ["单位：万元"]],
        [["附件7"], ["消 费 扶 贫 周 报 表"], ["填报单位：右江区"], ["截至日期：", 43996], ["（单位：万元）", "", "金额单位：万元"]],
    ],
)
def test_title_blocks(tmp_path, title):
    reading = read_rows(tmp_path, [*title, COP03, *COP03_ROWS])
    assert (reading.form, reading.county_code, reading.week) == ("COP03", "451002", "2020-W24")
    assert str(reading.values["sales"][0]) == "105000.00" and not faults(reading)


def test_week_not_yet_come(tmp_path):
    reading = read_rows(tmp_path, cop03(date="2020-07-26"))
    assert [f[0] for f in faults(reading)] == ["GEN-WEEK"] and reading.week == "2020-W30"
    assert not faults(read_rows(tmp_path, cop03(date="2020-06-21")))  # the running week has come


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("右江区消费扶贫周报表（第24周）.xlsx", False),
        ("右江区_2020W24.xlsx", False),
        ("周报0614.xlsx", False),
        ("周报0615.xlsx", False),  # the day it was sent
        ("平果县.xlsx", True),
        ("右江区（第23周）.xlsx", True),
        ("右江区第23期.xlsx", True),
        ("右江区0607.xlsx", True),
    ],
)
def test_name_that_contradicts_is_a_warning(tmp_path, name, told):
    reading = read_rows(tmp_path, cop03(), name=name)
    assert [f[0] for f in faults(reading)] == (["GEN-NAME"] if told else []) and reading.week == "2020-W24" and reading.acceptable


def test_name_supports_where_the_content_says_nothing(tmp_path):
    reading = read_rows(tmp_path, [["消费扶贫周报表"], ["单位：万元"], COP03, *COP03_ROWS], name="右江区第24周.xlsx")
    assert (reading.county_code, reading.week) == ("451002", "2020-W24")


def test_a_strange_sheet_among_those_of_one_sender_is_returned(tmp_path):
    mon = [*head("防止返贫监测预警周报表"), ["乡镇", "脱贫不稳定户", "脱贫不稳定人口", "边缘易致贫户"]]
    epi = [*head("疫情影响分析周报表"), ["影响类别", "受影响数", "其中：已解决数"]]
    result = read(book(tmp_path / "a.xlsx", {"1": cop03(county="田东县"), "2": soc(SOC_ROWS), "3": mon, "4": epi}))
    assert {f.form: f.county_code for f in result.forms} == {"COP03": "451022", "SOC01": "451002", "MON01": "451002", "EPI01": "451002"}
    assert [f.form for f in result.forms if faults(f, "GEN-COUNTY")] == ["COP03"]


def test_members_of_an_archive(tmp_path):
    path = zipped(tmp_path / "右江区_W24.zip", {"1.csv": csv_bytes(cop03()), "2.csv": csv_bytes(soc(SOC_ROWS), "gb18030")})
    result = read(path)
    assert [(f.form, f.member, f.sheet) for f in result.forms] == [("COP03", "1.csv", ""), ("SOC01", "2.csv", "")]
    assert RECEIVED.tzinfo is not None and result.findings == []
