"""Columns that say which week they are of, lines of a group, foot lines and parts of a table."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
import xlsxwriter

from tests.unit.reading_files import COP03, COP03_ROWS, book, csv_bytes, faults, head, read, read_rows
from tests.unit.test_other_layouts import (
    COP01,
    EMP01,
    MON01,
    clean,
    emp01_rows,
    mon01_rows,
    project,
    townships,
)

SALES = [Decimal(105000), Decimal(200000), Decimal(300000), Decimal(400000)]
KEYED = ["A3:A4", "B3:C3", "D3:E3"]


# This week beside another one


@pytest.mark.parametrize(("this", "last"), [("本周", "上周"), ("本周数", "上周数"), ("本期", "上期"), ("（本周）", "较上周±")])
def test_this_weeks_figure_below_its_heading(tmp_path, this, last):
    upper, lower = ["销售渠道", "采购销售金额", "", "惠及贫困人口", ""], ["", last, this, last, this]
    rows = [[name, 1, money, 2, persons] for name, money, persons in COP03_ROWS]
    form = read_rows(tmp_path, [*head(), upper, lower, *rows], merges=KEYED)
    assert clean(form) and form.values["sales"] == SALES and form.values["poor_persons_benefited"] == [100, 200, 300, 400]


@pytest.mark.parametrize(("this", "last"), [("本周{}", "上周{}"), ("{}（本周）", "{}（上周）"), ("{}本周数", "{}上周数")])
def test_this_weeks_figure_in_a_heading_of_one_line(tmp_path, this, last):
    heading = ["乡镇", *[w.format(t) for t in EMP01[1:3] for w in (this, last)], *EMP01[3:8], this.format(EMP01[8]), *EMP01[9:]]
    rows = [[r[0], r[1], 1, r[2], 2, *r[3:]] for r in emp01_rows()]
    form = read_rows(tmp_path, [*head("就业扶贫周报表"), heading, *rows], name="就业.xlsx")
    missing = [f.field for f in form.findings if f.rule_id == "GEN-COLMISS"]
    assert missing == ["employed_away_2019"]  # nothing stands beside it
    assert set(form.values["labour_force"]) == {100} and set(form.values["employed_away"]) == {60}


@pytest.mark.parametrize("this", ["本期", "本周", "当周", "本周新增", "合计", "本年"])
def test_the_weeks_increment_is_no_running_total(tmp_path, this):
    upper, lower = ["销售渠道", "采购销售金额", "", "惠及贫困人口", ""], ["", this, "累计", this, "累计"]
    rows = [[name, 1, money, 2, persons] for name, money, persons in COP03_ROWS]
    form = read_rows(tmp_path, [*head(), upper, lower, *rows], merges=KEYED)
    assert form.values["sales"] == SALES if form.acceptable else {f.rule_id for f in form.findings if f.severity == "error"} == {"GEN-COLMISS"}
    assert form.acceptable or this in ("合计", "本年")  # total of what, year of what: not guessed


# Foot lines


@pytest.mark.parametrize("line", [["审核：农某", "", "制表：韦某"], ["填报单位负责人：陆某"], ["制表：韦某"], ["电话：0776-6000000"]])
def test_signatures_by_what_was_done(tmp_path, line):
    form = read_rows(tmp_path, [*head("防止返贫监测预警周报表"), MON01, *mon01_rows(int), line])
    assert form.findings == [] and form.rows == len(townships())


def test_remarks_at_the_foot_of_a_list_of_places_are_no_rows(tmp_path):
    rows = [*mon01_rows(int), ["①含易地搬迁户，"], ["*按月核定。"], ["2.数据以系统为准。"]]
    form = read_rows(tmp_path, [*head("防止返贫监测预警周报表"), MON01, *rows])
    assert form.findings == [] and form.rows == len(townships())


# Groups and parts


@pytest.mark.parametrize("group", ["（一）{}", "{}", "1.{}", "(2){}"])
def test_a_line_of_a_group_without_a_comma_is_no_project(tmp_path, group):
    rows = []
    for name, numbers in (("广东省财政", (1, 2)), ("深圳市财政", (3, 4))):
        rows += [[group.format(name), "", "", "", 200, 200, 0, "", "", "", "", 10], *[project(n, name, 100) for n in numbers]]
    rows[3][5] = 201
    form = read_rows(tmp_path, [*head("粤桂扶贫协作资金项目台账", unit="元"), COP01, *rows, ["合计", "", "", "", 400, 400, 0, "", "", "", "", 20]])
    assert form.rows == 4 and [(f.rule_id, f.cell) for f in form.findings] == [("COP-006", "F7")]


def test_a_number_of_persons_below_whom_it_counts(tmp_path):
    upper = ["乡镇", "农村低保对象", "", "特困供养人员", "孤儿", "残疾人两项补贴", "贫困人口参加医保", "累计发放低保金"]
    rows = [[name, 90 + i, 40, 3, 2, 5, 70, 12.5] for i, name in enumerate(townships())]
    form = read_rows(tmp_path, [*head("兜底保障周报表"), upper, ["", "人数", "其中：未脱贫贫困人口"], *rows], merges=["B3:C3", *[f"{c}3:{c}4" for c in "ADEFGH"]])
    assert clean(form) and form.values["low_income_persons"] == [90 + i for i in range(len(rows))] and set(form.values["low_income_poor_persons"]) == {40}


def test_further_columns_below_a_title_block_of_their_own(tmp_path):
    rows = mon01_rows(int)
    first = [*head("防止返贫监测预警周报表"), MON01[:6], *[r[:6] for r in rows], ["填报人：甲某"]]
    second = [*head("防止返贫监测预警周报表（续）"), [MON01[0], *MON01[6:]], *[[r[0], *r[6:]] for r in rows]]
    form = read_rows(tmp_path, [*first, [], *second])
    assert form.findings == [] and form.rows == len(rows) and form.values["blue_households"] == [1 + i for i in range(len(rows))]


def test_a_unit_that_stands_further_right_than_the_table(tmp_path):
    trips = ["班次编号", "发车日期", "方式", "目的地", "趟（车）次", "输送人数", "其中：贫困劳动力"]
    left = [*head("劳务协作输送台账"), trips, *[[f"LW-{n}", "2020-06-09", "包车", "深圳市", 1, 30, 20] for n in (1, 2, 3, 4)]]
    right = [["消费扶贫周报表"], ["填报单位：右江区", "截至日期：2020年6月14日", "", "", "单位：万元"], COP03, *COP03_ROWS]
    rows = [[*a, *[""] * (8 - len(a)), *b] for a, b in zip(left, right, strict=True)]
    result = read(book(tmp_path / "并排.xlsx", {"Sheet1": rows}))
    assert [(f.form, f.rows, f.findings) for f in result.forms] == [("COP02", 4, []), ("COP03", 4, [])]
    assert result.forms[1].values["sales"] == SALES


def test_a_row_below_a_note_is_not_lost(tmp_path):
    rows = [*COP03_ROWS[:2], ["注：以下为线上销售"], ["电商平台", 30, ""], ["展销活动", "", 400], ["联系方式", "甲某"]]
    form = read_rows(tmp_path, [*head(), COP03, *rows])
    assert form.rows == 4 and faults(form) == [("GEN-REQ", "C7", "online", "poor_persons_benefited"), ("GEN-REQ", "B8", "fair", "sales")]


def test_a_number_shown_in_percent_is_no_plain_number(tmp_path):
    path = tmp_path / "摘帽.xlsx"
    with xlsxwriter.Workbook(path) as workbook:
        sheet, percent = workbook.add_worksheet(), workbook.add_format({"num_format": "0.0%"})
        for r, row in enumerate([*head("贫困县摘帽“九有一低于”进展表", county="那坡县"), ["指标", "标准值", "当前值", "是否达标"], ["有特色产业", 60, 60.4, "是"], ["有住房保障", 100, "", "否"]]):
            sheet.write_row(r, 0, row)
        sheet.write_number(4, 2, 0.998, percent)
    form = read(path).forms[0]
    assert faults(form, "GEN-TYPE") == [("GEN-TYPE", "C5", "housing", "current_value")] and form.values["standard_value"] == [60, 100]


def test_a_signature_that_begins_where_the_serial_numbers_stand(tmp_path):
    rows = [[n, *r] for n, r in enumerate(mon01_rows(int), 1)]
    form = read_rows(tmp_path, [*head("防止返贫监测预警周报表"), ["序号", *MON01], *rows, ["单位负责人：", "甲某", "", "审核人：", "乙某", "", "填报人：", "丙某"]])
    assert form.findings == [] and form.rows == len(townships())


@pytest.mark.parametrize("kind", ["xlsx", "csv"])
def test_a_group_merged_over_two_rows_above_its_headings(tmp_path, kind):
    upper, lower = ["影响类别", "受影响数", "其中：已解决数", "解决情况"], ["", "", "", "应对措施"]
    labels = ["滞留未返岗务工人员", "失去岗位人员", "滞销农产品", "停工扶贫项目", "停产扶贫车间", "未到岗帮扶干部"]
    rows = [*head("疫情影响分析周报表"), upper, [], lower, *[[label, 20, 10, "专人专班"] for label in labels]]
    path = tmp_path / f"疫情.{kind}"
    if kind == "csv":
        path.write_bytes(csv_bytes(rows))
    else:
        book(path, {"Sheet1": rows}, ["A3:A5", "B3:B5", "C3:C5", "D3:D4"])
    form = read(path).forms[0]
    assert form.findings == [] and form.rows == 6 and set(form.values["measure"]) == {"专人专班"}


FEET = [
    [["单位负责人", "审核人", "填报人", "联系电话"], ["甲某", "乙某", "丙某", 7766000000]],
    [["填报单位（盖章）：右江区扶贫办", "", "", "2020年6月15日"]],
    [["", "", "右江区扶贫开发办公室"], ["", "", dt.date(2020, 6, 15)]],
    [["2020年6月15日"]],
    [["注", "1.本表按周填报。"], ["", "2.其中数据以系统为准。"]],
    [["审核意见：同意上报。", "", "签字：甲某"]],
    [["抄送：市扶贫办"], ["（公章）"]],
]


@pytest.mark.parametrize("foot", FEET)
@pytest.mark.parametrize("serial", [True, False])
def test_what_stands_at_the_foot_is_no_row(tmp_path, foot, serial):
    rows = [["序号", *MON01], *[[n, *r] for n, r in enumerate(mon01_rows(int), 1)]]
    form = read_rows(tmp_path, [*head("防止返贫监测预警周报表"), *(r if serial else r[1:] for r in rows), *foot])
    assert form.findings == [] and form.rows == len(townships())


def test_a_row_below_the_labels_of_signatures_is_not_lost(tmp_path):
    form = read_rows(tmp_path, [*head(), COP03, *COP03_ROWS[:2], ["单位负责人", "填报人"], *COP03_ROWS[2:]])
    assert clean(form) and form.rows == 4


# The title block


@pytest.mark.parametrize(
    "lines",
    [
        [["填报单位：右江区", dt.date(2020, 6, 14), "单位：万元"]],
        [["填 报 单 位：右江区", "截 至 日 期：2020 年 6 月 14 日", "单　位：万 元"]],
        [["填报单位：右江区　　截至日期：2020年6月14日　　单　　位：万元"]],
        [["填报单位：右江区", "截至日期：2020年6月14日"], ["", "", "单位（万元）"]],
        [["填报单位", "右江区", "截至日期", dt.date(2020, 6, 14)], ["金额单位 万元"]],
    ],
)
def test_labels_with_spaces_a_day_without_one_a_unit_without_a_colon(tmp_path, lines):
    form = read_rows(tmp_path, [["消费扶贫周报表"], *lines, COP03, *COP03_ROWS])
    assert (form.county_code, form.week, form.findings, form.values["sales"]) == ("451002", "2020-W24", [], SALES)


@pytest.mark.parametrize("cells", [["填报日期", dt.date(2020, 6, 14)], ["填报日期：", dt.date(2020, 6, 14)], [dt.date(2020, 6, 15)]])
def test_the_day_of_filling_in_is_no_as_of_date(tmp_path, cells):
    form = read_rows(tmp_path, [["消费扶贫周报表"], ["填报单位：右江区", "单位：万元"], cells, COP03, *COP03_ROWS])
    assert form.week is None and [f.rule_id for f in form.findings] == ["GEN-WEEK"]


@pytest.mark.parametrize("text", ["负责人履职不到位", "说明：台账不全", "联系人变动未报"])
def test_a_free_text_before_the_key_is_neither_signature_nor_note(tmp_path, text):
    heading = ["问题描述", "问题编号", "问题来源", "问题方面", "反馈日期", "整改时限", "整改状态", "销号日期"]
    rows = [[t, f"ZG-{n}", "暗访", "作风", "2020-03-02", "2020-09-30", "正在整改", ""] for n, t in enumerate([text, "档案不齐"])]
    form = read_rows(tmp_path, [*head("问题整改台账"), heading, *rows])
    assert form.findings == [] and form.values["description"] == [text, "档案不齐"]
