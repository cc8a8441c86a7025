"""Layouts that an independent author thought of: what stands in the cells is read, or the form comes back; never other figures."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from ingestion.reference import codes
from tests.unit.reading_files import COP03, COP03_ROWS, book, faults, head, read, read_rows
from tests.unit.yearbook import column, contracts_of, only_form

COUNTY = "451002"
MON01 = ["乡镇", "脱贫不稳定户", "脱贫不稳定人口", "边缘易致贫户", "边缘易致贫人口", "红色预警户", "黄色预警户", "蓝色预警户", "本周新增监测户", "本周消除风险户", "已落实帮扶户"]
EMP01 = [
    "乡镇", "贫困劳动力人数", "外出务工人数", "省外务工", "其中：广东省", "省内县外务工", "县内务工", "返乡未就业", "2019年外出务工人数", "占2019年比例",
    "认定就业扶贫车间", "已复工车间", "车间吸纳贫困劳动力", "开发公益性岗位", "公益性岗位在岗人数", "有工资性收入贫困户",
]  # fmt: skip
COP01 = ["项目编号", "项目名称", "资金来源", "项目类型", "下达资金", "到位资金", "已支出资金", "支出率", "项目状态", "开工日期", "竣工日期", "带动贫困人口"]


def townships() -> list[str]:
    return [codes().place_name(c) for c in codes().townships_of(COUNTY)]


def mon01_rows(write=str) -> list[list]:
    return [[name, *map(write, (2 + i, 9, 1, 4, 1, 1, 1 + i, 0, 0, 3 + i))] for i, name in enumerate(townships())]


def emp01_rows() -> list[list]:
    return [[name, 100, 60, 30, 20, 20, 10, 5, 60, "100%", 3, 2, 7, 4, 4, 50] for name in townships()]


def clean(form) -> bool:
    return not [f.message_zh for f in form.findings if f.severity == "error"]


# Rows and headings that come again


def test_rows_of_numbers_kept_as_text_above_a_repeated_heading_are_rows(tmp_path):
    rows = mon01_rows()
    form = read_rows(tmp_path, [*head("防止返贫监测预警周报表"), MON01, *rows[:4], MON01, *rows[4:]])
    assert clean(form) and form.rows == len(rows) and form.values["unstable_households"] == [2 + i for i in range(len(rows))]


def test_a_column_of_counties_comes_again_with_the_part_to_the_right(tmp_path):
    heading, rows = ["县名", *COP03], [["右江区", *r] for r in COP03_ROWS]
    both = [*head(), heading + heading, rows[0] + rows[2], rows[1] + rows[3], [""] * 4 + ["合计", "", 100.5, 1000]]
    form = read_rows(tmp_path, both)
    assert clean(form) and form.rows == 4 and sum(form.values["sales"]) == Decimal(1005000)


def test_an_untitled_table_beside_its_continuation_is_known(tmp_path):
    heading = [*COP03, "包联单位"]
    rows = [["填报单位：右江区　　截至日期：2020年6月14日　　单位：万元"], heading + heading]
    rows += [[*a, "甲局", *b, "乙局"] for a, b in zip(COP03_ROWS[:2], COP03_ROWS[2:], strict=True)]
    assert read_rows(tmp_path, rows).rows == 4


@pytest.mark.parametrize("mark", [["第1页 共2页"], ["（转下页）"], ["", "", "— 1 —"], ["续上表"]])
def test_marks_of_a_page_between_the_rows_are_no_rows(tmp_path, mark):
    rows = mon01_rows(int)
    form = read_rows(tmp_path, [*head("防止返贫监测预警周报表"), MON01, *rows[:5], mark, MON01, *rows[5:]])
    assert clean(form) and form.rows == len(rows)


def parts(keys_to_the_right: list[str]) -> list[list]:
    rows = mon01_rows(int)
    right = [[k, *next(r for r in rows if r[0] == k or k not in townships())[6:]] for k in keys_to_the_right]
    return [*head("防止返贫监测预警周报表"), [*MON01[:6], MON01[0], *MON01[6:]], *[[*a[:6], *b] for a, b in zip(rows, right, strict=True)]]


def test_columns_to_the_right_in_another_order_of_rows_go_to_their_own_rows(tmp_path):
    names = townships()
    names[0], names[1] = names[1], names[0]
    form = read_rows(tmp_path, parts(names))
    assert clean(form) and form.values["blue_households"] == [1 + i for i in range(len(names))]


def test_a_row_whose_parts_name_different_places_comes_back(tmp_path):
    names = townships()
    form = read_rows(tmp_path, parts([*names[:3], "坡家乡", *names[4:]]))
    assert ("GEN-PLACE", "G7", codes().townships_of(COUNTY)[3], "township") in faults(form)


# Headings in levels


@pytest.mark.parametrize("total", ["合计", "小计", "计"])
@pytest.mark.parametrize("merged", [True, False])
def test_the_sum_of_its_parts_below_a_heading_is_that_heading(tmp_path, total, merged):
    upper = ["乡镇", "贫困劳动力人数", "外出务工人数", "", "", "", "", *EMP01[7:]]
    lower = ["", "", total, *EMP01[3:7]]
    merges = ["C3:G3", *[f"{c}3:{c}4" for c in "ABHIJKLMNOP"]] if merged else []
    form = read_rows(tmp_path, [*head("就业扶贫周报表"), upper, lower, *emp01_rows()], merges=merges)
    assert clean(form) and set(form.values["employed_away"]) == {60}


def test_groups_without_merged_cells(tmp_path):
    upper = ["乡镇", "脱贫不稳定", "", "边缘易致贫", "", *MON01[5:]]
    form = read_rows(tmp_path, [*head("防止返贫监测预警周报表"), upper, ["", "户", "人口", "户", "人口"], *mon01_rows(int)])
    assert clean(form) and form.values["unstable_households"][0] == 2 and set(form.values["marginal_persons"]) == {4}


def project(number: int, source: str, money: int) -> list:
    return [f"YG{number:04d}", f"项目{number}", source, "产业", money, money, 0, "0%", "未开工", "", "", 5]


@pytest.mark.parametrize("group", ["一、{}", "{}合计", "小计（{}）"])
def test_a_line_of_a_group_with_its_figures_is_no_project(tmp_path, group):
    rows = []
    for name, numbers in (("广东省财政", (1, 2)), ("深圳市财政", (3, 4))):
        rows += [[group.format(name), "", "", "", 200, 200, 0, "", "", "", "", 10], *[project(n, name, 100) for n in numbers]]
    form = read_rows(tmp_path, [*head("粤桂扶贫协作资金项目台账", unit="元"), COP01, *rows, ["合计", "", "", "", 400, 400, 0, "", "", "", "", 20]])
    assert clean(form) and form.rows == 4


# What a title block says


@pytest.mark.parametrize(
    "lines",
    [
        ["填报单位：右江区　　截至日期：二〇二〇年六月十四日　单位：万元"],
        ["填报单位：右江区　截至日期：2020年第二十四周", "单位：万元"],
        ["填报单位：右江区　　周次：第24周", "单位：万元"],
        ["填报单位：右江区　　截至6月14日24时", "单位：万元"],
        ["填报单位：右江区", "2020年6月14日　　　　单位：万元"],
        ["填报单位：右江区　日期：2020年6月14日　单位：万元"],
        ["填报单位：右江区　截至日期：6/14　单位：万元"],
        ["单位：右江区扶贫办", "截至日期：2020年6月14日", "金额单位：万元"],
        ["县（市、区）：右江区　　制表日期：2020年6月15日　　截至日期：2020年6月14日　　单位：万元"],
    ],
)
def test_county_and_week_as_they_are_written(tmp_path, lines):
    form = read_rows(tmp_path, [["消费扶贫周报表"], *[[t] for t in lines], COP03, *COP03_ROWS])
    assert (form.county_code, form.week, form.findings) == (COUNTY, "2020-W24", [])
    assert form.values["sales"][0] == Decimal(105000)


@pytest.mark.parametrize("cells", [["填报单位", "右江区", "截至日期", dt.date(2020, 6, 14)]])
def test_a_unit_in_two_cells_without_a_colon(tmp_path, cells):
    form = read_rows(tmp_path, [["消费扶贫周报表"], cells, ["单位", "万元"], COP03, *COP03_ROWS])
    assert form.findings == [] and form.values["sales"][0] == Decimal(105000)


@pytest.mark.parametrize("line", ["2020年6月第2周", "2020年6月15日", "日期：2020年6月15日", "截至日期：6.1"])
def test_what_may_be_another_week_is_not_guessed(tmp_path, line):
    form = read_rows(tmp_path, [["消费扶贫周报表"], ["填报单位：右江区"], [line], ["单位：万元"], COP03, *COP03_ROWS])
    assert form.week is None and [f.rule_id for f in form.findings] == ["GEN-WEEK"]


@pytest.mark.parametrize(
    "name", ["右江区第二十三周.xlsx", "右江区2019年第24周.xlsx", "右江区6.7.xlsx", "右江区23周.xlsx", "右江区就业扶贫周报表.xlsx", "右江区20190614.xlsx"]
)
def test_a_name_that_contradicts_the_content(tmp_path, name):
    form = read_rows(tmp_path, [*head(), COP03, *COP03_ROWS], name=name)
    assert [f.rule_id for f in form.findings] == ["GEN-NAME"] and form.acceptable


@pytest.mark.parametrize("name", ["右江区6月第2周.xlsx", "右江区0608-0614.xlsx", "右江区第24周（6月15日报）.xlsx", "附件1.2消费扶贫.xlsx", "右江区消费扶贫周报表（更新0601版0614）.xlsx"])
def test_a_name_that_agrees(tmp_path, name):
    assert read_rows(tmp_path, [*head(), COP03, *COP03_ROWS], name=name).findings == []


# Values


def test_a_truth_value_is_no_one(tmp_path):
    rows = mon01_rows(int)
    rows[2][4] = True
    form = read_rows(tmp_path, [*head("防止返贫监测预警周报表"), MON01, *rows])
    assert [f[:2] for f in faults(form)] == [("GEN-TYPE", "E6")]


def test_one_faulty_amount_is_one_finding_where_units_stand_behind_the_figures(tmp_path):
    rows = [["单位采购", "10万元", 100], ["商超专柜", "二十", 200], ["电商平台", "3亿", 300], ["展销活动", "4元", 400]]
    form = read_rows(tmp_path, [*head(unit="人"), COP03, *rows])
    assert [f[:2] for f in faults(form)] == [("GEN-TYPE", "B5")]


def test_none_is_no_answer_to_a_yes_or_no(tmp_path):
    names = [codes().place_name(c) for c in codes().villages_of("451031")[:2]]
    rows = [[names[0], 10, 2, 5, "1%", "无", ""], [names[1], 10, 2, 5, "1%", "否", ""]]
    heading = ["贫困村", "达标项数", "未达标项数", "剩余贫困人口", "贫困发生率", "是否挂牌督战", "联系市领导"]
    form = read_rows(tmp_path, [*head("未出列贫困村“十一有一低于”进展表", county="隆林各族自治县"), heading, *rows])
    assert [f[:2] for f in faults(form)] == [("GEN-REQ", "F4")]


# Tables of others

REGION = column("region", "地区", "string", primaryKey=True)
TWO = [REGION, column("p", "总人口", unit="人", required=False), column("e", "就业人员", unit="人", required=False)]
REGIONS = [["右江区", 100, 60], ["田阳区", 200, 90], ["田东县", 300, 150]]


def table(tmp_path, properties, rows, merges=(), unit="人"):
    return only_form(tmp_path, contracts_of(tmp_path, "人口与就业", properties), "人口与就业", unit, rows, merges)


def test_years_written_as_numbers(tmp_path):
    form = table(tmp_path, [REGION, column("y18", "2018年"), column("y19", "2019年")], [["地区", 2019, 2018], *[[r, b, a] for r, a, b in REGIONS]], unit="")
    assert form.acceptable and form.values["y18"] == [100, 200, 300] and form.values["y19"] == [60, 90, 150]


def test_groups_and_leaves_that_only_together_name_a_column(tmp_path):
    nodes = [REGION, *[column(f"{a}{b}", f"{g}{leaf}") for a, g in (("p", "小学"), ("m", "中学")) for b, leaf in (("s", "学校数"), ("t", "教师数"))]]
    rows = [["地区", "小学", "", "中学", ""], ["", "学校数", "教师数", "学校数", "教师数"], ["右江区", 1, 2, 3, 4], ["田阳区", 5, 6, 7, 8]]
    form = table(tmp_path, nodes, rows, ["A3:A4", "B3:C3", "D3:E3"], unit="")
    assert form.acceptable and [form.values[n] for n in ("ps", "pt", "ms", "mt")] == [[1, 5], [2, 6], [3, 7], [4, 8]]


@pytest.mark.parametrize("years", [["2018年", "2019年"], ["2017年", "2018年"]])
def test_a_column_that_may_be_the_one_is_not_left_out_in_silence(tmp_path, years):
    rows = [["地区", "总人口", "", "就业人员", ""], ["", *years, *years], *[[r, 1, a, 2, b] for r, a, b in REGIONS]]
    form = table(tmp_path, TWO, rows, ["A3:A4", "B3:C3", "D3:E3"])
    assert not form.acceptable and {f.rule_id for f in form.findings if f.severity == "error"} == {"GEN-COLMISS"}


def test_a_sum_that_does_not_call_itself_one_is_not_counted_twice(tmp_path):
    form = table(tmp_path, TWO, [["地区", "总人口", "就业人员"], ["百色市", 600, 300], *REGIONS])
    assert [(f.rule_id, f.cell) for f in form.findings] == [("GEN-VALUE", "A4")]


def test_footnotes_and_remarks_are_no_part_of_names_and_no_rows(tmp_path):
    rows = [["地区", "总人口①", "就业人员*"], ["右江区①", 100, 60], *REGIONS[1:], ["①右江区含高新区。"], ["*为年末数"], ["资料来源：统计年鉴"]]
    form = table(tmp_path, TWO, rows)
    assert form.acceptable and form.values["region"] == ["右江区", "田阳区", "田东县"] and form.values["e"] == [60, 90, 150]


def test_a_yuan_sign_before_a_number_of_people(tmp_path):
    assert not table(tmp_path, TWO, [["地区", "总人口", "就业人员"], ["右江区", "￥100", 60], *REGIONS[1:]]).acceptable


def test_two_forms_beside_each_other_without_a_gap_are_read_or_told(tmp_path):
    right = [["四大战役项目进度周报表"], ["填报单位：右江区", "截至日期：2020年6月14日"], ["项目类别", "计划数"]]
    left = [*head(), COP03, *COP03_ROWS]
    rows = [[*(a + [""] * (3 - len(a))), *b] for a, b in zip(left, [*right, *[[""]] * (len(left) - len(right))], strict=True)]
    result = read(book(tmp_path / "表.xlsx", {"周报": rows}))
    assert result.findings or any(f.findings for f in result.forms)
