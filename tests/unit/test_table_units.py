"""Tables in the style of statistical yearbooks, by contracts that somebody else wrote: units, wherever they stand, are converted or told."""

from __future__ import annotations

from decimal import Decimal

import openpyxl
import pytest

from ingestion.reading import read_file
from tests.unit.yearbook import (
    ITEM,
    OF_YEARS,
    RECEIVED,
    REGION,
    column,
    contracts_of,
    loaded_or_told,
    only_form,
    read_by,
)

TWO_COUNTIES = [["甲县", 1.25, 6], ["乙县", 1.5, 5]]


def test_unit_line_in_ten_thousands(tmp_path, known):
    rows = [["地区", "年末总人口", "乡村人口"], ["甲镇", 1.25, 1], ["乙镇", 2.5, 0.5], ["总计", 3.75, 1.5]]
    form = only_form(tmp_path, known, "人口主要指标", "万人", rows)
    assert loaded_or_told(form, "population", [12500, 25000])



def test_units_on_a_line_of_their_own_below_the_headings(tmp_path, known):
    rows = [["地区", "粮食", "甘蔗"], ["", "（万吨）", "（吨）"], ["甲镇", 1.5, 7], ["乙镇", 2, 8], ["合计", 3.5, 15]]
    form = only_form(tmp_path, known, "主要农产品产量", None, rows)
    loaded_or_told(form, "grain", [15000, 20000])
    loaded_or_told(form, "sugar", [7, 8])



def test_a_unit_that_cannot_be_converted_is_told(tmp_path, known):
    rows = [["地区", "粮食（公斤）", "甘蔗（斤）"], ["甲镇", 1500, 7], ["乙镇", 2000, 8]]
    form = only_form(tmp_path, known, "主要农产品产量", None, rows)
    assert not form.acceptable



@pytest.mark.parametrize(
    ("own", "line", "true"),
    [
        ("公斤/公顷", "公斤/公顷、吨", ["1.25", "1.5"]),
        ("公斤/公顷", "公斤/亩、吨", None),
        ("万美元", "亿美元、吨", ["12500", "15000"]),
        ("万元", "万美元、吨", None),
        ("张", "万张、吨", ["12500", "15000"]),
        ("万吨标准煤", "吨标准煤、吨", ["0.000125", "0.00015"]),
        ("公顷", "万担、吨", None),
        ("公顷", "10000 mu, tons", None),
        ("万元", "10000 yuan, tons", None),
        ("公顷", "千公顷　吨", ["1250", "1500"]),
        ("公顷", "千 公 顷、吨", ["1250", "1500"]),
        ("万元", "人民币亿元、吨", ["12500", "15000"]),
        ("‰", "‰、吨", ["1.25", "1.5"]),
        ("‰", "%、吨", None),
        ("%", "%、吨", ["0.0125", "0.015"]),
        ("%", "‰、吨", ["0.00125", "0.0015"]),
        ("CNY", "万美元、吨", None),
        ("公顷", "右江区统计局", ["1.25", "1.5"]),
    ],
)
def test_a_unit_line_is_understood_or_told(tmp_path, own, line, true):
    form = read_by(tmp_path, [REGION, column("value", "某指标", unit=own), column("weight", "重量", unit="吨")], line, [["地区", "某指标", "重量"], *TWO_COUNTIES])
    assert form.acceptable is (true is not None)
    assert loaded_or_told(form, "value", [Decimal(t) for t in true or ()]) is form.acceptable



@pytest.mark.parametrize(
    ("own", "heading", "true"),
    [
        ("‰", "出生率（‰）", ["1.25", "1.5"]), ("‰", "出生率（%）", None), ("%", "出生率（‰）", ["0.00125", "0.0015"]),
        ("万美元", "出生率（亿美元）", ["12500", "15000"]), ("万千瓦", "出生率（千瓦）", ["0.000125", "0.00015"]), ("张", "出生率（万张）", ["12500", "15000"]),
    ],
)  # fmt: skip
def test_a_unit_of_the_contract_is_known_in_headings(tmp_path, own, heading, true):
    form = read_by(tmp_path, [REGION, column("rate", "出生率", unit=own), column("weight", "重量", unit="吨")], "吨", [["地区", heading, "重量"], *TWO_COUNTIES])
    assert form.acceptable is (true is not None)
    loaded_or_told(form, "rate", [Decimal(t) for t in true or ()])



def test_per_mille_in_the_contracts_heading(tmp_path):
    form = read_by(tmp_path, [REGION, column("rate", "自然增长率（‰）"), column("people", "人口", unit="人")], "人", [["地区", "自然增长率（‰）", "人口"], ["甲县", -1.5, 6], ["乙县", 2, 5]])
    assert form.acceptable and loaded_or_told(form, "rate", [Decimal("-1.5"), 2])



@pytest.mark.parametrize(("title", "head"), [("分县主要指标", "（千公顷、吨）"), ("分县主要指标", "千公顷、吨"), ("分县主要指标（千公顷）", "")])
def test_units_above_the_table_without_the_word(tmp_path, title, head):
    known = contracts_of(tmp_path, "分县主要指标", [REGION, column("area", "面积", unit="公顷"), column("weight", "重量（吨）", unit="吨")])
    book = openpyxl.Workbook()
    for row in [[title], ["填报单位：右江区", "截至日期：2020年6月14日", head], ["地区", "面积", "重量（吨）"], *TWO_COUNTIES]:
        book.active.append(row)
    book.save(tmp_path / "表.xlsx")
    (form,) = read_file(tmp_path / "表.xlsx", received_at=RECEIVED, contracts=known).forms
    assert form.acceptable and form.values["area"] == [1250, 1500] and form.values["weight"] == [6, 5]



@pytest.mark.parametrize("line", [["单位：亩、元", "", ""], ["", "", "（万吨）"], ["", "单位：万担", ""]])
def test_another_unit_half_way_down_is_no_row(tmp_path, known, line):
    rows = [["地区", "粮食", "甘蔗"], ["甲镇", 1, 2], line, ["乙镇", 3, 4]]
    form = only_form(tmp_path, known, "主要农产品产量", "吨", rows)
    assert not form.acceptable and [(f.rule_id, f.cell) for f in form.findings] == [("GEN-TYPE", f"{'ABC'[[bool(c) for c in line].index(True)]}5")]
    assert only_form(tmp_path, known, "主要农产品产量", "吨", [*rows[:2], ["", "", "单位：吨"], rows[3]]).acceptable



@pytest.mark.parametrize("brackets", ["[]", "【】", "〔〕", "（）", "()"])
@pytest.mark.parametrize(("unit", "true"), [("万吨", [10000, 20000]), ("公斤", None), ("%", None)])
def test_units_in_brackets_of_any_kind(tmp_path, known, brackets, unit, true):
    rows = [["地区", f"粮食{brackets[0]}{unit}{brackets[1]}", "甘蔗"], ["甲镇", 1, 2], ["乙镇", 2, 4]]
    form = only_form(tmp_path, known, "主要农产品产量", None, rows)
    assert form.acceptable is (true is not None) and loaded_or_told(form, "grain", true) is form.acceptable



@pytest.mark.parametrize(("kind", "unit"), [("number", "万元"), ("number", "CNY"), ("number", None), ("integer", None)])
@pytest.mark.parametrize("heading", ["收入%", "收入％", "收入‰", "收入（%）"])
def test_a_percent_sign_over_what_is_no_rate_is_told(tmp_path, kind, unit, heading):
    form = read_by(tmp_path, [REGION, column("income", "收入", kind, unit=unit), column("people", "人数", unit="人")], "万元、人", [["地区", heading, "人数"], ["甲县", 1, 2], ["乙县", 3, 4]])
    assert not form.acceptable and {f.field for f in form.findings if f.severity == "error"} >= {"income"}



@pytest.mark.parametrize("line", ["百万元", "元、万元", "美元"])
def test_a_line_that_does_not_tell_the_unit_of_money_is_told(tmp_path, line):
    form = read_by(tmp_path, [REGION, column("income", "收入（元）", unit="CNY")], line, [["地区", "收入"], ["甲县", 1], ["乙县", 3]])
    assert not form.acceptable and "income" in {f.field for f in form.findings}



def test_rates_in_brackets_are_negative(tmp_path):
    form = read_by(tmp_path, [REGION, column("growth", "收入增长", unit="%")], None, [["地区", "收入增长（%）"], ["甲县", "(3.2)"], ["乙县", "−1.5"], ["丙县", "2.5%"]])
    assert form.acceptable and loaded_or_told(form, "growth", [Decimal("-0.032"), Decimal("-0.015"), Decimal("0.025")])



@pytest.mark.parametrize(
    ("rows", "fine"),
    [
        ([["生产总值", "亿元", 100], ["财政收入", "万元", 5]], False),
        ([["生产总值（亿元）", "", 100], ["财政收入（万元）", "", 5]], False),
        ([["生产总值", "", 100], ["比重（%）", "", 5]], False),
        ([["粮食", "吨", 100], ["财政收入", "万元", 5]], False),
        ([["生产总值", "万元", 100], ["财政收入（万元）", "", 5]], True),
        ([["生产总值（亿元）", "", "—"], ["财政收入（万元）", "", 5]], True),
    ],
)
@pytest.mark.parametrize("known_column", [True, False])
def test_a_unit_in_the_row_against_that_of_the_column(tmp_path, rows, fine, known_column):
    properties = [ITEM, *([column("unit", "计量单位", "string", required=False)] if known_column else []), column("value", "数值", unit="万元", required=False)]
    form = read_by(tmp_path, properties, None, [["指标", "计量单位", "数值"], *rows])
    assert form.acceptable is fine
    assert not fine or form.values["value"] == [None if r[2] == "—" else r[2] for r in rows]



def test_a_unit_in_the_row_where_the_heading_has_its_own(tmp_path):
    form = read_by(tmp_path, [ITEM, column("value", "金额", unit="万元")], None, [["指标", "计量单位", "金额（万元）"], ["稻谷", "吨", 100], ["机床（台）", "台", 5]])
    assert form.acceptable and loaded_or_told(form, "value", [100, 5])



@pytest.mark.parametrize("line", ["构成（%）", "指数（上年=100）"])
def test_a_line_that_changes_what_the_rows_below_it_are(tmp_path, line):
    rows = [["地区", "粮食", "油料"], ["2018", 1, 2], ["2019", 3, 4], [line, "", ""], ["2018", 50, 50], ["2019", 50, 50]]
    form = read_by(tmp_path, OF_YEARS, "吨", rows)
    assert [(f.rule_id, f.cell) for f in form.findings if f.severity == "error"] == [("GEN-TYPE", "A6")]



@pytest.mark.parametrize(
    ("units", "area", "output"),
    [("千公顷、万吨", [1000, 2000], [600000, 550000]), ("公顷、吨", [1, 2], [60, 55]), ("公顷、万公顷、吨", None, None), ("%、吨", None, None)],
)
def test_units_listed_over_a_group(tmp_path, units, area, output):
    properties = [REGION, column("area", "播种面积", unit="公顷"), column("output", "产量", unit="吨")]
    form = read_by(tmp_path, properties, None, [["地区", f"粮食（{units}）", ""], ["", "播种面积", "产量"], ["甲县", 1, 60], ["乙县", 2, 55]], ["A3:A4", "B3:C3"])
    assert form.acceptable is (area is not None)
    assert not form.acceptable or (loaded_or_told(form, "area", area) and loaded_or_told(form, "output", output))



@pytest.mark.parametrize(("units", "fine"), [("万元、亿元", False), ("公顷、万元", True), ("%、万元", False)])
def test_units_listed_over_a_group_of_money(tmp_path, units, fine):
    properties = [REGION, column("income", "收入", unit="CNY"), column("expenditure", "支出", unit="CNY")]
    form = read_by(tmp_path, properties, "元", [["地区", f"决算数（{units}）", ""], ["", "收入", "支出"], ["甲县", 1, 60], ["乙县", 2, 55]], ["A3:A4", "B3:C3"])
    assert form.acceptable is fine and (not fine or form.values["income"] == [10000, 20000])



def test_a_cell_with_another_power_of_ten_than_its_row(tmp_path):
    properties = [ITEM, column("unit", "计量单位", "string"), column("value", "数值", unit="by_row")]
    rows = [["指标", "计量单位", "数值"], ["生产总值", "亿元", "100万元"], ["财政收入", "万元", "5万元"], ["粮食", "吨", "1.5万吨"]]
    form = read_by(tmp_path, properties, None, rows)
    assert [(f.rule_id, f.cell) for f in form.findings if f.severity == "error"] == [("GEN-TYPE", "C4"), ("GEN-TYPE", "C5")]
    assert form.values["value"][2] == 15000



def test_a_ratio_to_a_hundred_does_not_add_up(tmp_path):
    properties = [REGION, column("people", "人口数", unit="人"), column("ratio", "性别比（女=100）"), column("index", "指数（上年＝100）")]
    rows = [["地区", "人口数", "性别比\n(女=100)", "指数（上年＝100）"], ["全国", 30, 104.08, 101], ["甲省", 10, 110.53, 102], ["乙省", 20, 100, 100]]
    form = read_by(tmp_path, properties, "人", rows)
    assert form.acceptable and loaded_or_told(form, "ratio", [Decimal("110.53"), 100])
